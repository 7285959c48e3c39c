"""Networks that enlarge pictures: SRCNN, ESPCN, VDSR, CARN and CARN-M.

Three kinds. SRCNN and VDSR work on luma that a bicubic enlargement has brought to its final size, (batch, height,
width, 1). ESPCN works on luma of the small picture and CARN on its RGB, (batch, height, width, 3): they enlarge it
themselves. All take and give 0..1. `whole` makes each a network from RGB to RGB in 0..255. A new network is a builder
and a row of `catalogue.SUPER_RESOLUTION`.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from convmedia.data.transforms.bicubic import YCBCR, YCBCR_OFFSET
from convmedia.models.preprocessing.upsampling import DepthToSpace, Enlarge, RepeatEdges

SCALES = (2, 3, 4)
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # of RGB in 0..1, what CARN's authors subtract (Ahn et al. 2018, their code)


def srcnn(kernels=(9, 5, 5), filters=(64, 32)):
    """SRCNN (Dong et al. 2014 with 9-1-5; 2016, "Image super-resolution using deep convolutional networks", with
    9-5-5): 57,281 parameters, or 8,129 for `kernels=(9, 1, 5)`.

    Luma (batch, height, width, 1), enlarged, 0..1, to the same. Its edges are repeated, as in the authors' own code,
    and not filled with black. Random weights are such that it starts as the identity.
    """
    inputs = keras.Input((None, None, 1))
    x = RepeatEdges(sum(kernel // 2 for kernel in kernels), name="edges")(inputs)
    for number, (kernel, channels) in enumerate(zip(kernels[:2], filters, strict=True), start=1):
        x = layers.Conv2D(channels, kernel, activation="relu", kernel_initializer="he_normal", name=f"conv{number}")(x)
    outputs = layers.Conv2D(1, kernels[2], kernel_initializer="zeros", name="conv3")(x)
    network = keras.Model(inputs, outputs, name="srcnn")
    for number in (1, 2, 3):
        _pass_on_first_channel(network.get_layer(f"conv{number}"))
    return network


def _pass_on_first_channel(convolution):
    """Make the first filter answer with the first channel as it is: luma is positive, ReLU lets it through."""
    kernel, bias = convolution.get_weights()
    kernel[..., 0] = 0.0
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, 0, 0] = 1.0
    convolution.set_weights([kernel, bias])


def espcn(scale=2, depth=10, filters=16):
    """ESPCN (Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network"): convolutions on the small picture, whose last channels become pixels. 19,300
    parameters for scale 2, 20,025 parameters for 3 and 21,040 parameters for 4.

    Luma (batch, height, width, 1), 0..1, to (batch, height * scale, width * scale, 1). Other than in the paper, what
    they give is added to the bicubic enlargement, at first nothing; and they are more, thinner, all 3x3, with leaky
    ReLU in place of tanh. They start near the identity, as in DiracNets (Zagoruyko and Komodakis 2017): so many thin
    layers learn faster then.
    """
    if scale not in SCALES:
        raise ValueError(f"A scale is one of {SCALES}. Received: {scale!r}")
    inputs = keras.Input((None, None, 1))
    x = inputs
    for number in range(1, depth):
        x = layers.Conv2D(
            filters, 3, padding="same", activation="leaky_relu", kernel_initializer="he_normal", name=f"conv{number}"
        )(x)
    x = layers.Conv2D(scale**2, 3, padding="same", kernel_initializer="zeros", name=f"x{scale}_up")(x)
    residual = DepthToSpace(scale, name=f"x{scale}_pixels")(x)
    enlarged = Enlarge(scale, name=f"x{scale}_bicubic")(inputs)
    network = keras.Model(inputs, layers.Add(name="sum")([enlarged, residual]), name="espcn")
    for number in range(2, depth):
        _bring_near_identity(network.get_layer(f"conv{number}"))
    return network


def _bring_near_identity(convolution, share=0.3):
    """Make a convolution of as many filters as channels answer with its input and `share` of what it would."""
    kernel, bias = convolution.get_weights()
    kernel *= share
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] += np.eye(kernel.shape[-1])
    convolution.set_weights([kernel, bias])


def vdsr(depth=20, filters=64):
    """VDSR (Kim et al. 2016, "Accurate image super-resolution using very deep convolutional networks"): 665,921
    parameters. One network for every scale.

    Luma (batch, height, width, 1), enlarged, 0..1, to the same: what 20 3x3 convolutions say is added to it, at first
    nothing.
    """
    inputs = keras.Input((None, None, 1))
    x = inputs
    for number in range(1, depth):
        x = layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv{number}"
        )(x)
    residual = layers.Conv2D(1, 3, padding="same", kernel_initializer="zeros", name=f"conv{depth}")(x)
    return keras.Model(inputs, layers.Add(name="sum")([inputs, residual]), name="vdsr")


def carn(scales: Sequence[int] = (2,), filters=64, blocks=3):
    """CARN (Ahn et al. 2018, "Fast, accurate, and lightweight super-resolution with cascading residual network"):
    1,591,939 parameters with the three tails of `scales=(2, 3, 4)`.

    RGB (batch, height, width, 3), 0..1, to (batch, height * scale, width * scale, 3); one answer for each of `scales`.
    """

    def units(name):
        """Three residual blocks with weights of their own."""
        return [
            _residual([_convolution(filters, f"{name}_unit{n}_conv1"), _convolution(filters, f"{name}_unit{n}_conv2")])
            for n in range(1, blocks + 1)
        ]

    return _cascading(scales, filters, blocks, units, groups=1, name="carn")


def carn_m(scales: Sequence[int] = (2,), filters=64, blocks=3, groups=4):
    """CARN-M, the mobile one of Ahn et al. 2018: convolutions in four groups, one residual block used three times.
    414,787 parameters with the three tails of `scales=(2, 3, 4)`.

    Input and output as of `carn`.
    """

    def units(name):
        """One residual block, used three times."""
        convolutions = [
            _convolution(filters, f"{name}_conv1", groups=groups),
            _convolution(filters, f"{name}_conv2", groups=groups),
            _convolution(filters, f"{name}_conv3", kernel=1),
        ]
        return [_residual(convolutions)] * blocks

    return _cascading(scales, filters, blocks, units, groups=groups, name="carn_m")


def _cascading(scales, filters, blocks, units, groups, name):
    """Blocks of residual blocks; after each, 1x1 convolutions join all that came before (section 3.2)."""
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1.0, offset=[-mean for mean in DIV2K_MEAN], name="centred")(inputs)
    x = _convolution(filters, "entry")(x)
    block = [_cascade(units(f"block{n}"), filters, f"block{n}") for n in range(1, blocks + 1)]
    x = _cascade(block, filters, "cascade")(x)
    exit_convolution = _convolution(3, "exit")
    restored = layers.Rescaling(1.0, offset=list(DIV2K_MEAN), name="restored")
    outputs = [restored(exit_convolution(_tail(x, scale, filters, groups))) for scale in scales]
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=name)


def _cascade(steps, filters, name):
    """Each step's answer joins a growing stack that a 1x1 convolution with ReLU brings back to `filters`."""
    joins = [_convolution(filters, f"{name}_join{n}", kernel=1, relu=True) for n in range(1, len(steps) + 1)]

    def call(x):
        stack = x
        for step, join in zip(steps, joins, strict=True):
            stack = layers.Concatenate()([stack, step(x)])
            x = join(stack)
        return x

    return call


def _residual(convolutions):
    """x + convolutions with ReLU between them, and ReLU of that."""

    def call(x):
        y = x
        for number, convolution in enumerate(convolutions):
            y = convolution(layers.ReLU()(y) if number else y)
        return layers.ReLU()(layers.Add()([x, y]))

    return call


def _tail(x, scale, filters, groups):
    """Convolution, ReLU and channels into pixels; four is twice two."""
    if scale not in SCALES:
        raise ValueError(f"A scale is one of {SCALES}. Received: {scale!r}")
    for number, factor in enumerate((2, 2) if scale == 4 else (scale,), start=1):
        x = _convolution(filters * factor**2, f"x{scale}_up{number}", groups=groups, relu=True)(x)
        x = DepthToSpace(factor, name=f"x{scale}_pixels{number}")(x)
    return x


def _convolution(filters, name, kernel=3, groups=1, relu=False):
    """A padded convolution to be called any number of times.

    In groups it is as many convolutions on slices: on a CPU, TensorFlow and JAX train `Conv2D(groups=4)` 20 times
    slower.
    """
    activation = "relu" if relu else None
    names = [f"{name}_group{n}" for n in range(1, groups + 1)] if groups > 1 else [name]
    parts = [
        layers.Conv2D(filters // groups, kernel, padding="same", activation=activation, name=part) for part in names
    ]

    def call(x):
        if groups == 1:
            return parts[0](x)
        slices = ops.split(x, groups, axis=-1)
        return layers.Concatenate()([part(piece) for part, piece in zip(parts, slices, strict=True)])

    return call


def whole(network: keras.Model, scale: int) -> keras.Model:
    """What goes into the file: RGB 0..255 to RGB 0..255, neither clipped nor rounded, sharing `network`'s weights.

    For a network of luma, colour comes from the bicubic enlargement, and the answer's luma is the network's.

    Args:
        network: one of luma, enlarged before or small, or of RGB with one answer.
        scale: integer; what a network that enlarges was built for.

    Returns:
        Uncompiled functional model, (batch, height, width, 3) to (batch, height * scale, width * scale, 3).
    """
    pictures = keras.Input((None, None, 3))
    if network.input_shape[-1] == 3:
        answer = layers.Rescaling(255.0, name="pixels")(network(layers.Rescaling(1 / 255, name="fractions")(pictures)))
    else:
        enlarged = Enlarge(scale, name="bicubic")(pictures)
        luma = Luma(name="luma")(enlarged)
        given = Luma(name="small_luma")(pictures) if enlarges(network) else luma
        answer = ReplacedLuma(name="replaced_luma")([enlarged, luma, network(given)])
    return keras.Model(pictures, answer, name=network.name)


def enlarges(network: keras.Model) -> bool:
    """Whether a network's answer is larger than what it is given."""
    side = 8  # px, any
    return network.compute_output_shape((1, side, side, network.input_shape[-1]))[1] > side


def network_in(model: keras.Model) -> keras.Model:
    """What `whole` was given, out of a model that was made of its answer: the innermost one."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return network_in(inner[0]) if inner else model


@keras.saving.register_keras_serializable("convmedia")
class Luma(layers.Layer):
    """MATLAB's Y: (batch, height, width, 3) RGB 0..255 to (batch, height, width, 1), 16/255..235/255."""

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs):
        weights = ops.reshape(ops.convert_to_tensor(YCBCR[0] / 255.0**2, "float32"), (1, 1, 1, 3))
        return ops.sum(inputs * weights, axis=-1, keepdims=True) + YCBCR_OFFSET[0] / 255.0

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable("convmedia")
class ReplacedLuma(layers.Layer):
    """RGB 0..255 whose luma is another one: [RGB, its `Luma`, the new luma] to RGB, Cb and Cr kept."""

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs):
        pictures, luma, new = inputs
        return pictures + (new - luma) * (255.0**2 / float(np.sum(YCBCR[0])))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
