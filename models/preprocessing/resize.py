"""Preparation that travels inside the saved file: resampling of pictures of any size by small matrices; of sounds the
layers in `mel`, which have their names here, too.

A resampling is `rows @ picture @ columns`: two matrices that depend on the picture's size. TensorFlow, ONNX Runtime and
plain LiteRT all have what that needs, with free height and width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

from convmedia.data.transforms.colour import LUMA
from convmedia.models.preprocessing.mel_spectrogram import MFCC, LogMel  # noqa: F401  their names here

_true_size: ContextVar[tuple[Any, Any] | None] = ContextVar("true_size", default=None)


@contextmanager
def padded(height, width) -> Iterator[None]:
    """Within, layers take pictures or maps of height x width px that were padded below and at the right: what they
    answer is what they would without. Those that look at the whole, as `Resize`, `FindInk` and `StyleNormalization`,
    or that repeat edges. Scalars that may be known only at run time.
    """
    token = _true_size.set((height, width))
    try:
        yield
    finally:
        _true_size.reset(token)


def is_padded() -> bool:
    """Whether `padded` tells that a part of the picture is padding."""
    return _true_size.get() is not None


def picture_size(pictures):
    """Height and width of (batch, height, width, channels), without what `padded` tells is padding."""
    return _true_size.get() or tuple(ops.shape(pictures)[1:3])


def sampling_matrix(positions, source_size, step, padded_size=None):
    """Matrix that reads a line of `source_size` samples at `positions` with an antialiasing triangle filter.

    The filter is that of Pillow's bilinear `resize`: half-width max(1, step), cut off and renormalised at the borders.
    Positions outside the line read what its first or last sample would.

    Args:
        positions: (batch, n) float32, where to read, in samples (0 is the centre of the first one).
        source_size: length of the line, an integer (may be known only at run time).
        step: (batch, 1) or scalar float32, distance between positions in samples.
        padded_size: length of the line with padding behind it, which is not read; None where there is none.

    Returns:
        (batch, n, source_size or padded_size) float32; every row sums to 1.
    """
    samples = ops.cast(ops.arange(source_size if padded_size is None else padded_size), "float32")
    last = ops.cast(source_size, "float32") - 1.0
    inside = ops.expand_dims(ops.clip(positions, 0.0, last), -1)
    half_width = ops.expand_dims(ops.maximum(step, 1.0) * ops.ones_like(positions), -1)
    distance = ops.abs(inside - ops.reshape(samples, (1, 1, -1)))
    weights = ops.relu(1.0 - distance / half_width)
    if padded_size is not None:
        weights = weights * ops.reshape(ops.cast(samples <= last, "float32"), (1, 1, -1))
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def resample(picture, rows, columns):
    """rows @ picture @ columns for each channel.

    Args:
        picture: (batch, height, width, channels) float32.
        rows: (batch, n, height) float32.
        columns: (batch, m, width) float32.

    Returns:
        (batch, n, m, channels) float32.
    """
    channels = picture.shape[-1]
    size = ops.shape(picture)
    flat = ops.reshape(picture, (-1, size[1], size[2] * channels))
    shrunk = ops.matmul(rows, flat)  # rows first, so that the full picture is read once and never transposed
    shrunk = ops.reshape(shrunk, (-1, rows.shape[1], size[2], channels))
    channel_first = ops.transpose(shrunk, (0, 3, 1, 2))
    right = ops.expand_dims(ops.transpose(columns, (0, 2, 1)), 1)
    return ops.transpose(ops.matmul(channel_first, right), (0, 2, 3, 1))


def whole_axis(size, n, padded_size=None):
    """Sampling matrix (1, n, size) that resizes a whole line to `n` samples, edges aligned as in Pillow."""
    step = ops.cast(size, "float32") / n
    positions = (ops.cast(ops.arange(n), "float32") + 0.5) * step - 0.5
    return sampling_matrix(ops.expand_dims(positions, 0), size, step, padded_size)


def padded_size(pictures):
    """Height and width with padding, for `sampling_matrix`; None for both where there is none."""
    return (None, None) if _true_size.get() is None else tuple(ops.shape(pictures)[1:3])


def broadcast_batch(matrix, like):
    """Repeat a (1, n, m) matrix along the batch of `like`; plain LiteRT multiplies equal ranks and batches only."""
    ones = ops.ones_like(like[:, 0, 0, 0])
    return matrix * ops.reshape(ones, (-1, 1, 1))


@keras.saving.register_keras_serializable("convmedia")
class Resize(keras.layers.Layer):
    """Antialiased bilinear resize to a fixed size, within rounding of Pillow's `Image.resize(.., BILINEAR)`.

    Input (batch, height, width, channels) of any size, any range; output (batch, `height`, `width`, channels) float32.
    """

    def __init__(self, height, width, **kwargs):
        kwargs.setdefault("dtype", "float32")  # preparation stays exact whatever precision the network computes in
        super().__init__(**kwargs)
        self.height, self.width = height, width

    def call(self, inputs):
        height, width = picture_size(inputs)
        padded_height, padded_width = padded_size(inputs)
        rows = broadcast_batch(whole_axis(height, self.height, padded_height), inputs)
        columns = broadcast_batch(whole_axis(width, self.width, padded_width), inputs)
        return resample(inputs, rows, columns)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.height, self.width, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width}


@keras.saving.register_keras_serializable("convmedia")
class Grey(keras.layers.Layer):
    """Luma of an RGB picture: (batch, height, width, 3) to (batch, height, width, 1), range kept."""

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs):
        return ops.sum(
            inputs * ops.reshape(ops.convert_to_tensor(LUMA, "float32"), (1, 1, 1, 3)), axis=-1, keepdims=True
        )

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)
