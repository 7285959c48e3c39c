"""The shared augmentation recipes.

A recipe is `recipe(batch, seed)`: a float32 batch and a stateless seed, int32 (2,), made of (seed, epoch, step); the
same seed gives the same batch, whatever ran before and in however many threads. Pictures are in [0, 255] on both sides.
Recipes act on the training split only and never become part of a saved file.
"""

import numpy as np


def inverted(pictures):
    """255 - pixel: dark ink becomes light and light dark. Any shape and dtype of numbers, [0, 255]; its own inverse.

    Works on arrays and tensors; uint8 stays uint8.
    """
    if isinstance(pictures, np.ndarray) and pictures.dtype == np.uint8:
        return np.uint8(255) - pictures
    return 255 - pictures


def step_seed(seed: int, epoch, step):
    """The stateless seed of one training step: int32 (2,), different for each (seed, epoch, step).

    `epoch` and `step` may be tensors. Distinct for seeds of 32 bits, 4,096 epochs and 2**20 steps in an epoch.
    """
    import tensorflow as tf

    counter = tf.cast(epoch, tf.int64) * (1 << 20) + tf.cast(step, tf.int64)
    words = tf.stack([tf.constant(seed, tf.int64), counter])
    return tf.bitcast(tf.cast(words & 0xFFFFFFFF, tf.uint32), tf.int32)


def draws(seed):
    """Independent uniform draws from one stateless seed: `draw(shape, low, high)` gives another one at each call."""
    import tensorflow as tf

    count = 0

    def draw(shape, low, high):
        nonlocal count
        count += 1
        own = tf.random.experimental.stateless_fold_in(seed, count)
        return tf.random.stateless_uniform(shape, own, low, high)

    return draw


def digits(rotation=8.0, zoom=0.08, shift=0.04, shear=6.0, elastic_px=0.8, pen=0.15, erase=0.0):
    """Recipe for handwritten digits: turn, zoom, shift, shear and elastic distortion in one resampling, then the pen.

    Each is drawn uniformly and independently for each picture. Outside the picture its edge is repeated, so light and
    dark grounds stay what they are.

    Args:
        rotation: greatest angle, degrees.
        zoom: greatest relative change of size, for height and width separately.
        shift: greatest shift, as a fraction of the side.
        shear: greatest shear angle, degrees.
        elastic_px: greatest displacement of the elastic distortion (Simard et al. 2003), px.
        pen: greatest share of a 3x3 dilation or erosion that is mixed in: a thicker or thinner pen.
        erase: probability that a small rectangle is covered with the picture's border colour.

    Returns:
        recipe(batch, seed): (n, height, width, 1) float32 in [0, 255] to the same.
    """
    import tensorflow as tf

    def recipe(batch, seed):
        draw = draws(seed)
        number, (height, width) = tf.shape(batch)[0], batch.shape[1:3]
        centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
        angle = draw([number, 1, 1], -rotation, rotation) * (np.pi / 180)
        slant = tf.tan(draw([number, 1, 1], -shear, shear) * (np.pi / 180))
        zoom_y, zoom_x = (draw([number, 1, 1], 1 - zoom, 1 + zoom) for _ in "yx")
        y = (tf.range(height, dtype=tf.float32) - centre_y)[None, :, None]
        x = (tf.range(width, dtype=tf.float32) - centre_x)[None, None, :]
        along = x + slant * y
        bend_y, bend_x = (displacement(draw, number, height, width, elastic_px) for _ in "yx")
        from_y = (tf.cos(angle) * y - tf.sin(angle) * along) / zoom_y + bend_y
        from_x = (tf.sin(angle) * y + tf.cos(angle) * along) / zoom_x + bend_x
        from_y += centre_y + draw([number, 1, 1], -shift, shift) * height
        from_x += centre_x + draw([number, 1, 1], -shift, shift) * width
        moved = read_bilinear(batch, from_y, from_x)
        return erased(redrawn(moved, draw([number, 1, 1, 1], -pen, pen)), draw, erase)

    return recipe


def displacement(draw, number, height, width, greatest):
    """Smooth random displacement field of up to `greatest` px: (number, height, width)."""
    import tensorflow as tf

    knots = draw([number, 4, 4, 1], -greatest, greatest)
    return tf.image.resize(knots, (height, width), "bilinear")[..., 0]


def read_bilinear(batch, y, x):
    """Read (n, h, w, c) at fractional positions (n, h, w); outside, the nearest edge pixel."""
    import tensorflow as tf

    height, width, channels = batch.shape[1:]
    y, x = tf.clip_by_value(y, 0.0, height - 1.0), tf.clip_by_value(x, 0.0, width - 1.0)
    top, left = tf.floor(y), tf.floor(x)
    below, right = y - top, x - left
    flat = tf.reshape(batch, (-1, height * width, channels))

    def corner(step_y, step_x):
        row = tf.minimum(tf.cast(top, tf.int32) + step_y, height - 1)
        column = tf.minimum(tf.cast(left, tf.int32) + step_x, width - 1)
        index = tf.reshape(row * width + column, (-1, height * width))
        weight = (below if step_y else 1 - below) * (right if step_x else 1 - right)
        return tf.reshape(tf.gather(flat, index, batch_dims=1), tf.shape(batch)) * weight[..., None]

    return corner(0, 0) + corner(0, 1) + corner(1, 0) + corner(1, 1)


def redrawn(batch, amount):
    """Mix in a 3x3 dilation (amount > 0) or erosion (amount < 0): lighter strokes grow or shrink by up to 1 px."""
    import tensorflow as tf

    dilated = tf.nn.max_pool2d(batch, 3, 1, "SAME")
    eroded = -tf.nn.max_pool2d(-batch, 3, 1, "SAME")
    return batch + tf.nn.relu(amount) * (dilated - batch) - tf.nn.relu(-amount) * (batch - eroded)


def erased(batch, draw, probability):
    """Cover a rectangle of an eighth to a third of each side with the colour of the top left corner."""
    import tensorflow as tf

    number, (height, width) = tf.shape(batch)[0], batch.shape[1:3]
    shape = [number, 1, 1, 1]

    def band(length, axis_shape):
        centre, half = draw(shape, 0.0, float(length)), draw(shape, length / 16, length / 6)
        at = tf.reshape(tf.range(length, dtype=tf.float32), axis_shape)
        return tf.cast(tf.abs(at - centre) < half, tf.float32)

    cover = band(height, (1, -1, 1, 1)) * band(width, (1, 1, -1, 1))
    cover *= tf.cast(draw(shape, 0.0, 1.0) < probability, tf.float32)
    return batch * (1 - cover) + batch[:, :1, :1] * cover
