"""The augmentation recipes for sounds: one for waveforms, one for their spectrograms. See `data.augmentation`."""

import numpy as np

from convmedia.data.augmentation.stateless_random import beta, draws, uniform
from convmedia.data.storage.errors import InputError


def waveforms(shift=0.1, speed=0.1, gain_db=6.0, noise_db=(15.0, 40.0), noise_share=0.5, rolled=False):
    """Recipe for waveforms: speed and shift in one resampling, gain, and white noise.

    Each is drawn uniformly and independently for each waveform.

    Args:
        shift: greatest shift, as a share of the window, either way; what leaves the window is gone.
        speed: greatest relative change of speed, which changes pitch and length alike.
        gain_db: greatest gain or loss, dB.
        noise_db: least and greatest signal-to-noise ratio, dB, of the noise that is added.
        noise_share: probability of noise.
        rolled: shift round in a circle within the sound, by any amount, in place of `shift`: for sounds without a
            beginning, such as rain.

    Returns:
        recipe((windows, heard), seed): float32 (n, samples) in about -1..1 and int32 (n,), how many samples of each
        are sound (the rest is 0), to the same.

    Raises:
        InputError: a share outside 0..1, a range in the wrong order.
    """
    import tensorflow as tf

    if not (0 <= shift <= 1 and 0 <= speed < 1 and 0 <= noise_share <= 1):
        raise InputError(f"shift, speed and noise_share are in 0..1; received {shift}, {speed} and {noise_share}")
    if np.shape(noise_db) != (2,) or noise_db[0] > noise_db[1]:
        raise InputError(f"noise_db takes the least and the greatest ratio; received {noise_db!r}")

    def recipe(batch, seed):
        windows, heard = batch
        number, size = tf.shape(windows)[0], tf.shape(windows)[1]
        draw = draws(seed)
        rate = draw([number, 1], 1 - speed, 1 + speed)
        amount = draw([number, 1], 0.0, 1.0) if rolled else draw([number, 1], -shift, shift)
        windows, heard = moved(windows, heard, rate, amount, rolled)
        windows *= 10.0 ** (draw([number, 1], -gain_db, gain_db) / 20.0)
        ratio, noisy = draw([number, 1], *noise_db), draw([number, 1], 0.0, 1.0) < noise_share
        own = tf.random.experimental.stateless_fold_in(seed, 1 << 21)
        # Evenly spread values of variance 1 are as white as normal ones, and drawn in a third of the time.
        noise = uniform([number, size], own, -(3**0.5), 3**0.5) * tf.cast(noisy, tf.float32)
        inside = tf.cast(tf.range(size)[None] < heard[:, None], tf.float32)
        return windows + inside * noise * loudness(windows, heard) * 10.0 ** (-ratio / 20.0), heard

    return recipe


def moved(windows, heard, rate, amount, rolled):
    """Play faster by `rate` and shift, in one linear interpolation.

    Args:
        windows, heard: as of `waveforms`.
        rate: float32 (n, 1), above 0. amount: float32 (n, 1), shift as a share of the window; with `rolled` of the
            sound.

    Returns:
        The same as was given: what was shifted to the right is preceded by zeros that count as sound.
    """
    import tensorflow as tf

    size = tf.shape(windows)[1]
    length = tf.cast(heard, tf.float32)[:, None]
    at = tf.cast(tf.range(size), tf.float32)[None]
    if rolled:
        lasts = tf.minimum(tf.floor(length / rate), tf.cast(size, tf.float32))
        source = tf.math.floormod(at * rate + amount * length, length)
    else:
        offset = tf.round(amount * tf.cast(size, tf.float32))
        lasts = tf.clip_by_value(tf.floor(length / rate) + offset, 1.0, tf.cast(size, tf.float32))
        source = (at - offset) * rate
    inside = tf.cast((source >= 0) & (source <= length - 1) & (at < lasts), tf.float32)
    if rolled:
        inside = tf.cast(at < lasts, tf.float32)
    low = tf.floor(tf.clip_by_value(source, 0.0, length - 1))
    first = tf.cast(low, tf.int32)
    second = tf.minimum(first + 1, heard[:, None] - 1)
    share = tf.clip_by_value(source - low, 0.0, 1.0)
    read = (1 - share) * tf.gather(windows, first, batch_dims=1) + share * tf.gather(windows, second, batch_dims=1)
    return inside * read, tf.cast(tf.maximum(lasts, 1.0)[:, 0], tf.int32)


def loudness(windows, heard):
    """Root mean square of the part that is sound: float32 (n, 1)."""
    import tensorflow as tf

    return tf.sqrt(tf.reduce_sum(windows**2, axis=1, keepdims=True) / tf.cast(heard, tf.float32)[:, None])


def spectrograms(time=0.15, bands=0.15, masks=2, mixup=0.0):
    """Recipe for standardised spectrograms: SpecAugment's masks (Park et al. 2019, section 2) and MixUp (Zhang et al.
    2018).

    Masked places take 0, the mean of the training set. MixUp adds share * spectrogram + (1 - share) * another one's,
    targets by the same shares; there is sound where either has some.

    Args:
        time: greatest length of a time mask, as a share of the frames that hold sound.
        bands: greatest height of a frequency mask, as a share of the bands.
        masks: how many of each.
        mixup: a of Beta(a, a), from which shares are drawn; 0 is off.

    Returns:
        recipe(batch, targets, seed): float32 (n, frames, bands, 2), values and the mask of what is sound, and float32
        (n, labels), to the same.

    Raises:
        InputError: a share outside 0..1, a negative number.
    """
    import tensorflow as tf

    if not (0 <= time <= 1 and 0 <= bands <= 1 and masks >= 0 and mixup >= 0):
        raise InputError(
            f"time and bands are in 0..1, masks and mixup 0 or more; received {time}, {bands}, {masks}, {mixup}"
        )

    def recipe(batch, targets, seed):
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        draw, number = draws(seeds[0]), tf.shape(batch)[0]
        values, heard = batch[..., 0], batch[..., 1]
        if mixup:
            share, partner = beta(seeds[1], number, mixup), tf.argsort(draw([number], 0.0, 1.0))
            wide, flat = share[:, None, None], share[:, None]
            values = wide * values + (1 - wide) * tf.gather(values, partner)
            heard = tf.maximum(heard, tf.gather(heard, partner))
            targets = flat * targets + (1 - flat) * tf.gather(targets, partner)
        frames = tf.reduce_sum(heard[..., 0], axis=1)
        whole = tf.fill([number], float(batch.shape[2]))
        for _ in range(masks):
            values *= band(draw, time * frames, frames, tf.shape(batch)[1])[:, :, None]
            values *= band(draw, bands * whole, whole, batch.shape[2])[:, None, :]
        return tf.stack([values, heard], axis=-1), targets

    return recipe


def band(draw, greatest, length, places):
    """Ones but for a stretch of zeros: float32 (n, places).

    Args:
        greatest: float32 (n,), the longest that the stretch may be.
        length: float32 (n,): it lies within the first so many places.
    """
    import tensorflow as tf

    number = tf.shape(length)[0]
    width = tf.floor(draw([number], 0.0, 1.0) * (greatest + 1))
    start = tf.floor(draw([number], 0.0, 1.0) * (length - width + 1))
    at = tf.cast(tf.range(places), tf.float32)[None]
    return 1.0 - tf.cast((at >= start[:, None]) & (at < (start + width)[:, None]), tf.float32)
