"""The kinds of exported files and how each is written. A new one is one function and one row of `FORMATS`."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from convmedia.models import describing, serving


class Refused(Exception):
    """An exported file that is not kept; the message is the reason, one line."""


@dataclass(frozen=True)
class Format:
    """One kind of exported file.

    Attributes:
        file: its name in the export folder.
        write: writes a model to a path (a folder, where the format is one).
        describe: puts a text into what was written.
        runtime: which of `verifying.RUNTIMES` answers it.
        modules: what must be importable, all named by `extra`.
        extra: optional dependencies of this package that install them; None where nothing is optional.
    """

    file: str
    write: Callable[[keras.Model, Path], None]
    describe: Callable[[Path, str], None]
    runtime: str
    modules: tuple[str, ...] = ()
    extra: str | None = None


def write_saved_model(model: keras.Model, path: Path) -> None:
    """A TensorFlow SavedModel folder; its endpoints are `serve` and, for encoded files, `serve_bytes`."""
    serving.write(model, path, _signature(model))


def write_onnx(model: keras.Model, path: Path) -> None:
    """An ONNX file."""
    model.export(path, format="onnx", input_signature=_signature(model), verbose=False)


def write_litert(model: keras.Model, path: Path) -> None:
    """A LiteRT file of built-in operators only.

    Raises:
        Refused: an operation has no built-in operator.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        model.export(folder, format="tf_saved_model", input_signature=_signature(model), verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        # Keras's own LiteRT export always allows Flex, TensorFlow's kernels, which plain LiteRT has not.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            path.write_bytes(converter.convert())
        except ConverterError as error:
            missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
            reason = (
                f"plain LiteRT has no operator for {', '.join(missing)}" if missing else str(error).partition("\n")[0]
            )
            raise Refused(reason) from error


def _signature(model: keras.Model) -> list:
    """Pictures go in as uint8, what cameras and decoders give; everything else as the model has it.

    Of one input [InputSpec], of several [[InputSpec, ...]]: they are one argument, a list.
    """
    inputs = [
        keras.InputSpec(shape=raw.shape, dtype="uint8" if len(raw.shape) == 4 else raw.dtype, name=raw.name)
        for raw in model.inputs
    ]
    return inputs if len(inputs) == 1 else [inputs]


FORMATS: dict[str, Format] = {
    "saved-model": Format("saved_model", write_saved_model, describing.write_saved_model, "saved-model"),
    "onnx": Format("model.onnx", write_onnx, describing.write_onnx, "onnx", ("tf2onnx", "onnx", "onnxruntime"), "onnx"),
    "litert": Format("model.tflite", write_litert, describing.write_litert, "litert", ("ai_edge_litert",), "litert"),
}
