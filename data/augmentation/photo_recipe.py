"""The shared augmentation recipes.

A recipe is `recipe(batch, seed)`: a float32 batch and a stateless seed, int32 (2,), made of (seed, epoch, step); the
same seed gives the same batch, whatever ran before and in however many threads. Pictures are in [0, 255] on both sides.
Recipes act on the training split only and never become part of a saved file.
"""

import numpy as np

from convmedia.data.augmentation.erasing import erased
from convmedia.data.augmentation.randaugment import GREATEST_MAGNITUDE, drawn_operations, recoloured, rewarped
from convmedia.data.augmentation.stateless_random import draws
from convmedia.data.storage.errors import InputError
from convmedia.data.transforms import affine, colour


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
    if fill_mode not in affine.FILL_MODES:
        raise InputError(f"fill_mode is one of {', '.join(affine.FILL_MODES)}; received {fill_mode!r}")
    if not 0 <= magnitude <= GREATEST_MAGNITUDE:
        raise InputError(f"magnitude is from 0 to {GREATEST_MAGNITUDE}; received {magnitude!r}")

    def moves(draw, number, height, width):
        turn = affine.turned(draw([number], -rotation_range, rotation_range))
        along = _shifts(draw, number, width_shift_range, width)
        move = affine.moved(along, _shifts(draw, number, height_shift_range, height))
        shear = affine.sheared(draw([number], -shear_range, shear_range))
        zoom = affine.zoomed(*(draw([number], *zooms) for _ in "xy"))
        along, down = (draw([number], 0.0, 1.0) < 0.5 * flip for flip in (horizontal_flip, vertical_flip))
        return turn @ move @ shear @ zoom @ affine.flipped(along, down)

    def coloured(batch, draw):
        shape = [tf.shape(batch)[0], 1, 1, 1]
        if channel_shift_range:
            batch = colour.channel_shift(batch, draw(shape, -channel_shift_range, channel_shift_range))
        if brightness_range is not None:
            batch = colour.brightness(batch, draw(shape, *factors))
        for change in (colour.brightness, colour.contrast, colour.saturation) if colour_jitter else ():
            batch = change(batch, draw(shape, 1 - colour_jitter, 1 + colour_jitter))
        return batch

    def recipe(batch, seed):
        draw, batch = draws(seed), tf.convert_to_tensor(batch)
        number, (height, width) = tf.shape(batch)[0], batch.shape[1:3]
        matrix = moves(draw, number, height, width)
        if randaugment:
            chosen, strength = drawn_operations(draw, number, randaugment, magnitude)
            matrix @= rewarped(chosen, strength, height, width)
        batch = coloured(affine.resampled(batch, matrix, fill_mode, cval), draw)
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
