"""Networks that paint a picture in one pass (Johnson et al. 2016), in one style or a blend of several.

Instance normalisation with a scale and an offset for each style (Dumoulin et al. 2017): what tells the styles apart is
a small part of the network. Everything runs on plain LiteRT and ONNX Runtime with free height and width.
"""

import keras
from keras import ops

from convmedia.models.preprocessing.resize import is_padded, picture_size
from convmedia.models.preprocessing.upsampling import DepthToSpace, RepeatEdges

EPSILON = 1e-5


@keras.saving.register_keras_serializable("convmedia")
class StyleNormalization(keras.layers.Layer):
    """Each map of each picture to mean 0 and variance 1, then a scale and an offset of the style.

    Input: maps (batch, height, width, channels), and with several styles a list of them and weights (batch, styles)
    that add to 1; output as the maps. In float32 under any policy. Means are taken along rows and then along columns:
    runtimes that add up 250,000 numbers in another order would differ.

    Args:
        styles: how many.
    """

    def __init__(self, styles=1, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.styles = styles

    def build(self, input_shape):
        channels = (input_shape[0] if self.styles > 1 else input_shape)[-1]
        self.scale = self.add_weight(shape=(self.styles, channels), initializer="ones", name="scale")
        self.offset = self.add_weight(shape=(self.styles, channels), initializer="zeros", name="offset")
        super().build(input_shape)

    def call(self, inputs):
        maps, scale, offset = inputs, self.scale, self.offset
        if self.styles > 1:
            maps, weights = inputs
            scale, offset = (ops.matmul(weights, values) for values in (self.scale, self.offset))
        centred = maps - _mean(maps)
        spread = ops.sqrt(_mean(ops.square(centred)) + EPSILON)
        scale, offset = (ops.reshape(values, (-1, 1, 1, maps.shape[-1])) for values in (scale, offset))
        return centred / spread * scale + offset

    def compute_output_shape(self, input_shape):
        return input_shape[0] if self.styles > 1 else input_shape

    def get_config(self):
        return {**super().get_config(), "styles": self.styles}


def _mean(maps):
    """Over height and width, without what `layers.padded` tells is padding."""
    if is_padded():
        for axis, end in ((2, picture_size(maps)[1]), (1, picture_size(maps)[0])):
            shape = [-1 if place == axis else 1 for place in range(4)]
            inside = ops.reshape(ops.arange(ops.shape(maps)[axis]) < end, shape)
            total = ops.sum(ops.where(inside, maps, ops.zeros_like(maps)), axis=axis, keepdims=True)
            maps = total / ops.cast(end, maps.dtype)
        return maps
    return ops.mean(ops.mean(maps, axis=2, keepdims=True), axis=1, keepdims=True)


@keras.saving.register_keras_serializable("convmedia")
class CropLike(keras.layers.Layer):
    """Cut the first of two pictures at the right and below to the size of the second: ([a, b]) to a of b's size."""

    def call(self, inputs):
        picture, like = inputs
        size = ops.shape(like)
        return picture[:, : size[1], : size[2]]

    def compute_output_shape(self, input_shape):
        picture, like = input_shape
        return (picture[0], *like[1:3], picture[3])


def painter(filters: int = 24, blocks: int = 5, styles: int = 1) -> keras.Model:
    """The network of Johnson et al. 2016 with nearest-neighbour enlargement before convolutions (Odena et al. 2016):
    947,187 parameters with one style, 1,677,635 parameters for 32 filters.

    Args:
        filters: of the outermost layers, with twice and four times as many further in; 32 in the paper.
        blocks: residual ones at a quarter of the size.
        styles: how many it holds.

    Returns:
        Uncompiled functional model: pictures (batch, height, width, 3), RGB, 0..255, any size from 1x1 up, and with
        several styles their weights (batch, styles), to pictures of that size, 0..255.
    """
    picture = keras.Input((None, None, 3), name="image")
    given = [picture]
    if styles > 1:
        given.append(keras.Input((styles,), name="style"))

    def convolved(maps, channels, size, name, stride=1, active=True):
        maps = RepeatEdges(size // 2, name=f"{name}_edges")(maps)
        maps = keras.layers.Conv2D(channels, size, stride, use_bias=False, name=name)(maps)
        maps = StyleNormalization(styles, name=f"{name}_norm")([maps, given[1]] if styles > 1 else maps)
        return keras.layers.ReLU(name=f"{name}_relu")(maps) if active else maps

    maps = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="centred")(picture)
    maps = convolved(maps, filters, 9, "in")
    maps = convolved(maps, 2 * filters, 3, "down1", stride=2)
    maps = convolved(maps, 4 * filters, 3, "down2", stride=2)
    for number in range(1, blocks + 1):
        inner = convolved(maps, 4 * filters, 3, f"block{number}a")
        inner = convolved(inner, 4 * filters, 3, f"block{number}b", active=False)
        maps = keras.layers.Add(name=f"block{number}")([maps, inner])
    for number, channels in ((1, 2 * filters), (2, filters)):
        # Nearest neighbours: UpSampling2D of free size has no form that plain LiteRT runs.
        copies = keras.layers.Concatenate(name=f"copies{number}")([maps] * 4)
        maps = convolved(DepthToSpace(2, name=f"larger{number}")(copies), channels, 3, f"up{number}")
    maps = RepeatEdges(4, name="out_edges")(maps)
    maps = keras.layers.Conv2D(3, 9, activation="sigmoid", dtype="float32", name="out")(maps)
    painted = keras.layers.Rescaling(255.0, dtype="float32", name="painted")(maps)
    return keras.Model(given if styles > 1 else picture, CropLike(name="cropped")([painted, picture]), name="painter")
