"""RandAugment (Cubuk et al. 2020): some operations of fourteen, drawn for each picture, all of one magnitude.

The operations and their ranges are those of Cubuk et al. 2019, table 6, on a scale of 0 to 30. Those that move pixels
are given as matrices, so that they become part of one resampling; those that change colours come after it.
"""

from functools import reduce

from convmedia.data.transforms import colour
from convmedia.data.transforms.affine import moved, slid, turned

GREATEST_MAGNITUDE = 30

COLOURS = ("brightness", "saturation", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize")
MOVES = ("slide_along", "slide_down", "move_along", "move_down", "turn")
OPERATIONS = ("nothing", *MOVES, *COLOURS)


def drawn_operations(draw, number, operations, magnitude):
    """Which operations and how strong: int32 indices into `OPERATIONS` and float32 -1..1, both (number, operations).

    The strength's size is the same for all; its sign is drawn.
    """
    import tensorflow as tf

    shape = [number, operations]
    chosen = tf.cast(draw(shape, 0.0, float(len(OPERATIONS))), tf.int32)
    sign = tf.where(draw(shape, 0.0, 1.0) < 0.5, -1.0, 1.0)
    return chosen, sign * (magnitude / GREATEST_MAGNITUDE)


def rewarped(chosen, strength, height, width):
    """The chosen moves of each picture as one matrix, float64 (n, 3, 3): slopes to 0.3, shifts to 0.45, turns to 30."""
    import tensorflow as tf

    def step(chosen, strength):
        def amount(name, greatest):
            return tf.where(chosen == OPERATIONS.index(name), strength * greatest, 0.0)

        slide = slid(amount("slide_along", 0.3), amount("slide_down", 0.3))
        # 150 px of 331 in the paper.
        move = moved(amount("move_along", 150 / 331 * width), amount("move_down", 150 / 331 * height))
        return slide @ move @ turned(amount("turn", 30.0))

    return reduce(tf.matmul, map(step, tf.unstack(chosen, axis=1), tf.unstack(strength, axis=1)))


def recoloured(pictures, chosen, strength):
    """The chosen changes of colour, picture by picture; float32 (n, height, width, 3), [0, 255], to the same."""
    import tensorflow as tf

    def one(given):
        picture, names, strengths = given
        for slot in range(chosen.shape[1]):
            picture = tf.switch_case(
                tf.maximum(names[slot] - OPERATIONS.index(COLOURS[0]) + 1, 0), _branches(picture, strengths[slot])
            )
        return picture

    signature = tf.TensorSpec(pictures.shape[1:], tf.float32)
    return tf.map_fn(one, (pictures, chosen, strength), fn_output_signature=signature)


def _branches(picture, strength):
    """What each operation makes of a picture: first nothing, for all that moved it, then `COLOURS` in their order."""
    import tensorflow as tf

    factor, share = 1 + 0.9 * strength, tf.abs(strength)
    return [
        lambda: picture,
        lambda: colour.brightness(picture, factor),
        lambda: colour.saturation(picture, factor),
        lambda: colour.contrast(picture, factor),
        lambda: colour.sharpness(picture, factor),
        lambda: colour.posterize(picture, 8 - tf.round(4 * share)),
        lambda: colour.solarize(picture, 256 * (1 - share)),
        lambda: colour.autocontrast(picture),
        lambda: colour.equalize(picture),
    ]
