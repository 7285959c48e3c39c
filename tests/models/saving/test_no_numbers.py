"""Weights and answers that are NaN or infinite are errors in every application, of the model or of the file."""

import json

import keras
import numpy as np
import pytest
import soundfile
from PIL import Image

from convmedia.apps.__main__ import command
from convmedia.apps.cli.entry import exit_code
from convmedia.data.storage.errors import InputError
from convmedia.models import load
from convmedia.models.answer import PICTURE
from convmedia.models.networks import sounds as network_sounds
from convmedia.models.networks.catalogue import SUPER_RESOLUTION
from convmedia.models.networks.super_resolution import whole
from convmedia.models.preprocessing import mel_spectrogram
from convmedia.models.saving import assembly, files

GREAT = 3e38  # times any level it is more than float32 holds
TONE = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(6000) / 8000)).astype("float32")
LABELS = {"mnist": list("0123456789"), "cats-vs-dogs": ["cat", "dog"], "transfer": ["a", "b"], "audio": ["a", "b"]}


def scores(labels, inputs):
    """A dense layer of finite weights whose products are not: of 0 all labels get the same."""
    kernel = np.full((inputs, labels), GREAT, "float32")
    kernel[:, ::2] *= -1
    dense = keras.layers.Dense(labels, activation="softmax", kernel_initializer=keras.initializers.Constant(kernel))
    return [keras.layers.GlobalAveragePooling2D(), dense]


def overflowing(app):
    """A model of an application: black pictures and a tone get numbers, white ones and noise get none."""
    if app == "audio":
        spectrum, size = network_sounds.heard_as("compact", 8000, 0.5)
        network = keras.Sequential([keras.Input((spectrum.frames(size), spectrum.bands, 2)), network_sounds.Values()])
        for layer in scores(2, 1):
            network.add(layer)
        decibels = np.asarray(mel_spectrogram.LogMel(**spectrum.config)(TONE[np.newaxis, :size]))[0]
        moments = decibels.mean(axis=0), np.full(spectrum.bands, 2.0)  # those of the tone become next to nothing
        return network_sounds.whole(network, spectrum, size, *moments, app=app, labels=LABELS[app], details={})
    if app == "super-resolution":
        network = SUPER_RESOLUTION["srcnn"].build(2)
        last = network.get_layer("conv3")
        kernel, bias = last.get_weights()
        kernel[2, 2, 0, 0] = 1e37
        last.set_weights([kernel, bias])
        details = {"network": "srcnn", "scale": 2}
        return assembly.assemble(whole(network, 2), app=app, labels=None, input=PICTURE, details=details)
    layers = [keras.layers.Rescaling(GREAT)] if app == "style-transfer" else scores(len(LABELS[app]), 3)
    network = keras.Sequential([keras.Input((None, None, 3)), *layers])
    details = {"styles": ["one"]} if app == "style-transfer" else {}
    return assembly.assemble(network, app=app, labels=LABELS.get(app), input=PICTURE, details=details)


@pytest.fixture
def model(tmp_path):
    """Saves the model of an application that gives its path."""

    def saved(app):
        files.save(overflowing(app), tmp_path / "model.keras")
        return tmp_path / "model.keras"

    return saved


@pytest.fixture
def pictures(tmp_path):
    for name, level in (("black", 0), ("white", 255)):
        Image.fromarray(np.full((40, 40, 3), level, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path / "black.png", tmp_path / "white.png"


@pytest.fixture
def sounds(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.2, 6000)
    for name, samples in (("tone", TONE), ("noise", noise)):
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000)
    return tmp_path / "tone.wav", tmp_path / "noise.wav"


def run(capsys, *arguments):
    code = exit_code(command, list(map(str, arguments)))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named_by_their_layer(tmp_path, value):
    network = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 3, name="first"),
            keras.Sequential([keras.layers.BatchNormalization(name="second")]),
            *scores(2, 2),
        ]
    )
    model = assembly.assemble(network, app="transfer", labels=["a", "b"], input=PICTURE, details={})
    files.save(model, tmp_path / "model.keras")
    assert load(tmp_path / "model.keras").labels == ["a", "b"]
    variance = network.layers[1].layers[0].moving_variance
    variance.assign(np.array([1.0, value]))
    files.save(model, tmp_path / "model.keras")
    with pytest.raises(
        InputError, match=r"model\.keras holds NaN or infinity in the weights of layer 'second'"
    ) as caught:
        load(tmp_path / "model.keras")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("app", LABELS)
def test_a_file_without_a_number_as_answer_is_an_error_row(app, model, pictures, sounds, capsys):
    good, bad = sounds if app == "audio" else pictures
    code, out, _ = run(capsys, app, "predict", good, bad, good, "--model", model(app), "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["file"] for row in rows] == [str(good), str(bad), str(good)]
    assert rows[0] == rows[2]
    if app == "audio":
        assert rows[0]["label"] in LABELS[app] and np.isfinite(rows[0]["score"])
    else:
        assert (rows[0]["label"], rows[0]["score"]) == (LABELS[app][0], pytest.approx(1 / len(LABELS[app])))
    assert rows[1]["error"] == f"the model answers {bad} with NaN or infinity; give another --model"


def test_windows_without_a_number_are_no_rows(model, sounds, capsys):
    tone, noise = sounds
    code, out, _ = run(capsys, "audio", "predict", noise, tone, "--model", model("audio"), "--every", 0.5, "--json")
    first, second = json.loads(out)
    assert code == 1
    assert first.keys() == {"file", "error"}
    assert len(second["windows"]) == 2
    assert all(np.isfinite(window["score"]) for window in second["windows"])


@pytest.mark.parametrize(("app", "verb"), [("super-resolution", "upscale"), ("style-transfer", "apply")])
def test_a_picture_is_not_made_of_what_is_no_number(app, verb, model, pictures, tmp_path, capsys):
    black, white = pictures
    options = ["--precision", "float32"] if verb == "upscale" else []
    arguments = (verb, black, white, "--model", model(app), "--out", tmp_path / "out", *options, "--json")
    code, out, _ = run(capsys, app, *arguments)
    first, second = json.loads(out)
    assert code == 1
    assert "error" not in first
    assert second == {
        "file": str(white),
        "error": "the model answers a picture with NaN or infinity; give another --model",
    }
    assert [path.suffix for path in (tmp_path / "out").iterdir() if "white" in path.name] == []


@pytest.mark.parametrize("app", ["cats-vs-dogs", "transfer", "audio", "super-resolution"])
def test_a_measurement_without_numbers_is_an_error(app, model, tmp_path, capsys):
    folder = tmp_path / "set"
    rng = np.random.default_rng(0)
    for label in LABELS.get(app, ["a"]):
        for split in ("train", "test"):
            (folder / split / label).mkdir(parents=True)
            for number in range(4):
                file = folder / split / label / str(number)
                if app == "audio":
                    soundfile.write(f"{file}.wav", rng.normal(0, 0.2, 5000), 8000)
                else:
                    Image.fromarray(rng.integers(128, 256, (40, 40, 3), np.uint8)).save(f"{file}.png")
    code, out, error = run(capsys, app, "evaluate", "--data", folder, "--model", model(app), "--json")
    assert (code, out) == (2, "")
    last = error.strip().rpartition("\n")[2]  # after notes on the set
    assert last.startswith("error: ")
    assert "with NaN or infinity" in last
