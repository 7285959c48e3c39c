"""Layers from a waveform to what a sound network takes: windows, log-mel spectra, MFCCs, standardised and masked.

Everything is a convolution, a matrix product or arithmetic that TensorFlow, ONNX Runtime and plain LiteRT have, for any
number of samples. Banks are weights that are not trained, so that a file answers alike whatever is installed beside it,
and librosa, which computes them, is needed where a layer is made and not where it is loaded.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from convmedia.data.audio import mel, silence


def _exact(kwargs):
    """Preparation stays in float32 whatever precision the network computes in."""
    kwargs.setdefault("dtype", "float32")
    return kwargs


def _along_last(values, matrix):
    """(n, frames, a) @ (a, b) as a convolution of width 1, which every runtime has for any number of frames."""
    return ops.conv(values, ops.expand_dims(matrix, 0), strides=1, padding="valid", data_format="channels_last")


class WithConstants(keras.layers.Layer):
    """A layer with constants that are weights: computed where the layer is made, read where it is loaded.

    One that is made from a configuration, as loading and cloning do, has NaN for them, and answers NaN, until it is
    given weights: a configuration does not hold them.
    """

    waits_for_weights = False

    @classmethod
    def from_config(cls, config):
        layer = super().from_config(config)
        layer.waits_for_weights = True
        return layer

    def add_constant(self, name: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray | None]):
        """A weight that is not trained; `compute` gives its numbers where the layer is made, None for unknown ones."""
        values = None if self.waits_for_weights else compute()
        start = keras.initializers.Constant(float("nan") if values is None else values)
        return self.add_weight(name=name, shape=shape, initializer=start, trainable=False)


@keras.saving.register_keras_serializable("convmedia")
class LogMel(WithConstants):
    """Log-mel spectrogram, equal to `librosa.power_to_db(librosa.feature.melspectrogram(...))` of each window.

    Input (n, samples) float, -1..1, any number of samples from one up; output (n, 1 + samples // hop_samples, bands)
    float32, dB. The Fourier transform is a convolution. Decibels and the floor of `top_db` follow each window's own
    maximum, never the batch's.

    Args:
        sample_rate, fft_samples, hop_samples, bands, min_hz, max_hz, htk, slaney_norm, top_db, relative: as of
            `data.spectra.Spectrum`.

    Raises:
        InputError: bands beyond half of the sample rate, sizes that are not positive.
    """

    def __init__(
        self,
        sample_rate,
        fft_samples=2048,
        hop_samples=512,
        bands=128,
        min_hz=0.0,
        max_hz=None,
        htk=False,
        slaney_norm=True,
        top_db=80.0,
        relative=False,
        **kwargs,
    ):
        super().__init__(**_exact(kwargs))
        self.spectrum = mel.Spectrum(
            sample_rate, fft_samples, hop_samples, bands, min_hz, max_hz, htk, slaney_norm, top_db, relative
        )

    def build(self, input_shape):
        shape = (self.spectrum.fft_samples // 2 + 1, self.spectrum.bands)
        self.bank = self.add_constant("bank", shape, lambda: self.spectrum.bank)
        self.built = True

    def call(self, inputs):
        length = self.spectrum.fft_samples
        padded = ops.pad(inputs, [[0, 0], [length // 2, length // 2]])
        # A constant and no weight: sines are the same everywhere, and would be most of the file.
        kernel = ops.convert_to_tensor(mel.fourier(length)[:, None, :])
        parts = ops.conv(
            ops.expand_dims(padded, -1),
            kernel,
            strides=self.spectrum.hop_samples,
            padding="valid",
            data_format="channels_last",
        )
        bins = length // 2 + 1
        power = ops.square(parts[..., :bins]) + ops.square(parts[..., bins:])
        return self._decibels(_along_last(power, self.bank))

    def _decibels(self, power):
        decibels = 10.0 / float(np.log(10.0)) * ops.log(ops.maximum(power, mel.LEAST_POWER))
        loudest = ops.max(decibels, axis=(1, 2), keepdims=True)
        if self.spectrum.top_db is not None:
            decibels = ops.maximum(decibels, loudest - self.spectrum.top_db)
        return decibels - loudest if self.spectrum.relative else decibels

    def compute_output_shape(self, input_shape):
        samples = input_shape[1]
        return (input_shape[0], None if samples is None else self.spectrum.frames(samples), self.spectrum.bands)

    def get_config(self):
        return {**super().get_config(), **self.spectrum.config}


@keras.saving.register_keras_serializable("convmedia")
class MFCC(LogMel):
    """Mel-frequency cepstral coefficients, equal to `librosa.feature.mfcc`: the cosine transform of `LogMel`.

    Input as of `LogMel`; output (n, frames, coefficients) float32. `relative` shifts the first coefficient only.

    Args:
        coefficients: how many of the orthonormal DCT-II are kept, at most `bands`.
    """

    def __init__(self, sample_rate, coefficients=20, **kwargs):
        super().__init__(sample_rate, **kwargs)
        if not 1 <= coefficients <= self.spectrum.bands:
            raise ValueError(
                f"There are from 1 to {self.spectrum.bands} coefficients, one per band. Received: {coefficients}"
            )
        self.coefficients = coefficients

    def build(self, input_shape):
        super().build(input_shape)
        shape = (self.spectrum.bands, self.coefficients)
        self.cosines = self.add_constant("cosines", shape, lambda: mel.cosines(*shape))

    def call(self, inputs):
        return _along_last(super().call(inputs), self.cosines)

    def compute_output_shape(self, input_shape):
        return (*super().compute_output_shape(input_shape)[:2], self.coefficients)

    def get_config(self):
        return {**super().get_config(), "coefficients": self.coefficients}


@keras.saving.register_keras_serializable("convmedia")
class Windows(keras.layers.Layer):
    """Cuts waveforms into windows, each overlapping half of the next; the last one is filled up with zeros.

    Input (batch, samples) float32, samples from one up; output [(batch * n, window_samples) float32, a waveform's
    windows in a row; (batch * n,) int32, how many samples of each are sound]. The last window is the first one that
    reaches the end.

    Args:
        window_samples: size of a window.
        overlapping: False cuts them one after the other, as files do that were written without this argument.
    """

    def __init__(self, window_samples, overlapping=False, **kwargs):
        super().__init__(**_exact(kwargs))
        self.window_samples = window_samples
        self.overlapping = overlapping

    @property
    def hop_samples(self):
        """From one window's start to the next."""
        return (self.window_samples + 1) // 2 if self.overlapping else self.window_samples

    def call(self, inputs):
        size, hop = self.window_samples, self.hop_samples
        samples = ops.shape(inputs)[1]
        # max((samples - size) / hop rounded up, 0) + 1, in operations that every runtime has for whole numbers
        number = (samples + 2 * hop - size + hop - 1) // hop
        number = number - 1 + 1 // number
        # Filled up by a constant and then cut: no runtime need know how long the filling is.
        padded = ops.pad(inputs, [[0, 0], [0, 2 * hop]])
        windows = ops.reshape(padded[:, : number * hop], (-1, hop))
        if self.overlapping:
            second = ops.reshape(padded[:, hop : (number + 1) * hop], (-1, hop))
            windows = ops.concatenate([windows, second[:, : size - hop]], axis=1)
        left = samples - hop * ops.arange(number, dtype="int32")
        left = ops.expand_dims(ops.minimum(left, size), 0)
        every = ops.cast(ops.zeros_like(inputs[:, :1]), "int32") + left
        return windows, ops.reshape(every, (-1,))

    def compute_output_shape(self, input_shape):
        return (None, self.window_samples), (None,)

    def compute_output_spec(self, inputs):
        windows, heard = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(windows, "float32"), keras.KerasTensor(heard, "int32")

    def get_config(self):
        return {**super().get_config(), "window_samples": self.window_samples, "overlapping": self.overlapping}


@keras.saving.register_keras_serializable("convmedia")
class Standardised(WithConstants):
    """Per-band normalisation learned from the training set, and the mask of the frames that hold sound.

    Input [(n, frames, bands), (n,) int32, how many samples of each window are sound]; output (n, frames, bands, 2)
    float32: (value - mean) / deviation, 0 where there is no sound, and beside it the mask, 1 or 0. A frame counts as
    sound where its centre does; the first one always does.

    Args:
        hop_samples: from one frame's centre to the next.
        mean, deviation: (bands,) float, of the training set; kept as weights. Without them it answers NaN until it is
            given weights.
    """

    def __init__(self, hop_samples, mean=None, deviation=None, **kwargs):
        super().__init__(**_exact(kwargs))
        self.hop_samples = hop_samples
        self.start = None if mean is None else np.stack([mean, deviation]).astype("float32")

    def build(self, input_shape):
        shape = (2, input_shape[0][-1])
        self.moments = self.add_constant("moments", shape, lambda: self.start)
        self.built = True

    def call(self, inputs):
        decibels, heard = inputs
        frames = ops.shape(decibels)[1]
        centres = self.hop_samples * ops.arange(frames, dtype="int32")
        left = ops.expand_dims(heard, 1) - ops.expand_dims(centres, 0)
        mask = ops.expand_dims(ops.cast(ops.minimum(ops.maximum(left, 0), 1), "float32"), -1)
        values = mask * (decibels - self.moments[0]) / self.moments[1]
        return ops.stack([values, mask * ops.ones_like(values)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[0], 2)

    def get_config(self):
        return {**super().get_config(), "hop_samples": self.hop_samples}


@keras.saving.register_keras_serializable("convmedia")
class MeanOfWindows(keras.layers.Layer):
    """A waveform's scores: the mean over its windows, each counted by how long its sound is. In older files only.

    Input [scores (batch * n, labels), (batch * n,) int32 samples of sound in each window, waveforms (batch, samples)];
    output (batch, labels) float32. A last window of a few samples so changes next to nothing.
    """

    def __init__(self, **kwargs):
        super().__init__(**_exact(kwargs))

    def call(self, inputs):
        scores, heard, waveforms = inputs
        number = ops.shape(waveforms)[0]
        weights = ops.expand_dims(ops.cast(heard, "float32"), -1)
        labels = scores.shape[-1]
        total = ops.sum(ops.reshape(scores * weights, (number, -1, labels)), axis=1)
        return total / ops.sum(ops.reshape(weights, (number, -1, 1)), axis=1)

    def compute_output_shape(self, input_shape):
        return (None, input_shape[0][-1])


@keras.saving.register_keras_serializable("convmedia")
class MeanByEnergy(keras.layers.Layer):
    """A waveform's scores: the mean over its windows, each counted by its energy, as `data.silence.MeanByEnergy` does.

    Input [scores (batch * n, labels), (batch * n,) int32 samples of sound in each window, windows (batch * n, size),
    waveforms (batch, samples)]; output (batch, labels) float32. Where nothing has energy, windows count by their
    length.
    """

    def __init__(self, **kwargs):
        super().__init__(**_exact(kwargs))

    def call(self, inputs):
        scores, heard, windows, waveforms = inputs
        number, size, labels = ops.shape(waveforms)[0], windows.shape[1], scores.shape[-1]
        length = ops.expand_dims(ops.cast(heard, "float32"), -1)
        mean = ops.sum(windows, axis=1, keepdims=True) / length
        left = ops.expand_dims(heard, 1) - ops.expand_dims(ops.arange(size, dtype="int32"), 0)
        inside = ops.cast(ops.minimum(ops.maximum(left, 0), 1), "float32")
        energy = ops.sum(inside * ops.square(windows - mean), axis=1, keepdims=True)
        energy = ops.reshape(energy, (number, -1, 1))
        loudest = ops.max(energy, axis=1, keepdims=True)
        quietest = ops.min(energy / ops.reshape(length, (number, -1, 1)), axis=1, keepdims=True) * size
        asked = ops.minimum(silence.ABOVE_QUIETEST * quietest, silence.AT_MOST * loudest)
        lowest = ops.maximum(silence.AT_LEAST * loudest, silence.LEAST_POWER * size)
        weights = ops.maximum(energy - ops.maximum(asked, lowest), 0.0)
        weights = weights + silence.BY_LENGTH * ops.reshape(length, (number, -1, 1))
        total = ops.sum(ops.reshape(scores, (number, -1, labels)) * weights, axis=1)
        return total / ops.sum(weights, axis=1)

    def compute_output_shape(self, input_shape):
        return (None, input_shape[0][-1])
