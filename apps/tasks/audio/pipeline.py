"""What a network of sounds is trained on: the set, how it is heard, augmented spectrograms, loss and figures."""

from typing import Any

import numpy as np

from convmedia.apps.console.progress import progress
from convmedia.apps.console.terminal import say
from convmedia.apps.training import class_balance
from convmedia.apps.training.distillation import Teacher
from convmedia.data.audio.mel import Spectrum
from convmedia.data.augmentation.catalogue import SOUNDS
from convmedia.data.augmentation.stateless_random import uniform
from convmedia.data.datasets import sounds, waveform_cache
from convmedia.data.storage.errors import InputError
from convmedia.models.networks import sounds as network_sounds

HIGHEST_RATE = 22_050
SHORTEST, LONGEST = 1.0, 5.1  # seconds, of windows that the set chooses

EPOCH_EXAMPLES = 800
"""Sets with fewer sounds are gone through several times an epoch."""

MEASURED = 2000
"""Sounds that the mean and deviation of each band are taken from."""


def heard_as(options: dict[str, Any], data: sounds.Sounds) -> tuple[Spectrum, int]:
    """The spectrum of a training and its window in samples: as `--sample-rate` and `--window` say, or as the set asks.

    Without them: the rate of most files, at most 22,050 Hz; a window that holds 95 of 100 files whole, of 1 to 5.1 s.
    """
    seconds, rates = waveform_cache.durations(data.train.paths)
    values, counts = np.unique(rates, return_counts=True)
    rate = options["sample_rate"] or min(int(values[counts.argmax()]), HIGHEST_RATE)
    window = options["window"] or float(np.clip(np.percentile(seconds, 95), SHORTEST, LONGEST))
    spectrum, size = network_sounds.heard_as(options["network"], rate, window)
    other = int((rates != rate).sum())
    if other:
        say(f"note: {other} of {len(rates)} training files are resampled to {rate} Hz")
    return spectrum, size


class PreparedClips:
    """Training and validation examples as the network takes them: spectrograms with their mask, and targets.

    Attributes:
        number: examples of an epoch.
        moments: float32 (bands,) mean and deviation of the training set, of the frames that hold sound.
        separable: whether an example of a batch is made without the others: where they are not mixed.
    """

    def __init__(
        self, data: sounds.Sounds, spectrum: Spectrum, size: int, augment: str, teacher: Teacher | None = None
    ):
        self.spectrum, self.size, self.teacher = spectrum, size, teacher
        with progress("reading sounds") as update:
            self.bank = waveform_cache.Recordings(data.train, spectrum.sample_rate, update)
        with progress("reading validation") as update:
            self.held = waveform_cache.Recordings(data.validation, spectrum.sample_rate, update)
        self.targets, self.held_targets = (
            targets(part.truth, len(data.labels)) for part in (data.train, data.validation)
        )
        self.number = len(data.train) * max(1, -(-EPOCH_EXAMPLES // len(data.train)))
        self.moments = self._moments()
        self.waveforms, self.spectrograms, self.separable = recipes(augment, size / spectrum.sample_rate)

    def example(self, indices, seed):
        """(indices, seed) to augmented spectrograms and targets, for tf.data."""
        import tensorflow as tf

        indices = tf.math.floormod(indices, len(self.bank))
        place, wave, spectrogram = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        places = uniform([indices.shape[0]], place)
        batch = self.bank.gather(indices, places, self.size)
        if self.waveforms:
            batch = self.waveforms(batch, wave)
        inputs, wanted = self.prepared(*batch), tf.gather(tf.constant(self.targets), indices)
        if self.teacher:
            windows, heard = batch
            wanted = self.teacher.sounds(windows, heard, wanted)
        return self.spectrograms(inputs, wanted, spectrogram) if self.spectrograms else (inputs, wanted)

    def validation(self, batch_size: int = 50):
        """Validation batches, prepared when they are asked for; of a long sound its middle."""
        import tensorflow as tf

        from convmedia.apps.training.trainer import as_it_is, without_autotuner

        def held(at):
            batch = self.held.gather(at, tf.fill([tf.size(at)], 0.5), self.size)
            return self.prepared(*batch), tf.gather(tf.constant(self.held_targets), at)

        places = tf.data.Dataset.range(len(self.held)).batch(batch_size)
        return without_autotuner(places.map(as_it_is(held)).prefetch(2))

    def prepared(self, windows, heard):
        """As the layers of the file do it, by FFT: float32 (n, frames, bands, 2)."""
        import tensorflow as tf

        decibels = self.spectrum.decibels(windows)
        mean, deviation = self.moments
        centres = self.spectrum.hop_samples * tf.range(self.spectrum.frames(self.size))
        mask = tf.cast(centres[None] < heard[:, None], tf.float32)[..., None]
        values = mask * (decibels - mean) / deviation
        spectrogram = tf.stack([values, mask * tf.ones_like(values)], axis=-1)
        return tf.ensure_shape(spectrogram, (None, self.spectrum.frames(self.size), self.spectrum.bands, 2))

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.unique(np.linspace(0, len(self.bank) - 1, min(MEASURED, len(self.bank))).astype(int))
        total, squares, number = np.zeros(self.spectrum.bands), np.zeros(self.spectrum.bands), 0
        for at in np.array_split(chosen, -(-len(chosen) // 100)):
            windows, heard = self.bank.windows(at, np.full(len(at), 0.5), self.size)
            for decibels, samples in zip(np.asarray(self.spectrum.decibels(windows), np.float64), heard, strict=True):
                part = decibels[: -(-int(samples) // self.spectrum.hop_samples)]
                total, squares, number = total + part.sum(0), squares + (part**2).sum(0), number + len(part)
        mean = total / number
        deviation = np.sqrt(np.maximum(squares / number - mean**2, 1.0))  # dB; a band that never changes stays 0
        return mean.astype(np.float32), deviation.astype(np.float32)


def recipes(augment: str, window_seconds: float):
    """The recipes that `--augment` names, for waveforms and for spectrograms, None for what is not done; and whether
    an example is made without the others of its batch.
    """
    if augment == "auto":
        augment = "words" if window_seconds <= network_sounds.SHORT_SECONDS else "noises"
    row = SOUNDS[augment]
    return row.waveforms and row.waveforms(), row.spectrograms and row.spectrograms(), row.separable


def targets(truth: np.ndarray, labels: int) -> np.ndarray:
    """What a network is trained to answer: float32 (n, labels)."""
    return truth.astype(np.float32) if truth.ndim == 2 else np.eye(labels, dtype=np.float32)[truth]


def monitor(data: sounds.Sounds) -> str:
    """The figure that chooses the epoch unless `--monitor` says it: of few validation sounds, accuracy would choose by
    chance."""
    return "average-precision" if data.several else "certainty"


def check_options(options: dict[str, Any], data: sounds.Sounds) -> None:
    """Raises InputError where `--monitor` or `--class-weights` is not for such labels."""
    wanted = options.get("monitor")
    possible = ("average-precision", "loss") if data.several else ("certainty", *FOR_ONE_LABEL)
    if wanted is not None and wanted not in possible:
        kind = "several labels" if data.several else "one label"
        raise InputError(f"--monitor {wanted}: a sound of {data.name} has {kind}; give one of {', '.join(possible)}")
    if data.several and options.get("class_weights"):
        raise InputError(
            f"--class-weights: a sound of {data.name} may have several labels, whose thresholds are tuned instead; "
            "leave it out"
        )


FOR_ONE_LABEL = ("accuracy", "balanced-accuracy", "macro-f1", "loss")


def class_weights(options: dict[str, Any], data: sounds.Sounds) -> np.ndarray | None:
    """The weight of each label, as of `class_balance.class_weights`; without `--class-weights` and
    `--no-class-weights` they are wanted where a sound has one label. Runs from before there were any have none."""
    if data.several or "class_weights" not in options:
        return None
    return class_balance.class_weights(data.train.truth, len(data.labels), options["class_weights"] in (None, True))


def settled(epochs: int) -> int:
    """After how many epochs only the last tenth is compared: the learning rate is near 0 there, and the figures of 30
    validation sounds no longer jump. The best of all epochs of a fold of ESC-10 was ten points behind its last one.
    """
    return 9 * epochs // 10


def compiling(data: sounds.Sounds, chosen_by: str) -> dict[str, Any]:
    """Loss and metrics, as `compile` takes them.

    Args:
        chosen_by: what `--monitor` names.
    """
    import keras

    if data.several:
        several = {"multi_label": True, "num_labels": len(data.labels), "name": "average_precision"}
        return {"loss": keras.losses.BinaryCrossentropy(), "metrics": [keras.metrics.AUC(curve="PR", **several)]}
    certainty = keras.metrics.MeanMetricWrapper(certainty_of, name="certainty")
    accuracy, *further = class_balance.watched(keras.metrics.CategoricalAccuracy, len(data.labels), chosen_by)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return {"loss": loss, "metrics": [accuracy, certainty, *further]}


def certainty_of(truth, scores):
    """The probability that the right label is given: (n, labels) both, to (n,)."""
    from keras import ops

    return ops.sum(truth * scores, axis=-1)
