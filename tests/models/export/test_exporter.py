"""Exported files agree with Keras in their own runtimes, and a file that does not is never kept."""

import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.verbs import inspect
from convmedia.data.storage import quiet
from convmedia.data.storage.errors import InputError
from convmedia.models.analysis import layer_tree
from convmedia.models.answer import Answer
from convmedia.models.export import exporter, probes
from convmedia.models.export.examples import read_examples, write_examples
from convmedia.models.export.exporter import export
from convmedia.models.formats import formats, metadata, runtimes, writers
from convmedia.models.inference import predictor as inference_predictor
from convmedia.models.saving import assembly, files

IMAGE = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}


def classifier(*layers: keras.layers.Layer, seed: int = 0) -> inference_predictor.Predictor:
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            *layers,
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", kernel_initializer="he_normal"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model = assembly.assemble(
        network,
        preparation=[keras.layers.Rescaling(1 / 255)],
        app="cats-vs-dogs",
        labels=["cat", "dog"],
        input=IMAGE,
        details={},
    )
    return inference_predictor.Predictor(model)


def pictures(*sizes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


EXAMPLES = pictures((20, 30), (20, 30), (7, 5), (1, 1), (31, 17))


@pytest.fixture
def replace_writer(monkeypatch):
    """Replace how a format is written: replace_writer("onnx", write)."""

    def replace(name, write):
        monkeypatch.setitem(formats.FORMATS, name, dataclasses.replace(formats.FORMATS[name], write=write))

    return replace


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[inference_predictor.Predictor, Path, dict]:
    predictor = classifier()
    out = tmp_path_factory.mktemp("run") / "export"
    return predictor, out, export(predictor, ["saved-model", "onnx", "litert"], out, EXAMPLES)


def onnx_answers(path: Path, batch: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return session.run(None, {"image": batch})[0]


def litert_answers(path: Path, batch: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], batch.shape)
    return interpreter.get_signature_runner()(image=batch)["output_0"]


def saved_model_answers(path: Path, batch: np.ndarray) -> np.ndarray:
    loaded = tf.saved_model.load(str(path))  # kept alive while its function runs
    return loaded.serve(batch).numpy()


@pytest.mark.parametrize(
    ("file", "answers"),
    [("saved_model", saved_model_answers), ("model.onnx", onnx_answers), ("model.tflite", litert_answers)],
)
@pytest.mark.parametrize("shape", [(1, 20, 30), (4, 13, 9), (2, 1, 1), (1, 64, 3)])
def test_every_format_answers_unseen_sizes_as_keras_does(exported, file, answers, shape):
    predictor, out, _ = exported
    batch = np.random.default_rng(9).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = predictor(batch)
    assert expected.shape == (shape[0], 2)
    np.testing.assert_allclose(answers(out / file, batch), expected, atol=1e-5)


@pytest.mark.parametrize("file", ["saved_model", "model.onnx", "model.tflite"])
def test_what_inspect_says_goes_in_is_what_the_runtime_takes(exported, file):
    facts = metadata.exported(exported[1] / file)
    assert facts["inputs"] == [{"name": "image", "dtype": "uint8", "shape": [None, None, None, 3]}]
    assert "takes        image uint8 (any, any, 3)" in inspect.exported_text(facts).splitlines()


def test_what_converters_print_is_held_back(capfd):
    with quiet.silenced():
        os.write(1, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"fully_quantize: 0\n")
        print("inside")
    os.write(1, b"after\n")
    os.write(2, b"words\n")
    assert capfd.readouterr() == ("after\n", "words\n")


def test_outputs_have_one_name_in_all_formats(exported):
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    session = onnxruntime.InferenceSession(exported[1] / "model.onnx")
    assert [entry.name for entry in session.get_outputs()] == ["output_0"]
    interpreter = Interpreter(str(exported[1] / "model.tflite"))
    assert interpreter.get_signature_list()["serving_default"]["outputs"] == ["output_0"]


def test_parity_states_what_was_measured(exported):
    _, out, parity = exported
    assert json.loads((out / "parity.json").read_text()) == parity
    assert list(parity) == ["saved-model", "onnx", "litert"]
    for entry in parity.values():
        assert 0 <= entry["max_abs_diff"] <= 1e-5
        assert entry["same_top1"] == 1.0
        assert 0 < entry["seconds_per_example"] < 1
    assert parity["onnx"]["bytes"] == len((out / "model.onnx").read_bytes())
    folder = sum(file.stat().st_size for file in (out / "saved_model").rglob("*") if file.is_file())
    assert parity["saved-model"]["bytes"] == folder
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "model.tflite", "parity.json", "saved_model"]


def test_litert_needs_built_in_operators_only(exported):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs((exported[1] / "model.tflite").read_bytes(), 0)
    custom = [model.OperatorCodes(index).CustomCode() for index in range(model.OperatorCodesLength())]
    assert len(custom) > 3
    assert set(custom) == {None}


def test_other_weights_are_refused_and_the_others_stay(tmp_path, replace_writer):
    predictor = classifier()
    other = classifier(seed=1)
    (tmp_path / "model.onnx").write_bytes(b"an older file that nobody proved for this model")
    replace_writer("onnx", lambda model, path: writers.write_onnx(other.model, path))
    parity = export(predictor, ["onnx", "litert"], tmp_path, EXAMPLES)
    batches = [example[np.newaxis] for example in EXAMPLES]
    difference = max(np.abs(predictor(batch) - other(batch)).max() for batch in batches)
    assert difference > 1e-3
    stated = float(parity["onnx"]["refused"].split("Keras by ")[1].split(",")[0])
    assert stated >= difference * 0.99
    assert parity["litert"]["max_abs_diff"] < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tflite", "parity.json"]


def test_the_tolerance_decides(tmp_path):
    predictor = classifier()
    parity = export(predictor, ["onnx"], tmp_path, EXAMPLES, tolerance=-1.0)
    assert "more than -1" in parity["onnx"]["refused"]


@pytest.mark.parametrize("layer", [keras.layers.RandomFlip(), keras.layers.RandAugment(), keras.layers.MixUp()])
def test_augmentation_inside_is_refused_in_every_format(tmp_path, layer):
    predictor = classifier(keras.Input((None, None, 3)), layer)
    parity = export(predictor, ["saved-model", "onnx", "litert"], tmp_path, EXAMPLES)
    assert [entry.keys() for entry in parity.values()] == [{"refused"}] * 3
    for entry in parity.values():
        assert entry["refused"].startswith("augmentation inside the file")
        assert type(layer).__name__ in entry["refused"]
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]


def test_every_random_layer_of_keras_is_known():
    """A newer Keras may bring one under a name that is not covered: those that own a random generator are listed."""
    from keras.src.layers.preprocessing.image_preprocessing.base_image_preprocessing_layer import (
        BaseImagePreprocessingLayer,
    )

    deterministic = {
        "AutoContrast",
        "CenterCrop",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "Equalization",
        "MaxNumBoundingBoxes",
        "Resizing",
    }
    names = {
        name
        for name, kind in vars(keras.layers).items()
        if isinstance(kind, type) and issubclass(kind, BaseImagePreprocessingLayer)
    }
    unknown = {name for name in names - deterministic if not name.startswith("Random")} - exporter.AUGMENTING
    assert len(names) > 15
    assert unknown == set()


class Noise(keras.layers.Layer):
    """Random at inference, under a name that nothing suspects."""

    def call(self, inputs):
        return inputs + tf.random.uniform(tf.shape(inputs), 0, 20)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_file_with_random_answers_is_refused(tmp_path):
    parity = export(classifier(keras.Input((None, None, 3)), Noise()), ["litert", "onnx"], tmp_path, EXAMPLES)
    assert "two runs on the same input differ" in parity["litert"]["refused"]
    assert "refused" in parity["onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]


@pytest.mark.parametrize("name", ["onnx", "litert", "saved-model"])
def test_a_truncated_file_is_refused(tmp_path, replace_writer, name):
    write = formats.FORMATS[name].write

    def truncated(model, path):
        write(model, path)
        file = path if path.is_file() else path / "saved_model.pb"
        file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])

    replace_writer(name, truncated)
    parity = export(classifier(), [name], tmp_path, EXAMPLES)
    assert parity[name]["refused"].startswith(("its runtime failed: ", "the converter wrote no "))
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]


def serving(function) -> tf.Module:
    module = tf.Module()
    module.serve = tf.function(function, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    return module


def test_a_file_that_crashes_its_runtime_is_refused(tmp_path, replace_writer):
    def abort(picture):
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="aborted on purpose")]):
            return tf.zeros([tf.shape(picture)[0], 2])

    replace_writer("saved-model", lambda model, path: tf.saved_model.save(serving(abort), str(path)))
    parity = export(classifier(), ["saved-model", "onnx"], tmp_path, EXAMPLES)
    assert signal.SIGABRT.name in parity["saved-model"]["refused"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "parity.json"]


def test_a_runtime_that_does_not_end_is_stopped(tmp_path, replace_writer):
    class Endless(keras.layers.Layer):
        def call(self, inputs):
            return tf.while_loop(lambda x: True, tf.tanh, [inputs])[0]

        def compute_output_shape(self, input_shape):
            return input_shape

    endless = classifier(keras.Input((None, None, 3)), Endless())
    replace_writer("onnx", lambda model, path: writers.write_onnx(endless.model, path))
    start = time.monotonic()
    parity = export(classifier(), ["onnx"], tmp_path, EXAMPLES, timeout_seconds=1.5)
    assert time.monotonic() - start < 15
    assert parity["onnx"]["refused"] == "its runtime did not finish within 1.5 s"


def with_nan() -> inference_predictor.Predictor:
    predictor = classifier()
    dense = next(layer for layer in layer_tree.every_layer(predictor.model) if isinstance(layer, keras.layers.Dense))
    dense.set_weights([np.full((8, 1), np.nan), np.zeros(1)])
    return predictor


def three_labels() -> inference_predictor.Predictor:
    network = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    return inference_predictor.Predictor(
        assembly.assemble(network, app="cats-vs-dogs", labels=["cat", "dog", "bird"], input=IMAGE, details={})
    )


@pytest.mark.parametrize(
    ("other", "reason"),
    [(with_nan, "answers NaN or infinity"), (three_labels, "answers (2, 3) where Keras answers (2, 2)")],
)
def test_nan_and_other_shapes_are_refused(tmp_path, replace_writer, other, reason):
    broken = other().model
    replace_writer("onnx", lambda model, path: writers.write_onnx(broken, path))
    parity = export(classifier(), ["onnx"], tmp_path, EXAMPLES)
    assert parity == {"onnx": {"refused": reason}}
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]


def test_a_model_that_answers_nan_itself_is_refused(tmp_path):
    parity = export(with_nan(), ["onnx"], tmp_path, EXAMPLES)
    assert parity["onnx"] == {"refused": "the model itself answers NaN or infinity"}
    json.loads((tmp_path / "parity.json").read_text(), parse_constant=pytest.fail)


class NewAxis(keras.layers.Layer):
    """Needs Flex in LiteRT: a strided slice with a new axis on free sizes."""

    def call(self, inputs):
        return inputs[..., None][..., 0]

    def compute_output_shape(self, input_shape):
        return input_shape


def test_litert_without_flex_or_not_at_all(tmp_path, replace_writer):
    predictor = classifier(keras.Input((None, None, 3)), NewAxis())
    parity = export(predictor, ["litert", "onnx"], tmp_path, EXAMPLES)
    assert parity["litert"] == {"refused": "plain LiteRT has no operator for StridedSlice"}
    assert parity["onnx"]["max_abs_diff"] < 1e-5

    def with_flex(model, path):
        model.export(path, format="litert", input_signature=writers._signature(model), verbose=False)

    replace_writer("litert", with_flex)
    parity = export(predictor, ["litert"], tmp_path, EXAMPLES)
    assert "plain LiteRT has no operator FlexStridedSlice" in parity["litert"]["refused"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "parity.json"]


def test_pictures_out_are_compared_in_fractions_of_255(tmp_path, replace_writer):
    def network(value: float) -> inference_predictor.Predictor:
        layer = keras.layers.Conv2D(
            3, 1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(value)
        )
        model = assembly.assemble(
            keras.Sequential([layer]), app="super-resolution", labels=None, input=IMAGE, details={}
        )
        return inference_predictor.Predictor(model)

    other = network(100.0 + 0.0102)
    replace_writer("onnx", lambda model, path: writers.write_onnx(other.model, path))
    parity = export(network(100.0), ["onnx", "litert"], tmp_path, EXAMPLES)
    assert parity["onnx"]["max_abs_diff"] == pytest.approx(0.0102 / 255, rel=1e-2)
    assert parity["onnx"]["same_top1"] is None
    assert parity["litert"]["max_abs_diff"] == 0.0


def test_probabilities_for_each_pixel_are_no_pictures(tmp_path, replace_writer):
    def network(shift: float) -> inference_predictor.Predictor:
        raw = keras.Input((None, None, 3), name="image")
        bias = keras.initializers.Constant([0.0, shift])
        scores = keras.layers.Conv2D(2, 1, activation="softmax", kernel_initializer="zeros", bias_initializer=bias)(raw)
        return inference_predictor.Predictor(keras.Model(raw, Answer("transfer", ["a", "b"], IMAGE)(scores)))

    replace_writer("onnx", lambda model, path: writers.write_onnx(network(0.02).model, path))
    parity = export(network(0.0), ["onnx", "litert"], tmp_path, EXAMPLES)
    assert parity["onnx"]["refused"] == "answers differ from Keras by 0.005, more than 0.0001"  # 1 / (1 + exp(-0.02))
    assert parity["litert"]["same_top1"] == 1.0


def test_sound_goes_the_same_way(tmp_path, hears):
    random = np.random.default_rng(0)
    clips = [random.uniform(-1, 1, samples).astype("float32") for samples in (400, 400, 90, 1)]
    parity = export(hears, ["onnx", "litert"], tmp_path, clips)
    assert [entry["same_top1"] for entry in parity.values()] == [1.0] * 2
    batch = random.uniform(-1, 1, (3, 777)).astype("float32")
    import onnxruntime

    answer = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"sound": batch})[0]
    np.testing.assert_allclose(answer, hears(batch), atol=1e-5)


def test_a_second_call_keeps_what_was_proved_of_the_same_file_only(tmp_path):
    files.save(classifier().model, tmp_path / "a.keras")
    files.save(classifier(seed=1).model, tmp_path / "b.keras")
    first = export(files.load(tmp_path / "a.keras"), ["onnx"], tmp_path, EXAMPLES)
    both = export(files.load(tmp_path / "a.keras"), ["litert"], tmp_path, EXAMPLES)
    assert both["onnx"] == first["onnx"]
    assert list(both) == ["onnx", "litert"]
    assert list(export(files.load(tmp_path / "b.keras"), ["litert"], tmp_path, EXAMPLES)) == ["litert"]
    assert list(export(classifier(), ["onnx"], tmp_path, EXAMPLES)) == ["onnx"]
    assert list(export(classifier(), ["litert"], tmp_path, EXAMPLES)) == ["litert"]  # no file: nobody knows if the same


def test_an_export_prints_nothing_of_what_its_converter_prints(tmp_path, capfd, replace_writer):
    def loud(model, path):
        print("a converter prints")
        tf.print("from C++", output_stream=sys.stdout)
        writers.write_onnx(model, path)

    replace_writer("onnx", loud)
    parity = export(classifier(), ["onnx"], tmp_path, EXAMPLES)
    output = capfd.readouterr()
    assert parity["onnx"]["max_abs_diff"] < 1e-5
    assert (output.out, output.err) == ("", "")


@pytest.mark.parametrize(
    ("name", "module"), [("onnx", "tf2onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")]
)
def test_a_missing_extra_is_named_before_any_work(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"needs {module}.*; run: pip install '[a-z0-9-]+>="):
        export(classifier(), ["saved-model", name], tmp_path / "out", EXAMPLES)
    assert not (tmp_path / "out").exists()


def test_wrong_arguments_are_named_before_any_work(tmp_path):
    predictor = classifier()
    for formats_, examples, message in [
        (["onnx", "coreml"], EXAMPLES, "No export format coreml; the formats are saved-model, onnx, litert"),
        ([], EXAMPLES, "No export format given"),
        (["onnx"], [], "there are none"),
    ]:
        with pytest.raises(InputError, match=message):
            export(predictor, formats_, tmp_path / "out", examples)
    with pytest.raises(ValueError, match=r"uint8 of rank 3. Received: float32 \(4, 4, 3\)"):
        export(predictor, ["onnx"], tmp_path / "out", [np.zeros((4, 4, 3), "float32")])
    assert not (tmp_path / "out").exists()


def test_what_no_export_made_is_not_replaced(tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="saved_model is no exported model"):
        export(classifier(), ["onnx", "saved-model"], tmp_path, EXAMPLES)
    with pytest.raises(InputError, match="is a file"):
        export(classifier(), ["onnx"], tmp_path / "saved_model" / "thesis.txt", EXAMPLES)
    assert [path.name for path in tmp_path.rglob("*")] == ["saved_model", "thesis.txt"]


def test_varied_batches_have_other_sizes():
    shapes = [batch.shape for batch in probes.varied(pictures((20, 30), (8, 8), (40, 8)))]
    assert shapes == [(2, 15, 15, 3), (2, 40, 90, 3), (2, 6, 4, 3), (2, 16, 24, 3), (2, 30, 4, 3), (2, 80, 24, 3)]
    assert [batch.shape for batch in probes.varied([np.zeros(9, "float32")])] == [(2, 6), (2, 18)]


@pytest.mark.parametrize("kind", [{"kind": "image"}, {"kind": "sound", "sample_rate": 8000, "window_seconds": 0.5}])
def test_probes_are_drawn_alike_at_each_call_and_none_is_its_own_mistake(kind):
    first, second = list(probes.drawn(kind)), list(probes.drawn(kind))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == (np.uint8 if kind["kind"] == "image" else np.float32)
    for change in probes.mistaken(kind["kind"]).values():
        assert not np.array_equal(change(first[0]), first[0])
    if kind["kind"] == "sound":
        assert {1, 4000, 4001} < {batch.shape[1] for batch in first}
        assert max(np.abs(batch).max() for batch in first) == 1.0
    else:
        assert {(1, 1), (1, 37), (29, 1), (33, 47)} < {batch.shape[1:3] for batch in first}


def test_a_large_probe_is_as_large_as_there_is_time_for():
    assert [probes.large(0.5 / pixels).shape[1:3] for pixels in (2e5, 1e5, 2e4, 1)] == [
        (384, 512),
        (192, 256),
        (96, 128),
        (48, 64),
    ]


def test_a_probe_that_the_model_itself_does_not_take_is_left_out(tmp_path):
    valid = classifier(keras.Input((None, None, 3)), keras.layers.Conv2D(3, 3))  # of 3x3 pixels or more
    parity = export(valid, ["onnx"], tmp_path, pictures((20, 30), (20, 30)))
    assert [entry["same_top1"] for entry in parity.values()] == [1.0]


def test_answers_are_asked_twice():
    values = iter([1.0, 1.5, 2.0, 2.0])
    batches = [np.zeros(1)] * 2
    first, second, seconds, unequal = runtimes.answers(lambda batch: (batch + next(values),), batches)
    assert (first[0], second[0], unequal) == (1.0, 2.0, 0.5)
    assert seconds.shape == (2,)


def test_examples_come_back(tmp_path):
    many = EXAMPLES * 3
    write_examples(tmp_path / "examples.npz", many)
    back = read_examples(tmp_path / "examples.npz")
    assert len(back) == len(many) > 10  # more than one digit: the order of the keys is that of the numbers
    for example, again in zip(many, back, strict=True):
        assert again.dtype == np.uint8
        np.testing.assert_array_equal(example, again)


def test_examples_are_limited_and_damage_is_named(tmp_path):
    with pytest.raises(ValueError, match="At most 200"):
        write_examples(tmp_path / "e.npz", [EXAMPLES[3]] * 201)
    write_examples(tmp_path / "e.npz", EXAMPLES)
    whole = (tmp_path / "e.npz").read_bytes()
    for content in [b"", b"text", whole[: len(whole) // 2]]:
        (tmp_path / "e.npz").write_bytes(content)
        with pytest.raises(InputError, match="no readable examples"):
            read_examples(tmp_path / "e.npz")
    with pytest.raises(InputError, match="no readable examples"):
        read_examples(tmp_path / "none.npz")


def test_altered_examples_are_refused_in_one_line_or_are_as_they_were(tmp_path):
    path = tmp_path / "examples.npz"
    rng = np.random.default_rng(0)
    before = [rng.integers(0, 9, (3 + place, 4, 3)).astype("uint8") for place in range(3)]
    write_examples(path, before)
    whole = path.read_bytes()
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            after = read_examples(path)
        except InputError as error:
            assert "no readable examples" in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=False))
    assert refused > len(whole) // 3
