"""The shared augmentation recipes.

A recipe is `recipe(batch, seed)`: a float32 batch and a stateless seed, int32 (2,), made of (seed, epoch, step); the
same seed gives the same batch, whatever ran before and in however many threads. Pictures are in [0, 255] on both sides.
Recipes act on the training split only and never become part of a saved file.
"""

import numpy as np

from convmedia.data import colouring, warping
from convmedia.data.acoustics import spectrograms, waveforms  # noqa: F401  the recipes for sounds
from convmedia.data.degrading import patches  # noqa: F401  the recipe for super-resolution
from convmedia.data.errors import InputError
from convmedia.data.randaugment import GREATEST_MAGNITUDE, drawn_operations, recoloured, rewarped
from convmedia.data.seeded import beta, draws
from convmedia.data.windows import windows  # noqa: F401  the recipe for learning a style

MOST_EPOCHS, MOST_STEPS = 1 << 12, 1 << 20
"""Epochs of a training and steps of an epoch that `step_seed` can tell apart."""


def inverted(pictures):
    """255 - pixel: dark ink becomes light and light dark. Any shape and dtype of numbers, [0, 255]; its own inverse.

    Works on arrays and tensors; uint8 stays uint8.
    """
    if isinstance(pictures, np.ndarray) and pictures.dtype == np.uint8:
        return np.uint8(255) - pictures
    return 255 - pictures


def step_seed(seed: int, epoch, step):
    """The stateless seed of one training step: int32 (2,), different for each (seed, epoch, step).

    `epoch` and `step` may be tensors. Distinct for seeds of 32 bits, `MOST_EPOCHS` and `MOST_STEPS` in an epoch.
    """
    import tensorflow as tf

    counter = tf.cast(epoch, tf.int64) * MOST_STEPS + tf.cast(step, tf.int64)
    words = tf.stack([tf.constant(seed, tf.int64), counter])
    return tf.bitcast(tf.cast(words & 0xFFFFFFFF, tf.uint32), tf.int32)


def epoch_of(seed):
    """The epoch that a seed of `step_seed` was made of: int32."""
    import tensorflow as tf

    return tf.cast(tf.bitwise.right_shift(tf.bitcast(seed[1], tf.uint32), tf.constant(20, tf.uint32)), tf.int32)


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
        moved = warping.read_bilinear(batch, from_y, from_x)
        redone = redrawn(moved, draw([number, 1, 1, 1], -pen, pen))
        return erased(redone, draw, erase, redone[:, :1, :1])

    return recipe


def photos(
    rotation_range=40.0,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=0.2,
    zoom_range=0.2,
    horizontal_flip=True,
    fill_mode="nearest",
    *,
    vertical_flip=False,
    cval=0.0,
    brightness_range=None,
    channel_shift_range=0.0,
    colour_jitter=0.0,
    erase=0.0,
    randaugment=0,
    magnitude=9.0,
):
    """Recipe for photos: turn, shift, shear, zoom and flip in one resampling, then colours.

    Names, meaning and units are those of the old `ImageDataGenerator`, down to the same picture for the same draws.
    Two faults of the one that Keras 3 carries are not kept: its width shift moves pictures up and down and its height
    shift left and right, and it turns pictures that are not square about a point beside their centre.

    Args:
        rotation_range: greatest angle, degrees.
        width_shift_range, height_shift_range: a float below 1: greatest shift as a share of the side; a float from 1
            on: in px; an integer k: a whole number of px below k; a sequence: one of these, in px or, if all are below
            1, as a share. Integers and sequences go either way.
        shear_range: greatest shear angle, degrees (0.2 is hardly any; the name's older meaning was radians).
        zoom_range: z, or (least, greatest), by default of 1 - z to 1 + z: of 1.2 a picture shrinks, for height and
            width separately.
        horizontal_flip, vertical_flip: mirror half of the pictures.
        fill_mode, cval: what lies outside: "nearest" edge pixel, "constant" `cval`, "reflect" or "wrap".
        brightness_range: (least, greatest) factor, over black.
        channel_shift_range: greatest amount added to all pixels, of 255, within the picture's own range of values.
        colour_jitter: greatest relative change of brightness, contrast and saturation, each.
        erase: probability that a rectangle is covered with the picture's mean colour (Zhong et al. 2020).
        randaugment, magnitude: how many operations of RandAugment (Cubuk et al. 2020), 2 in the paper, and how strong,
            0..30. Those that move pixels join the one resampling. For RandAugment alone, set the ranges above to 0.

    Returns:
        recipe(batch, seed): uint8 or float32 (n, height, width, 3) in [0, 255] to float32 of that shape and range;
        height and width are known where it is traced. What only moves pixels takes any number of channels.

    Raises:
        InputError: an unknown `fill_mode`, a range that is none.
    """
    import tensorflow as tf

    zooms = _pair("zoom_range", (1 - zoom_range, 1 + zoom_range) if np.ndim(zoom_range) == 0 else zoom_range)
    factors = _pair("brightness_range", brightness_range or (1, 1))
    if fill_mode not in warping.FILL_MODES:
        raise InputError(f"fill_mode is one of {', '.join(warping.FILL_MODES)}; received {fill_mode!r}")
    if not 0 <= magnitude <= GREATEST_MAGNITUDE:
        raise InputError(f"magnitude is from 0 to {GREATEST_MAGNITUDE}; received {magnitude!r}")

    def moves(draw, number, height, width):
        turn = warping.turned(draw([number], -rotation_range, rotation_range))
        along = _shifts(draw, number, width_shift_range, width)
        move = warping.moved(along, _shifts(draw, number, height_shift_range, height))
        shear = warping.sheared(draw([number], -shear_range, shear_range))
        zoom = warping.zoomed(*(draw([number], *zooms) for _ in "xy"))
        along, down = (draw([number], 0.0, 1.0) < 0.5 * flip for flip in (horizontal_flip, vertical_flip))
        return turn @ move @ shear @ zoom @ warping.flipped(along, down)

    def coloured(batch, draw):
        shape = [tf.shape(batch)[0], 1, 1, 1]
        if channel_shift_range:
            batch = colouring.channel_shift(batch, draw(shape, -channel_shift_range, channel_shift_range))
        if brightness_range is not None:
            batch = colouring.brightness(batch, draw(shape, *factors))
        for change in (colouring.brightness, colouring.contrast, colouring.saturation) if colour_jitter else ():
            batch = change(batch, draw(shape, 1 - colour_jitter, 1 + colour_jitter))
        return batch

    def recipe(batch, seed):
        draw, batch = draws(seed), tf.convert_to_tensor(batch)
        number, (height, width) = tf.shape(batch)[0], batch.shape[1:3]
        matrix = moves(draw, number, height, width)
        if randaugment:
            chosen, strength = drawn_operations(draw, number, randaugment, magnitude)
            matrix @= rewarped(chosen, strength, height, width)
        batch = coloured(warping.resampled(batch, matrix, fill_mode, cval), draw)
        if randaugment:
            batch = recoloured(batch, chosen, strength)
        if erase:
            batch = erased(batch, draw, erase, tf.reduce_mean(batch, axis=[1, 2], keepdims=True))
        return batch

    return recipe


def _pair(name, given):
    """Two numbers in order, or an InputError."""
    if np.shape(given) != (2,) or given[0] > given[1]:
        raise InputError(f"{name} takes the least and the greatest; received {given!r}")
    return given


def _shifts(draw, number, given, length):
    """Shifts of pictures along a side of `length` px, float32 (n,), as `photos` tells."""
    import tensorflow as tf

    unit = length if np.max(given) < 1 else 1
    if np.ndim(given) == 0 and not (given and isinstance(given, int | np.integer)):
        return draw([number], -given, given) * unit
    choices = np.arange(given) if np.ndim(given) == 0 else np.asarray(given)
    picked = tf.gather(tf.constant(choices, tf.float32), tf.cast(draw([number], 0.0, len(choices)), tf.int32))
    return tf.where(draw([number], 0.0, 1.0) < 0.5, -picked, picked) * unit


def mixed(mixup=0.0, cutmix=0.0):
    """Recipe that mixes each picture of a batch with another one, and their targets by the same shares.

    MixUp (Zhang et al. 2018) adds share * picture + (1 - share) * other. CutMix (Yun et al. 2019) pastes a rectangle
    of the other, anywhere, of 1 - share of the area before the border cuts it; the target's share is what is left.
    Shares are drawn from Beta(a, a) for each picture. With both on, half of the pictures are mixed each way.

    Args:
        mixup: a of MixUp; 0 is off, 0.2 is the paper's for ImageNet.
        cutmix: a of CutMix; 0 is off, 1 is the paper's.

    Returns:
        recipe(batch, targets, seed): float32 (n, height, width, channels) and float32 (n, classes) or (n, 1) to the
        same.

    Raises:
        InputError: a negative number.
    """
    import tensorflow as tf

    if min(mixup, cutmix) < 0:
        raise InputError(f"mixup and cutmix are 0 or more; received {mixup!r} and {cutmix!r}")

    def recipe(batch, targets, seed):
        if not (mixup or cutmix):
            return batch, targets
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        draw, number = draws(seeds[0]), tf.shape(batch)[0]
        partner = tf.argsort(draw([number], 0.0, 1.0))
        cut = draw([number], 0.0, 1.0) < (0.5 if mixup and cutmix else float(cutmix > 0))
        share = tf.where(cut, beta(seeds[1], number, cutmix), beta(seeds[2], number, mixup))
        inside = rectangle(draw, share, *batch.shape[1:3])
        uncovered = 1 - tf.reduce_mean(inside, axis=[1, 2, 3])
        weight = tf.where(cut[:, None, None, None], 1 - inside, share[:, None, None, None])
        share = tf.where(cut, uncovered, share)[:, None]
        batch = weight * batch + (1 - weight) * tf.gather(batch, partner)
        return batch, share * targets + (1 - share) * tf.gather(targets, partner)

    return recipe


def rectangle(draw, share, height, width):
    """Ones in a rectangle of 1 - share of the area, centred anywhere and cut at the border: (n, height, width, 1)."""
    import tensorflow as tf

    def band(length, axis_shape):
        cut = tf.round(length * tf.sqrt(1 - share))
        first = tf.floor(draw(tf.shape(share), 0.0, float(length)) - cut / 2)
        at = tf.reshape(tf.range(length, dtype=tf.float32), axis_shape)
        first, cut = (one[:, None, None, None] for one in (first, cut))
        return tf.cast((at >= first) & (at < first + cut), tf.float32)

    return band(height, (1, -1, 1, 1)) * band(width, (1, 1, -1, 1))


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


def erased(batch, draw, probability, colour):
    """Cover a rectangle of an eighth to a third of each side with a colour, (n, 1, 1, channels)."""
    import tensorflow as tf

    number, (height, width) = tf.shape(batch)[0], batch.shape[1:3]
    shape = [number, 1, 1, 1]

    def band(length, axis_shape):
        centre, half = draw(shape, 0.0, float(length)), draw(shape, length / 16, length / 6)
        at = tf.reshape(tf.range(length, dtype=tf.float32), axis_shape)
        return tf.cast(tf.abs(at - centre) < half, tf.float32)

    cover = band(height, (1, -1, 1, 1)) * band(width, (1, 1, -1, 1))
    cover *= tf.cast(draw(shape, 0.0, 1.0) < probability, tf.float32)
    return batch * (1 - cover) + colour * cover
