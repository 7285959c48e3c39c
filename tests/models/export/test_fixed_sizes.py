"""Files of one input size: a batch of eight is one call, and no other size goes in."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.cli.fixed_sizes import Fixed
from convmedia.apps.verbs import inspect
from convmedia.data.storage.errors import InputError
from convmedia.models import shipped
from convmedia.models.export import probes, quality_loss
from convmedia.models.export.exporter import export
from convmedia.models.formats import metadata
from convmedia.models.inference import sessions
from convmedia.models.inference.exported import require_size
from convmedia.models.inference.predictor import Predictor
from convmedia.models.saving import assembly, engines

SIZE = (24, 40)
IMAGE = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
SOUND = {"kind": "sound", "dtype": "float32", "shape": [None], "sample_rate": 8000}
EVERY = ["saved-model", "onnx", "litert", "onnx-int8", "litert-int8", "litert-float16"]
FILES = ["saved_model", "model.onnx", "model.tflite"]


def predictor() -> Predictor:
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", kernel_initializer="he_normal"),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", kernel_initializer="he_normal"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    prepared = [keras.layers.Rescaling(1 / 255)]
    labels = ["cat", "dog", "cow"]
    return Predictor(
        assembly.assemble(network, preparation=prepared, app="transfer", labels=labels, input=IMAGE, details={})
    )


def pictures(number: int, *size: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (number, *size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Predictor, Path, dict]:
    out, model = tmp_path_factory.mktemp("run") / "export", predictor()
    examples = [pictures(1, 20 + place, 30)[0] + np.uint8(9 * place) for place in range(12)]
    return model, out, export(model, EVERY, out, examples, size=SIZE, loss_tolerance=50.0)


def answers(path: Path, batch: np.ndarray) -> np.ndarray:
    """One call of a file's own runtime."""
    if path.suffix == ".onnx":
        import onnxruntime

        return onnxruntime.InferenceSession(path).run(None, {"image": batch})[0]
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path))
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], batch.shape)
        return interpreter.get_signature_runner()(image=batch)["output_0"]
    loaded = tf.saved_model.load(str(path))
    return loaded.serve(batch).numpy()


@pytest.mark.parametrize("file", [*FILES, "model.float16.tflite"])
@pytest.mark.parametrize("number", [1, 8])
def test_a_batch_is_one_call(exported, file, number):
    model, out, _ = exported
    batch = pictures(number, *SIZE)
    np.testing.assert_allclose(answers(out / file, batch), model(batch), atol=1e-3 if "16" in file else 1e-5)


@pytest.mark.parametrize("file", ["model.int8.onnx", "model.int8.tflite"])
def test_quantised_files_answer_eight_at_once_too(exported, file):
    model, out, _ = exported
    batch = pictures(8, *SIZE)
    np.testing.assert_allclose(answers(out / file, batch), model(batch), atol=0.05)


@pytest.mark.parametrize("file", ["saved_model", "model.onnx"])
def test_the_runtime_takes_no_other_size(exported, file):
    with pytest.raises(Exception, match=r"(?s)(24|40|signature)"):
        answers(exported[1] / file, pictures(1, 25, 40))


def test_what_runs_litert_with_known_sizes_only_takes_the_file(exported):
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.interpreter import Interpreter

    model, out, _ = exported
    interpreter = Interpreter(str(out / "model.tflite"))
    said = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [one["shape_signature"].tolist() for one in said] == [[1, 24, 40, 3], [1, 3]]
    compiled = CompiledModel.from_file(str(out / "model.tflite"))
    given, taken = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
    batch = pictures(1, *SIZE)
    given[0].write(batch)
    compiled.run_by_index(0, given, taken)
    np.testing.assert_allclose(taken[0].read(3, np.float32), model(batch)[0], atol=1e-5)


@pytest.mark.parametrize(("file", "batch"), list(zip(FILES, (None, None, 1), strict=True)))
def test_the_file_says_its_size(exported, file, batch):
    facts = metadata.exported(exported[1] / file)
    assert facts["inputs"] == [{"name": "image", "dtype": "uint8", "shape": [batch, 24, 40, 3]}]
    assert facts["description"]["input"] == {**IMAGE, "shape": [24, 40, 3]}
    assert "takes        image uint8 (24, 40, 3)" in inspect.exported_text(facts).splitlines()


def test_parity_says_it_and_what_eight_at_once_cost(exported):
    _, out, parity = exported
    assert json.loads((out / "parity.json").read_text()) == parity
    for name in EVERY:
        assert parity[name]["input_shape"] == [24, 40, 3]
        assert 0 < parity[name]["seconds_at_8"] < 1
        assert "seconds_at_32" not in parity[name]
    assert max(parity[name]["max_abs_diff"] for name in EVERY[:3]) < 1e-5
    assert parity["litert-int8"]["measured_on"].startswith("4 held-back examples")


@pytest.mark.parametrize("runtime", ["onnx", "litert"])
def test_a_file_of_one_size_answers_for_no_model_and_says_what_it_takes(exported, runtime):
    _, out, parity = exported
    digest = parity[runtime]["model_sha256"]
    assert not engines._proved(out, runtime, digest)
    size = sessions.RUNTIMES[runtime](out / engines.FILES[runtime]).size
    assert size == (24, 40, 3)
    with pytest.raises(InputError, match=r"was exported for inputs \(24, 40, 3\) alone; received \(24, 41, 3\)"):
        require_size(pictures(1, 24, 41), size, out / "model.onnx")
    require_size(pictures(5, 24, 40), size, out / "model.onnx")
    require_size(pictures(5, 3, 4), (None, None, 3), out / "model.onnx")


def test_sounds_have_a_number_of_samples(tmp_path, hears):
    clips = [np.random.default_rng(n).uniform(-1, 1, n).astype("float32") for n in (400, 90, 5000)]
    parity = export(hears, ["onnx", "litert"], tmp_path, clips, size=Fixed(0.25).of(hears.input))
    assert [entry["input_shape"] for entry in parity.values()] == [[2000], [2000]]
    batch = np.random.default_rng(0).uniform(-1, 1, (8, 2000)).astype("float32")
    for runtime in ("onnx", "litert"):
        [found] = sessions.RUNTIMES[runtime](tmp_path / engines.FILES[runtime]).run([batch])
        np.testing.assert_allclose(found, hears(batch), atol=1e-5)


def test_pictures_out_of_a_fixed_size_are_measured_by_their_likeness(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.layers.Conv2D(3, 3, padding="same", kernel_initializer="he_normal")])
    model = Predictor(
        assembly.assemble(network, app="super-resolution", labels=None, input=IMAGE, details={"scale": 1})
    )
    wrong = quality_loss.Trial("psnr", "dB", "originals", lambda: [], lambda answers, expected: 99.0)
    examples = list(pictures(6, 30, 30))
    parity = export(model, ["litert", "litert-float16"], tmp_path, examples, size=SIZE, trial=wrong)
    assert "against Keras" in parity["litert-float16"]["measured_on"]  # an original has no counterpart of that size
    assert answers(tmp_path / "model.tflite", pictures(8, *SIZE)).shape == (8, 24, 40, 3)


def test_shares_of_right_answers_are_measured_at_the_size():
    truth = quality_loss.accuracy("a set", lambda: [pictures(1, 9, 9)[0]], np.array([0])).at(SIZE)
    assert [batch.shape for batch in truth.batches()] == [(1, 24, 40, 3)]
    assert truth.data == "a set, brought to 24x40"


def test_examples_are_brought_to_a_size():
    grey = np.full((5, 9, 3), 77, np.uint8)
    np.testing.assert_array_equal(probes.fitted(grey, (8, 6)), np.full((8, 6, 3), 77))
    np.testing.assert_array_equal(probes.fitted(np.arange(3.0), (5,)), [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(probes.fitted(np.arange(3.0), (2,)), [0, 1])
    assert probes.eight([np.zeros((2, 4)), np.ones((1, 4))])[:, 0].tolist() == [0, 0, 1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(("given", "suffix"), [(None, ""), ("24X40", "-24x40"), (1.5, "-1.5s"), (2, "-2s")])
def test_a_folder_is_called_by_the_size(given, suffix):
    assert Fixed(given).suffix == suffix


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ("24x40", SOUND, "--size is for models that take pictures; this one takes sounds"),
        (1.5, IMAGE, "--seconds is for models that take sounds; this one takes pictures"),
        (0.001, SOUND, "--seconds is 0.05 to 600; received 0.001"),
        ("0x40", IMAGE, "--size takes sides of 8 to 4096 px; received 0x40"),
        ("2440", IMAGE, "--size is height and width in px, such as 224x224; received '2440'"),
    ],
)
def test_a_size_that_is_none_is_one_line(given, kind, words):
    with pytest.raises(InputError, match=words):
        Fixed(given).of(kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "mnist export --size 96x64",
        "cats-vs-dogs export --size 160x120",
        "audio export --seconds 1.5",
        "super-resolution export --size 48x64",
        "style-transfer export --size 96x64",
    ],
)
def test_included_weights_answer_eight_in_one_call_as_keras_does(line, tmp_path, run_command):
    done = run_command(
        *line.split(), *["--format", "onnx", "--format", "litert", "--for", "triton", "--json", "--out"], tmp_path
    )
    assert done.returncode == 0, done.stderr
    parity = json.loads(done.stdout)
    assert all(parity[name]["max_abs_diff"] <= 1e-4 for name in ("onnx", "litert"))
    model = shipped(line.split()[0])
    scale = 255.0 if model.labels is None else 1.0
    shape = parity["onnx"]["input_shape"]
    rng = np.random.default_rng(5)
    batch = [pictures(8, *shape[:2]) if len(shape) == 3 else rng.uniform(-1, 1, (8, *shape)).astype("float32")]
    batch += [rng.dirichlet(np.ones(number), 8).astype("float32") for number in model.beside]
    expected = model.outputs(*batch)[0]
    for runtime in ("onnx", "litert"):
        [found] = sessions.RUNTIMES[runtime](tmp_path / engines.FILES[runtime]).run(batch)
        np.testing.assert_allclose(found, expected, atol=1e-4 * scale)
    assert len(list((tmp_path / "triton").glob("*/config.pbtxt"))) == 1
