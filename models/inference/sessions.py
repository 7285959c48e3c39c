"""Exported files in their runtimes, without Keras."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convmedia.data.storage import extras
from convmedia.data.storage.parallel import processors
from convmedia.data.storage.quiet import mute
from convmedia.models.description import NAME
from convmedia.models.kind import Outputs


class Session(NamedTuple):
    """A file that is ready to answer.

    Attributes:
        run: an array for each input, raw input first, to an array for each output in the order of their names.
        takes: dtype of the raw input.
        size: its shape without the batch; free sizes are None.
        inputs: name, dtype and shape of all that goes in, the raw input first.
        outputs: shapes of the outputs in the order of their names.
        said: reads what the file says of itself, a text; None where that is nothing.
    """

    run: Callable[[list[np.ndarray]], Outputs]
    takes: np.dtype[Any]
    size: tuple[int | None, ...]
    inputs: list[tuple[str, np.dtype[Any], tuple[int | None, ...]]]
    outputs: list[tuple[int | None, ...]]
    said: Callable[[], str | None]


def litert(path: Path) -> Session:
    """The LiteRT interpreter; it is prepared anew for each new shape.

    Raises:
        ValueError: no such file, or damaged.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=processors())
    runner = interpreter.get_signature_runner()
    taken, given = runner.get_input_details(), runner.get_output_details()
    sources = {len(one["shape"]): one["index"] for one in taken.values()}
    answers = [given[name]["index"] for name in sorted(given)]
    shapes: list[tuple[int, ...]] = []
    turn = threading.Lock()  # an interpreter answers one caller at a time

    def run(batch: list[np.ndarray]) -> Outputs:
        with turn:
            if [array.shape for array in batch] != shapes:
                shapes.clear()
                for array in batch:
                    interpreter.resize_tensor_input(sources[array.ndim], array.shape)
                with mute():  # it says what it computes with
                    interpreter.allocate_tensors()
                shapes.extend(array.shape for array in batch)
            for array in batch:
                interpreter.set_tensor(sources[array.ndim], array)
            interpreter.invoke()
            return tuple(interpreter.get_tensor(index) for index in answers)

    inputs = [(name, np.dtype(one["dtype"]), _free(one["shape_signature"].tolist())) for name, one in taken.items()]
    inputs.sort(key=lambda one: -len(one[2]))
    outputs = [_free(given[name]["shape_signature"].tolist()) for name in sorted(given)]
    _, dtype, shape = inputs[0]
    return Session(within_memory(run, RuntimeError), dtype, shape[1:], inputs, outputs, partial(_said_in_litert, path))


def _said_in_litert(path: Path) -> str | None:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    entries = [model.Metadata(place) for place in range(model.MetadataLength())]
    held = [entry.Buffer() for entry in entries if entry.Name() == NAME.encode()]
    return model.Buffers(held[0]).DataAsNumpy().tobytes().decode() if held else None


def onnx(path: Path) -> Session:
    """ONNX Runtime on the CPU."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processors()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    taken, given = session.get_inputs(), sorted(one.name for one in session.get_outputs())
    names = {len(one.shape): one.name for one in taken}

    def run(batch: list[np.ndarray]) -> Outputs:
        return tuple(session.run(given, {names[array.ndim]: array for array in batch}))

    inputs = [(one.name, _dtype(one.type), _free(one.shape)) for one in taken]
    inputs.sort(key=lambda one: -len(one[2]))
    shapes = {one.name: _free(one.shape) for one in session.get_outputs()}
    said = partial(session.get_modelmeta().custom_metadata_map.get, NAME)
    _, dtype, shape = inputs[0]
    checked = within_memory(run, errors.RuntimeException, errors.Fail)
    return Session(checked, dtype, shape[1:], inputs, [shapes[name] for name in given], said)


def _dtype(told: str) -> np.dtype[Any]:
    """Of what ONNX Runtime calls it, such as "tensor(float)"."""
    return np.dtype("float32" if told == "tensor(float)" else told.removeprefix("tensor(").removesuffix(")"))


def _free(shape: Sequence[Any]) -> tuple[int | None, ...]:
    """A shape as a runtime has it, with None for free sizes: below 0, or named."""
    return tuple(size if isinstance(size, int) and size >= 0 else None for size in shape)


def within_memory(run: Callable[[list[np.ndarray]], Outputs], *errors: type[Exception]) -> Callable[..., Outputs]:
    """Turns a runtime's own error about a lack of memory into a MemoryError.

    Args:
        errors: that it raises then, and for other reasons, too.
    """

    def checked(batch: list[np.ndarray]) -> Outputs:
        try:
            return run(batch)
        except errors as error:
            if "alloc" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise

    return checked


RUNTIMES: dict[str, Callable[[Path], Session]] = {"litert": litert, "onnx": onnx}
FILES = {"litert": "model.tflite", "onnx": "model.onnx"}  # in a folder of exports
MODULES = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}


def installed(runtime: str) -> bool:
    """Whether a runtime is there."""
    return not extras.missing([MODULES[runtime]])
