"""Photometric changes of pictures: float32 (..., height, width, 3), RGB in [0, 255] on both sides.

Each is what Pillow's ImageEnhance or ImageOps does, without rounding to bytes in between. A factor is a number or a
tensor that broadcasts against the pictures; at 1 nothing changes, at 0 all of that quality is gone.
"""

import numpy as np

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as Pillow takes them."""


def brightness(pictures, factor):
    """Towards black, or away from it."""
    return _limited(pictures * factor)


def contrast(pictures, factor):
    """Towards the mean grey of the picture, or away from it."""
    import tensorflow as tf

    mean = tf.reduce_mean(_grey(pictures), axis=[-3, -2, -1], keepdims=True)
    return _limited(mean + (pictures - mean) * factor)


def saturation(pictures, factor):
    """Towards grey, or away from it."""
    grey = _grey(pictures)
    return _limited(grey + (pictures - grey) * factor)


def sharpness(pictures, factor):
    """Towards a 3x3 smoothing (centre 5, others 1, of 13), or away from it; the outermost pixels stay."""
    import tensorflow as tf

    height, width = tf.shape(pictures)[-3], tf.shape(pictures)[-2]
    shifts = [(down, along) for down in range(3) for along in range(3)]
    around = sum(pictures[..., y : height - 2 + y, x : width - 2 + x, :] for y, x in shifts)
    inner = pictures[..., 1:-1, 1:-1, :]
    change = (around + 4 * inner) / 13 - inner
    margins = [[0, 0]] * (len(pictures.shape) - 3) + [[1, 1], [1, 1], [0, 0]]
    return _limited(pictures + tf.pad(change, margins) * (1 - factor))


def posterize(pictures, bits):
    """Keep only the upper bits of 8."""
    import tensorflow as tf

    step = tf.cast(2.0, pictures.dtype) ** (8 - bits)
    return tf.floor(pictures / step) * step


def solarize(pictures, threshold):
    """Invert what is at least as light as the threshold."""
    import tensorflow as tf

    return tf.where(pictures < threshold, pictures, 255 - pictures)


def autocontrast(pictures):
    """Stretch each channel to the whole range; one of a single value stays."""
    import tensorflow as tf

    low = tf.reduce_min(pictures, axis=[-3, -2], keepdims=True)
    high = tf.reduce_max(pictures, axis=[-3, -2], keepdims=True)
    stretched = (pictures - low) * tf.math.divide_no_nan(tf.cast(255, pictures.dtype), high - low)
    return tf.where(high > low, _limited(stretched), pictures)


def equalize(picture):
    """Spread each channel so that its values are about equally frequent; one picture (height, width, 3)."""
    import tensorflow as tf

    values = tf.cast(tf.reshape(picture, [-1, 3]) + 0.5, tf.int32)
    channel = tf.range(3) * 256
    counts = tf.reshape(tf.math.bincount(tf.reshape(values + channel, [-1]), minlength=768), [3, 256])
    last = tf.reduce_max(values, axis=0)
    step = (tf.shape(values)[0] - tf.gather(counts, last, axis=1, batch_dims=1)) // 255
    darker = tf.cumsum(counts, axis=1, exclusive=True)
    table = (step[:, None] // 2 + darker) // tf.maximum(step, 1)[:, None]
    table = tf.where(step[:, None] > 0, tf.minimum(table, 255), tf.range(256))
    spread = tf.gather(tf.reshape(table, [-1]), values + channel)
    return tf.reshape(tf.cast(spread, picture.dtype), tf.shape(picture))


def channel_shift(pictures, amount):
    """Add an amount, and limit the sum to the range of values that the picture had, as the old ImageDataGenerator."""
    import tensorflow as tf

    axes = [-3, -2, -1]
    low = tf.reduce_min(pictures, axis=axes, keepdims=True)
    high = tf.reduce_max(pictures, axis=axes, keepdims=True)
    return tf.clip_by_value(pictures + amount, low, high)


def _grey(pictures):
    import tensorflow as tf

    return tf.tensordot(pictures, tf.constant(LUMA, pictures.dtype)[:, None], 1)


def _limited(pictures):
    import tensorflow as tf

    return tf.clip_by_value(pictures, 0.0, 255.0)


def inverted(pictures):
    """255 - pixel: dark ink becomes light and light dark. Any shape and dtype of numbers, [0, 255]; its own inverse.

    Works on arrays and tensors; uint8 stays uint8.
    """
    if isinstance(pictures, np.ndarray) and pictures.dtype == np.uint8:
        return np.uint8(255) - pictures
    return 255 - pictures
