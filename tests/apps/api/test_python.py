"""The Python interface: what `import convmedia` gives answers as the commands do."""

import inspect
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import convmedia
from convmedia.data.samples import FOLDER

ROOT = Path(__file__).parents[3]
SEVEN, CAT, WORD = (FOLDER / name for name in ("seven.jpg", "cat.jpg", "seven.wav"))


def opened(path, mode="RGB"):
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


@pytest.fixture(scope="module")
def digits():
    return convmedia.load("mnist")


@pytest.fixture(scope="module")
def sounds():
    return convmedia.load("audio")


def test_importing_loads_nothing_heavy():
    code = "import sys, convmedia; print(sorted({'numpy', 'keras', 'typer', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert set(convmedia.__all__) <= set(dir(convmedia))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        convmedia.nothing  # noqa: B018


def test_path_bytes_pil_and_array_get_one_answer(digits):
    [row] = digits.predict_files([SEVEN])
    del row["file"]
    with Image.open(SEVEN) as picture:
        for given in (SEVEN, str(SEVEN), SEVEN.read_bytes(), picture, np.asarray(picture.convert("RGB"))):
            assert digits.predict(given) == row
    assert row["label"] == "7"
    assert digits.predict([SEVEN, FOLDER / "two.jpg"], top=1)[1]["top"][0]["label"] == "2"


@pytest.mark.parametrize(
    "turned",
    [
        lambda grey: grey,
        lambda grey: grey[..., None],
        lambda grey: np.repeat(grey[..., None], 3, 2),
        lambda grey: grey.astype(np.float32),
        lambda grey: np.dstack([grey] * 3 + [np.full_like(grey, 255)]),
    ],
    ids=["grey", "one channel", "three", "float", "opaque alpha"],
)
def test_arrays_of_every_kind_are_the_same_picture(digits, turned):
    grey = opened(FOLDER / "two.jpg", "L")
    assert digits.predict(turned(grey)) == digits.predict(np.repeat(grey[..., None], 3, 2))


def test_a_transparent_picture_is_seen_as_files_are(digits, tmp_path):
    ink = np.zeros((60, 60, 4), np.uint8)
    ink[10:50, 28:33, 3] = 255
    Image.fromarray(ink).save(tmp_path / "one.png")
    assert digits.predict(ink) == digits.predict(tmp_path / "one.png")
    assert digits.predict(Image.fromarray(ink))["label"] == "1"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((4, 5, 6), np.uint8), "a picture is"),
        (np.full((9, 9), np.nan), "finite float"),
        (np.zeros((9, 9), np.int32), "received int32"),
        (np.zeros((0, 9), np.uint8), r"received \(0, 9\)"),
        (b"no picture", "holds no picture"),
        ("missing.png", "does not exist"),
        (np.full((50, 50), 255, np.uint8), "the page is blank"),
    ],
)
def test_what_is_no_picture_is_said(digits, given, words):
    with pytest.raises(convmedia.InputError, match=words):
        digits.predict(given)


def test_sounds_of_every_kind_get_one_answer(sounds):
    samples, rate = soundfile.read(WORD, dtype="int16")
    answer = sounds.predict(WORD)
    assert answer["label"] == "7"
    assert sounds.predict(WORD.read_bytes()) == answer
    assert sounds.predict(samples, sample_rate=rate) == answer
    assert sounds.predict(samples / np.float32(2**15), sample_rate=rate) == answer
    twice = sounds.predict(np.stack([samples, samples]))
    assert [row["label"] for row in twice] == ["7", "7"]
    wave = io.BytesIO()
    soundfile.write(wave, np.repeat(samples, 2), 2 * rate, format="WAV")
    assert sounds.predict(wave.getvalue())["label"] == "7"
    with pytest.raises(convmedia.InputError, match="silent"):
        sounds.predict(np.zeros(8000, np.float32))
    with pytest.raises(convmedia.InputError, match="a sound is int16"):
        sounds.predict(np.zeros(100, np.int64))


def test_features_are_what_labels_are_scored_from(digits):
    """The scores that the file gives follow from the features by its last layer."""
    features = digits.embed(SEVEN)
    network = next(layer for layer in digits.predictor.model.layers if hasattr(layer, "layers"))
    kernel, bias = network.layers[-1].get_weights()
    scores = np.exp(features @ kernel + bias)
    answer = {entry["label"]: entry["score"] for entry in digits.predict(SEVEN, top=10)["top"]}
    np.testing.assert_allclose(scores / scores.sum(), [answer[label] for label in digits.labels], atol=1e-6)
    assert digits.embed([SEVEN, SEVEN]).shape == (2, len(features))


def test_a_model_of_pictures_gives_pictures():
    model = convmedia.load("super-resolution/vdsr-x2")
    enlarged = model.predict(CAT)
    height, width, _ = opened(CAT).shape
    assert (enlarged.shape, enlarged.dtype) == ((2 * height, 2 * width, 3), np.uint8)
    assert model.description["details"]["network"] == "vdsr"
    with pytest.raises(convmedia.InputError, match="answers with a picture"):
        model.embed(CAT)


@pytest.mark.parametrize(
    ("name", "network"),
    [("super-resolution", "carn-m"), ("super-resolution/srcnn-x3", "srcnn"), ("super-resolution/carn-m-x4", "carn-m")],
)
def test_shipped_weights_have_names(name, network):
    assert convmedia.load(name).description["details"]["network"] == network


def test_weights_that_are_not_shipped_are_said():
    with pytest.raises(convmedia.InputError, match="No weights are shipped for 'transfer'"):
        convmedia.load("transfer")
    with pytest.raises(convmedia.InputError, match="they are of 'super-resolution'"):
        convmedia.load("mnist/vdsr-x2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epoch": 3}, "no option epoch; did you mean epochs"),
        ({"epochs": 0}, "--epochs 0: give 1 or more"),
        ({"network": "nope"}, "is not one of 'convnet', 'lenet5'"),
        ({"data": "nowhere/"}, "does not exist"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
    ],
)
def test_wrong_options_are_said_as_the_command_says_them(options, words, tmp_path):
    with pytest.raises(convmedia.InputError, match=words):
        convmedia.train("mnist", out=tmp_path / "run", **options)


def test_there_is_no_such_application(tmp_path):
    with pytest.raises(convmedia.InputError, match="there is no application 'poetry'"):
        convmedia.train("poetry", out=tmp_path)


def test_progress_is_told_and_not_printed(tmp_path, capsys):
    seen = []
    small = {"network": "lenet5", "preparation": "resize", "limit": 64, "epochs": 1, "augment": False}
    run = convmedia.train("mnist", data="digits", out=tmp_path / "run", progress=seen.append, **small)
    assert [one for one in seen if one.what == "epoch 1/1" and "loss" in one.figures]
    assert "epoch 1/1" not in capsys.readouterr().err
    assert run.metrics["test"]["examples"] == 360
    again = convmedia.train("mnist", out=run.folder, resume=True)
    assert again.metrics == run.metrics


@pytest.mark.slow
def test_the_script_of_the_guide_runs(tmp_path):
    lines = (ROOT / "docs/first_steps.py").read_text("utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 25
    command = [sys.executable, ROOT / "docs/first_steps.py", tmp_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert "a stroke is read as 1 and inverted as 1" in done.stdout
    assert (tmp_path / "exported/model.onnx").exists()


def test_the_reference_has_every_public_name_with_its_docstring(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "docs/reference.py", tmp_path], check=True, capture_output=True, text=True, timeout=120
    )
    assert "does not resolve" not in done.stderr
    page = (tmp_path / "convmedia.html").read_text("utf-8")
    for name in ("train", "load", "evaluate", "Model", "Trained", "Progress", "InputError"):
        assert f'id="{name}"' in page
        assert inspect.getdoc(getattr(convmedia, name))
    for name, method in inspect.getmembers(convmedia.Model, inspect.isfunction):
        assert name.startswith("_") or (inspect.getdoc(method) and f'id="Model.{name}"' in page)
