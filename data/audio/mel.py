"""Arithmetic of mel spectra: filter banks, Fourier and cosine matrices, and the fast path that training takes.

    spectrum = Spectrum(sample_rate=8000, fft_samples=256, hop_samples=80, bands=40)
    spectrum.decibels(windows)      # TensorFlow's FFT, inside tf.data

Filter banks are librosa's, which is loaded where one is computed: `models.mel` keeps them as weights, so that a saved
file needs no librosa. The rest are products with matrices of SciPy's, equal to librosa's `power_to_db`, `mfcc` and
`delta` as tests show; a saved file computes them by operations that every runtime has.
"""

import warnings
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy.fft import dct
from scipy.signal import get_window, savgol_filter

from convmedia.data.storage.errors import InputError

LEAST_POWER = 1e-10
"""Powers below this are taken for it, -100 dB, as `librosa.power_to_db` does."""
TOGETHER = 2  # windows


@dataclass(frozen=True)
class Spectrum:
    """How a waveform becomes a log-mel spectrogram: frames centred at multiples of the hop, zeros beyond both ends.

    Attributes:
        sample_rate: Hz.
        fft_samples: length of a frame and of its periodic Hann window, even.
        hop_samples: from one frame to the next.
        bands: mel bands between `min_hz` and `max_hz`; None is half of the sample rate.
        htk: HTK's mel scale in place of Slaney's.
        slaney_norm: each filter has the same area (librosa's default); without, the same height of 1.
        top_db: what lies more than this below a window's own maximum is raised to it, dB; None raises nothing.
        relative: decibels below the window's own maximum, in place of those of power 1.
    """

    sample_rate: int
    fft_samples: int
    hop_samples: int
    bands: int
    min_hz: float = 0.0
    max_hz: float | None = None
    htk: bool = False
    slaney_norm: bool = True
    top_db: float | None = 80.0
    relative: bool = False

    def __post_init__(self):
        high = self.highest_hz
        if not 0 <= self.min_hz < high <= self.sample_rate / 2:
            raise InputError(
                f"mel bands lie between 0 and half of the sample rate, {self.sample_rate / 2:g} Hz; "
                f"received {self.min_hz:g} to {high:g} Hz"
            )
        if self.fft_samples % 2:
            raise InputError(f"fft_samples is even; received {self.fft_samples}")
        if min(self.fft_samples, self.hop_samples, self.bands) < 1 or (self.top_db is not None and self.top_db <= 0):
            raise InputError(
                f"fft_samples, hop_samples, bands and top_db are above 0; received {self.fft_samples}, "
                f"{self.hop_samples}, {self.bands} and {self.top_db}"
            )

    @property
    def highest_hz(self) -> float:
        return self.sample_rate / 2 if self.max_hz is None else self.max_hz

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make the same one."""
        return asdict(self)

    def frames(self, samples: int) -> int:
        """How many frames a window of this many samples has."""
        return 1 + samples // self.hop_samples

    @cached_property
    def bank(self) -> np.ndarray:
        """float32 (fft_samples // 2 + 1, bands): the mel filters, `librosa.filters.mel` transposed."""
        from librosa.filters import mel  # takes a second to load, and is not needed where a file brings its bank

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Empty filters")  # bands narrower than a bin: their power is the least
            bank = mel(
                sr=self.sample_rate,
                n_fft=self.fft_samples,
                n_mels=self.bands,
                fmin=self.min_hz,
                fmax=self.highest_hz,
                htk=self.htk,
                norm="slaney" if self.slaney_norm else None,
            )
        return np.ascontiguousarray(bank.T, np.float32)

    def decibels(self, windows):
        """Log-mel spectrograms by TensorFlow's FFT, compiled by XLA for each shape.

        Args:
            windows: float32 tensor (n, samples), -1..1; samples from one up.

        Returns:
            float32 (n, frames, bands), dB.
        """
        return self._compiled(windows)

    @cached_property
    def _compiled(self):
        import tensorflow as tf

        # A partial: TensorFlow counts traces by the code that is traced, of all spectra together, and warns of five.
        return tf.function(partial(self._decibels), autograph=False, jit_compile=True, reduce_retracing=True)

    def _decibels(self, windows):
        import tensorflow as tf

        # A few windows at a time: what lies between frames and bands stays in the processor's cache.
        number, samples = tf.shape(windows)[0], tf.shape(windows)[1]
        filled = tf.pad(windows, [[0, -number % TOGETHER], [0, 0]])
        parts = tf.reshape(filled, (-1, TOGETHER, samples))
        power = tf.map_fn(self._mel, parts, fn_output_signature=tf.float32)
        return self._logarithm(tf.reshape(power, (-1, 1 + samples // self.hop_samples, self.bands))[:number])

    def _mel(self, windows):
        """Mel powers (n, frames, bands) of windows (n, samples)."""
        import tensorflow as tf

        length, number = self.fft_samples, tf.shape(windows)[0]
        whole = length % self.hop_samples == 0
        frames = self._rows(windows) if whole else self._framed(windows)
        spectra = tf.signal.rfft(frames * tf.constant(hann(length)))
        power = tf.math.real(spectra) ** 2 + tf.math.imag(spectra) ** 2
        # One matrix product of all frames is faster than tf.tensordot.
        mel = tf.matmul(tf.reshape(power, (-1, length // 2 + 1)), tf.constant(self.bank))
        if not whole:
            return tf.reshape(mel, (number, -1, self.bands))
        # What is put in order is the bands, which are few.
        ordered = tf.transpose(tf.reshape(mel, (length // self.hop_samples, number, -1, self.bands)), (1, 2, 0, 3))
        return tf.reshape(ordered, (number, -1, self.bands))[:, : 1 + tf.shape(windows)[1] // self.hop_samples]

    def _rows(self, windows):
        """Frames (fft_samples // hop_samples, n, rows, fft_samples) where they are a whole number of hops: frame i of a
        window is at [i % ways, :, i // ways], and some at the end are beyond the last.

        Every `ways`-th frame begins where the one before it ends: these are the rows of a waveform cut at multiples of
        a frame's length.
        """
        import tensorflow as tf

        length, hop = self.fft_samples, self.hop_samples
        number, samples = tf.unstack(tf.shape(windows))
        rows = samples // hop // (length // hop) + 1
        padded = tf.pad(windows, [[0, 0], [length // 2, (rows + 1) * length - length // 2 - samples]])
        cuts = [padded[:, at : at + rows * length] for at in range(0, length, hop)]
        return tf.reshape(tf.stack(cuts), (length // hop, number, rows, length))

    def _framed(self, windows):
        """Frames (n, frames, fft_samples), of pieces as long as a hop side by side: tf.signal.frame gathers each."""
        import tensorflow as tf

        length, hop = self.fft_samples, self.hop_samples
        pieces = -(-length // hop)
        number = 1 + tf.shape(windows)[1] // hop
        after = (number + pieces - 1) * hop - length // 2 - tf.shape(windows)[1]
        # Where hops are longer than frames, the last samples may lie beyond the last frame.
        padded = tf.pad(windows, [[0, 0], [length // 2, tf.maximum(after, 0)]])[:, : (number + pieces - 1) * hop]
        cut = tf.reshape(padded, (-1, number + pieces - 1, hop))
        return tf.concat([cut[:, i : i + number, : min(hop, length - i * hop)] for i in range(pieces)], axis=-1)

    def _logarithm(self, power):
        import tensorflow as tf

        decibels = 10.0 / np.log(10.0) * tf.math.log(tf.maximum(power, LEAST_POWER))
        loudest = tf.reduce_max(decibels, axis=[1, 2], keepdims=True)
        if self.top_db is not None:
            decibels = tf.maximum(decibels, loudest - self.top_db)
        return decibels - loudest if self.relative else decibels


def hann(length: int) -> np.ndarray:
    """Periodic Hann window, float32 (length,)."""
    return get_window("hann", length).astype(np.float32)


def fourier(length: int) -> np.ndarray:
    """Hann window and real Fourier transform in one: float32 (length, 2 * bins), cosines and then sines."""
    bins = length // 2 + 1
    # Products of whole numbers modulo the length: the angle stays exact for large ones.
    angles = 2 * np.pi / length * (np.outer(np.arange(length), np.arange(bins)) % length)
    return (get_window("hann", length)[:, None] * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)).astype(
        np.float32
    )


def cosines(bands: int, coefficients: int) -> np.ndarray:
    """Orthonormal cosine transform (DCT-II), float32 (bands, coefficients): bands @ it is `librosa.feature.mfcc`."""
    return dct(np.eye(bands), axis=1, norm="ortho")[:, :coefficients].astype(np.float32)


def slopes(frames: int, width: int = 9) -> np.ndarray:
    """Deltas along time as a matrix, float32 (frames, frames): it @ spectrogram is `librosa.feature.delta`.

    Slope of a straight line through `width` frames (Savitzky-Golay), at the ends of that through the last ones. In
    fewer frames the width is the largest odd number that fits.
    """
    width = min(width, frames - 1 + frames % 2)
    if width < 3:
        return np.zeros((frames, frames), np.float32)
    return savgol_filter(np.eye(frames), width, polyorder=1, deriv=1, axis=0, mode="interp").astype(np.float32)
