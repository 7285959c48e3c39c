"""Exported files as models by themselves: what they answer, and what is refused of others."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import convmedia
from convmedia.data.samples import copy
from convmedia.data.storage.errors import InputError
from convmedia.models.formats.onnx_external import whole
from convmedia.models.saving.places import WEIGHTS

LABELS = ["dark", "red", "green", "blue"]


def said(**changes) -> dict:
    picture = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
    facts = {"app": "transfer", "kind": "probabilities", "labels": LABELS, "input": picture, "details": {"side": 8}}
    return {**facts, **changes}


def write(path: Path, description: dict | str | None, size=("h", "w"), dtype=TensorProto.FLOAT) -> Path:
    """A file by hand: the mean colour, and softmax of it beside 0."""
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Gemm", ["mean", "kernel"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["output_0"], axis=-1),
    ]
    kernel = np.concatenate([np.zeros((3, 1)), np.eye(3)], axis=1).astype(np.float32) / 32
    taken = helper.make_tensor_value_info("image", dtype, ["n", *size, 3])
    given = helper.make_tensor_value_info("output_0", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "colours", [taken], [given], [numpy_helper.from_array(kernel, "kernel")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if description is not None:
        text = description if isinstance(description, str) else json.dumps(description)
        model.metadata_props.add(key="convmedia", value=text)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.UINT8])
def test_a_file_by_hand_answers_with_the_labels_that_it_carries(tmp_path, dtype):
    model = convmedia.load(write(tmp_path / "mine.onnx", said(), dtype=dtype))
    assert (model.app, model.labels, model.runtime) == ("transfer", LABELS, "onnx")
    assert model.description["details"] == {"side": 8}
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[..., 2] = 64
    scores = np.exp([0.0, 0.0, 0.0, 2.0]) / (3 + np.exp(2.0))
    row = model.predict(picture, top=4)
    assert (row["label"], row["score"]) == ("blue", pytest.approx(scores[3], abs=1e-6))
    Image.fromarray(picture).save(tmp_path / "blue.png")
    assert model.predict_files([tmp_path / "blue.png"])[0]["score"] == pytest.approx(scores[3], abs=1e-6)


@pytest.mark.parametrize("name", ["mnist.onnx", "mnist.tflite", "cats-vs-dogs.tflite", "audio.onnx", "audio.tflite"])
def test_shipped_exports_answer_by_themselves_as_their_models(tmp_path, name):
    copy(tmp_path)
    file = tmp_path / {"mnist": "seven.jpg", "cats-vs-dogs": "cat.jpg", "audio": "seven.wav"}[name.split(".")[0]]
    shipped = WEIGHTS / name
    (tmp_path / name).write_bytes(whole(shipped) if shipped.suffix == ".onnx" else shipped.read_bytes())
    found = convmedia.load(tmp_path / name).predict(file)
    expected = convmedia.load(WEIGHTS / f"{name.split('.')[0]}.keras", runtime="keras").predict(file)
    assert found["label"] == expected["label"]
    assert found["score"] == pytest.approx(expected["score"], abs=1e-4)


def test_windows_of_long_sounds_are_those_of_the_archive():
    alone, archive = convmedia.load(WEIGHTS / "audio.onnx"), convmedia.load(WEIGHTS / "audio.keras")
    assert alone.predictor.hop_samples == archive.predictor.hop_samples == 4000
    sound = np.random.default_rng(0).normal(0, 0.1, 30_001).astype(np.float32) * np.linspace(0, 1, 30_001, dtype="f4")
    assert alone.predict(sound)["score"] == pytest.approx(archive.predict(sound)["score"], abs=1e-4)


def test_digits_are_looked_for_on_the_page(tmp_path):
    Image.new("RGB", (64, 64), "white").save(tmp_path / "blank.png")
    row = convmedia.load(WEIGHTS / "mnist.onnx").predict_files([tmp_path / "blank.png"])[0]
    assert "the page is blank" in row["error"]


def test_pictures_of_another_size_than_a_file_takes_are_named(tmp_path):
    model = convmedia.load(write(tmp_path / "fixed.onnx", said(), size=(4, 6)))
    Image.new("RGB", (9, 9)).save(tmp_path / "other.png")
    [row] = model.predict_files([tmp_path / "other.png"])
    assert (
        row["error"] == f"{tmp_path}/other.png: fixed.onnx was exported for inputs (4, 6, 3) alone; received (9, 9, 3)"
    )


WRONG = {
    "no file of this program": None,
    "cannot be read as onnx": "{",
    "incomplete": {"app": "transfer"},
    "labels, not all of them different": said(labels=["a", "a", "b", "c"]),
    "was altered": said(labels=["a", "b"]),
    "neither pictures nor sounds": said(input={"kind": "smell"}),
    "which is no sound": said(
        input={"kind": "sound", "dtype": "float32", "shape": [None], "sample_rate": 8000, "window_seconds": 1.0}
    ),
    "there is no kind": said(kind="feelings"),
    "its application": said(details=[1]),
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_says_nothing_of_itself_or_what_cannot_be_is_refused_in_one_line(tmp_path, reason):
    path = write(tmp_path / "odd.onnx", WRONG[reason])
    with pytest.raises(InputError) as refused:
        convmedia.load(path)
    assert "\n" not in str(refused.value)
    if reason != "there is no kind":
        assert reason in str(refused.value)


@pytest.mark.parametrize("name", ["mnist.onnx", "mnist.tflite"])
@pytest.mark.parametrize("kept", [0, 7, 1000, 0.5, 0.999])
def test_a_cut_file_is_refused_in_one_line(tmp_path, name, kept):
    content = (WEIGHTS / name).read_bytes()
    length = int(kept * len(content)) if isinstance(kept, float) else kept
    (tmp_path / name).write_bytes(content[:length])
    with pytest.raises(InputError, match=r"cannot be read as|says nothing of its labels|was altered") as refused:
        convmedia.load(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "runtime", "reason"),
    [
        ("transfer", "litert", "is answered by onnx: leave --engine-runtime litert out"),
        ("transfer", "keras", "this needs the layers of the model; give the .keras file"),
        ("mnist", "auto", "is a model of 'transfer', not of 'mnist'"),
    ],
)
def test_a_file_answers_for_its_application_in_its_own_runtime_alone(tmp_path, asked, runtime, reason):
    with pytest.raises(InputError, match=reason):
        convmedia.load(write(tmp_path / "mine.onnx", said()), app=asked, runtime=runtime)


def test_what_needs_layers_asks_for_the_keras_file(tmp_path):
    model = convmedia.load(write(tmp_path / "mine.onnx", said()))
    for needing in (lambda: model.embed(np.zeros((8, 8, 3), np.uint8)), lambda: model.export("onnx", out=tmp_path)):
        with pytest.raises(
            InputError, match=r"mine\.onnx is an exported file, which only answers: .* give the \.keras"
        ):
            needing()
    larger = convmedia.load(WEIGHTS / "srcnn_x2.onnx")
    with pytest.raises(InputError, match="which only answers"):
        larger.predict(np.zeros((8, 8, 3), np.uint8))


def test_a_chosen_backend_or_a_gpu_does_not_matter_to_a_file_that_keras_cannot_load(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert convmedia.load(write(tmp_path / "mine.onnx", said())).runtime == "onnx"
