"""Eight pictures, or sounds, in one call of a file of a fixed size, beside eight calls of it, in turns.

convmedia mnist export --size 96x64 --format onnx --format litert
python benchmarks/batch_of_eight.py mnist-export-96x64
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from convmedia.models.formats import metadata
from convmedia.models.inference.sessions import FILES, RUNTIMES

EIGHT, TURNS = 8, 21


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def inputs(file: Path) -> list[np.ndarray]:
    """Eight drawn inputs of a file, the raw one first, and for a further one equal weights."""
    rng = np.random.default_rng(0)
    found = []
    for one in metadata.exported(file)["inputs"]:
        shape = (EIGHT, *one["shape"][1:])
        if one["dtype"] == "uint8":
            found.insert(0, rng.integers(0, 256, shape, np.uint8))
        elif shape[1] > 100:
            found.insert(0, rng.uniform(-1, 1, shape).astype(np.float32))
        else:
            found.append(np.full(shape, 1.0 / shape[1], np.float32))
    return found


def row(folder: str, runtime: str) -> str:
    # A session for each: LiteRT prepares anew for another number of examples.
    file = Path(folder) / FILES[runtime]
    one, all_of_them = (RUNTIMES[runtime](file).run for _ in range(2))
    batch = inputs(file)
    alone = [[array[place : place + 1] for array in batch] for place in range(EIGHT)]
    apart = float(np.abs(np.concatenate([one(each)[0] for each in alone]) - all_of_them(batch)[0]).max())
    ways = (lambda: [one(each) for each in alone], lambda: all_of_them(batch))
    turns = np.array([[seconds(way) for way in ways] for _ in range(TURNS)])
    low, middle, high = np.quantile(turns[:, 0] / turns[:, 1], (0.25, 0.5, 0.75))
    calls, call = 1e3 * np.median(turns, axis=0)
    figures = f"{calls:.1f} | {call:.1f} | **{middle:.2f}** ({low:.2f} to {high:.2f}) | {apart:.1e}"
    return f"| {folder} | {runtime} | {figures} |"


def main(*folders: str) -> None:
    print("| files | runtime | eight calls, ms | one call, ms | ratio (quartiles) | apart |")
    print("| --- | --- | --- | --- | --- | --- |")
    for folder in folders:
        for runtime in FILES:
            if (Path(folder) / FILES[runtime]).exists():
                print(row(folder, runtime))


if __name__ == "__main__":
    main(*sys.argv[1:])
