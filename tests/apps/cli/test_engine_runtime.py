"""Proved exports answer in place of Keras: the same rows, where TensorFlow is not installed, too."""

import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convmedia
from convmedia.apps.cli import inputs
from convmedia.data.samples import copy
from convmedia.data.storage import parallel
from convmedia.data.storage.errors import InputError
from convmedia.models.formats.onnx_external import whole
from convmedia.models.inference import sessions
from convmedia.models.saving import engines, places
from convmedia.models.saving.archive import Archive

TOLERANCE = 1e-4
ABSENT = {"tensorflow", "keras", "tf2onnx", "onnx", "jax", "torch", "convmedia"}


@pytest.fixture(autouse=True)
def nobody_chose_a_backend(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(inputs, "has_gpu", lambda: False)


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    copy(folder)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Runs `convmedia` with all that is installed but TensorFlow and what belongs to it."""
    site, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if re.split(r"[-.]", path.name)[0] not in ABSENT and not path.name.startswith("__editable__"):
            (site / path.name).symlink_to(path)
    above = Path(convmedia.__path__[0])
    (site / "convmedia").mkdir()
    for name in ("apps", "data", "models"):
        (site / "convmedia" / name).symlink_to(places.WEIGHTS.parents[1] / name)
    for name in ("__init__.py", "py.typed"):
        (site / "convmedia" / name).symlink_to(places.WEIGHTS.parents[1] / "apps" / "public" / name)
    assert above.exists()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KERAS"))}

    def run(*arguments: object, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, "-S", "-m", "convmedia.apps", *map(str, arguments)]
        how = {"capture_output": True, "text": True, "timeout": 120, "cwd": empty, **options}
        return subprocess.run(command, check=False, env={**kept, "PYTHONPATH": str(site)}, **how)

    return run


def scores(row: dict) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in row["top"]}


@pytest.fixture(scope="module")
def in_keras():
    """The shipped models in Keras, by name; each loaded once."""
    from convmedia.models import shipped

    kept = {}

    def load(name):
        return kept.setdefault(name, None) or kept.update({name: shipped(name)}) or kept[name]

    return load


@pytest.mark.parametrize(("app", "file"), [("mnist", "*.[jp][pn]g"), ("cats-vs-dogs", "*.jpg"), ("audio", "*.wav")])
def test_rows_are_those_of_keras_where_tensorflow_is_not_installed(bare, in_keras, samples, app, file):
    files = [*sorted(samples.glob(file)), samples / "none.jpg"]
    done = bare(app, "predict", *files, "--top", 3, "--json")
    assert done.returncode == 1, done.stderr
    assert "XNNPACK" not in done.stderr
    found, expected = json.loads(done.stdout), in_keras(app).predict_files(files, 3)
    assert [row["file"] for row in found] == list(map(str, files))
    for row, wanted in zip(found, expected, strict=True):
        assert row.keys() == wanted.keys()
        assert row.get("error") == wanted.get("error")
        if "error" not in row:
            assert row["label"] == wanted["label"]
            assert scores(row) == pytest.approx(scores(wanted), abs=TOLERANCE)


def test_a_file_of_rows_says_what_answered(bare, samples, tmp_path):
    done = bare("mnist", "predict", samples / "seven.jpg", "--out", tmp_path / "rows.csv", "--json")
    summary = json.loads(done.stdout)
    assert (summary["runtime"], summary["device"], summary["errors"]) == ("litert", "CPU", 0)
    assert (tmp_path / "rows.csv").read_text().splitlines()[1].split(",")[1] == "7"


def test_windows_and_streams_of_sounds_need_no_tensorflow(bare, samples):
    every = json.loads(bare("audio", "predict", samples / "seven.wav", "--every", 0.25, "--json").stdout)[0]
    assert [window["start"] for window in every["windows"]] == [0.0]
    pcm = (samples / "seven.wav").read_bytes()[44:]
    done = bare("audio", "predict", "--stream", "--rate", 8000, "--json", input=pcm, text=False)
    streamed = json.loads(done.stdout)[0]
    assert streamed["label"] == every["label"] == "7"
    assert scores(streamed) == pytest.approx(scores(every), abs=TOLERANCE)


@pytest.mark.parametrize(
    ("words", "name"),
    [(("super-resolution", "upscale"), "carn-m_x2"), (("style-transfer", "apply"), "style-transfer")],
)
def test_pictures_are_those_of_keras_where_tensorflow_is_not_installed(bare, in_keras, tmp_path, words, name):
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "small.png")
    done = bare(*words, tmp_path / "small.png", "--out", tmp_path / "made", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)[0]
    assert row["runtime"] == "onnx"
    expected = np.clip(np.round(in_keras(name)(picture[None])[0]), 0, 255)
    assert np.abs(np.asarray(Image.open(row["out"]), int) - expected).max() <= 1


def test_sixteen_bits_are_answered_exactly():
    picture = np.random.default_rng(1).uniform(0, 255, (1, 20, 30, 3)).astype(np.float32)
    exported = engines.exported("super-resolution/vdsr-x2")
    from convmedia.models import shipped

    assert exported.kind.difference(exported.outputs(picture), shipped("vdsr_x2").outputs(picture)) <= TOLERANCE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mnist", "explain", "seven.jpg", "--out", "maps"), "tensorflow"),
        (("mnist", "predict", "seven.jpg", "--engine-runtime", "keras"), "tensorflow is not installed"),
        (
            ("super-resolution", "upscale", "seven.jpg", "--out", "made", "--engine-runtime", "litert"),
            "no proved litert file of",
        ),
    ],
)
def test_what_needs_keras_says_so_in_one_line(bare, samples, arguments, said):
    done = bare(*arguments, cwd=samples)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_figures_are_measured_without_tensorflow(bare):
    done = bare("mnist", "evaluate", "--data", "digits", "--json")
    document = json.loads(done.stdout)
    assert document["runtime"] == "litert"
    assert document["metrics"]["test"]["examples"] == 360


@pytest.mark.parametrize("name", sorted(path.stem for path in places.WEIGHTS.glob("*.keras")))
def test_an_archive_is_described_as_keras_describes_its_model(in_keras, name):
    predictor = in_keras(name)
    archive = Archive(predictor.path)
    assert archive.describe(predictor.digest) == predictor.describe()
    assert archive.most_filters == predictor.most_filters
    assert archive.beside == predictor.beside
    exported = engines.exported(predictor.path)
    assert (exported.shrinks, exported.finds_ink) == (predictor.shrinks, predictor.finds_ink)
    if predictor.input["kind"] == "sound":
        assert archive.hop_samples == predictor.hop_samples
    if "scale" in predictor.details:
        assert archive.reach_px == predictor.reach_px


def test_inspect_loads_no_keras_and_names_the_runtime(bare):
    done = bare("inspect", "cats-vs-dogs", "--json")
    facts = json.loads(done.stdout)
    assert facts["runtime"] == "litert"
    assert sum(layer["parameters"] for layer in facts["layers"]) == facts["parameters"]


@pytest.mark.parametrize("name", ["mnist.onnx", "mnist.tflite"])
def test_an_exported_file_is_a_model_where_tensorflow_and_onnx_are_not_installed(bare, samples, tmp_path, name):
    model = tmp_path / name
    model.write_bytes(whole(places.WEIGHTS / name) if model.suffix == ".onnx" else (places.WEIGHTS / name).read_bytes())
    row = json.loads(bare("mnist", "predict", samples / "seven.jpg", "--model", model, "--json").stdout)[0]
    expected = json.loads(bare("mnist", "predict", samples / "seven.jpg", "--json").stdout)[0]
    assert scores(row) == pytest.approx(scores(expected), abs=TOLERANCE)
    facts = json.loads(bare("inspect", model, "--json").stdout)
    assert facts["description"]["labels"] == list("0123456789")
    assert facts["inputs"][0]["shape"] == [None, None, None, 3]
    assert (facts["operators"] is None) == (model.suffix == ".onnx")
    assert "gives        " in bare("inspect", model).stdout
    measured = json.loads(bare("mnist", "evaluate", "--data", "digits", "--model", model, "--json").stdout)
    assert measured["metrics"]["test"]["examples"] == 360


@pytest.mark.parametrize("verb", ["explain", "export", "train"])
def test_verbs_that_need_layers_say_so_of_an_exported_file(bare, samples, tmp_path, verb):
    model = tmp_path / "mine.onnx"
    model.write_bytes((places.WEIGHTS / "mnist.onnx").read_bytes())
    given = {"explain": [samples / "seven.jpg", "--out", "maps", "--model", model], "export": ["--model", model]}
    given["train"] = ["--data", "digits", "--out", "run", "--teacher", model]
    done = bare("mnist", verb, *given[verb])
    assert (done.returncode, done.stdout) == (2, "")
    assert "which only answers" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_exported_file_is_one_line_to_inspect(bare, tmp_path):
    (tmp_path / "cut.onnx").write_bytes((places.WEIGHTS / "mnist.onnx").read_bytes()[:5000])
    done = bare("inspect", tmp_path / "cut.onnx")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cut.onnx cannot be read as onnx" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", sorted(places.WEIGHTS.glob("*.keras")), ids=lambda path: path.stem)
def test_what_is_shipped_beside_weights_was_proved_to_answer_as_them(path):
    import hashlib

    record = json.loads((places.WEIGHTS / engines.PARITY_FILE).read_text())
    found = {name.split("/")[1]: one for name, one in record.items() if name.split("/")[0] == path.stem}
    assert found.keys() == {engines.preferred(Archive(path).answer.kind.name)[0], "onnx"}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for runtime, entry in found.items():
        content = path.with_suffix(Path(sessions.FILES[runtime]).suffix).read_bytes()
        assert entry["model_sha256"] == digest
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert digest.encode() in content
        assert max(entry["max_abs_diff"], entry["max_abs_diff_float32"]) <= TOLERANCE


@pytest.fixture
def run(tmp_path) -> Path:
    """A folder as a run's, with the shipped digits and their proved export."""
    folder = tmp_path / "run"
    (folder / "export").mkdir(parents=True)
    (folder / "model.keras").write_bytes((places.WEIGHTS / "mnist.keras").read_bytes())
    (folder / "export" / "model.tflite").write_bytes((places.WEIGHTS / "mnist.tflite").read_bytes())
    entry = json.loads((places.WEIGHTS / engines.PARITY_FILE).read_text())["mnist/litert"]
    (folder / "export" / engines.PARITY_FILE).write_text(json.dumps({"litert": entry}))
    return folder


def test_an_export_of_a_run_answers_for_its_model_alone(run):
    assert convmedia.load(run).runtime == "litert"
    parity = run / "export" / engines.PARITY_FILE
    entry = json.loads(parity.read_text())
    parity.write_text(json.dumps({"litert": {"refused": "it differs"}}))
    assert engines.exported(run) is None
    parity.write_text(json.dumps({"litert": {**entry["litert"], "model_sha256": "0" * 64}}))
    assert engines.exported(run) is None
    parity.write_text(json.dumps(entry))
    (run / "export" / "model.tflite").write_bytes((places.WEIGHTS / "audio.tflite").read_bytes())
    assert engines.exported(run) is None  # the file of another model


def test_exports_written_elsewhere_are_kept_for_their_model(run, monkeypatch, tmp_path):
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "MOST_KEPT", 2)
    elsewhere, digest = (run / "export").rename(tmp_path / "elsewhere"), engines.digest(run / "model.keras")
    assert engines.exported(run) is None
    for number in range(3):
        engines.kept(f"{number:032}").mkdir(parents=True)
    engines.keep(elsewhere, digest)
    assert engines.exported(run).file.parent == engines.kept(digest)
    assert len(list(engines.kept(digest).parent.iterdir())) == 2
    engines.keep(elsewhere, "0" * 64)  # another model's digest: nothing there is proved for it
    assert not engines.kept("0" * 64).exists()


def test_an_export_of_another_state_of_the_run_does_not_answer(run):
    with zipfile.ZipFile(run / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part.replace(b'"seed": 1', b'"seed": 2') if name == "config.json" else part)
    (run / "model.keras").write_bytes(content.getvalue())
    assert engines.exported(run) is None


def test_a_chosen_backend_and_a_gpu_mean_keras(run, monkeypatch, tmp_path):
    assert inputs.exported_for(run, None, "auto").runtime == "litert"
    monkeypatch.setattr(inputs, "has_gpu", lambda: True)
    assert inputs.exported_for(run, None, "auto") is None
    assert inputs.exported_for(run, None, "litert").runtime == "litert"
    monkeypatch.setattr(inputs, "has_gpu", lambda: False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert inputs.exported_for(run, None, "auto") is None


def test_a_folder_with_the_name_of_shipped_weights_is_no_model_that_was_asked_for(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    assert inputs.answering("mnist", None, "auto").path == places.WEIGHTS / "mnist.keras"


def test_a_lack_of_memory_in_a_runtime_is_one():
    def failing(batch):
        raise RuntimeError("Failed to allocate tensors")

    with pytest.raises(MemoryError, match="Failed to allocate"):
        sessions.within_memory(failing, RuntimeError)([])


def test_features_come_from_keras_whatever_answers(samples, in_keras):
    model = convmedia.load("mnist")
    assert model.runtime == "litert"
    features = model.embed(samples / "seven.jpg")
    np.testing.assert_array_equal(features, convmedia.Model(in_keras("mnist")).embed(samples / "seven.jpg"))
    assert model.predict(samples / "seven.jpg")["label"] == "7"


def test_an_unknown_runtime_is_refused(run):
    with pytest.raises(InputError, match="there is no runtime 'tpu': give one of auto, keras, litert, onnx"):
        convmedia.load(run, runtime="tpu")


def test_threads_follow_the_quota_of_the_control_group(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert parallel.processors(tmp_path) == 8
    for said, number in [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("9900000 100000", 8)]:
        (tmp_path / "cpu.max").write_text(said)
        assert parallel.processors(tmp_path) == number


def test_windows_score_the_same_whatever_comes_beside_them():
    exported = engines.exported("audio")
    rng = np.random.default_rng(3)
    windows, heard = rng.normal(0, 0.1, (5, 8000)).astype(np.float32), np.array([8000, 8000, 5, 3000, 8000], np.int32)
    windows[np.arange(8000) >= heard[:, None]] = 0
    together = exported.window_scores(windows, heard)
    for order in ([4, 3, 2, 1, 0], [2]):
        np.testing.assert_array_equal(exported.window_scores(windows[order], heard[order]), together[order])
    from convmedia.models import shipped

    np.testing.assert_allclose(together, shipped("audio").window_scores(windows, heard), atol=TOLERANCE)


REGISTERS = """
import sys
import convmedia.models.inference.sound_predictor, convmedia.models.saving.engines
assert "keras" not in sys.modules
from convmedia.models.answer import Answer
import keras
assert keras.saving.get_registered_object("convmedia>FindInk") is not None
assert keras.saving.get_registered_object("convmedia>Answer") is sys.modules["convmedia.models.answer"].Answer
assert sys.modules["convmedia.models.answer"].__spec__.origin.endswith("answer.py")
assert keras.__spec__.submodule_search_locations
"""


def test_layers_are_registered_as_keras_is_loaded():
    done = subprocess.run([sys.executable, "-c", REGISTERS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pictures_of_16_bits_go_to_keras_where_an_export_takes_8(tmp_path):
    (tmp_path / "export").mkdir()
    model = tmp_path / "model.keras"
    model.write_bytes((places.WEIGHTS / "srcnn_x2.keras").read_bytes())
    (tmp_path / "export" / "model.onnx").write_bytes((places.WEIGHTS / "srcnn_x2.onnx").read_bytes())
    entry = {"max_abs_diff": 0.0, "model_sha256": engines.digest(model)}
    (tmp_path / "export" / engines.PARITY_FILE).write_text(json.dumps({"onnx": entry}))
    assert inputs.exported_for(model, None, "onnx").runtime == "onnx"
    assert inputs.exported_for(model, None, "auto") is None
