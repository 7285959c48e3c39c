"""EfficientNet-Lite0 and MobileNetV2: networks of inverted residual blocks, whose weights come with the package.

Prepared pictures (batch, height, width, 3), float32, of any side from 32 px up, to (batch, height / 32, width / 32,
1280) maps. Layers are named stage<s>_block<b>_<part>; `pyramid` gives the maps at each stride.
"""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers

STRIDES = (4, 8, 16, 32)
Stage = tuple[int, int, int, int, int]  # blocks, side of the kernel, stride of the first, expansion, filters


def efficientnet_lite0(name="efficientnet-lite0"):
    """EfficientNet-Lite0 without its classifier (R. Liu 2020, "Higher accuracy on vision models with
    EfficientNet-Lite"; Tan and Le 2019): EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

    Functional, 3,413,024 parameters. Input: RGB (x - 127) / 128. Borders are padded as TensorFlow's "same" does.
    """
    stages = (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )
    return network(name, stages, epsilon=1e-3, symmetric=False)


def mobilenet_v2(name="mobilenet-v2"):
    """MobileNetV2 of width 1.0 without its classifier (Sandler et al. 2018), as torchvision has it.

    Functional, 2,257,984 parameters. Input: RGB 0..1, normalised by ImageNet's means and deviations. Borders are padded
    by the same number of zeros on both sides, which at stride 2 is not what TensorFlow's "same" does.
    """
    stages = (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (3, 3, 2, 6, 32),
        (4, 3, 2, 6, 64),
        (3, 3, 1, 6, 96),
        (3, 3, 2, 6, 160),
        (1, 3, 1, 6, 320),
    )
    return network(name, stages, epsilon=1e-5, symmetric=True)


def network(name: str, stages: Sequence[Stage], epsilon: float, symmetric: bool) -> keras.Model:
    """A stem of stride 2, stages of inverted residual blocks, and a convolution to 1280 maps.

    Args:
        epsilon: of batch normalisation.
        symmetric: pad both sides alike where a convolution has a stride.
    """
    unit = partial(convolution, epsilon=epsilon, symmetric=symmetric)
    inputs = keras.Input((None, None, 3))
    x = unit(layers.Conv2D, inputs, "stem", filters=32, kernel_size=3, strides=2)
    for stage, (blocks, side, stride, expansion, filters) in enumerate(stages, start=1):
        for number in range(1, blocks + 1):
            strides = stride if number == 1 else 1
            x = inverted_residual(unit, x, f"stage{stage}_block{number}", filters, side, strides, expansion)
    return keras.Model(inputs, unit(layers.Conv2D, x, "top", filters=1280, kernel_size=1), name=name)


def inverted_residual(unit, x, name: str, filters: int, side: int, strides: int, expansion: int):
    """1x1 to more maps, a depthwise convolution, 1x1 to fewer, which are added to the input where they fit it."""
    inputs = x
    if expansion > 1:
        x = unit(layers.Conv2D, x, f"{name}_expand", filters=x.shape[-1] * expansion, kernel_size=1)
    x = unit(layers.DepthwiseConv2D, x, f"{name}_depthwise", kernel_size=side, strides=strides)
    x = unit(layers.Conv2D, x, f"{name}_project", activated=False, filters=filters, kernel_size=1)
    fits = strides == 1 and inputs.shape[-1] == filters
    return layers.Add(name=f"{name}_add")([inputs, x]) if fits else x


def convolution(kind, x, name: str, *, epsilon: float, symmetric: bool, activated: bool = True, strides=1, **options):
    """Convolution without bias, batch normalisation and, if `activated`, ReLU6."""
    padding = "same"
    if symmetric and strides > 1:
        x = layers.ZeroPadding2D(options["kernel_size"] // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = kind(strides=strides, padding=padding, use_bias=False, name=name, **options)(x)
    x = layers.BatchNormalization(epsilon=epsilon, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activated else x


def pyramid(network: keras.Model) -> keras.Model:
    """The maps of a network of this module at strides 4, 8, 16 and 32, what segmentation and detection build on.

    Returns:
        Functional model that shares the weights: prepared pictures to {"stride4", "stride8", "stride16", "stride32":
        (batch, height / stride, width / stride, maps)}, each the answer of the last block of that stride.
    """
    found, stride, last = {}, 2, network.get_layer("stem_relu").output
    for layer in network.layers:
        if layer.name.endswith(("_project_norm", "_add")):
            last = layer.output
        elif getattr(layer, "strides", (1, 1)) != (1, 1) and layer.name != "stem":
            found[f"stride{stride}"], stride = last, stride * 2
    found[f"stride{stride}"] = last
    return keras.Model(network.input, {f"stride{number}": found[f"stride{number}"] for number in STRIDES})
