"""Neural style transfer (Gatys, Ecker and Bethge 2016): what to look with, Gram matrices and losses.

    seen = extractor("vgg19.npz")
    maps = seen.model(pictures)                     # {"block1_conv1": (batch, height, width, filters), ...}
    mean_gram(maps["block1_conv1"])                 # (batch, filters, filters)

`keras.ops` only: TensorFlow, JAX and PyTorch give the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from convmedia.data.storage.errors import InputError
from convmedia.models.backbones import vgg

CONTENT = "block4_conv2"  # Gatys et al. 2016, section 3; a file that ends before it gives its last layer


@dataclass(frozen=True)
class Extractor:
    """What pictures are looked at with.

    Attributes:
        model: pictures (batch, height, width, 3), RGB, 0..255, to {layer: maps}, float32.
        content_layers, style_layers: names of the layers whose maps and whose Gram matrices are matched.
    """

    model: keras.Model
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.content_layers, *self.style_layers]))

    @property
    def deepest_stride(self) -> int:
        """Pixels between neighbours in the deepest maps."""
        return max(map(stride, self.layers))

    @property
    def least_px(self) -> int:
        """The smallest side of a picture: the deepest maps have two places then, as mirroring at borders needs."""
        return 2 * self.deepest_stride

    @property
    def reach_px(self) -> int:
        """Pixels on each side of a place that its maps depend on, at most: a multiple of the deepest stride."""
        convolutions = [layer.name for layer in self.model.layers if layer.name in vgg.names(self.model.name)]
        reach = sum(map(stride, convolutions)) + self.deepest_stride
        return -(-reach // self.deepest_stride) * self.deepest_stride


def stride(layer: str) -> int:
    """Pixels between neighbours in a layer's maps: 1, 2, 4, 8 or 16."""
    return 2 ** (int(layer[len("block")]) - 1)


def extractor(
    weights: str | Path = "imagenet",
    *,
    network: str = "vgg19",
    content_layers: Sequence[str] = (),
    style_layers: Sequence[str] = (),
    pooling: str = "max",
    photos: Sequence[np.ndarray] = (),
) -> Extractor:
    """VGG cut after the deepest layer that is asked for.

    Args:
        weights: "imagenet" or a file, as `vgg.weights_of` takes them.
        network: "vgg19" or "vgg16".
        content_layers: empty takes block4_conv2, or the deepest layer of a file that ends before it.
        style_layers: empty takes the first convolution of each block that is there, as the paper does. Layers are
            called as in Keras, `block1_conv1`, or as in the paper, `conv1_1`.
        pooling: "max" or "average", as `vgg.build` has it.
        photos: uint8 (height, width, 3), over which weights are normalised (`vgg.normalised`); empty leaves them. A
            file that brings its preparation is normalised already.

    Raises:
        InputError: unknown network or layers, layers that the file lacks, and as `vgg.weights_of`.
    """
    if network not in vgg.CONVOLUTIONS or pooling not in vgg.POOLINGS:
        raise InputError(f"network is vgg16 or vgg19, pooling average or max; received {network!r} and {pooling!r}")
    found = vgg.weights_of(weights, network)
    if photos and vgg.PREPARATION not in found:
        found = vgg.normalised(found, network, photos, pooling)
    last = vgg.deepest(found)
    content = [_keras_name(name) for name in content_layers] or [min(CONTENT, last)]
    style = [_keras_name(name) for name in style_layers] or [
        name for name in vgg.names(network) if name.endswith("conv1") and name <= last
    ]
    model = vgg.build(found, list(dict.fromkeys([*content, *style])), network, pooling)
    return Extractor(model, tuple(content), tuple(style))


def _keras_name(layer: str) -> str:
    return f"block{layer[4:].replace('_', '_conv')}" if layer.startswith("conv") else layer


def gram(maps, weights=1.0):
    """Gram matrices: G_ij = sum over places k of F_ik F_jk.

    Args:
        maps: (batch, height, width, filters).
        weights: of each place, broadcast against (batch, height, width, 1): squared guidance maps of Gatys et al. 2017,
            section 3.1.

    Returns:
        (batch, filters, filters).
    """
    flat = ops.reshape(maps, (-1, ops.shape(maps)[1] * ops.shape(maps)[2], maps.shape[-1]))
    weighted = ops.reshape(maps * weights, ops.shape(flat))
    return ops.matmul(ops.transpose(weighted, (0, 2, 1)), flat)


def mean_gram(maps):
    """Gram matrices over the number of places, so that pictures of all sizes compare: (batch, filters, filters)."""
    return gram(maps) / ops.cast(ops.shape(maps)[1] * ops.shape(maps)[2], maps.dtype)


def content_loss(maps, targets, weights=1.0):
    """1/2 sum (F - P)^2 (Gatys et al. 2016, equation 1), over everything: a scalar.

    Args:
        maps, targets: F and P, (batch, height, width, filters).
        weights: of each place, broadcast against (batch, height, width, 1).
    """
    return 0.5 * ops.sum(weights * ops.square(ops.subtract(maps, targets)))


def gram_loss(grams, targets):
    """E_l of Gatys et al. 2016, equation 4: 1 / (4 N^2 M^2) sum (G - A)^2, here by matrices that are divided by M.

    Args:
        grams, targets: `mean_gram` of picture and painting, (batch, filters, filters): G / M and A / M. The two may
            have other sizes, M.

    Returns:
        (batch,).
    """
    filters = grams.shape[-1]
    return ops.sum(ops.square(ops.subtract(grams, targets)), axis=(1, 2)) / (4.0 * filters**2)


def style_loss(grams, targets):
    """The mean of `gram_loss` over layers (equation 5 with w_l = 1 / layers), (batch,).

    Args:
        grams, targets: {layer: (batch, filters, filters)}, as `mean_gram` gives them.
    """
    return sum(gram_loss(grams[layer], targets[layer]) for layer in targets) / len(targets)


def total_variation(pictures, weights=1.0):
    """Sum of squared differences of neighbours, below and to the right (Mahendran and Vedaldi 2015, beta = 2).

    Args:
        pictures: (batch, height, width, channels).
        weights: of the pixel that is above or to the left, broadcast against (batch, height, width, 1).

    Returns:
        A scalar, over everything.
    """
    weights = weights * ops.ones_like(pictures[..., :1])
    down = ops.square(pictures[:, 1:] - pictures[:, :-1]) * weights[:, :-1]
    across = ops.square(pictures[:, :, 1:] - pictures[:, :, :-1]) * weights[:, :, :-1]
    return ops.sum(down) + ops.sum(across)
