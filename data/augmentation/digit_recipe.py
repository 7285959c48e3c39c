"""The recipe for digits: turned, moved, bent, drawn with another pen."""

import numpy as np

from convmedia.data.augmentation.erasing import erased
from convmedia.data.augmentation.stateless_random import draws
from convmedia.data.transforms import affine


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
        moved = affine.read_bilinear(batch, from_y, from_x)
        redone = redrawn(moved, draw([number, 1, 1, 1], -pen, pen))
        return erased(redone, draw, erase, redone[:, :1, :1])

    return recipe


def displacement(draw, number, height, width, greatest):
    """Smooth random displacement field of up to `greatest` px: (number, height, width)."""
    import tensorflow as tf

    knots = draw([number, 4, 4, 1], -greatest, greatest)
    return tf.image.resize(knots, (height, width), "bilinear")[..., 0]


def redrawn(batch, amount):
    """Mix in a 3x3 dilation (amount > 0) or erosion (amount < 0): lighter strokes grow or shrink by up to 1 px."""
    import tensorflow as tf

    dilated = tf.nn.max_pool2d(batch, 3, 1, "SAME")
    eroded = -tf.nn.max_pool2d(-batch, 3, 1, "SAME")
    return batch + tf.nn.relu(amount) * (dilated - batch) - tf.nn.relu(-amount) * (batch - eroded)
