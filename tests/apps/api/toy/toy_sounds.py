"""An augmentation of sounds."""


def quieter(least_db: float = -20.0):
    """Recipe for waveforms: a loss between 0 and `least_db`, drawn for each; ((n, samples), (n,)) to the same."""
    import tensorflow as tf

    def recipe(batch, seed):
        windows, heard = batch
        loss_db = tf.random.stateless_uniform([tf.shape(windows)[0], 1], seed, least_db, 0.0)
        return windows * 10.0 ** (loss_db / 20.0), heard

    return recipe
