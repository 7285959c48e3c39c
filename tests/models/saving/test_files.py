"""The saved file: what goes in comes back out of the file, and what is no such file is said to be none."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from convmedia.data.audio.mel import Spectrum
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.models import load
from convmedia.models.answer import Answer
from convmedia.models.inference import batching
from convmedia.models.inference import predictor as inference_predictor
from convmedia.models.losses import style_objective
from convmedia.models.preprocessing.resize import Resize
from convmedia.models.saving import assembly, places
from convmedia.models.saving import files as saving_files

IMAGE = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}


def channel_means(scale: float = 1.0) -> keras.Model:
    """Softmax over the mean of each channel: its answers can be computed by hand."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Rescaling(scale),
            keras.layers.Softmax(),
        ]
    )


def colours(**changes) -> keras.Model:
    arguments = {
        "preparation": [keras.layers.Rescaling(1 / 255)],
        "app": "mnist",
        "labels": ["red", "green", "blue"],
        "input": IMAGE,
        "details": {"network": "channel_means", "seed": 3, "sizes": (1, 2)},
        **changes,
    }
    return assembly.assemble(channel_means(), **arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    saving_files.save(colours(), folder / "model.keras")
    return folder


def by_hand(pictures: np.ndarray) -> np.ndarray:
    means = pictures.astype(np.float64).mean((1, 2)) / 255
    return np.exp(means) / np.exp(means).sum(-1, keepdims=True)


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_answers_of_the_loaded_file_are_those_computed_by_hand(run):
    predictor = load(run)
    for shape in [(4, 9, 7), (1, 1, 1), (2, 31, 16)]:
        batch = pictures(*shape)
        np.testing.assert_allclose(predictor(batch), by_hand(batch), atol=1e-6)
        np.testing.assert_array_equal(predictor(batch.astype(np.float64)), predictor(batch))


def test_values_between_and_beyond_the_integers_are_not_cut(run):
    batch = np.full((1, 2, 2, 3), 127.7)
    batch[..., 1] = 300.0
    np.testing.assert_allclose(load(run)(batch), by_hand(batch), atol=1e-6)


def test_grey_is_repeated(run):
    grey = pictures(3, 5, 6)[..., 0]
    repeated = np.stack([grey] * 3, axis=-1)
    predictor = load(run)
    np.testing.assert_array_equal(predictor(grey), predictor(repeated))
    np.testing.assert_array_equal(predictor(grey[..., np.newaxis]), predictor(repeated))


def test_a_single_picture_or_two_channels_are_no_batch(run):
    predictor = load(run)
    with pytest.raises(ValueError, match=r"Received: \(5, 6, 3\)"):
        predictor(pictures(5, 6))
    with pytest.raises(ValueError, match=r"Received: \(1, 5, 6, 2\)"):
        predictor(pictures(1, 5, 6)[..., :2])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends are called directly")
def test_one_trace_serves_every_size(run):
    predictor = load(run)
    for side in range(1, 6):
        predictor(pictures(side, side + 2, side))
    assert predictor._call.experimental_get_tracing_count() == 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow traces and warns")
def test_many_models_in_one_process_bring_no_warning_of_traces(run):
    """Of predictors, of what follows a picture in `stylize`, and of spectra: each is traced once or a few times."""
    import tensorflow as tf

    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = tf.get_logger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        for side in range(4, 12):
            load(run)(pictures(1, side, side))
            style_objective.compiled(lambda picture: (tf.reduce_sum(picture), [tf.reduce_max(picture)]))(
                np.ones(side, "f4")
            )
            Spectrum(8000, 64, 32, 8).decibels(tf.zeros((1, 64 * side)))
        counted = tf.function(lambda value: value + 1, autograph=False)
        for number in range(8):
            counted(number)  # this one is warned of
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert lines
    assert [line for line in lines if "lambda" not in line] == []


def test_description_survives_the_file(run):
    predictor = load(run / "model.keras")
    assert predictor.app == "mnist"
    assert predictor.labels == ["red", "green", "blue"]
    assert predictor.input == IMAGE
    assert predictor.details == {"network": "channel_means", "seed": 3, "sizes": [1, 2]}
    assert type(predictor.labels) is list
    assert type(predictor.input["shape"]) is list


def test_description_says_what_the_file_is(run):
    description = json.loads(json.dumps(load(run).describe(), allow_nan=False))
    content = (run / "model.keras").read_bytes()
    assert description["bytes"] == len(content)
    assert (
        description["sha256"]
        == subprocess.run(
            ["sha256sum", run / "model.keras"], capture_output=True, text=True, check=True
        ).stdout.split()[0]
    )
    assert description["parameters"] == 0
    assert [layer["type"] for layer in description["layers"]] == [
        "InputLayer", "Rescaling", "InputLayer", "GlobalAveragePooling2D", "Rescaling", "Softmax", "Answer"
    ]  # fmt: skip


def test_parameters_are_counted():
    network = keras.Sequential(
        [keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )
    model = assembly.assemble(network, app="mnist", labels=["a", "b", "c"], input=IMAGE, details={})
    description = inference_predictor.Predictor(model).describe()
    assert description["parameters"] == (3 * 3 * 3 * 2 + 2) + (2 * 3 + 3)
    assert {layer["type"]: layer["parameters"] for layer in description["layers"]}["Conv2D"] == 56
    assert description["sha256"] is None


def test_one_unit_becomes_two_probabilities_in_the_file(tmp_path):
    network = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid")])
    model = assembly.assemble(network, app="cats-vs-dogs", labels=["cat", "dog"], input=IMAGE, details={})
    kernel = np.array([[0.01], [-0.02], [0.005]], "float32")
    network.layers[-1].set_weights([kernel, np.array([0.3], "float32")])
    saving_files.save(model, tmp_path / "m.keras")
    batch = pictures(5, 4, 4)
    dog = 1 / (1 + np.exp(-(batch.mean((1, 2)) @ kernel + 0.3)))
    np.testing.assert_allclose(load(tmp_path / "m.keras")(batch), np.hstack([1 - dog, dog]), atol=1e-6)


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c", "d"], ["a"]])
def test_labels_that_do_not_fit_the_network_are_refused(labels):
    with pytest.raises(ValueError, match=rf"it has {len(labels)} labels for 3 scores"):
        colours(labels=labels)


def test_answers_are_float32_whatever_the_precision():
    network = keras.Sequential(
        [keras.layers.GlobalAveragePooling2D(dtype="mixed_float16"), keras.layers.Softmax(dtype="mixed_float16")]
    )
    model = assembly.assemble(network, app="mnist", labels=list("abc"), input=IMAGE, details={})
    assert inference_predictor.Predictor(model)(pictures(1, 2, 2)).dtype == np.float32


def test_details_that_json_cannot_hold_are_refused():
    with pytest.raises(TypeError, match="not JSON serializable"):
        Answer("mnist", details={"path": Path("x")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        Answer("mnist", details={"loss": float("nan")})


def test_the_file_holds_no_optimizer_and_training_goes_on(tmp_path):
    network = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")])
    model = assembly.assemble(network, app="mnist", labels=list("abc"), input=IMAGE, details={})
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", jit_compile=False)
    batch = pictures(4, 3, 3).astype("float32")
    network.train_on_batch(batch, np.arange(4) % 3)
    optimizer = network.optimizer
    saving_files.save(model, tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert b"adam" not in archive.read("model.weights.h5") + archive.read("config.json")
    assert network.compiled
    assert network.optimizer is optimizer
    network.train_on_batch(batch, np.arange(4) % 3)
    assert int(optimizer.iterations) == 2


def test_a_failed_save_leaves_the_earlier_file(tmp_path, monkeypatch):
    saving_files.save(colours(), tmp_path / "m.keras")
    before = (tmp_path / "m.keras").read_bytes()

    def full_disk(self, path):
        Path(path).write_bytes(b"PK half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        saving_files.save(colours(), tmp_path / "m.keras")
    assert (tmp_path / "m.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def rewritten(source: Path, target: Path, member: str, change) -> None:
    """A copy of a zip file with one member's content changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == member else content)


def damaged_files(run: Path, folder: Path) -> dict[str, Path]:
    whole = (run / "model.keras").read_bytes()
    contents = {"empty": b"", "text": b"not a model\n" * 50, "cut": whole[: len(whole) // 2], "tail": whole[9:-30]}
    for name, content in contents.items():
        (folder / f"{name}.keras").write_bytes(content)
    flipped = bytearray(whole)
    flipped[whole.index(b"config.json") + 200] ^= 0xFF
    (folder / "flipped.keras").write_bytes(flipped)
    with zipfile.ZipFile(folder / "zip.keras", "w") as archive:
        archive.writestr("a.txt", "nothing of ours")
    rewritten(run / "model.keras", folder / "class.keras", "config.json", lambda c: c.replace(b"Answer", b"Anwser"))
    rewritten(run / "model.keras", folder / "json.keras", "config.json", lambda c: c[:-20])
    rewritten(run / "model.keras", folder / "weights.keras", "model.weights.h5", lambda c: c[:100])
    (folder / "model.h5").write_bytes(whole)
    return {path.name: path for path in folder.iterdir()} | {"missing": folder / "none.keras"}


def test_what_is_no_model_of_ours_is_one_line(run, tmp_path):
    files = damaged_files(run, tmp_path)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "foreign.keras")
    (tmp_path / "folder").mkdir()
    files |= {"foreign": tmp_path / "foreign.keras", "folder": tmp_path / "folder"}
    assert len(files) == 13
    for name, path in files.items():
        with pytest.raises(InputError) as caught:
            load(path)
        assert "\n" not in str(caught.value), name
        assert str(path) in str(caught.value), name
        assert len(str(caught.value)) < 200 + 2 * len(str(path)) + 200, name


def test_a_model_with_a_lambda_is_not_run(tmp_path):
    raw = keras.Input((None, None, 3))
    answer = Answer("mnist", None, IMAGE)(keras.layers.Lambda(lambda x: x * 2, output_shape=(None, None, 3))(raw))
    keras.Model(raw, answer).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"(?i)lambda"):
        load(tmp_path / "m.keras")


def added(source, target, **members):
    """A copy of an archive with further members, or others in the place of its own."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, members.pop(name, None) or old.read(name))
        for name, content in members.items():
            new.writestr(name, content)
    return target


def test_a_compressed_copy_of_a_file_is_loaded(run, tmp_path):
    assert load(added(run / "model.keras", tmp_path / "packed.keras")).labels == load(run).labels


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"../../outside.txt": b"x"}, "path outside of its folder, '../../outside.txt'"),
        ({"/etc/cron.d/x": b"x"}, "path outside of its folder"),
        ({"..\\..\\x.dll": b"x"}, "path outside of its folder"),
        ({"C:/x.dll": b"x"}, "path outside of its folder"),
        ({"run.py": b"print(1)"}, "'run.py', which no Keras file"),
        ({"metadata.json": b" " * 50_000_000}, "oversized member, metadata.json of 50,000,000 bytes"),
        ({"model.weights.h5": bytes(300_000_000)}, "oversized member, model.weights.h5 of 300,000,000"),
    ],
    ids=["above", "absolute", "windows", "drive", "unknown", "swollen-json", "swollen-weights"],
)
def test_altered_archives_are_refused_before_anything_is_read(run, tmp_path, monkeypatch, members, said):
    path = added(run / "model.keras", tmp_path / "altered.keras", **members)
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_doubled_member_is_refused(run, tmp_path):
    shutil.copy(run / "model.keras", tmp_path / "doubled.keras")
    with zipfile.ZipFile(tmp_path / "doubled.keras", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"config\.json not once"):
        load(tmp_path / "doubled.keras")


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        (
            b'"registered_name": "convmedia>Answer"',
            b'"registered_name": "evil>Answer"',
            "convmedia.models.answer.Answer",
        ),
        (b'"module": "keras.layers"', b'"module": "os.path"', "neither Keras nor this program, os.path."),
        (b'"class_name": "InputLayer"', b'"class_name": "TFSMLayer"', "holds code, TFSMLayer"),
    ],
)
def test_foreign_classes_are_refused_by_name(run, tmp_path, there, here, said):
    rewritten(run / "model.keras", tmp_path / "foreign.keras", "config.json", lambda c: c.replace(there, here))
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        load(tmp_path / "foreign.keras")
    assert "\n" not in str(caught.value)


def test_a_model_of_another_application_is_refused(run):
    assert load(run, app="mnist").app == "mnist"
    with pytest.raises(InputError, match="model of 'mnist', not of 'transfer'"):
        load(run, app="transfer")


def test_names_find_shipped_weights_and_paths_go_first(run, tmp_path, monkeypatch):
    package = tmp_path / "shipped"
    package.mkdir()
    saving_files.save(colours(details={"shipped": True}), package / "mnist.keras")
    monkeypatch.setattr(places, "WEIGHTS", package)
    monkeypatch.chdir(tmp_path)
    assert load("mnist").details == {"shipped": True}
    with pytest.raises(InputError, match=r"No weights are shipped for 'audio'; train first, then give --model"):
        load("audio")
    (tmp_path / "mnist").symlink_to(run)
    assert load("mnist").details["seed"] == 3
    assert saving_files.shipped("mnist").details == {"shipped": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures of two sizes with bad files among them; r, g, b are of one colour each."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, height, colour in [("r", 4, 0), ("g", 4, 1), ("b", 7, 2), ("r2", 7, 0)]:
        picture = np.zeros((height, 5, 3), np.uint8)
        picture[..., colour] = 255
        decoding.encode(picture, folder / f"{name}.png")
    (folder / "text.png").write_text("this is no picture")
    return folder


def test_rows_come_in_the_order_given_with_error_rows(run, folder):
    files = [folder / name for name in ["r.png", "text.png", "g.png", "none.png", "b.png", "r2.png", "g.png"]]
    rows = load(run).predict_files(files)
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert [row.get("label") for row in rows] == ["red", None, "green", None, "blue", "red", "green"]
    for row in rows:
        if "label" in row:
            assert row["score"] == pytest.approx(np.e / (np.e + 2), abs=1e-6)
            assert sum(entry["score"] for entry in row["top"]) == pytest.approx(1, abs=1e-6)
            assert row["top"][0] == {"label": row["label"], "score": row["score"]}
            assert len(row["top"]) == 3
        else:
            assert row.keys() == {"file", "error"}
    json.dumps(rows, allow_nan=False)


def test_top_limits_the_labels_of_a_row(run, folder):
    [row] = load(run).predict_files([folder / "g.png"], top=1)
    assert [entry["label"] for entry in row["top"]] == ["green"]


def test_rows_are_the_same_one_by_one(run, folder):
    files = [folder / "r.png", folder / "g.png", folder / "g.png", folder / "text.png"]
    predictor = load(run)
    assert predictor.predict_files(files, batch_size=1) == predictor.predict_files(files)


def test_an_endless_list_of_files_is_answered_as_it_comes(run, folder):
    def endless():
        while True:
            yield folder / "r.png"

    rows = load(run).predict_rows(endless(), batch_size=2)
    assert [next(rows)["label"] for _ in range(5)] == ["red"] * 5


def test_a_model_without_labels_predicts_no_files(folder):
    network = keras.Sequential([keras.layers.Conv2D(3, 1)])
    model = assembly.assemble(network, app="super-resolution", labels=None, input=IMAGE, details={})
    with pytest.raises(InputError, match="does not label"):
        inference_predictor.Predictor(model).predict_files([folder / "r.png"])


def test_batches_are_of_one_shape_and_bounded(monkeypatch):
    monkeypatch.setattr(batching, "BATCH_VALUES", 20)
    sizes = [4, 4, None, 4, 4, 7, 7, 7, 30, 30, None, None, None, None, 4]
    items = [None if size is None else np.zeros(size) for size in sizes]
    batches = list(batching.in_batches(items, lambda item: item, batch_size=3))
    assert [[None if item is None else item.size for item in batch] for batch in batches] == [
        [4, 4, None], [4, 4], [7, 7], [7], [30], [30, None, None], [None, None, 4]
    ]  # fmt: skip


LIGHT = """
import sys

class Blocked:  # not None in sys.modules: Keras takes any entry there for an imported TensorFlow
    def find_spec(self, name, path=None, target=None):
        if name in ("tensorflow", "librosa", "sklearn", "matplotlib"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import convmedia.models, keras, numpy as np
model = convmedia.models.load(sys.argv[1])
np.save(sys.argv[2], model(np.load(sys.argv[3])))
"""


def test_another_backend_without_tensorflow_gives_the_same_answers(run, tmp_path):
    backend = next((name for name in ("jax", "torch") if find_spec(name)), None)
    if backend is None:
        pytest.skip("neither jax nor torch is installed")
    batch = pictures(3, 6, 5)
    np.save(tmp_path / "in.npy", batch)
    subprocess.run(
        [sys.executable, "-c", LIGHT, run, tmp_path / "out.npy", tmp_path / "in.npy"],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), by_hand(batch), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": [1, 2, 3]},
        {"labels": []},
        {"labels": [["a"], "b", "c"]},
        {"labels": {"a": 1}},
        {"labels": ["a", "a", "b"]},
        {"labels": ["a"] * 2},
        {"labels": "abc"},
        {"app": 3},
        {"input": None},
        {"input": {"kind": "smell"}},
        {"input": {"kind": "image", "dtype": "float32", "shape": 3}},
        {"input": {"kind": "sound", "dtype": "float32", "shape": [None], "sample_rate": "8000"}},
        {"details": [1]},
    ],
    ids=str,
)
def test_a_file_that_says_of_itself_what_cannot_be_is_refused(run, tmp_path, change):
    def altered(content):
        config = json.loads(content)
        answer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Answer")
        answer["config"] |= change
        return json.dumps(config).encode()

    rewritten(run / "model.keras", tmp_path / "altered.keras", "config.json", altered)
    with pytest.raises(InputError, match=r"altered\.keras") as caught:
        load(tmp_path / "altered.keras")
    assert "\n" not in str(caught.value)


def test_a_network_of_more_numbers_than_its_file_holds_is_not_made(run, tmp_path):
    inputs = keras.Input((4,))
    small = keras.Model(inputs, Answer("mnist", None, IMAGE)(keras.layers.Dense(8, name="wide")(inputs)))
    saving_files.save(small, tmp_path / "small.keras")

    def widen(content):
        return content.replace(b'"units": 8', b'"units": 400000000')

    rewritten(tmp_path / "small.keras", tmp_path / "wide.keras", "config.json", widen)
    with pytest.raises(InputError, match="variables take more than"):
        load(tmp_path / "wide.keras")


def test_a_configuration_too_large_to_be_one_is_not_read(run, tmp_path):
    rewritten(run / "model.keras", tmp_path / "long.keras", "config.json", lambda c: c + b" " * (5 << 20))
    with pytest.raises(InputError, match=r"oversized member, config\.json"):
        load(tmp_path / "long.keras")


def test_pictures_of_all_sizes_are_answered_together_where_the_model_begins_by_resizing(tmp_path, monkeypatch):
    inner = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    preparation = [Resize(6, 6, name="resize"), keras.layers.Rescaling(1 / 255, name="rescaling")]
    shape = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
    labels = ["red", "green", "blue"]
    model = assembly.assemble(inner, preparation=preparation, app="transfer", labels=labels, input=shape, details={})
    predictor = inference_predictor.Predictor(model)
    pictures = [np.random.default_rng(side).integers(0, 256, (side, 9, 3), np.uint8) for side in (4, 11, 30)]
    files = [tmp_path / f"{len(picture)}.png" for picture in pictures]
    for picture, file in zip(pictures, files, strict=True):
        decoding.encode(picture, file)
    expected = [float(predictor(picture[np.newaxis]).max()) for picture in pictures]
    batches = []
    answers = predictor._answers
    monkeypatch.setattr(predictor, "_answers", lambda given: (batches.append(len(given[0])), answers(given))[1])
    assert [row["score"] for row in predictor.predict_files(files)] == pytest.approx(expected, abs=1e-5)
    assert batches == [3]
