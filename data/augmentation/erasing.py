"""Random erasing."""


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
