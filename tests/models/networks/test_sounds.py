"""Networks of sounds: their sizes, their masks, and the whole file from a waveform of any length."""

import warnings

import keras
import numpy as np
import pytest

from convmedia.apps.tasks.audio import pipeline
from convmedia.models.analysis import grad_cam
from convmedia.models.formats import formats, runtimes
from convmedia.models.inference.predictor import Predictor
from convmedia.models.networks import sounds
from convmedia.models.networks.catalogue import SOUNDS
from convmedia.models.preprocessing import mel_spectrogram
from convmedia.models.saving import files

LABELS = [str(digit) for digit in range(10)]
LENGTHS = [1, 2, 3, 99, 700, 3440, 7999, 8000, 8001, 16_000, 20_011]


def waveforms(samples, number=2, seed=0):
    rng = np.random.default_rng([seed, samples])
    fade = np.exp(-np.arange(samples) / 3000)
    return (rng.normal(0, 0.2, (number, samples)) * fade).clip(-1, 1).astype("float32")


def built(name, rate=8000, window_seconds=1.0, several=False):
    """A network of random weights and its whole model, with moments that are about right."""
    spectrum, size = sounds.heard_as(name, rate, window_seconds)
    keras.utils.set_random_seed(4)
    network = SOUNDS[name](spectrum.frames(size), spectrum.bands, 10, several=several)
    moments = np.full(spectrum.bands, -40.0), np.full(spectrum.bands, 15.0)
    details = {"network": name, "seed": 4}
    return network, sounds.whole(network, spectrum, size, *moments, app="audio", labels=LABELS, details=details)


@pytest.fixture(scope="module")
def compact():
    return built("compact")


def test_sizes_are_as_said():
    assert sounds.parameters(sounds.compact(81, 40, 10)) == 403_858
    assert sounds.parameters(sounds.compact(217, 64, 50)) <= 700_000
    assert 29e6 < sounds.parameters(sounds.piczak(101, 60, 10)) < 29.3e6
    assert 2.2e6 < sounds.parameters(sounds.speech(101, 40, 10)) < 2.4e6


def test_windows_are_whole_hops_and_hold_what_is_wanted():
    spectrum, size = sounds.heard_as("compact", 22_050, 220_544 / 44_100)
    assert (spectrum.fft_samples, spectrum.hop_samples, size) == (1024, 512, 216 * 512)
    spectrum, size = sounds.heard_as("piczak", 22_050, 5.0)
    assert (spectrum.frames(size), spectrum.bands, spectrum.fft_samples) == (101, 60, 1024)
    assert sounds.heard_as("compact", 8000, 1.0)[1] == 8000


@pytest.mark.parametrize("name", list(SOUNDS))
def test_every_network_answers_probabilities_and_ignores_what_is_masked(name):
    network, _ = built(name)
    spectrogram = np.random.default_rng(0).normal(size=(3, *network.input_shape[1:])).astype("float32")
    spectrogram[..., 1] = np.arange(spectrogram.shape[1])[None, :, None] < 40
    spectrogram[..., 0] *= spectrogram[..., 1]
    scores = keras.ops.convert_to_numpy(network(spectrogram, training=False))
    if name != "tagger":
        np.testing.assert_allclose(scores.sum(-1), 1.0, atol=1e-5)
    assert scores.std(0).min() > 0
    several = keras.ops.convert_to_numpy(built(name, several=True)[0](spectrogram, training=False))
    assert np.all((several > 0) & (several < 1))
    assert not np.allclose(several.sum(-1), 1.0, atol=1e-3)


def test_masked_pooling_by_hand():
    features = np.array([[[1.0, 5.0], [3.0, -2.0], [90.0, 90.0]]], "float32")
    spectrogram = np.zeros((1, 7, 4, 2), "float32")
    spectrogram[:, :3, :, 1] = 1  # places of 2 frames: the second one holds one
    pool = sounds.MaskedPooling()
    assert keras.ops.convert_to_numpy(pool([features, spectrogram])).tolist() == [[2.0 + 3.0, 1.5 + 5.0]]
    mean = sounds.MaskedPooling(greatest=False)
    assert keras.ops.convert_to_numpy(mean([features, spectrogram])).tolist() == [[2.0, 1.5]]


def test_a_clip_scores_the_same_alone_and_in_a_batch(compact):
    predictor = Predictor(compact[1])
    batch = waveforms(9000, 5)
    np.testing.assert_allclose(predictor(batch[:1]), predictor(batch)[:1], atol=1e-6)


def test_a_long_sound_is_the_mean_of_its_windows_by_their_energy(compact):
    predictor = Predictor(compact[1])
    sound = waveforms(20_000, 1)
    sound[:, 8000:12_000] *= 0.01
    parts = [sound[0, start : start + 8000] for start in (0, 4000, 8000, 12_000)]
    energies = np.array([part.var() * len(part) for part in parts])
    asked = max(min(2 * energies.min(), energies.max() / 2), energies.max() / 100)
    weights = np.maximum(energies - asked, 0)
    scores = [predictor(part[None])[0] for part in parts]
    np.testing.assert_allclose(predictor(sound)[0], np.average(scores, axis=0, weights=weights), atol=1e-5)


def test_how_much_silence_is_before_and_after_a_sound_changes_nothing(compact):
    predictor = Predictor(compact[1])
    sound = np.zeros((2, 40_000), "float32")
    sound[:, 16_000:24_000] = waveforms(8000, 2)
    np.testing.assert_allclose(predictor(sound), predictor(sound[:, 8000:32_000]), atol=1e-6)
    np.testing.assert_allclose(predictor(np.zeros((1, 40_000), "float32")).sum(), 1.0, atol=1e-6)


def test_files_of_before_answer_as_new_ones_do(tmp_path, compact):
    network, model = compact
    parts = {layer.name: layer for layer in model.layers}
    raw = keras.Input((None,), name="sound")
    windows, heard = mel_spectrogram.Windows(8000, name="windows")(raw)
    scores = network(parts["standardised"]([parts["log_mel"](windows), heard]))
    scores = mel_spectrogram.MeanOfWindows(name="mean_of_windows")([scores, heard, raw])
    files.save(keras.Model(raw, parts["answer"](scores)), tmp_path / "old.keras")
    old = keras.saving.load_model(tmp_path / "old.keras")
    renewed = files.load(tmp_path / "old.keras")
    sound = waveforms(30_000, 1)
    sound[:, 9000:20_000] *= 0.01
    np.testing.assert_allclose(renewed(sound), Predictor(model)(sound), atol=1e-6)
    assert np.abs(renewed(sound) - keras.ops.convert_to_numpy(old(sound))).max() > 1e-3
    files.save(renewed.model, tmp_path / "new.keras")
    np.testing.assert_allclose(files.load(tmp_path / "new.keras")(sound), renewed(sound), atol=1e-6)


def test_the_level_of_a_recording_does_not_matter(compact):
    predictor = Predictor(compact[1])
    sound = waveforms(8000, 1)
    np.testing.assert_allclose(predictor(sound), predictor(0.1 * sound), atol=1e-4)


def test_training_prepares_as_the_file_does(compact):
    spectrum, size = sounds.heard_as("compact", 8000, 1.0)
    examples = object.__new__(pipeline.PreparedClips)
    examples.spectrum, examples.size = spectrum, size
    examples.moments = np.full(40, -40.0, "float32"), np.full(40, 15.0, "float32")
    for samples in (1, 500, 8000):
        sound = waveforms(samples, 1)
        fast = examples.prepared(np.pad(sound, ((0, 0), (0, 8000 - samples))), np.array([samples], "int32"))[0]
        np.testing.assert_allclose(fast, grad_cam.prepared(compact[1], sound[0]), atol=1e-3)


@pytest.mark.parametrize(
    "name", ["compact", *(pytest.param(name, marks=pytest.mark.slow) for name in ("speech", "tagger"))]
)
def test_exported_files_answer_alike_for_every_length(name, tmp_path):
    files.save(built(name)[1], tmp_path / "model.keras")
    predictor = files.load(tmp_path / "model.keras")
    expected = [predictor(waveforms(samples)) for samples in LENGTHS]
    for kind in (formats.FORMATS[format] for format in ("saved-model", "onnx", "litert")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.write(predictor.model, tmp_path / kind.file)
        run = runtimes.RUNTIMES[kind.runtime](str(tmp_path / kind.file))
        differences = [np.abs(run(waveforms(s)) - e).max() for s, e in zip(LENGTHS, expected, strict=True)]
        assert max(differences) <= 1e-4, (kind.file, differences)


def test_the_file_says_what_it_takes(tmp_path, compact):
    files.save(compact[1], tmp_path / "model.keras")
    predictor = files.load(tmp_path / "model.keras", app="audio")
    description = {"sample_rate": 8000, "window_seconds": 1.0}
    assert predictor.input == {"kind": "sound", "dtype": "float32", "shape": [None], **description}
    assert (tmp_path / "model.keras").stat().st_size < 3e6


def test_grad_cam_sees_the_mask(compact):
    sound = waveforms(3000, 1)[0]
    heat, score = grad_cam.grad_cam(compact[1], sound, 3)
    assert heat.shape == (81, 40)
    assert 0 < score < 1
    assert heat.max() == 1.0
