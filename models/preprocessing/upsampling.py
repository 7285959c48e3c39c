"""Enlargement inside a saved file: MATLAB's bicubic by a whole number, and the shuffle of channels into pixels.

Linear in the pixels, on TensorFlow, JAX and PyTorch, and in exported files with free height and width. Matrices, as
for shrinking, would grow with the square of the picture.
"""

import keras
import numpy as np
from keras import ops

from convmedia.data.transforms.bicubic import cubic
from convmedia.models.preprocessing.resize import is_padded, picture_size

REACH = 2  # samples on each side that an enlarged sample depends on


def phase_weights(scale):
    """What the `scale` new samples in place of one are made of.

    Args:
        scale: integer of at least 2.

    Returns:
        (scale, 5) float64: row p weighs the samples at -2..2 around the old one for new sample p; rows sum to 1.
    """
    centres = (np.arange(scale) + 0.5) / scale - 0.5
    weights = cubic(centres[:, np.newaxis] - np.arange(-REACH, REACH + 1))
    return weights / weights.sum(axis=1, keepdims=True)


def depth_to_space(maps, scale):
    """Turn channels into pixels: each place becomes a `scale` x `scale` block.

    Channels are ordered by (row in the block, column in the block, channel), as in TensorFlow and ONNX's "DCR" mode;
    PyTorch's `pixel_shuffle` has (channel, row, column).

    Args:
        maps: (batch, height, width, scale * scale * channels), any height and width.
        scale: positive integer.

    Returns:
        (batch, height * scale, width * scale, channels).
    """
    size = ops.shape(maps)
    blocks = ops.reshape(maps, (-1, size[1], size[2], scale, maps.shape[-1] // scale))
    pixels = ops.transpose(blocks, (0, 1, 3, 2, 4))
    return ops.reshape(pixels, (-1, size[1] * scale, size[2] * scale, maps.shape[-1] // scale**2))


@keras.saving.register_keras_serializable("convmedia")
class Enlarge(keras.layers.Layer):
    """Bicubic enlargement equal to `data.resample.imresize(picture, scale, border="replicate")` on floats.

    One polyphase convolution along rows and one along columns, edges repeated, then `depth_to_space`. Neither rounded
    nor clipped. In float32 under any policy: half precision would round the pixels.

    Input (batch, height, width, channels), any size from 1x1 up, any range, few channels (the cost grows with their
    square); output (batch, height * scale, width * scale, channels).

    Args:
        scale: integer of at least 2.

    Raises:
        ValueError: another scale.
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not isinstance(scale, int) or scale < 2:
            raise ValueError(f"A scale is an integer of at least 2. Received: {scale!r}")
        self.scale = scale

    def build(self, input_shape):
        channels, scale = input_shape[-1], self.scale
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        weights = phase_weights(scale)
        # Each channel by itself; new channels ordered (row phase, channel), then (row phase, column phase, channel).
        rows = np.einsum("pt,cd->tcpd", weights, np.eye(channels))
        columns = np.einsum("qt,pr,cd->tpcrqd", weights, np.eye(scale), np.eye(channels))
        self._rows = rows.reshape(-1, 1, channels, scale * channels).astype("float32")
        self._columns = columns.reshape(1, -1, scale * channels, scale**2 * channels).astype("float32")
        super().build(input_shape)

    def call(self, inputs):
        # Rows first: the widened channels then carry `scale` rows each through one pass along the columns.
        tall = _convolve(_edges_repeated(inputs, 1, REACH), self._rows)
        return depth_to_space(_convolve(_edges_repeated(tall, 2, REACH), self._columns), self.scale)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(size and size * self.scale for size in (height, width)), channels)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("convmedia")
class RepeatEdges(keras.layers.Layer):
    """Padding with the picture's own edge: (batch, height, width, channels) to `px` more on each side.

    Keras's `ZeroPadding2D` fills with black, and its convolutions too.

    Args:
        px: pixels on each side, at least 1.
    """

    def __init__(self, px, **kwargs):
        super().__init__(**kwargs)
        self.px = px

    def call(self, inputs):
        return _edges_repeated(_edges_repeated(inputs, 1, self.px), 2, self.px)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(size and size + 2 * self.px for size in (height, width)), channels)

    def get_config(self):
        return {**super().get_config(), "px": self.px}


@keras.saving.register_keras_serializable("convmedia")
class DepthToSpace(keras.layers.Layer):
    """`depth_to_space` as a layer, the pixel shuffle (Shi et al. 2016) with TensorFlow's order of channels.

    Input (batch, height, width, scale * scale * channels); output (batch, height * scale, width * scale, channels).
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return depth_to_space(inputs, self.scale)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(size and size * self.scale for size in (height, width)), channels // self.scale**2)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def _edges_repeated(maps, axis, px):
    """First and last line along an axis repeated `px` times; Keras's own padding has no such mode.

    Where a part of the maps is padding (`layers.padded`), the last line before it takes its place, too.
    """
    if is_padded():
        places = ops.arange(-px, ops.shape(maps)[axis] + px)
        return ops.take(maps, ops.clip(places, 0, picture_size(maps)[axis - 1] - 1), axis=axis)
    first, last = (maps[:, :1], maps[:, -1:]) if axis == 1 else (maps[:, :, :1], maps[:, :, -1:])
    return ops.concatenate([first] * px + [maps] + [last] * px, axis=axis)


def _convolve(maps, kernel):
    return ops.conv(maps, ops.convert_to_tensor(kernel), padding="valid", data_format="channels_last")
