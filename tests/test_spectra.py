"""Mel arithmetic against librosa, and the fast path of training against the layers of the file."""

import librosa
import numpy as np
import pytest

from convmedia.data import spectra
from convmedia.data.errors import InputError
from convmedia.data.spectra import Spectrum


@pytest.mark.parametrize("slaney_norm", [True, False])
@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize(("rate", "length", "bands"), [(8000, 256, 40), (22050, 1024, 64), (16000, 400, 60)])
def test_the_bank_is_librosas(rate, length, bands, htk, slaney_norm):
    options = {"fmin": 20.0, "fmax": rate / 2.5, "htk": htk, "norm": "slaney" if slaney_norm else None}
    theirs = librosa.filters.mel(sr=rate, n_fft=length, n_mels=bands, **options)
    ours = Spectrum(rate, length, length // 2, bands, 20.0, rate / 2.5, htk, slaney_norm).bank
    np.testing.assert_allclose(ours, theirs.T, rtol=0, atol=1e-6 * theirs.max())


@pytest.mark.parametrize("htk", [False, True])
def test_mels_and_hertz_are_inverse(htk):
    hertz = np.array([0.0, 30.0, 999.0, 1000.0, 1001.0, 7000.0])
    np.testing.assert_allclose(spectra.hz_of(spectra.mel_of(hertz, htk), htk), hertz, atol=1e-9)


def test_the_fourier_matrix_is_the_transform_of_a_hann_window():
    values = np.random.default_rng(0).normal(size=64)
    parts = values @ spectra.fourier(64)
    expected = np.fft.rfft(values * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)))
    np.testing.assert_allclose(parts, np.concatenate([expected.real, -expected.imag]), atol=1e-5)


@pytest.mark.parametrize("frames", [9, 10, 101])
def test_slopes_are_librosas_deltas(frames):
    values = np.random.default_rng(1).normal(size=(frames, 7)).astype("float32")
    expected = librosa.feature.delta(values, axis=0)
    np.testing.assert_allclose(spectra.slopes(frames) @ values, expected, atol=1e-5)


def test_the_slope_of_a_line_is_its_slope_and_one_frame_has_none():
    line = np.arange(5, dtype="float32")[:, None] * 3
    np.testing.assert_allclose(spectra.slopes(5) @ line, 3, rtol=1e-5)
    assert spectra.slopes(1).tolist() == [[0.0]]


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
