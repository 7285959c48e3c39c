"""How each kind of exported file is written: functions that rows of `formats.FORMATS` name."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.models import keras_internals
from convmedia.models.formats import quantization, serving, weight_rounding
from convmedia.models.formats.formats import Refused
from convmedia.models.formats.weight_rounding import Batches


def write_saved_model(model: keras.Model, path: Path) -> None:
    """A TensorFlow SavedModel folder; its endpoints are `serve` and, for encoded files, `serve_bytes`."""
    serving.write(model, path, _signature(model))


def write_onnx(model: keras.Model, path: Path) -> None:
    """An ONNX file, whose output has the name that it has in the other formats, `output_0`."""
    import onnx

    model.export(path, format="onnx", input_signature=_signature(model), verbose=False)
    written = onnx.load(path)
    names = {entry.name: f"output_{place}" for place, entry in enumerate(written.graph.output)}
    for node in written.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for entry in written.graph.output:
        entry.name = names[entry.name]
    onnx.save(written, path)


def write_litert(model: keras.Model, path: Path) -> None:
    """A LiteRT file of built-in operators only.

    Raises:
        Refused: an operation has no built-in operator.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        model.export(folder, format="tf_saved_model", input_signature=_signature(model), verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        # Keras's own LiteRT export always allows Flex, TensorFlow's kernels, which plain LiteRT has not.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            path.write_bytes(converter.convert())
        except keras_internals.converter_error() as error:
            missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
            reason = (
                f"plain LiteRT has no operator for {', '.join(missing)}" if missing else str(error).partition("\n")[0]
            )
            raise Refused(reason) from error


def write_litert_float16(model: keras.Model, path: Path) -> None:
    """A LiteRT file with float16 weights and float32 arithmetic: half the size.

    Raises:
        Refused: as `write_litert`.
    """
    write_litert(model, path)
    path.write_bytes(quantization.litert_float16(path.read_bytes()))


def write_litert_int8(model: keras.Model, path: Path, batches: Batches) -> None:
    """A LiteRT file with the network in 8 bits, weights and activations, and its preparation in float32.

    Raises:
        Refused: as `write_litert`.
        ValueError: the model has no kernels to quantise.
    """
    with _rounded(model, batches) as learned:
        write_litert(model, path)
        path.write_bytes(quantization.litert_int8(path.read_bytes(), batches, learned))


def write_onnx_int8(model: keras.Model, path: Path, batches: Batches) -> None:
    """An ONNX file with the network in 8 bits (QDQ), weights and activations, and its preparation in float32.

    Raises:
        ValueError: the model has no kernels to quantise.
    """
    with _rounded(model, batches) as learned, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "float32.onnx"
        write_onnx(model, source)
        quantization.onnx_int8(source, path, batches, learned)


@contextlib.contextmanager
def _rounded(model: keras.Model, batches: Batches) -> Iterator[list[np.ndarray]]:
    """The kernels to quantise, rounded within the block, as `quantization.network_of` takes them."""
    chosen = quantization.chosen_kernels(model)
    with weight_rounding.on_grid(model, batches, chosen):
        yield [kernel.rows for kernel in chosen]


def _signature(model: keras.Model) -> list:
    """Pictures go in as uint8, what cameras and decoders give; everything else as the model has it.

    Of one input [InputSpec], of several [[InputSpec, ...]]: they are one argument, a list.
    """
    inputs = [
        keras.InputSpec(shape=raw.shape, dtype="uint8" if len(raw.shape) == 4 else raw.dtype, name=raw.name)
        for raw in model.inputs
    ]
    return inputs if len(inputs) == 1 else [inputs]


def promised(model: keras.Model, runtime: str) -> dict[str, Any]:
    """What a file takes and gives, as `runtimes.Loaded` says it: raw inputs of the model's names and free sizes.

    Args:
        runtime: of `runtimes.RUNTIMES`.
    """
    raw, *others = model.inputs
    files = serving.takes_files(model)
    first = [raw.name, "uint8" if len(raw.shape) == 4 else "float32", list(raw.shape)]
    kind = model.layers[-1].kind
    outputs = [[f"output_{place}", tensor.dtype] for place, tensor in enumerate(model.outputs)]
    entries = {"saved-model": ["serve", *(["serve_bytes"] if files else []), "serving_default"], "onnx": []}
    if runtime == "serve-bytes":
        first = ["file_bytes", "string", [None]]
        outputs = [[name, dtype] for name, dtype in sorted(kind.served.items())]
    return {
        "inputs": sorted([first, *([tensor.name, "float32", list(tensor.shape)] for tensor in others)]),
        "outputs": outputs,
        "entries": entries.get(runtime, ["serving_default"] if runtime == "litert" else entries["saved-model"]),
    }
