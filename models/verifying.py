"""Run an exported file in its own runtime: the child process of a verification.

    python verifying.py FILE RUNTIME BATCHES.npz ANSWERS.npz INPUTS MODE [RUNTIME ...]

BATCHES.npz holds, for each batch, an array for each of the model's inputs, which are told apart by their rank. MODE is
"once" for the answers alone, "twice" for those of `answers`, "timed" for what `costs` gives after them. The five can be
given again, for further batches.

Imports neither Keras nor this package: what runs here is what a user of the exported file has. Started by file name, so
that the package's own imports do not run either.
"""

import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[..., np.ndarray]
BATCHES = (1, 32)  # that are timed
RUNS, MOST_SECONDS = 9, 1.0  # of each, at most


def write_arrays(path: str | Path, arrays: Iterable[np.ndarray], compression: int = zipfile.ZIP_STORED) -> None:
    """Write a stream of arrays to an .npz, one in memory at a time; keys are the positions 00000, 00001, ..."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for position, array in enumerate(arrays):
            with archive.open(f"{position:05d}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def read_arrays(path: str | Path) -> Iterator[np.ndarray]:
    """The arrays that `write_arrays` wrote, in order, one in memory at a time."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            with archive.open(name) as file:
                yield np.lib.format.read_array(file, allow_pickle=False)


def saved_model(path: str) -> Run:
    """TensorFlow's loader: `serve` of a SavedModel folder."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def run(*batch: np.ndarray) -> np.ndarray:
        given = [tf.constant(array) for array in batch]
        return loaded.serve(*given if len(given) == 1 else [given]).numpy()

    return run


def serve_bytes(path: str) -> Run:
    """TensorFlow's loader: `serve_bytes` of a SavedModel folder; a batch is the bytes of one file, uint8 (bytes,)."""
    import tensorflow as tf

    serve = tf.saved_model.load(path).signatures["serve_bytes"]
    return lambda content: serve(file_bytes=tf.constant([content.tobytes()]))["scores"].numpy()


def onnx(path: str) -> Run:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = {len(entry.shape): entry.name for entry in session.get_inputs()}
    return lambda *batch: session.run(None, {names[array.ndim]: array for array in batch})[0]


def litert(path: str) -> Run:
    """The LiteRT interpreter, resized for each new shape.

    Raises:
        ValueError: the file needs operators that plain LiteRT does not have.
    """
    from ai_edge_litert.interpreter import Interpreter

    _refuse_custom_operators(path)
    return fed(Interpreter(path))


def fed(interpreter: Any) -> Run:
    """An interpreter of LiteRT as a function, resized for each new shape."""
    sources = {len(entry["shape"]): entry["index"] for entry in interpreter.get_input_details()}
    answer = interpreter.get_output_details()[0]["index"]
    shapes: list[tuple[int, ...]] = []

    def run(*batch: np.ndarray) -> np.ndarray:
        if [array.shape for array in batch] != shapes:
            for array in batch:
                interpreter.resize_tensor_input(sources[array.ndim], array.shape)
            interpreter.allocate_tensors()
            shapes[:] = [array.shape for array in batch]
        for array in batch:
            interpreter.set_tensor(sources[array.ndim], array)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

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


RUNTIMES: dict[str, Callable[[str], Run]] = {
    "saved-model": saved_model,
    "serve-bytes": serve_bytes,
    "onnx": onnx,
    "litert": litert,
}


def answers(run: Run, arrays: Iterable[np.ndarray], inputs: int = 1) -> Iterator[np.ndarray]:
    """Answer every batch twice: the first run is the answer, the second is timed and compared with it.

    Args:
        arrays: those of a batch one after the other, `inputs` of them.

    Yields:
        One answer per batch, then the seconds of each batch, (batches,) float64, then the largest difference between
        a batch's two runs, a scalar.
    """
    seconds = []
    unequal = [0.0]
    for batch in zip(*[iter(arrays)] * inputs, strict=True):
        answer = run(*batch)
        start = time.perf_counter()
        again = run(*batch)
        seconds.append(time.perf_counter() - start)
        unequal.append(np.max(np.abs(answer.astype(np.float64) - again)))
        yield answer
    yield np.array(seconds)
    yield np.max(unequal)  # NaN stays NaN


def costs(run: Run, example: Sequence[np.ndarray]) -> np.ndarray:
    """Seconds for each example in batches of 1 and of 32, and the most memory that the process has had by then, bytes.

    Args:
        example: for each input (1, ...).

    Returns:
        float64 (3,).
    """
    seconds = []
    for number in BATCHES:
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


def told(run: Run, source: str, inputs: int, mode: str) -> Iterator[np.ndarray]:
    """What a child process writes down, by MODE."""
    if mode == "once":
        yield from (run(*batch) for batch in zip(*[read_arrays(source)] * inputs, strict=True))
        return
    # Before larger batches take memory.
    last = [costs(run, [array[:1] for array in islice(read_arrays(source), inputs)])] if mode == "timed" else []
    yield from answers(run, read_arrays(source), inputs)
    yield from last


if __name__ == "__main__":
    for runtime, source, target, inputs, mode in zip(*[iter(sys.argv[2:])] * 5, strict=True):
        write_arrays(target, told(RUNTIMES[runtime](sys.argv[1]), source, int(inputs), mode))
