"""A hundred faults planted into exported files, one at a time: none of them is accepted.

Each is made by writing another model than the one that is exported, or by editing what was written. The examples are
grey, equal in size and few, as a user's may be. Files are answered in this process by what the child process runs.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from convmedia.models.answer import PICTURE
from convmedia.models.export import conversion, exporter, parity
from convmedia.models.export.evidence import Evidence
from convmedia.models.formats import flatbuffer, picture_decoding, runtimes, serving, writers
from convmedia.models.formats.formats import FORMATS, Refused
from convmedia.models.inference.predictor import Predictor
from convmedia.models.networks import sounds as network_sounds
from convmedia.models.preprocessing.mel_spectrogram import MeanOfWindows
from convmedia.models.preprocessing.resize import Resize
from convmedia.models.saving import assembly

LABELS = ["cat", "dog", "owl"]
STYLES = 3
RATE, WINDOW = 8000, 2000
DIFFERS = "differ from Keras|serve_bytes differs"


class Changed(keras.layers.Layer):
    """A function as a layer."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def call(self, inputs):
        return self.change(inputs)


def changed(change) -> list[keras.layers.Layer]:
    return [] if change is None else [Changed(change)]


class Fault(NamedTuple):
    """What is planted.

    Attributes:
        subject: which model is exported.
        format: to what.
        name: what is wrong with it.
        reason: in what is said when it is refused.
        write: called with the path, writes the file; None copies the good one.
        edit: called with the path of what was written.
        describe: changes the description; None in place of it leaves it out.
    """

    subject: str
    format: str
    name: str
    reason: str = DIFFERS
    write: Callable[[Path], Any] | None = None
    edit: Callable[[Path], Any] = lambda path: None
    describe: Callable[[dict[str, Any]], Any] = lambda facts: facts


# The models, each of which can be built with one thing changed.


def classifier(size=None, before=None, resize=None, rescale=None, inside=None, weights=None, after=None):
    """A convolution with normalisation, what it finds on average, three labels.

    Args:
        size: height and width that pictures are brought to before; None for their own.
        before, inside, after: change the raw picture, what the network is given, and the scores.
        resize, rescale: take the place of those steps.
        weights: changes the weights, a list of arrays.
    """
    keras.utils.set_random_seed(0)
    preparation = [
        *changed(before),
        *(changed(resize) or ([Resize(*size)] if size else [])),
        *(changed(rescale) or [keras.layers.Rescaling(1 / 255)]),
        *changed(inside),
    ]
    wide = keras.initializers.RandomNormal(stddev=2.0)
    layers = [
        keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, kernel_initializer=wide),
        *(changed(after) or [keras.layers.Softmax()]),
    ]
    network = keras.Sequential([keras.Input((*(size or (None, None)), 3)), *layers])
    values = network.get_weights()
    values[4], values[5] = values[4] + 0.1, values[5] * 0.5  # moving mean and variance
    network.set_weights(values if weights is None else weights(values))
    facts = {"app": "transfer", "labels": LABELS, "input": PICTURE, "details": {"network": "small"}}
    return assembly.assemble(network, preparation=preparation, **facts)


def resized(**changes):
    """The classifier of pictures that are brought to 20x24."""
    return classifier((20, 24), **changes)


def enlarger(before=None, after=None, weights=None):
    """Pictures to pictures of their size that are neither clipped nor rounded."""
    keras.utils.set_random_seed(1)
    near = keras.initializers.RandomNormal(stddev=0.08)
    layers = [
        keras.layers.Conv2D(5, 3, padding="same", activation="relu", kernel_initializer=near),
        keras.layers.Conv2D(5, 1, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Conv2D(3, 3, padding="same", kernel_initializer=near),
    ]
    picture = keras.Input((None, None, 3))
    given = picture
    for layer in changed(before):
        given = layer(given)
    detail = keras.Sequential(layers)
    answer = keras.layers.Add()([given, detail(given)])
    if weights is not None:
        detail.set_weights(weights(detail.get_weights()))
    for layer in changed(after):
        answer = layer(answer)
    facts = {"app": "super-resolution", "labels": None, "input": PICTURE, "details": {"scale": 1}}
    return assembly.assemble(keras.Model(picture, answer), **facts)


def painter(before=None, styles=None):
    """Pictures and the weights of three styles to pictures, whose colours the styles make.

    Args:
        before, styles: change the picture and the weights that the network is given.
    """
    keras.utils.set_random_seed(2)
    picture, weights = keras.Input((None, None, 3)), keras.Input((STYLES,))
    given = [picture, weights]
    for place, change in enumerate((before, styles)):
        for layer in changed(change):
            given[place] = layer(given[place])
    maps = keras.layers.Conv2D(4, 3, padding="same", activation="relu", kernel_initializer="he_normal")(given[0])
    strengths = keras.layers.Reshape((1, 1, 4))(keras.layers.Dense(4, kernel_initializer="he_normal")(given[1]))
    painted = keras.layers.Conv2D(3, 1)(keras.layers.Multiply()([maps, strengths]))
    answer = keras.layers.Add()([keras.layers.Rescaling(0.5)(given[0]), keras.layers.Rescaling(0.2)(painted)])
    facts = {"app": "style-transfer", "labels": None, "input": PICTURE, "details": {"styles": list("abc")}}
    return assembly.assemble(keras.Model([picture, weights], answer), beside={"style": STYLES}, **facts)


def listener(before=None, scores=None, joined=None):
    """Sounds, window by window, by their spectra.

    Args:
        before, scores: change the waveform and each window's scores.
        joined: takes scores, samples heard and waveforms in place of `MeanByEnergy`.
    """
    keras.utils.set_random_seed(3)
    spectrum, size = network_sounds.heard_as("compact", RATE, WINDOW / RATE)
    start = keras.initializers.RandomNormal(stddev=0.05)
    sure = keras.initializers.Constant(np.array([0.0, 1.0, 0.3]))  # so that 8 bits do not change the best label
    dense = keras.layers.Dense(3, kernel_initializer=start, bias_initializer=sure)
    network = keras.Sequential(
        [
            keras.Input((spectrum.frames(size), spectrum.bands, 2)),
            keras.layers.Conv2D(2, 5, strides=4, activation="relu"),
            keras.layers.Flatten(),
            dense,
            keras.layers.Softmax(),
            *changed(scores),
        ]
    )
    moments = np.full(spectrum.bands, -40.0), np.full(spectrum.bands, 15.0)
    model = network_sounds.whole(network, spectrum, size, *moments, app="audio", labels=LABELS, details={})
    assert size == WINDOW
    if before is None and joined is None:
        return model
    raw = keras.Input((None,), name="sound")
    windows, heard = model.get_layer("windows")(Changed(before)(raw) if before else raw)
    prepared = model.get_layer("standardised")([model.get_layer("log_mel")(windows), heard])
    answers = network(prepared)
    if joined:
        mean = Changed(joined)([answers, heard, raw])
    else:
        mean = model.get_layer("mean_of_windows")([answers, heard, windows, raw])
    return keras.Model(raw, model.get_layer("answer")(mean))


BUILDERS = {
    "classifier": classifier,
    "resized": resized,
    "enlarger": enlarger,
    "painter": painter,
    "listener": listener,
}
EVERY = ["saved-model", "onnx", "litert"]
TURNS = ["onnx", "saved-model", "onnx", "litert"]  # which an altered model is written to; ONNX is quickest
QUANTISED = ["litert-float16", "litert-int8", "onnx-int8"]


def examples(name: str) -> list[np.ndarray]:
    """Grey, of one size, well exposed; sounds of one window."""
    rng = np.random.default_rng(5)
    if name == "listener":
        return [rng.normal(0, 0.1, WINDOW).astype(np.float32) for _ in range(6)]
    return [np.repeat(rng.integers(60, 190, (22, 22, 1), np.uint8), 3, axis=-1) for _ in range(6)]


class Subject(NamedTuple):
    evidence: Evidence
    measured: Any
    files: dict[str, Path]  # good ones


@pytest.fixture(scope="module")
def subjects(tmp_path_factory) -> Callable[[str], Subject]:
    """Models with what their files are tried on, made when they are first asked for."""
    known: dict[str, Subject] = {}

    def subject(name: str) -> Subject:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            evidence = Evidence(Predictor(BUILDERS[name]()), examples(name), folder)
            known[name] = Subject(evidence, exporter._measured(evidence, examples(name), None, 5.0), {})
        return known[name]

    return subject


def in_this_process(path, asked, timeout_seconds):
    """As `proving.answered`, for files that do not crash their runtime."""
    runtimes._folder.cache_clear()
    try:
        runtimes.main(str(path), *parity.arguments(asked))
    except Exception as error:  # what any runtime lets out
        raise Refused(f"its runtime failed: {parity.first_line(str(error))}") from error


@pytest.fixture
def prove(subjects, tmp_path, monkeypatch):
    """Exports a subject to a format, in which a fault may be planted: what `parity.json` would say of it."""
    monkeypatch.setattr(exporter, "answered", in_this_process)
    monkeypatch.setattr(runtimes, "RUNS", 1)  # what an answer costs is not asked here

    def proved(name: str, format: str, fault: Fault | None = None):
        subject, kind = subjects(name), FORMATS[format]
        measured = subject.measured if kind.quantised else None
        if format not in subject.files:
            good = tmp_path / "good"
            good.mkdir()
            subject.files[format] = subject.evidence.folder / kind.file
            calibrating = measured.calibrating if measured else []
            conversion.convert(kind, subject.evidence, good / kind.file, calibrating)
            shutil.move(good / kind.file, subject.files[format])
        path = tmp_path / kind.file

        def write(model, path, batches=None):
            if fault is not None and fault.write is not None:
                fault.write(path)
            else:
                copied(subject.files[format], path)
            if fault is not None:
                fault.edit(path)

        def describe(path, text):
            facts = json.loads(text) if fault is None else fault.describe(json.loads(text))
            undescribed(path)
            if facts is not None:
                kind.describe(path, facts if isinstance(facts, str) else json.dumps(facts))

        planted = dataclasses.replace(kind, write=write, describe=describe)
        return exporter.proved(planted, path, subject.evidence, measured)

    return proved


def copied(source: Path, target: Path) -> None:
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def undescribed(path: Path) -> None:
    """Take the description out of a good file."""
    if path.is_dir():
        shutil.rmtree(path / "assets.extra", ignore_errors=True)
    elif path.suffix == ".onnx":
        edit_onnx(lambda model: model.ClearField("metadata_props"))(path)
    else:
        edit_litert(lambda model: setattr(model, "metadata", []))(path)


def edit_onnx(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        import onnx

        model = onnx.load(path)
        change(model)
        onnx.save(model, path)

    return edit


def edit_litert(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        model = flatbuffer.read(path.read_bytes())
        change(model)
        path.write_bytes(flatbuffer.packed(model))

    return edit


# Faults of every kind. Those of models go through the formats in turn.


def written(format: str, build: Callable[[], keras.Model]) -> Callable[[Path], None]:
    plain = {"litert-float16": writers.write_litert_float16, "litert-int8": writers.write_litert}
    write = {**plain, "onnx-int8": writers.write_onnx}.get(format) or FORMATS[format].write
    return lambda path: write(build(), path)


def of_model(subject: str, names: list[str], changes: dict[str, dict[str, Any]], **others: Any) -> list[Fault]:
    """A fault for each change of a model, by format in turn."""
    build = BUILDERS[subject]
    return [
        Fault(
            subject,
            names[place % len(names)],
            name,
            write=written(names[place % len(names)], lambda change=change: build(**change)),
            **others,
        )
        for place, (name, change) in enumerate(changes.items())
    ]


def item(place: int, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """A change of one array of weights."""

    def weights(values):
        return [change(np.array(value)) if number == place else value for number, value in enumerate(values)]

    return {"weights": weights}


def one_bit(values: np.ndarray) -> np.ndarray:
    """The largest number with the second bit of its exponent the other way."""
    bits = values.astype(np.float32).view(np.uint32).ravel()
    bits[np.abs(values).argmax()] ^= np.uint32(1 << 24)
    return bits.view(np.float32).reshape(values.shape)


def first_zero(values: np.ndarray) -> np.ndarray:
    values[..., 0] = 0
    return values


PREPARED = {
    "blue, green, red": {"before": lambda x: x[..., ::-1]},
    "green and blue exchanged": {"before": lambda x: ops.stack([x[..., 0], x[..., 2], x[..., 1]], -1)},
    "rows reversed": {"before": lambda x: ops.flip(x, 1)},
    "columns reversed": {"before": lambda x: ops.flip(x, 2)},
    "height and width exchanged": {"before": lambda x: ops.transpose(x, (0, 2, 1, 3))},
    "inverted": {"before": lambda x: 255.0 - x},
    "grey by the mean": {"before": lambda x: ops.mean(x, -1, keepdims=True) * ops.ones_like(x)},
    "red alone": {"before": lambda x: x[..., :1] * ops.ones_like(x)},
    "clipped to 16..235": {"before": lambda x: ops.clip(x, 16.0, 235.0)},
    "thresholds softened": {"before": lambda x: 255.0 * ops.sigmoid((x - 127.5) / 32)},
    "gamma": {"before": lambda x: 255.0 * ops.power(x / 255.0, 1.1)},
    "a level brighter": {"before": lambda x: x + 1.0},
    "levels of four bits": {"before": lambda x: 16.0 * ops.floor(x / 16.0)},
    "a pixel lower": {"inside": lambda x: ops.concatenate([x[:, :1], x[:, :-1]], 1)},
    "a pixel to the right": {"inside": lambda x: ops.concatenate([x[:, :, :1], x[:, :, :-1]], 2)},
    "not rescaled": {"rescale": lambda x: x * 1.0},
    "rescaled twice": {"rescale": lambda x: x / 255.0 / 255.0},
    "rescaled to -1..1": {"rescale": lambda x: x / 127.5 - 1.0},
    "standardised by the picture": {"inside": lambda x: x - ops.mean(x, (1, 2), keepdims=True)},
    "standardised by the batch": {"inside": lambda x: x - ops.mean(x, 0, keepdims=True)},
}
RESIZED = {
    "a row of pixels left out": {"before": lambda x: ops.concatenate([x[:, :1], x[:, :-1]], 1)},
    "nearest in place of bilinear": {"resize": lambda x: tf.image.resize(x, (20, 24), method="nearest")},
    "bilinear without antialiasing": {"resize": lambda x: tf.image.resize(x, (20, 24))},
    "bicubic in place of bilinear": {"resize": lambda x: tf.image.resize(x, (20, 24), method="bicubic")},
}
WEIGHED = {
    "one bit of a kernel": item(0, one_bit),
    "a filter without its kernel": item(0, first_zero),
    "kernels mirrored": item(0, lambda values: values[:, ::-1]),
    "a bias": item(1, lambda values: values + 0.05),
    "scales of the normalisation": item(2, lambda values: values * 1.1),
    "offsets of the normalisation": item(3, lambda values: values + 0.05),
    "means of the normalisation": item(4, lambda values: values * 0),
    "variances of the normalisation": item(5, lambda values: values * 0 + 1),
    "dense weights of another label": item(6, lambda values: values[:, ::-1]),
    "weights in eight bits": item(6, lambda values: np.round(values * 64) / 64),
}
ANSWERED = {
    "answers in another order": {"after": lambda x: ops.softmax(x)[:, ::-1]},
    "answers moved on by one": {"after": lambda x: ops.concatenate([ops.softmax(x)[:, 2:], ops.softmax(x)[:, :2]], 1)},
    "no softmax": {"after": lambda x: x * 1.0},
    "softmax twice": {"after": lambda x: ops.softmax(ops.softmax(x))},
    "softmax at another temperature": {"after": lambda x: ops.softmax(x / 1.1)},
    "logarithms": {"after": lambda x: ops.log(ops.softmax(x) + 1e-7)},
    "sigmoids": {"after": ops.sigmoid},
    "answers in two digits": {"after": lambda x: ops.round(100 * ops.softmax(x)) / 100},
    "answers in reversed batches": {"after": lambda x: ops.softmax(x)[::-1]},
    "the first answer for all": {"after": lambda x: ops.softmax(x)[:1] * ops.ones_like(x)},
}
PAINTED = {
    "pictures clipped": {"after": lambda x: ops.clip(x, 0.0, 255.0)},
    "pictures rounded": {"after": ops.round},
    "pictures of 0..1": {"after": lambda x: x / 255.0},
    "pictures with blue first": {"after": lambda x: x[..., ::-1]},
    "pictures moved by a pixel": {"after": lambda x: ops.concatenate([x[:, :1], x[:, :-1]], 1)},
    "pictures brighter by a tenth of a level": {"after": lambda x: x + 0.1},
    "pictures seen with blue first": {"before": lambda x: x[..., ::-1]},
    "another kernel for pictures": item(0, one_bit),
}
BLENDED = {
    "styles left out": {"styles": lambda w: ops.ones_like(w) / STYLES},
    "styles in another order": {"styles": lambda w: w[:, ::-1]},
    "the strongest style alone": {"styles": lambda w: ops.cast(w >= ops.max(w, 1, keepdims=True), "float32")},
    "columns of paintings reversed": {"before": lambda x: ops.flip(x, 2)},
}


def greatest_of_windows(given):
    scores, _, sounds = given
    return ops.max(ops.reshape(scores, (ops.shape(sounds)[0], -1, 3)), axis=1)


def plain_mean_of_windows(given):
    scores, _, sounds = given
    return ops.mean(ops.reshape(scores, (ops.shape(sounds)[0], -1, 3)), axis=1)


def first_window(given):
    scores, _, sounds = given
    return ops.reshape(scores, (ops.shape(sounds)[0], -1, 3))[:, 0]


HEARD = {
    "the greatest of all windows": {"joined": greatest_of_windows},
    "windows counted by number": {"joined": plain_mean_of_windows},
    "windows counted by length": {"joined": MeanOfWindows()},
    "the first window alone": {"joined": first_window},
    "windows a hop later": {"before": lambda x: ops.concatenate([0 * x[:, :1], x[:, :-1]], 1)},
    "twice the level, clipped": {"before": lambda x: ops.clip(2 * x, -1.0, 1.0)},
    "clipped at a half": {"before": lambda x: ops.clip(x, -0.5, 0.5)},
    "sounds of eight bits": {"before": lambda x: ops.round(x * 128) / 128},
    "sounds with an offset": {"before": lambda x: x + 0.01},
    "sounds backwards": {"before": lambda x: x[:, ::-1]},
    "labels of sounds in another order": {"scores": lambda x: x[:, ::-1]},
}

DESCRIBED = {
    "no description": (lambda facts: None, "missing"),
    "a description that is no JSON": (lambda facts: "labels: cat", "wrote no"),
    "labels reversed in the description": (lambda facts: {**facts, "labels": LABELS[::-1]}, "labels"),
    "a label renamed in the description": (lambda facts: {**facts, "labels": ["cat", "dog", "bird"]}, "labels"),
    "a label less in the description": (lambda facts: {**facts, "labels": LABELS[:2]}, "labels"),
    "no labels in the description": (lambda facts: {**facts, "labels": None}, "labels"),
    "the description of another file": (lambda facts: {**facts, "model_sha256": "0" * 64}, "model_sha256"),
    "the description of another application": (lambda facts: {**facts, "app": "mnist"}, "app"),
    "other details in the description": (lambda facts: {**facts, "details": {}}, "details"),
    "another input in the description": (
        lambda facts: {**facts, "input": {**facts["input"], "dtype": "uint8"}},
        "input",
    ),
}


def described() -> list[Fault]:
    names = [*EVERY, *QUANTISED]
    found = [
        Fault("classifier", names[place % 6], name, reason, describe=describe)
        for place, (name, (describe, reason)) in enumerate(DESCRIBED.items())
    ]
    other_rate = {"describe": lambda facts: {**facts, "input": {**facts["input"], "sample_rate": 16_000}}}
    return [*found, Fault("listener", "onnx", "another rate in the description", "input", **other_rate)]


def fixed(place: int, size: int) -> Callable[[Any], None]:
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = size

    return change


def renamed(model) -> None:
    for node in model.graph.node:
        node.input[:] = ["picture" if name == "image" else name for name in node.input]
    model.graph.input[0].name = "picture"


def output_renamed(model) -> None:
    for node in model.graph.node:
        node.output[:] = ["scores" if name == "output_0" else name for name in node.output]
    model.graph.output[0].name = "scores"


def another_bit(model) -> None:
    from onnx import numpy_helper

    largest = max(model.graph.initializer, key=lambda entry: np.prod(entry.dims))
    largest.CopyFrom(numpy_helper.from_array(one_bit(numpy_helper.to_array(largest)), largest.name))


def float_input(path: Path) -> None:
    signature = [keras.InputSpec(shape=(None, None, None, 3), dtype="float32", name="image")]
    classifier().export(path, format="onnx", input_signature=signature, verbose=False)


def litert_of_one_size(model) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shapeSignature = np.array([1, 22, 22, 3], np.int32)


def litert_renamed(model) -> None:
    model.signatureDefs[0].inputs[0].name = b"picture"


def litert_output_renamed(model) -> None:
    model.signatureDefs[0].outputs[0].name = b"scores"


def litert_bit(model) -> None:
    largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    values = np.array(largest.data, np.uint8).view(np.float32)
    largest.data = one_bit(values).view(np.uint8)


def cut_short(path: Path) -> None:
    file = path / "saved_model.pb" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def other_weights_file(path: Path) -> None:
    [file] = (path / "variables").glob("variables.data*")
    values = bytearray(file.read_bytes())
    values[: 4 * 54] = bytes(4 * 54)
    file.write_bytes(bytes(values))


FILES = [
    Fault("classifier", "onnx", "batches of one", "its inputs|its runtime failed", edit=edit_onnx(fixed(0, 1))),
    Fault("classifier", "onnx", "one height", "its inputs|its runtime failed", edit=edit_onnx(fixed(1, 22))),
    Fault("classifier", "onnx", "an input of another name", "its inputs", edit=edit_onnx(renamed)),
    Fault("classifier", "onnx", "an output of another name", "its outputs", edit=edit_onnx(output_renamed)),
    Fault("classifier", "onnx", "an input of another type", "its inputs|its runtime failed", write=float_input),
    Fault("classifier", "onnx", "a bit of the file", edit=edit_onnx(another_bit)),
    Fault("classifier", "onnx", "half of the file", "wrote no", edit=cut_short),
    Fault("classifier", "onnx", "a LiteRT file", "wrote no", write=written("litert", classifier)),
    Fault("classifier", "litert", "batches of one size", "its inputs", edit=edit_litert(litert_of_one_size)),
    Fault("classifier", "litert", "an input of another name", "its inputs", edit=edit_litert(litert_renamed)),
    Fault("classifier", "litert", "an output of another name", "its outputs", edit=edit_litert(litert_output_renamed)),
    Fault("classifier", "litert", "a bit of the file", edit=edit_litert(litert_bit)),
    Fault("classifier", "litert", "an ONNX file", "wrote no", write=written("onnx", classifier)),
    Fault("classifier", "saved-model", "half of the file", "wrote no", edit=cut_short),
    Fault("classifier", "saved-model", "other numbers beside the graph", "differ|failed", edit=other_weights_file),
    Fault("listener", "onnx", "batches of one sound", "its inputs|its runtime failed", edit=edit_onnx(fixed(0, 1))),
    Fault("listener", "onnx", "one length", "its inputs|its runtime failed", edit=edit_onnx(fixed(1, WINDOW))),
]
SMALL = [
    *of_model("classifier", QUANTISED, {name: PREPARED[name] for name in ("blue, green, red", "inverted")}),
    *of_model("classifier", QUANTISED[1:], {name: PREPARED[name] for name in ("rows reversed", "columns reversed")}),
    *of_model("classifier", QUANTISED, dict(list(ANSWERED.items())[:2])),
    Fault("classifier", "onnx-int8", "batches of one", edit=edit_onnx(fixed(0, 1))),
    Fault("classifier", "onnx-int8", "an input of another name", edit=edit_onnx(renamed)),
    Fault("classifier", "litert-int8", "an input of another name", edit=edit_litert(litert_renamed)),
    Fault("classifier", "litert-float16", "batches of one size", edit=edit_litert(litert_of_one_size)),
    *of_model("enlarger", ["litert-float16"], {"pictures with blue first": PAINTED["pictures with blue first"]}),
    *of_model("painter", ["litert-float16"], {"styles left out": BLENDED["styles left out"]}),
    *of_model("listener", ["litert-int8"], {"sounds backwards": HEARD["sounds backwards"]}),
]
SMALL = [
    fault._replace(reason="lost|as Keras answers it with|are asked|its inputs|its runtime failed") for fault in SMALL
]


# `serve_bytes`: what it decodes, and what it makes of the answers.


def decoding(subject: str, name: str, change: Callable[[Any, Any, Any], Any]) -> Fault:
    """`change` is given the bytes, the right decoder, and the sample rate."""
    part = "decoded_sound" if subject == "listener" else "decoded_picture"
    right = getattr(serving, part)

    def decoded(content, *rate):
        return change(content, lambda: right(content, *rate), *rate)

    return served(subject, f"serve_bytes: {name}", part, decoded)


def giving(subject: str, name: str, change: Callable[[Callable], Callable], reason: str = DIFFERS):
    """`change` is given the right function of the endpoint."""
    right = serving.endpoint
    return served(subject, f"serve_bytes: {name}", "endpoint", lambda model: change(right(model)), reason)


def served(subject: str, name: str, part: str, put: Callable, reason: str = DIFFERS) -> Fault:
    def write(path: Path) -> None:
        with mock.patch.object(serving, part, put):
            writers.write_saved_model(BUILDERS[subject](), path)

    return Fault(subject, "saved-model", name, reason, write=write)


def only_jpeg(change):
    return lambda content, right: tf.cond(tf.io.is_jpeg(content), lambda: change(right()), right)


def only_png(change):
    return lambda content, right: tf.cond(tf.io.is_jpeg(content), right, lambda: change(right()))


def only_grey_png(change):
    def decoded(content, right):
        grey = tf.equal(tf.strings.substr(content, 25, 1), b"\x00")  # the type of colour
        return tf.cond(tf.logical_and(tf.logical_not(tf.io.is_jpeg(content)), grey), lambda: change(right()), right)

    return decoded


def with_part(part: str, put: Callable) -> Callable:
    """The right decoder of pictures with one part in it replaced."""
    right = serving.decoded_picture

    def decoded(content):
        with mock.patch.object(picture_decoding, part, put):
            return right(content)

    return decoded


def left_alone(content, right, rate):
    return tf.audio.decode_wav(content)[0][:, 0]


def outputs(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Callable], Callable]:
    return lambda right: lambda *given: change(right(*given))


def pictures_again(change: Callable[[Any], Any], write=tf.io.encode_png):
    """Decode the answers, change and encode them."""

    def each(content):
        return write(change(tf.io.decode_png(content, channels=3)))

    return outputs(
        lambda given: {"picture_bytes": tf.map_fn(each, given["picture_bytes"], fn_output_signature=tf.string)}
    )


def floor_in_place_of_round(right):
    def endpoint(*given):
        with mock.patch.object(tf, "round", tf.floor):
            return right(*given)

    return endpoint


def with_labels(labels):
    return outputs(lambda given: {**given, "labels": labels(given["labels"])})


SERVED = [
    decoding("classifier", "JPEG inverted", only_jpeg(lambda x: 255.0 - x)),
    decoding("classifier", "JPEG with blue first", only_jpeg(lambda x: x[..., ::-1])),
    decoding("classifier", "JPEG with other levels", only_jpeg(lambda x: x + 2.0)),
    decoding("classifier", "PNG with blue first", only_png(lambda x: x[..., ::-1])),
    decoding("classifier", "PNG grey", only_png(lambda x: tf.reduce_mean(x, -1, keepdims=True) * [1.0, 1.0, 1.0])),
    decoding("classifier", "grey PNG inverted", only_grey_png(lambda x: 255.0 - x)),
    served(
        "classifier",
        "serve_bytes: transparency dropped",
        "decoded_picture",
        with_part("_opaque", lambda pixels: tf.cast(pixels[..., :3], tf.float32)),
    ),
    served("classifier", "serve_bytes: not turned", "decoded_picture", with_part("upright", lambda pixels, _: pixels)),
    decoding("classifier", "0..1", lambda content, right: right() / 255.0),
    giving("classifier", "labels reversed", with_labels(lambda x: x[:, ::-1]), "the labels"),
    giving("classifier", "labels once", with_labels(lambda x: x[:1]), "labels of shape"),
    giving("classifier", "a label renamed", with_labels(tf.strings.upper), "the labels"),
    giving("classifier", "no labels", outputs(lambda given: {"scores": given["scores"]}), "its outputs"),
    giving("classifier", "answers in another order", outputs(lambda g: {**g, "scores": g["scores"][:, ::-1]})),
    giving("classifier", "answers of other files", outputs(lambda g: {**g, "scores": g["scores"][::-1]})),
    giving("enlarger", "a negative", pictures_again(lambda x: 255 - x)),
    giving("enlarger", "levels cut off and not rounded", floor_in_place_of_round),
    giving("enlarger", "blue first", pictures_again(lambda x: x[..., ::-1])),
    giving("enlarger", "grey", pictures_again(tf.image.rgb_to_grayscale)),
    giving("enlarger", "JPEG", pictures_again(lambda x: x, tf.io.encode_jpeg)),
    giving("enlarger", "one level brighter", pictures_again(lambda x: x + tf.cast(x < 255, tf.uint8))),
    giving(
        "enlarger",
        "no picture",
        outputs(lambda g: {"picture_bytes": tf.strings.substr(g["picture_bytes"], 9, 99)}),
        "no picture",
    ),
    giving("painter", "styles left out", lambda right: lambda f, style: right(f, tf.ones_like(style) / STYLES)),
    giving("painter", "a negative", pictures_again(lambda x: 255 - x)),
    decoding("listener", "the left channel alone", left_alone),
    decoding("listener", "the end left out", lambda content, right, rate: right()[: 1 + 3 * tf.size(right()) // 4]),
    giving("listener", "labels reversed", with_labels(lambda x: x[:, ::-1]), "the labels"),
]


def served_otherwise(path: Path) -> None:
    """`serve` is right, and what is served by default has blue first."""
    archive = keras.export.ExportArchive()
    right, wrong = classifier(), classifier(before=PREPARED["blue, green, red"]["before"])
    signature = writers._signature(right)
    archive.track_and_add_endpoint("serve", right, signature)
    serving.add_bytes(archive, right)
    archive.track_and_add_endpoint("other", wrong, signature)
    archive.write_out(path, verbose=False)
    loaded = tf.saved_model.load(str(path))
    names = {"serve": "serve", "serve_bytes": "serve_bytes", "serving_default": "other"}
    signatures = {name: loaded.signatures[source] for name, source in names.items()}
    shutil.rmtree(path)
    tf.saved_model.save(loaded, str(path), signatures=signatures)


def without_bytes(path: Path) -> None:
    classifier().export(path, format="tf_saved_model", input_signature=writers._signature(classifier()), verbose=False)


ENTERED = [
    Fault("classifier", "saved-model", "another model by default", write=served_otherwise),
    Fault("classifier", "saved-model", "no serve_bytes", "its entries|its runtime failed", write=without_bytes),
]

FAULTS = [
    *of_model("classifier", TURNS, {**PREPARED, **WEIGHED, **ANSWERED}),
    *of_model("resized", ["onnx"], RESIZED),
    *of_model("enlarger", TURNS, PAINTED),
    *of_model("painter", ["litert", "onnx"], BLENDED),
    *of_model("listener", ["onnx", "litert"], HEARD),
    *described(),
    *FILES,
    *SMALL,
    *SERVED,
    *ENTERED,
]


# `make test` plants the first fault of each model and check, and `make test-all` every one.
ALWAYS = {}
for fault in reversed(FAULTS):
    ALWAYS[fault.subject, fault.reason, fault.name.startswith("serve_bytes")] = fault


def test_there_are_more_than_a_hundred_of_them_each_once():
    assert len({(fault.subject, fault.format, fault.name) for fault in FAULTS}) == len(FAULTS) > 100


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            fault,
            id=f"{fault.subject}-{fault.format}-{fault.name}",
            marks=[] if fault in ALWAYS.values() else [pytest.mark.slow],
        )
        for fault in FAULTS
    ],
)
def test_a_planted_fault_is_refused(prove, fault):
    with pytest.raises(Refused, match=fault.reason) as caught:
        prove(fault.subject, fault.format, fault)
    assert "the converter failed" not in str(caught.value)


# Each model in one format at least and each format for one model at least, all pairs by `make test-all`.
ACCEPTED = [("classifier", name) for name in [*EVERY, *QUANTISED]]
ACCEPTED += [("enlarger", "litert"), ("painter", "onnx"), ("listener", "saved-model")]


@pytest.mark.parametrize(
    ("subject", "format"),
    [
        pytest.param(subject, name, marks=[] if (subject, name) in ACCEPTED else [pytest.mark.slow])
        for subject in ("classifier", "enlarger", "painter", "listener")
        for name in (*EVERY, *QUANTISED)
    ],
)
def test_an_unaltered_export_is_accepted(prove, subject, format):
    entry = prove(subject, format)
    assert entry["max_abs_diff"] <= (1e-4 if format in EVERY else 0.5)
    assert ("max_abs_diff_bytes" in entry) == (format == "saved-model")
