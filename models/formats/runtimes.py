"""Run an exported file in its own runtime: the child process of a verification.

    python verifying.py FILE RUNTIME BATCHES.npz ANSWERS.npz INPUTS MODE [RUNTIME ...]

BATCHES.npz holds, for each batch, an array for each of the model's inputs, which are told apart by their rank; encoded
files are one array, as `packed` makes it. ANSWERS.npz then holds what the file says that it takes and gives, JSON as
uint8, and for each batch an array for each output, in the order of the outputs' names. MODE is "once" for these alone,
a number for those of `answers` and for what `costs` gives after them of batches of so many. The five can be given
again, for further batches.

Imports neither Keras nor this package: what runs here is what a user of the exported file has. Started by file name, so
that the package's own imports do not run either.
"""

import errno
import json
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Outputs = tuple[np.ndarray, ...]
RUNS, MOST_SECONDS = 9, 1.0  # of each, at most


class Loaded(NamedTuple):
    """A file in its runtime.

    Attributes:
        outputs: a batch, an array for each input, to an array for each output, in the order of their names.
        signature: {"inputs": [[name, dtype, shape], ...], "outputs": [[name, dtype], ...], "entries": [name, ...]}
            sorted, as the runtime says it; free sizes are None.
    """

    outputs: Callable[..., Outputs]
    signature: dict[str, Any]

    def __call__(self, *batch: np.ndarray) -> np.ndarray:
        """The first output."""
        return self.outputs(*batch)[0]


def write_arrays(path: str | Path, arrays: Iterable[np.ndarray], compression: int = zipfile.ZIP_STORED) -> None:
    """Write a stream of arrays to an .npz, one in memory at a time; keys are the positions 00000, 00001, ..."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for position, array in enumerate(arrays):
            with archive.open(f"{position:05d}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def read_arrays(path: str | Path) -> Iterator[np.ndarray]:
    """The arrays that `write_arrays` wrote, in order, one in memory at a time.

    Raises:
        OSError: the file cannot be read, or is no such file, which `zipfile` does not tell apart.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise OSError(errno.EIO, f"no complete archive ({error})", str(path)) from error
    with archive:
        for name in sorted(archive.namelist()):
            with archive.open(name) as file:
                yield np.lib.format.read_array(file, allow_pickle=False)


def packed(contents: Sequence[bytes]) -> np.ndarray:
    """Byte strings as one array that is written without pickle; a byte after each keeps zeros at its end."""
    return np.array([content + b"." for content in contents], dtype=np.bytes_)


def unpacked(strings: np.ndarray) -> list[bytes]:
    """What `packed` was given, of any shape row by row."""
    return [content[:-1] for content in strings.ravel().tolist()]


def saved_model(path: str) -> Loaded:
    """TensorFlow's loader: `serve` of a SavedModel folder."""
    loaded = _folder(path)
    return Loaded(lambda *batch: _given_in_order(loaded.serve, batch), _said(loaded, "serve"))


def entries(path: str) -> Loaded:
    """The ways into a SavedModel folder by turns: `serve` as an attribute, as a signature, and what is served by
    default. Their signatures must be one."""
    loaded = _folder(path)
    said = [_said(loaded, name) for name in ("serve", "serving_default")]
    if said[0] != said[1]:
        raise ValueError(f"serving_default takes and gives {said[1]}, serve {said[0]}")
    turns = cycle([None, "serve", "serving_default"])

    def run(*batch: np.ndarray) -> Outputs:
        entry = next(turns)
        return _given_in_order(loaded.serve, batch) if entry is None else _given_by_name(loaded, entry, batch)

    return Loaded(run, said[0])


def serve_bytes(path: str) -> Loaded:
    """TensorFlow's loader: `serve_bytes` of a SavedModel folder; a batch is encoded files, `packed`."""
    loaded = _folder(path)

    def run(contents: np.ndarray, *others: np.ndarray) -> Outputs:
        return _given_by_name(loaded, "serve_bytes", (np.array(unpacked(contents), object), *others))

    return Loaded(run, _said(loaded, "serve_bytes"))


@lru_cache(1)
def _folder(path: str) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(path)


def _given_in_order(function: Any, batch: Sequence[np.ndarray]) -> Outputs:
    import tensorflow as tf

    given = [tf.constant(array) for array in batch]
    return tuple(answer.numpy() for answer in tf.nest.flatten(function(*given if len(given) == 1 else [given])))


def _given_by_name(loaded: Any, entry: str, batch: Sequence[np.ndarray]) -> Outputs:
    import tensorflow as tf

    function = loaded.signatures[entry]
    names = {len(spec.shape): name for name, spec in function.structured_input_signature[1].items()}
    answers = function(**{names[array.ndim]: tf.constant(array) for array in batch})
    return tuple(_plain(answers[name].numpy()) for name in sorted(answers))


def _plain(answer: np.ndarray) -> np.ndarray:
    return packed(answer.ravel().tolist()).reshape(answer.shape) if answer.dtype == object else answer


def _said(loaded: Any, entry: str) -> dict[str, Any]:
    taken, given = {}, {}
    if entry in loaded.signatures:
        function = loaded.signatures[entry]
        taken, given = function.structured_input_signature[1], function.structured_outputs
    return {
        "inputs": sorted([name, spec.dtype.name, spec.shape.as_list()] for name, spec in taken.items()),
        "outputs": sorted([name, spec.dtype.name] for name, spec in given.items()),
        "entries": sorted(loaded.signatures),
    }


def onnx(path: str) -> Loaded:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    taken, given = session.get_inputs(), sorted(entry.name for entry in session.get_outputs())
    names = {len(entry.shape): entry.name for entry in taken}
    types = {"tensor(float)": "float32"}

    def named(entry: Any) -> str:
        return types.get(entry.type, entry.type.removeprefix("tensor(").removesuffix(")"))

    def run(*batch: np.ndarray) -> Outputs:
        return tuple(session.run(given, {names[array.ndim]: array for array in batch}))

    sizes = [[size if isinstance(size, int) else None for size in entry.shape] for entry in taken]
    signature = {
        "inputs": sorted([entry.name, named(entry), shape] for entry, shape in zip(taken, sizes, strict=True)),
        "outputs": sorted([entry.name, named(entry)] for entry in session.get_outputs()),
        "entries": [],
    }
    return Loaded(run, signature)


def litert(path: str) -> Loaded:
    """The LiteRT interpreter, resized for each new shape.

    Raises:
        ValueError: the file needs operators that plain LiteRT does not have.
    """
    from ai_edge_litert.interpreter import Interpreter

    _refuse_custom_operators(path)
    runner = Interpreter(path).get_signature_runner()
    taken, given = runner.get_input_details(), runner.get_output_details()
    sizes = {
        name: [size if size >= 0 else None for size in one["shape_signature"].tolist()] for name, one in taken.items()
    }
    signature = {
        "inputs": sorted([name, np.dtype(one["dtype"]).name, sizes[name]] for name, one in taken.items()),
        "outputs": sorted([name, np.dtype(one["dtype"]).name] for name, one in given.items()),
        "entries": sorted(Interpreter(path).get_signature_list()),
    }
    return Loaded(fed(Interpreter(path), [given[name]["index"] for name in sorted(given)]), signature)


def fed(interpreter: Any, answers: Sequence[int] | None = None) -> Callable[..., Outputs]:
    """An interpreter of LiteRT as a function, resized for each new shape.

    Args:
        answers: tensors that it gives; None for the outputs in their order.
    """
    sources = {len(entry["shape"]): entry["index"] for entry in interpreter.get_input_details()}
    wanted = [entry["index"] for entry in interpreter.get_output_details()] if answers is None else answers
    shapes: list[tuple[int, ...]] = []

    def run(*batch: np.ndarray) -> Outputs:
        if [array.shape for array in batch] != shapes:
            for array in batch:
                interpreter.resize_tensor_input(sources[array.ndim], array.shape)
            interpreter.allocate_tensors()
            shapes[:] = [array.shape for array in batch]
        for array in batch:
            interpreter.set_tensor(sources[array.ndim], array)
        interpreter.invoke()
        return tuple(interpreter.get_tensor(index) for index in wanted)

    return run


def _refuse_custom_operators(path: str) -> None:
    # Flex operators (TensorFlow's kernels) are custom operators by name. An interpreter that happens to have them
    # linked in would run such a file, a phone would not: so the file is looked at, whatever the interpreter says.
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(Path(path).read_bytes(), 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    custom = sorted({code.CustomCode().decode() for code in codes if code.CustomCode()})
    if custom:
        raise ValueError(f"plain LiteRT has no operator {', '.join(custom)}")


RUNTIMES: dict[str, Callable[[str], Loaded]] = {
    "saved-model": saved_model,
    "entries": entries,
    "serve-bytes": serve_bytes,
    "onnx": onnx,
    "litert": litert,
}


def answers(run: Callable[..., Outputs], arrays: Iterable[np.ndarray], inputs: int = 1) -> Iterator[np.ndarray]:
    """Answer every batch twice: the first run is the answer, the second is timed and compared with it.

    Args:
        arrays: those of a batch one after the other, `inputs` of them.

    Yields:
        The outputs for each batch, then the seconds of each batch, (batches,) float64, then the largest difference
        between a batch's two runs, a scalar.
    """
    seconds = []
    unequal = [0.0]
    for batch in zip(*[iter(arrays)] * inputs, strict=True):
        first = run(*batch)
        start = time.perf_counter()
        again = run(*batch)
        seconds.append(time.perf_counter() - start)
        unequal += [np.max(np.abs(one.astype(np.float64) - two)) for one, two in zip(first, again, strict=True)]
        yield from first
    yield np.array(seconds)
    yield np.max(unequal)  # NaN stays NaN


def costs(run: Callable[..., Outputs], example: Sequence[np.ndarray], many: int) -> np.ndarray:
    """Seconds for each example in batches of 1 and of `many`, and the most memory that the process has had by then,
    bytes.

    Args:
        example: for each input (1, ...).

    Returns:
        float64 (3,).
    """
    seconds = []
    for number in (1, many):
        batch = [np.repeat(array, number, axis=0) for array in example]
        run(*batch)
        taken: list[float] = []
        while len(taken) < RUNS and sum(taken) < MOST_SECONDS:
            start = time.perf_counter()
            run(*batch)
            taken.append(time.perf_counter() - start)
        seconds.append(float(np.median(taken)) / number)
    return np.array([*seconds, peak_bytes()])


def peak_bytes() -> int:
    """The most memory that this process has had; `getrusage` would count that of its parent on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def told(loaded: Loaded, source: str, inputs: int, mode: str) -> Iterator[np.ndarray]:
    """What a child process writes down, by MODE."""
    yield np.frombuffer(json.dumps(loaded.signature).encode(), np.uint8)
    if mode == "once":
        for batch in zip(*[read_arrays(source)] * inputs, strict=True):
            yield from loaded.outputs(*batch)
        return
    # Before larger batches take memory.
    last = costs(loaded.outputs, [array[:1] for array in islice(read_arrays(source), inputs)], int(mode))
    yield from answers(loaded.outputs, read_arrays(source), inputs)
    yield last


def main(file: str, *asked: str) -> None:
    """Answer what the command line asks."""
    for runtime, source, target, inputs, mode in zip(*[iter(asked)] * 5, strict=True):
        write_arrays(target, told(RUNTIMES[runtime](file), source, int(inputs), mode))


if __name__ == "__main__":
    main(*sys.argv[1:])
