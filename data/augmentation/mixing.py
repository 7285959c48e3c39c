"""MixUp and CutMix: examples made of two."""

from convmedia.data.augmentation.stateless_random import beta, draws
from convmedia.data.storage.errors import InputError


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
