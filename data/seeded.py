"""Random numbers that follow from a stateless seed alone, for the augmentation recipes."""


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


def beta(seed, number, concentration):
    """float32 (`number`,) from Beta(a, a) with a = `concentration`; ones for a = 0. `seed`: int32 (2,)."""
    import tensorflow as tf

    if not concentration:
        return tf.ones([number])
    two = tf.random.stateless_gamma([2, number], seed, tf.constant(concentration, tf.float64), dtype=tf.float64)
    return tf.cast(tf.math.divide_no_nan(two[0], two[0] + two[1]), tf.float32)
