"""How each kind of exported file is written: functions that rows of `formats.FORMATS` name.

Each takes the size that the raw input is to have, (height, width) or (samples,), or None for any. The number of
examples in a batch is always free.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.models import keras_internals
from convmedia.models.formats import flatbuffer, quantization, serving, weight_rounding
from convmedia.models.formats.formats import Refused
from convmedia.models.formats.weight_rounding import Batches

Size = tuple[int, ...] | None


def write_saved_model(model: keras.Model, path: Path, size: Size = None) -> None:
    """A TensorFlow SavedModel folder; its endpoints are `serve` and, for encoded files of any size, `serve_bytes`."""
    serving.write(model, path, _signature(model, size))


def write_onnx(model: keras.Model, path: Path, size: Size = None) -> None:
    """An ONNX file, whose output has the name that it has in the other formats, `output_0`, and whose tensors have the
    shapes that can be told of them."""
    import onnx

    model.export(path, format="onnx", input_signature=_signature(model, size), verbose=False)
    written = onnx.load(path)
    names = {entry.name: f"output_{place}" for place, entry in enumerate(written.graph.output)}
    for node in written.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for entry in written.graph.output:
        entry.name = names[entry.name]
    # With shapes inferred, ONNX Runtime loads a graph of 1,600 nodes in a third of the time.
    onnx.save(onnx.shape_inference.infer_shapes(written), path)


def write_litert(model: keras.Model, path: Path, size: Size = None) -> None:
    """A LiteRT file of built-in operators only; one of a fixed size takes one example unless its input is resized to
    several.

    Raises:
        Refused: an operation has no built-in operator.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        model.export(folder, format="tf_saved_model", input_signature=_signature(model, size), verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        # Keras's own LiteRT export always allows Flex, TensorFlow's kernels, which plain LiteRT has not.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except keras_internals.converter_error() as error:
            missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
            reason = (
                f"plain LiteRT has no operator for {', '.join(missing)}" if missing else str(error).partition("\n")[0]
            )
            raise Refused(reason) from error
    path.write_bytes(content if size is None else flatbuffer.without_free_sizes(content))


def write_litert_float16(model: keras.Model, path: Path, size: Size = None) -> None:
    """A LiteRT file with float16 weights and float32 arithmetic: half the size.

    Raises:
        Refused: as `write_litert`.
    """
    write_litert(model, path, size)
    path.write_bytes(quantization.litert_float16(path.read_bytes()))


def write_litert_int8(model: keras.Model, path: Path, batches: Batches, size: Size = None) -> None:
    """A LiteRT file with the network in 8 bits, weights and activations, and its preparation in float32.

    Raises:
        Refused: as `write_litert`.
        ValueError: the model has no kernels to quantise.
    """
    with _rounded(model, batches) as learned:
        write_litert(model, path, size)
        path.write_bytes(quantization.litert_int8(path.read_bytes(), batches, learned))


def write_onnx_int8(model: keras.Model, path: Path, batches: Batches, size: Size = None) -> None:
    """An ONNX file with the network in 8 bits (QDQ), weights and activations, and its preparation in float32.

    Raises:
        ValueError: the model has no kernels to quantise.
    """
    with _rounded(model, batches) as learned, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "float32.onnx"
        write_onnx(model, source, size)
        quantization.onnx_int8(source, path, batches, learned)


@contextlib.contextmanager
def _rounded(model: keras.Model, batches: Batches) -> Iterator[list[np.ndarray]]:
    """The kernels to quantise, rounded within the block, as `quantization.network_of` takes them."""
    chosen = quantization.chosen_kernels(model)
    with weight_rounding.on_grid(model, batches, chosen):
        yield [kernel.rows for kernel in chosen]


def _signature(model: keras.Model, size: Size = None) -> list:
    """Pictures go in as uint8, what cameras and decoders give; everything else as the model has it.

    Of one input [InputSpec], of several [[InputSpec, ...]]: they are one argument, a list.
    """
    shapes = _shapes(model, size)
    inputs = [
        keras.InputSpec(shape=shape, dtype="uint8" if len(shape) == 4 else raw.dtype, name=raw.name)
        for shape, raw in zip(shapes, model.inputs, strict=True)
    ]
    return inputs if len(inputs) == 1 else [inputs]


def _shapes(model: keras.Model, size: Size) -> list[tuple[int | None, ...]]:
    """Of all inputs, the batch first; the first one is the raw one."""
    raw, *others = (tensor.shape for tensor in model.inputs)
    return [raw if size is None else (None, *size, *raw[1 + len(size) :]), *others]


def promised(model: keras.Model, runtime: str, size: Size = None) -> dict[str, Any]:
    """What a file takes and gives, as `runtimes.Loaded` says it: raw inputs of the model's names and sizes.

    Args:
        runtime: of `runtimes.RUNTIMES`.
        size: of the raw input, where that is fixed.
    """
    raw, *others = model.inputs
    files = serving.takes_files(model)
    # What runs LiteRT in browsers and on GPUs takes no size that is not known before, the number of examples neither.
    shapes = [[1 if size and runtime == "litert" else None, *shape[1:]] for shape in _shapes(model, size)]
    first = [raw.name, "uint8" if len(raw.shape) == 4 else "float32", shapes[0]]
    kind = model.layers[-1].kind
    outputs = [[f"output_{place}", tensor.dtype] for place, tensor in enumerate(model.outputs)]
    entries = {"saved-model": ["serve", *(["serve_bytes"] if files else []), "serving_default"], "onnx": []}
    if runtime == "serve-bytes":
        first = ["file_bytes", "string", [None]]  # of pictures or sounds of any size
        outputs = [[name, dtype] for name, dtype in sorted(kind.served.items())]
    beside = zip(others, shapes[1:], strict=True)
    return {
        "inputs": sorted([first, *([one.name, "float32", shape] for one, shape in beside)]),
        "outputs": outputs,
        "entries": entries.get(runtime, ["serving_default"] if runtime == "litert" else entries["saved-model"]),
    }
