"""Mel arithmetic against librosa, and the fast path of training against the layers of the file."""

import librosa
import numpy as np
import pytest

from convmedia.data.audio import mel
from convmedia.data.audio.mel import Spectrum
from convmedia.data.storage.errors import InputError


@pytest.mark.parametrize("slaney_norm", [True, False])
@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize(("rate", "length", "bands"), [(8000, 256, 40), (22050, 1024, 64), (16000, 400, 60)])
def test_the_bank_is_triangles_that_are_even_on_the_mel_scale(rate, length, bands, htk, slaney_norm):
    lowest, highest = 20.0, rate / 2.5
    low, high = mels([lowest, highest], htk)
    scale = np.linspace(0.0, rate / 2.0, 200_001)
    edges = np.interp(np.linspace(low, high, bands + 2), mels(scale, htk), scale)
    hertz = np.linspace(0.0, rate / 2.0, length // 2 + 1)
    expected = np.stack([np.interp(hertz, edges[n : n + 3], [0.0, 1.0, 0.0]) for n in range(bands)], axis=1)
    if slaney_norm:  # every triangle has the area of 1 Hz
        expected *= 2.0 / (edges[2:] - edges[:-2])
    bank = Spectrum(rate, length, length // 2, bands, lowest, highest, htk, slaney_norm).bank
    assert (bank.dtype, bank.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(bank, expected, rtol=0, atol=1e-4 * expected.max())


def mels(hertz, htk):
    """HTK's formula; Slaney's scale as the Auditory Toolbox describes it: linear to 1 kHz, then 27 mels for 6.4."""
    hertz = np.asarray(hertz, np.float64)
    if htk:
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    above = 15.0 + 27.0 * np.log(np.maximum(hertz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hertz < 1000.0, hertz * 3.0 / 200.0, above)


def test_bands_narrower_than_a_bin_are_silent_without_a_word():
    bank = Spectrum(8000, 64, 32, 40).bank
    assert (bank.sum(axis=0) == 0).any()


def test_the_fourier_matrix_is_the_transform_of_a_hann_window():
    values = np.random.default_rng(0).normal(size=64)
    parts = values @ mel.fourier(64)
    expected = np.fft.rfft(values * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)))
    np.testing.assert_allclose(parts, np.concatenate([expected.real, -expected.imag]), atol=1e-5)


@pytest.mark.parametrize("frames", [9, 10, 101])
def test_slopes_are_librosas_deltas(frames):
    values = np.random.default_rng(1).normal(size=(frames, 7)).astype("float32")
    expected = librosa.feature.delta(values, axis=0)
    np.testing.assert_allclose(mel.slopes(frames) @ values, expected, atol=1e-5)


def test_the_slope_of_a_line_is_its_slope_and_one_frame_has_none():
    line = np.arange(5, dtype="float32")[:, None] * 3
    np.testing.assert_allclose(mel.slopes(5) @ line, 3, rtol=1e-5)
    assert mel.slopes(1).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_hz": 5000.0}, "half of the sample rate, 4000 Hz; received 0 to 5000"),
        ({"fft_samples": 255}, "even; received 255"),
        ({"hop_samples": 0}, "above 0"),
        ({"top_db": -1.0}, "above 0"),
    ],
)
def test_what_is_no_spectrum_is_said(changes, said):
    arguments = {"sample_rate": 8000, "fft_samples": 256, "hop_samples": 80, "bands": 40, **changes}
    with pytest.raises(InputError, match=said):
        Spectrum(**arguments)
