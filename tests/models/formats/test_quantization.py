"""Quantised files: which of their numbers are small ones, what they are worth, and that a bad one is never kept."""

import dataclasses
import json
import os
import signal
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.__main__ import command
from convmedia.apps.cli.entry import exit_code
from convmedia.apps.runs import record as runs_record
from convmedia.apps.tasks.super_resolution import evaluate
from convmedia.data.datasets import patches
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.models import shipped
from convmedia.models.analysis import layer_tree
from convmedia.models.answer import PICTURE
from convmedia.models.export import exporter, quality_loss
from convmedia.models.export.exporter import export
from convmedia.models.formats import flatbuffer, formats, metadata, quantization, runtimes, weight_rounding, writers
from convmedia.models.formats.quantization import Node
from convmedia.models.inference import predictor as inference_predictor
from convmedia.models.saving import assembly

QUANTISED = ["litert-float16", "litert-int8", "onnx-int8"]
LABELS = ["dark", "light"]


class Smoothed(keras.layers.Layer):
    """Preparation with a convolution and a constant of its own, large enough to be stored as float16."""

    def call(self, inputs):
        kernel = np.ones((19, 19, 3, 3), "float32") * np.eye(3, dtype="float32") / 19**2
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")

    def compute_output_shape(self, input_shape):
        return input_shape


def classifier(seed=0):
    """Tells dark pictures from light ones: random convolutions of which one knows the brightness."""
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Conv2D(16, 3, padding="same", kernel_initializer="he_normal", name="first"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.MaxPooling2D(2, padding="same"),
        keras.layers.Conv2D(24, 3, padding="same", activation="relu", kernel_initializer="he_normal", name="second"),
        keras.layers.GlobalAveragePooling2D(),
    ]
    preparation = [Smoothed(), keras.layers.Rescaling(1 / 255)]
    body = keras.Sequential([keras.Input((None, None, 3)), *preparation, *layers])
    features = np.stack([body(picture[None].astype("float32"))[0] for picture in EXAMPLES])
    dark, light = (features[right == TRUTH].mean(axis=0) for right in (0, 1))
    weights = 8 * (light - dark) / np.square(light - dark).sum()
    threshold = weights @ (light + dark) / 2
    dense = keras.layers.Dense(2, activation="softmax", name="scores")
    network = keras.Sequential([keras.Input((None, None, 3)), *layers, dense])
    dense.set_weights([np.stack([-weights, weights], 1), np.array([threshold, -threshold])])
    facts = {"app": "transfer", "labels": LABELS, "input": PICTURE, "details": {}}
    return inference_predictor.Predictor(assembly.assemble(network, preparation=preparation, **facts))


def pictures(number, seed):
    """Noise of several sizes around a level: below or above the middle."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, number)
    sizes = [(24, 24), (24, 24), (17, 30)]
    levels = 128 + (2 * truth - 1) * rng.integers(15, 90, number)
    return [
        np.clip(rng.normal(level, 12, (*sizes[place % 3], 3)), 0, 255).astype(np.uint8)
        for place, level in enumerate(levels)
    ], truth


EXAMPLES, TRUTH = pictures(30, 1)
TESTED, TESTED_TRUTH = pictures(60, 2)
TRIAL = quality_loss.accuracy("60 drawn pictures", lambda: TESTED, TESTED_TRUTH)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    out = tmp_path_factory.mktemp("export")
    predictor = classifier()
    return predictor, out, export(predictor, ["litert", "onnx", *QUANTISED], out, EXAMPLES, trial=TRIAL)


def accuracy(run):
    return np.mean(
        [run(picture[None])[0].argmax() == right for picture, right in zip(TESTED, TESTED_TRUTH, strict=True)]
    )


@pytest.mark.parametrize("name", QUANTISED)
def test_parity_states_what_the_file_is_worth(exported, name):
    predictor, out, parity = exported
    entry, kind = parity[name], formats.FORMATS[name]
    assert "refused" not in entry, entry
    assert json.loads((out / "parity.json").read_text())[name] == entry
    assert (entry["metric"], entry["measured_on"]) == ("accuracy", "60 drawn pictures")
    assert entry["before"] == accuracy(predictor) > 0.9
    assert entry["after"] == accuracy(runtimes.RUNTIMES[kind.runtime](str(out / kind.file))) >= entry["before"] - 0.005
    assert entry["bytes"] == (out / kind.file).stat().st_size < parity[name.split("-")[0]]["bytes"]
    assert 0 < entry["max_abs_diff"] < 0.2
    assert entry["same_top1"] > 0.9
    assert (entry["after_right"], entry["after_examples"]) == (round(60 * entry["after"]), 60)
    assert entry["same_top1_right"] == round(entry["same_top1"] * entry["same_top1_examples"])
    assert kind.numbers == entry["numbers"]


def test_every_file_says_what_it_costs(exported):
    for entry in exported[2].values():
        assert 0 < entry["seconds_at_32"] < 1
        assert 0 < entry["seconds_at_1"] < 1
        assert 2e7 < entry["peak_bytes"] < 4e9


@pytest.mark.parametrize("name", QUANTISED)
def test_inspect_reads_them(exported, capsys, name):
    path = exported[1] / formats.FORMATS[name].file
    assert metadata.exported(path)["description"]["labels"] == LABELS
    assert exit_code(command, ["inspect", str(path)]) == 0
    assert "2 probabilities: dark, light" in capsys.readouterr().out


def operators(path):
    """(kind, types and kernel of what a LiteRT operator takes and gives) of each."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = flatbuffer.read(path.read_bytes())
    types = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    [graph] = model.subgraphs
    for operator in graph.operators:
        given = [graph.tensors[place] for place in [*operator.inputs, *operator.outputs] if place >= 0]
        yield flatbuffer.kinds(model)[operator.opcodeIndex], [types[tensor.type] for tensor in given], given


def test_the_network_of_an_int8_litert_file_is_int8_and_its_preparation_is_not(exported):
    found = list(operators(exported[1] / "model.int8.tflite"))
    convolutions = [(types, tensors) for kind, types, tensors in found if kind in ("CONV_2D", "FULLY_CONNECTED")]
    assert [types for types, _ in convolutions] == [["FLOAT32"] * 4, *[["INT8", "INT8", "INT32", "INT8"]] * 3]
    assert [len(tensors[1].quantization.scale) for _, tensors in convolutions[1:]] == [16, 24, 2]
    assert [types for kind, types, _ in found if kind == "MAX_POOL_2D"] == [["INT8", "INT8"]]
    assert [types for kind, types, _ in found if kind == "SOFTMAX"] == [["FLOAT32", "FLOAT32"]]
    assert ["FLOAT16", "FLOAT32"] in [types for kind, types, _ in found if kind == "DEQUANTIZE"]  # of `Smoothed`


def test_inputs_and_outputs_are_those_of_the_unquantised_file(exported):
    from ai_edge_litert.interpreter import Interpreter

    for name in ("int8", "float16"):
        small, plain = (Interpreter(str(exported[1] / file)) for file in (f"model.{name}.tflite", "model.tflite"))
        assert small.get_signature_list() == plain.get_signature_list()
        for details in ("get_input_details", "get_output_details"):
            [ours], [theirs] = (getattr(one, details)() for one in (small, plain))
            assert (ours["dtype"], list(ours["shape_signature"])) == (theirs["dtype"], list(theirs["shape_signature"]))


def test_a_float16_file_holds_the_rounded_weights(exported):
    model = flatbuffer.read((exported[1] / "model.float16.tflite").read_bytes())
    halves = [tensor for tensor in model.subgraphs[0].tensors if tensor.name.endswith(b"_half")]
    kernel = exported[0].model.layers[-2].get_layer("second").kernel.numpy()
    [stored] = [
        model.buffers[half.buffer].data.view(np.float16) for half in halves if list(half.shape) == [24, 3, 3, 16]
    ]
    np.testing.assert_array_equal(stored.reshape(24, 3, 3, 16), kernel.transpose(3, 0, 1, 2).astype(np.float16))


def onnx_kernels(path):
    """Of each ONNX operator that multiplies 8 bits with 8 bits how many factors its kernel has, of another one None."""
    import onnx

    graph = onnx.load(path).graph
    made = {name: node for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    constants = {entry.name: entry for entry in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm"):
            continue
        small = node.input[0] in made and node.input[1] in made
        if small:
            stored = made[node.input[1]].input
            assert constants[stored[0]].data_type == onnx.TensorProto.INT8
        yield constants[stored[1]].dims[0] if small else None


def test_the_network_of_an_int8_onnx_file_is_int8_and_its_preparation_is_not(exported):
    assert list(onnx_kernels(exported[1] / "model.int8.onnx")) == [None, 16, 24, 2]


def test_a_file_that_loses_too_much_and_one_that_aborts_its_interpreter_are_refused(tmp_path, monkeypatch):
    predictor = classifier()
    dense = next(layer for layer in layer_tree.every_layer(predictor.model) if layer.name == "scores")
    good = dense.get_weights()

    def lossy(model, path, batches):
        dense.set_weights([-good[0], -good[1]])  # each answer becomes the other one
        writers.write_litert(model, path)
        dense.set_weights(good)

    def abort(picture):
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="aborted on purpose")]):
            return tf.zeros([tf.shape(picture)[0], 2])

    def aborting(model, path, batches):
        module = tf.Module()
        module.serve = tf.function(abort, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
        tf.saved_model.save(module, str(path))

    replaced = {
        "litert-int8": {"write": lossy},
        "onnx-int8": {"write": aborting, "describe": metadata.write_saved_model, "runtime": "saved-model"},
    }
    for name, parts in replaced.items():
        monkeypatch.setitem(formats.FORMATS, name, dataclasses.replace(formats.FORMATS[name], **parts))
    parity = export(predictor, QUANTISED, tmp_path, EXAMPLES, trial=TRIAL)
    before = accuracy(predictor)
    told = f"accuracy {1 - before:.6g}, {before:.6g} before, {200 * before - 100:.3g} points lost, with 0.5 allowed"
    assert parity["litert-int8"] == {"refused": f"{told} (60 drawn pictures)"}
    assert signal.SIGABRT.name in parity["onnx-int8"]["refused"]
    assert "refused" not in parity["litert-float16"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.float16.tflite", "parity.json"]


def test_a_file_that_its_interpreter_does_not_take_is_refused(tmp_path, monkeypatch):
    def broken(model, path, batches):
        writers.write_litert_int8(model, path, batches)
        changed = flatbuffer.read(path.read_bytes())
        for operator in changed.subgraphs[0].operators:
            if flatbuffer.kinds(changed)[operator.opcodeIndex] == "MAX_POOL_2D":
                operator.builtinOptions.strideH = 0
        path.write_bytes(flatbuffer.packed(changed))

    kind = dataclasses.replace(formats.FORMATS["litert-int8"], write=broken)
    monkeypatch.setitem(formats.FORMATS, "litert-int8", kind)
    parity = export(classifier(), ["litert-int8"], tmp_path, EXAMPLES[:6])
    assert parity["litert-int8"]["refused"].startswith("its runtime failed: RuntimeError: ")
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]


def test_a_model_without_kernels_has_nothing_to_quantise(tmp_path):
    network = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    model = assembly.assemble(network, app="transfer", labels=list("abc"), input=PICTURE, details={})
    parity = export(inference_predictor.Predictor(model), ["litert-int8", "onnx-int8"], tmp_path, EXAMPLES[:3])
    assert ["no learned kernel" in entry["refused"] for entry in parity.values()] == [True, True]


def test_rounding_leaves_whole_numbers_and_the_greatest_of_each_row():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 40)).astype(np.float32)
    mixing = rng.normal(size=(40, 40))
    found = weight_rounding.rounded(rows, mixing @ mixing.T)
    whole = found / np.abs(found).max(axis=1, keepdims=True) * 127
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
    np.testing.assert_allclose(np.abs(found).max(axis=1), np.abs(rows).max(axis=1), rtol=1e-6)


def test_rounding_without_correlation_is_to_the_nearest():
    rows = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    np.testing.assert_allclose(
        weight_rounding.rounded(rows, 3.0 * np.eye(40)), weight_rounding.rounded(rows), rtol=1e-6
    )
    factors = np.abs(rows).max(axis=1, keepdims=True) / 127
    assert np.abs(weight_rounding.rounded(rows) - rows).max() <= 0.5001 * factors.max()


def test_rounding_answers_closer_for_inputs_that_rise_together():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 100))
    inputs = rng.uniform(0, 1, (3000, 1)) + rng.normal(0, 0.05, (3000, 100))

    def error(found):
        return np.square(inputs @ (found - rows).T).mean()

    assert error(weight_rounding.rounded(rows, inputs.T @ inputs / 3000)) < 0.05 * error(weight_rounding.rounded(rows))


def test_kernels_are_given_back():
    model = classifier().model
    kernels = weight_rounding.kernels(model)
    before = [kernel.variable.numpy() for kernel in kernels]
    assert [kernel.layer.name for kernel in kernels] == ["first", "second", "scores"]
    with weight_rounding.on_grid(model, lambda: iter([(np.stack(EXAMPLES[:2]),)]), kernels):
        assert all((kernel.variable != old).numpy().any() for kernel, old in zip(kernels, before, strict=True))
    for kernel, old in zip(kernels, before, strict=True):
        np.testing.assert_array_equal(kernel.variable.numpy(), old)
        assert "call" not in vars(kernel.layer)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.Conv2D(4, (3, 2)), (1, 3, 2, 5)),
        (keras.layers.Conv2D(4, 3, dilation_rate=2), (1, 5, 5, 2)),
        (keras.layers.Conv1D(4, 6), (1, 6, 3)),
        (keras.layers.Dense(4), (1, 7)),
        (keras.layers.Conv2D(4, 3, padding="same"), (1, 1, 1, 2)),
    ],
)
def test_places_times_the_kernel_are_the_answer(layer, shape):
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = layer(inputs).numpy().reshape(1, 4)
    [kernel] = weight_rounding.kernels(keras.Sequential([layer]))
    seen = weight_rounding.places(layer, inputs, 2, np.random.default_rng(0))
    np.testing.assert_allclose(seen @ kernel.rows.T, np.repeat(expected, 2, 0), atol=1e-5)


def test_what_lies_between_learned_kernels_is_quantised_and_nothing_else():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8)).astype(np.float32)
    a, b, c = kernel
    nodes = [
        Node("Conv", np.flip(c, 1), ("x",), ("prepared",)),  # the same numbers in another order: not learned
        Node("Conv", a * [[-2.0], [0.5], [0.0]], ("prepared",), ("y",)),  # a normalisation folded in
        Node("Relu", None, ("y",), ("z",)),
        Node("Mul", None, ("z", "mask"), ("masked",)),
        Node("Add", None, ("z", "masked"), ("mixed",)),  # with what is not in 8 bits
        Node("MaxPool", None, ("z",), ("pooled",)),
        Node("Conv", b[:, ::-1], ("pooled",), ("answer",)),
        Node("Relu", None, ("answer",), ("end",)),
        Node("Softmax", None, ("end",), ("scores",)),
    ]
    passing = {"Add", "MaxPool", "Relu"}
    assert quantization.network_of(nodes, [a, b], passing) == {1, 2, 5, 6}
    assert quantization.network_of(nodes, [a, b], passing, {"Relu"}) == {1, 2, 5, 6, 7}
    assert quantization.network_of(nodes, [np.ones((3, 9), np.float32)], passing) == set()


def test_depthwise_and_separable_kernels_are_found(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.SeparableConv2D(12, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
    network = keras.Sequential([keras.Input((None, None, 3)), *layers])
    model = assembly.assemble(network, app="transfer", labels=LABELS, input=PICTURE, details={})
    assert len(weight_rounding.kernels(model)) == 5
    writers.write_litert_int8(model, tmp_path / "model.tflite", lambda: iter([(np.stack(EXAMPLES[:2]),)]))
    multiplied = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    found = [(kind, types[:2]) for kind, types, _ in operators(tmp_path / "model.tflite") if kind in multiplied]
    kinds = ["CONV_2D", "DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "FULLY_CONNECTED"]
    assert found == [(kind, ["INT8", "INT8"]) for kind in kinds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own
        writers.write_onnx_int8(model, tmp_path / "model.onnx", lambda: iter([(np.stack(EXAMPLES[:2]),)]))
    assert list(onnx_kernels(tmp_path / "model.onnx")) == [8, 16, 16, 12, 2]


def test_onnx_in_8_bits_answers_as_closely_as_litert_where_a_normalisation_evens_channels(tmp_path):
    import onnx

    keras.utils.set_random_seed(0)
    spread = np.geomspace(0.01, 100, 16, dtype=np.float32)  # of the maps that the normalisation makes alike
    depthwise = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)
    normalisation = keras.layers.BatchNormalization()
    layers = [
        keras.layers.Rescaling(1 / 64),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu6"),
        depthwise,
        normalisation,
        keras.layers.ReLU(6),
        keras.layers.Conv2D(8, 1, activation="relu6"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    network = keras.Sequential([keras.Input((None, None, 3)), *layers])
    depthwise.kernel.assign(depthwise.kernel * spread[:, None])
    normalisation.moving_variance.assign(np.square(spread))
    normalisation.beta.assign(np.full(16, 2.0))
    model = assembly.assemble(network, app="transfer", labels=list("abc"), input=PICTURE, details={})
    errors = {}
    for name in ("litert", "onnx"):
        path = tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters' own
            write = {"litert": writers.write_litert_int8, "onnx": writers.write_onnx_int8}[name]
            write(model, path, lambda: iter([(picture[None],) for picture in EXAMPLES]))
        run = runtimes.RUNTIMES[name](str(path))
        apart = [run(picture[None]) - model(picture[None].astype("float32")) for picture in TESTED]
        errors[name] = float(np.sqrt(np.mean(np.square(apart))))
    assert 0 < errors["onnx"] < 1.5 * errors["litert"]
    kinds = [node.op_type for node in onnx.load(tmp_path / "onnx").graph.node]
    assert "Clip" not in kinds  # a map is brought to 8 bits once, cut off where its range ends
    assert kinds.count("Mul") == 1  # of the preparation


def test_examples_that_calibrate_do_not_measure():
    different = [np.full((2, 2, 3), level, np.uint8) for level in range(7)]
    calibrating, measuring = exporter.held_back([*different, *different[:3]])
    assert [[example[0, 0, 0] for example in part] for part in (calibrating, measuring)] == [[0, 2, 3, 5, 6], [1, 4]]


@pytest.mark.parametrize("own", [None, "held back"])
def test_files_are_measured_on_examples_that_did_not_calibrate_them(tmp_path, monkeypatch, own):
    seen = {}

    def calibrated(model, path, batches):
        seen["calibrated"] = [picture.tobytes() for batch in batches() for picture in batch[0]]
        writers.write_litert_int8(model, path, batches)

    def trial(examples):
        seen["measured"] = [picture.tobytes() for picture in examples]
        return quality_loss.likeness(classifier(), examples)

    kind = dataclasses.replace(formats.FORMATS["litert-int8"], write=calibrated)
    monkeypatch.setitem(formats.FORMATS, "litert-int8", kind)
    given = {} if own is None else {"trial": trial}
    entry = export(classifier(), ["litert-int8"], tmp_path, EXAMPLES[:9], **given)["litert-int8"]
    assert entry["measured_on"] == "3 held-back examples, against Keras"
    if own is not None:
        every = {picture.tobytes() for picture in EXAMPLES[:9]}
        assert set(seen["calibrated"]) | set(seen["measured"]) == every
        assert set(seen["calibrated"]).isdisjoint(seen["measured"])


def test_one_example_cannot_calibrate_and_measure(tmp_path):
    parity = export(classifier(), QUANTISED, tmp_path, [EXAMPLES[0], EXAMPLES[0]])
    reason = "one example cannot both calibrate and measure a file in 8 bits; give --data with more"
    assert [parity[name].get("refused") for name in QUANTISED] == [None, reason, reason]


def test_pictures_that_calibrate_are_not_measured_though_data_names_them(tmp_path):
    rng = np.random.default_rng(0)
    colours = [rng.integers(0, 256, (70 + place, 90, 3), np.uint8) for place in range(4)]
    for place, colour in enumerate(colours):
        decoding.encode(colour, tmp_path / f"{place}.png")
    calibrating = [patches.middle(colour, 64) for colour in colours[:3]]
    predictor = shipped("srcnn_x2")
    trial = evaluate.trial(predictor, 2, str(tmp_path), calibrating)
    assert trial.data == f"{tmp_path}, 1 pictures (3 that calibrate left out)"
    assert [picture.shape for picture in trial.inputs()] == [(36, 45, 3)]
    with pytest.raises(InputError, match=r"all 4 pictures of .* calibrate the file; measure it on others with --data"):
        evaluate.trial(predictor, 2, str(tmp_path), [*calibrating, patches.middle(colours[3], 64)])


def test_pictures_are_measured_in_decibels_to_keras_where_nothing_else_is_known(tmp_path):
    convolutions = [keras.layers.Conv2D(channels, 3, padding="same") for channels in (8, 8, 3)]
    model = assembly.assemble(
        keras.Sequential([keras.Input((None, None, 3)), *convolutions]),
        app="style-transfer",
        labels=None,
        input=PICTURE,
        details={},
    )
    entry = export(inference_predictor.Predictor(model), ["litert-int8"], tmp_path, EXAMPLES[:6])["litert-int8"]
    assert (entry["metric"], entry["before"]) == ("psnr_to_keras", None)
    assert entry["after"] > 30
    types = [types for kind, types, _ in operators(tmp_path / "model.int8.tflite") if kind == "CONV_2D"]
    assert [one[0] for one in types] == ["FLOAT32", "INT8", "FLOAT32"]  # all but the outermost


@pytest.mark.slow
def test_the_command_keeps_what_loses_less_than_its_tolerance(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    arguments = ["--network", "srcnn", "--format", "litert", "--quantize", "int8", "--quantize", "float16"]
    out = ["--tolerance", "0.2", "--out", str(tmp_path), "--json"]
    code = exit_code(command, ["super-resolution", "export", *arguments, *out])
    parity = json.loads(capsys.readouterr().out)
    assert code == 1
    assert list(parity) == ["litert", "litert-int8", "litert-float16"]
    kept = parity["litert-float16"]
    assert (kept["metric"], kept["measured_on"]) == ("psnr", "4 held-back examples, shrunk")
    assert kept["before"] - 0.2 <= kept["after"]
    assert "dB lost, with 0.2 allowed (4 held-back examples, shrunk)" in parity["litert-int8"]["refused"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.float16.tflite", "model.tflite", "parity.json"]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (["--format", "saved-model", "--quantize", "int8"], "--quantize int8 is for --format onnx and --format litert"),
        (["--format", "onnx", "--quantize", "float16"], "--quantize float16 is for --format litert; received onnx"),
        (["--quantize", "int4"], "int4"),
    ],
)
def test_what_cannot_be_quantised_is_named_before_any_work(tmp_path, capsys, chosen, words):
    assert exit_code(command, ["mnist", "export", *chosen, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_is_measured_on_its_own_set_where_it_is_at_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    (tmp_path / "photos").mkdir()
    cases = {"digits": "digits", str(tmp_path / "photos"): str(tmp_path / "photos"), str(tmp_path / "gone"): None}
    cases["mnist"] = None  # would have to be downloaded
    for data, expected in cases.items():
        record = {"app": "mnist", "status": "complete", "arguments": {"data": data}}
        (tmp_path / "run.json").write_text(json.dumps(record))
        assert runs_record.tested_on(str(tmp_path), None) == expected
        assert runs_record.tested_on(str(tmp_path / "model.keras"), None) == expected
        assert runs_record.tested_on(str(tmp_path), "mine") == "mine"
    assert runs_record.tested_on(None, None, "digits") == "digits"
    assert runs_record.tested_on(str(tmp_path / "photos"), None, "digits") is None


RECORDINGS = Path(os.environ.get("CONVMEDIA_DATA", "nowhere"), "audio", "fsdd")


@pytest.mark.skipif(not RECORDINGS.exists(), reason="fsdd is not here")
@pytest.mark.slow
def test_the_included_sounds_network_keeps_its_accuracy_in_a_third_of_the_bytes(tmp_path, capsys):
    arguments = [
        "audio",
        "export",
        "--data",
        "fsdd",
        "--format",
        "litert",
        "--quantize",
        "int8",
        "--out",
        str(tmp_path),
    ]
    assert exit_code(command, [*arguments, "--json"]) == 0
    parity = json.loads(capsys.readouterr().out)
    assert parity["litert-int8"]["measured_on"] == "test split of fsdd, 300 sounds"
    assert parity["litert-int8"]["after"] >= parity["litert-int8"]["before"] - 0.003
    assert 3 * parity["litert-int8"]["bytes"] < parity["litert"]["bytes"]
