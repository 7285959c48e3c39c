"""The layers of the front end: against librosa on sounds, window by window, in exported files."""

import subprocess
import sys
import warnings

import keras
import librosa
import numpy as np
import pytest

from convmedia.data.audio import decoding, silence
from convmedia.data.audio.mel import Spectrum
from convmedia.models.answer import Answer
from convmedia.models.formats import formats, runtimes
from convmedia.models.kind import Kind, Output
from convmedia.models.outputs import KINDS
from convmedia.models.preprocessing import mel_spectrogram
from convmedia.models.saving import files as saving_files
from convmedia.models.saving import places

FRONT = {"fft_samples": 256, "hop_samples": 80, "bands": 40}
BANKS = [{"htk": htk, "slaney_norm": norm} for htk in (False, True) for norm in (True, False)]


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def sound(samples, seed=0, loudness=0.3):
    """A chord that fades, and noise: float32 (samples,)."""
    rng = np.random.default_rng(seed)
    times = np.arange(samples) / 8000
    tones = sum(np.sin(2 * np.pi * hertz * times) for hertz in rng.uniform(60, 3900, 4))
    return (loudness * (0.25 * tones * np.exp(-2 * times) + rng.normal(0, 0.01, samples))).astype("float32")


def librosas(samples, htk, slaney_norm, **changes):
    """librosa's decibels, (frames, bands)."""
    options = {"sr": 8000, "n_fft": 256, "hop_length": 80, "n_mels": 40} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # clips shorter than a frame
        power = librosa.feature.melspectrogram(y=samples, htk=htk, norm="slaney" if slaney_norm else None, **options)
    return librosa.power_to_db(power).T


def real_clips(folder, number):
    files = sorted((folder / "audio" / "fsdd" / "recordings").glob("*.wav"))
    return [decoding.read(file, 8000) for file in files[:: len(files) // number][:number]]


@pytest.mark.parametrize("bank", BANKS, ids=str)
def test_log_mel_is_librosas_on_two_hundred_clips(convmedia_data, bank):
    layer = mel_spectrogram.LogMel(8000, **FRONT, **bank)
    heard = real_clips(convmedia_data, 200)
    windows = np.stack([np.pad(samples, (0, max(map(len, heard)) - len(samples))) for samples in heard])
    in_training = numbers(layer.spectrum.decibels(windows))
    for samples, frames in zip(heard, in_training, strict=True):
        expected = librosas(samples, **bank)
        assert np.abs(numbers(layer(samples[None]))[0] - expected).max() <= 0.01
        assert np.abs(frames[: len(expected)] - expected).max() <= 0.01


@pytest.mark.parametrize("bank", BANKS, ids=str)
@pytest.mark.parametrize("samples", [1, 79, 80, 255, 256, 4001])
def test_log_mel_is_librosas_for_any_length(samples, bank):
    values = sound(samples)
    layer = mel_spectrogram.LogMel(8000, **FRONT, **bank)
    ours = numbers(layer(values[None]))[0]
    np.testing.assert_allclose(ours, librosas(values, **bank), rtol=0, atol=0.005)
    assert ours.shape == (1 + samples // 80, 40) == layer.compute_output_shape((1, samples))[1:]


@pytest.mark.parametrize("hop", [16, 80, 128, 200, 256, 300])
@pytest.mark.parametrize("samples", [1, 256, 4001])
def test_the_path_of_training_is_librosas_for_any_hop(samples, hop):
    values = np.stack([sound(samples), sound(samples, seed=1)])
    ours = numbers(Spectrum(8000, 256, hop, 40).decibels(values))
    for row, own in zip(ours, values, strict=True):
        np.testing.assert_allclose(row, librosas(own, False, True, hop_length=hop), rtol=0, atol=0.005)


def test_log_mel_is_librosas_on_long_frames():
    values = librosa.resample(sound(16_000), orig_sr=8000, target_sr=22_050)
    layer = mel_spectrogram.LogMel(22_050, 1024, 512, 64, min_hz=30.0, max_hz=10_000.0)
    changes = {"sr": 22_050, "n_fft": 1024, "hop_length": 512, "n_mels": 64, "fmin": 30.0, "fmax": 10_000.0}
    expected = librosas(values, False, True, **changes)
    np.testing.assert_allclose(numbers(layer(values[None]))[0], expected, rtol=0, atol=0.005)


@pytest.mark.parametrize("htk", [False, True])
def test_mfcc_is_librosas(htk):
    values = sound(6000, seed=3)
    layer = mel_spectrogram.MFCC(8000, 13, htk=htk, **FRONT)
    expected = librosa.feature.mfcc(y=values, sr=8000, n_mfcc=13, n_fft=256, hop_length=80, n_mels=40, htk=htk).T
    assert np.abs(numbers(layer(values[None]))[0] - expected).max() <= 1e-3 * np.abs(expected).max()


def test_a_quiet_window_is_the_same_alone_and_beside_a_loud_one():
    quiet, loud = sound(4000, loudness=1e-3), sound(4000, seed=1, loudness=1.0)
    layer = mel_spectrogram.LogMel(8000, **FRONT)
    # Batches of one size: how a matrix product is cut into blocks, and rounded, depends on it.
    alike, beside = numbers(layer(np.stack([quiet, quiet])))[0], numbers(layer(np.stack([quiet, loud])))[0]
    assert np.array_equal(alike, beside)
    np.testing.assert_allclose(numbers(layer(quiet[None]))[0], beside, atol=1e-4, rtol=0)


def test_relative_decibels_do_not_depend_on_the_level():
    layer = mel_spectrogram.LogMel(8000, relative=True, **FRONT)
    values = sound(4000)
    louder, softer = (numbers(layer((factor * values)[None])) for factor in (1.0, 0.25))
    assert louder.max() == softer.max() == 0
    np.testing.assert_allclose(louder, softer, atol=1e-3)


def test_silence_is_the_least_power_everywhere():
    assert np.unique(numbers(mel_spectrogram.LogMel(8000, **FRONT)(np.zeros((1, 800), "float32")))).tolist() == [-100.0]


def test_windows_lie_one_after_the_other_and_the_last_is_filled_up():
    values = np.arange(1, 22, dtype="float32").reshape(2 + 1, 7)
    windows, heard = map(numbers, mel_spectrogram.Windows(3)(values))
    assert windows.reshape(3, 3, 3)[1].tolist() == [[8, 9, 10], [11, 12, 13], [14, 0, 0]]
    assert heard.tolist() == [3, 3, 1] * 3


@pytest.mark.parametrize(("samples", "expected"), [(1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3])])
def test_every_sample_is_in_one_window(samples, expected):
    windows, heard = map(numbers, mel_spectrogram.Windows(3)(np.ones((1, samples), "float32")))
    assert heard.tolist() == expected
    assert windows.sum() == samples


@pytest.mark.parametrize(
    ("size", "samples", "expected"),
    [(4, 1, [1]), (4, 4, [4]), (4, 5, [4, 3]), (4, 9, [4, 4, 4, 3]), (5, 5, [5]), (5, 6, [5, 3]), (5, 9, [5, 5, 3])],
)
def test_windows_overlap_by_half_until_one_reaches_the_end(size, samples, expected):
    values = np.arange(1, samples + 1, dtype="float32")[None]
    windows, heard = map(numbers, mel_spectrogram.Windows(size, overlapping=True)(values))
    hop = (size + 1) // 2
    cut = [np.pad(values[0], (0, size))[hop * n : hop * n + size].tolist() for n in range(len(expected))]
    assert windows.tolist() == cut
    assert heard.tolist() == expected


def test_the_mean_by_energy_is_that_of_flat_memory():
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(12, 400)) * 10 ** rng.uniform(-2, 0, (12, 1)) + 0.3
    heard = np.array([400, 400, 400, 400, 400, 230] * 2, "int32")
    windows = (windows * (np.arange(400) < heard[:, None])).astype("float32")
    scores = rng.uniform(size=(12, 3)).astype("float32")
    found = numbers(mel_spectrogram.MeanByEnergy()([scores, heard, windows, np.zeros((2, 9), "float32")]))
    for row in range(2):
        flat = silence.MeanByEnergy(400)
        for place in range(6 * row, 6 * row + 6):
            flat.add(windows[place, : heard[place]], scores[place])
        np.testing.assert_allclose(found[row], flat.result(), atol=1e-5)


def test_standardised_values_and_their_mask_by_hand():
    layer = mel_spectrogram.Standardised(10, [1.0, 2.0], [2.0, 4.0])
    decibels = np.array([[[3.0, 6.0], [5.0, 2.0], [9.0, 9.0]]], "float32")
    result = numbers(layer([decibels, np.array([11], "int32")]))[0]
    assert result[..., 0].tolist() == [[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]]
    assert result[..., 1].tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]


def test_the_mean_of_windows_counts_each_by_its_sound():
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]], "float32")
    heard, waveforms = np.array([3, 1, 3, 1], "int32"), np.zeros((2, 4), "float32")
    result = numbers(mel_spectrogram.MeanOfWindows()([scores, heard, waveforms]))
    assert result.tolist() == [[0.75, 0.25], [0.5, 0.5]]


class Coefficients(Kind):
    """Of each frame of a sound, (n, frames, coefficients)."""

    name, labelled, outputs = "coefficients", False, (Output(3),)
    served = {"coefficients": "float32"}  # noqa: RUF012

    def as_served(self, answer):
        return answer[0]


@pytest.fixture(autouse=True)
def coefficients(monkeypatch):
    monkeypatch.setitem(KINDS, "coefficients", Coefficients())


def front_model():
    """Waveform to coefficients of any number of frames, as a saved file."""
    raw = keras.Input((None,), name="sound")
    described = {"kind": "sound", "dtype": "float32", "shape": [None], "sample_rate": 8000, "window_seconds": 1.0}
    return keras.Model(
        raw, Answer("audio", None, described, kind="coefficients")(mel_spectrogram.MFCC(8000, 13, **FRONT)(raw))
    )


@pytest.mark.parametrize("name", ["saved-model", "onnx", "litert"])
def test_exported_layers_answer_alike_for_free_lengths(name, tmp_path):
    saving_files.save(front_model(), tmp_path / "model.keras")
    model = saving_files.read(tmp_path / "model.keras")
    kind = formats.FORMATS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind.write(model, tmp_path / kind.file)
    run = runtimes.RUNTIMES[kind.runtime](str(tmp_path / kind.file))
    for samples in (1, 300, 8000, 20_001):
        batch = np.stack([sound(samples, seed) for seed in (1, 2)])
        expected = numbers(model(batch))
        assert np.abs(run(batch) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_loaded_layer_keeps_its_bank(tmp_path):
    model = front_model()
    layer = model.layers[1]
    layer.bank.assign(2.0 * numbers(layer.bank))  # as another edition of the bank would be
    saving_files.save(model, tmp_path / "model.keras")
    again = saving_files.read(tmp_path / "model.keras").layers[1]
    assert np.array_equal(numbers(again.bank), numbers(layer.bank))
    assert again.get_config() == layer.get_config()
    assert Spectrum(**layer.spectrum.config) == layer.spectrum


WITHOUT_LIBROSA = """
import sys

asked = []

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "librosa":
            asked.append(name)
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import keras, numpy as np
import convmedia.models
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
convmedia.models.load("audio")
print(asked)
"""


def test_a_saved_file_needs_no_librosa_and_loading_it_asks_for_none(tmp_path):
    path = places.shipped_place("audio")
    waves = np.stack([sound(6000, seed) for seed in (1, 2)])
    np.save(tmp_path / "in.npy", waves)
    command = [sys.executable, "-c", WITHOUT_LIBROSA, path, tmp_path / "in.npy", tmp_path / "out.npy"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n"
    expected = saving_files.read(path).predict(waves, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)


@pytest.mark.parametrize(
    "copied", [keras.models.clone_model, lambda model: keras.Model.from_config(model.get_config())]
)
def test_a_clone_answers_nan_until_it_is_given_weights(copied):
    raw = keras.Input((None,))
    windows, heard = mel_spectrogram.Windows(4000)(raw)
    decibels = mel_spectrogram.MFCC(8000, 13, **FRONT)(windows)
    model = keras.Model(raw, mel_spectrogram.Standardised(80, np.zeros(13), np.ones(13))([decibels, heard]))
    waves, clone = sound(8000)[None], copied(model)
    assert np.isnan(numbers(clone(waves))[..., 0]).all()
    clone.set_weights(model.get_weights())
    assert np.array_equal(numbers(clone(waves)), numbers(model(waves)))
