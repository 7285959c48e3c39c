"""Random numbers that follow from a stateless seed alone, for the augmentation recipes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

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


def rows_of(draw: Callable[[int], np.ndarray], number: int) -> np.ndarray:
    """What NumPy's `draw(examples of the whole batch)` gives to the `number` examples of this part, (number, ...)."""
    index, parts = _part.get()
    return draw(parts * number)[index * number : (index + 1) * number]


def in_pipeline(work: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]], indices, seed, kinds):
    """`work(indices, seed)` of NumPy inside tf.data, for the part of the batch that is being traced.

    Args:
        kinds: the dtypes of what it gives.
    """
    import tensorflow as tf

    part = _part.get()

    def of_part(indices, seed):
        with part_of_batch(*part):
            return work(indices, seed)

    return tf.numpy_function(of_part, [indices, seed], kinds, stateful=False)


def generator(seed, *use: int) -> np.random.Generator:
    """NumPy's generator for a stateless seed, int32 (2,).

    Args:
        use: a number for each further use of the same seed; their numbers are independent of those without it. (As one
            more word of the seed it could make another seed of it: NumPy takes [a, b] and [a, b, 0] for the same.)
    """
    words = [int(word) for word in np.asarray(seed, np.int32).view(np.uint32)]
    return np.random.default_rng(np.random.SeedSequence(words, spawn_key=use))


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


MOST_EPOCHS, MOST_STEPS = 1 << 12, 1 << 20
"""Epochs of a training and steps of an epoch that `step_seed` can tell apart."""


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
