"""Random numbers that follow from a stateless seed alone, for the augmentation recipes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_part: ContextVar[tuple[int, int]] = ContextVar("part", default=(0, 1))


@contextmanager
def part_of_batch(index: int, parts: int) -> Iterator[None]:
    """Within, a batch is part `index` of `parts` equal ones, and numbers are those that its examples get in the whole.

    It holds for what is traced or drawn within, and where an example's numbers do not depend on other examples.
    """
    token = _part.set((index, parts))
    try:
        yield
    finally:
        _part.reset(token)


def uniform(shape, seed, low=0.0, high=1.0):
    """float32 of `shape`, a number or more for each example, in [low, high). `seed`: int32 (2,)."""
    import tensorflow as tf

    index, parts = _part.get()
    if parts == 1:
        return tf.random.stateless_uniform(shape, seed, low, high)
    shape = tf.convert_to_tensor(shape)
    whole = tf.random.stateless_uniform(tf.concat([parts * shape[:1], shape[1:]], 0), seed, low, high)
    return whole[index * shape[0] : (index + 1) * shape[0]]


def draws(seed):
    """Independent uniform draws from one stateless seed: `draw(shape, low, high)` gives another one at each call."""
    import tensorflow as tf

    count = 0

    def draw(shape, low, high):
        nonlocal count
        count += 1
        return uniform(shape, tf.random.experimental.stateless_fold_in(seed, count), low, high)

    return draw


def beta(seed, number, concentration):
    """float32 (`number`,) from Beta(a, a) with a = `concentration`; ones for a = 0. `seed`: int32 (2,)."""
    import tensorflow as tf

    if not concentration:
        return tf.ones([number])
    two = tf.random.stateless_gamma([2, number], seed, tf.constant(concentration, tf.float64), dtype=tf.float64)
    return tf.cast(tf.math.divide_no_nan(two[0], two[0] + two[1]), tf.float32)
