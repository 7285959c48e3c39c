"""`predict` on photos of mixed sizes: this revision beside an earlier one, ONNX Runtime and LiteRT one by one.

    python benchmarks/mixed_sizes.py [--number 1000] [--before CHECKOUT] [--part 125]

The pictures are the photos of `$CONVMEDIA_DATA/cats_vs_dogs`, resized to 200 to 1600 px (the longer side, evenly drawn
with a fixed seed) as JPEG of quality 90. The included `cats-vs-dogs` network labels them:

- this revision: `predict_files`, the runtime that `auto` takes;
- CHECKOUT, the root of a checkout of an earlier revision with its own `build/typing`: the same;
- ONNX Runtime: Pillow decodes, NumPy makes a batch of one, `session.run` on an exported file;
- LiteRT: the same with the included `.tflite`.

Each side has a process, which is started and has answered two pictures before time counts; they take turns with parts
of the files, so that other work on the machine meets all of them alike. Prints milliseconds of the clock and of all
processors a picture, their ratios to this revision's, how many labels differ from it, and the greatest difference of
a score.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LONGER_PX = (200, 1600)
APP = "cats-vs-dogs"
Answer = tuple[str, float]


def draw(folder: Path, number: int) -> list[Path]:
    """Photos of mixed sizes."""
    rng = np.random.default_rng(0)
    photos = sorted(Path(os.environ["CONVMEDIA_DATA"], "cats_vs_dogs").rglob("*.jpg"))
    files = []
    for place, chosen in enumerate(rng.permutation(len(photos))[:number]):
        photo = Image.open(photos[chosen]).convert("RGB")
        factor = int(rng.integers(LONGER_PX[0], LONGER_PX[1] + 1)) / max(photo.size)
        width, height = (max(1, round(side * factor)) for side in photo.size)
        files.append(folder / f"{place:05}.jpg")
        photo.resize((width, height), Image.Resampling.BICUBIC).save(files[-1], quality=90)
    return files


def package() -> Callable[[list[str]], list[Answer]]:
    """`predict_files` of the package that this process imports."""
    from convmedia.models.saving import engines

    predictor: Any = engines.exported(APP)
    return lambda files: [(row["label"], row["score"]) for row in predictor.predict_files(files)]


def one_by_one(runtime: str, file: str) -> Callable[[list[str]], list[Answer]]:
    """A loop as it is written by hand."""
    if runtime == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (taken,) = session.get_inputs()
        dtype = np.float32 if taken.type == "tensor(float)" else np.uint8

        def answer(batch: np.ndarray) -> np.ndarray:
            return session.run(None, {taken.name: batch.astype(dtype)})[0][0]
    else:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(file, num_threads=len(os.sched_getaffinity(0)))
        entry, left = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

        def answer(batch: np.ndarray) -> np.ndarray:
            interpreter.resize_tensor_input(entry["index"], batch.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(entry["index"], batch.astype(entry["dtype"]))
            interpreter.invoke()
            return interpreter.get_tensor(left["index"])[0]

    labels = ("cat", "dog")

    def answers(files: list[str]) -> list[Answer]:
        scores = [answer(np.asarray(Image.open(name).convert("RGB"))[np.newaxis]) for name in files]
        return [(labels[int(one.argmax())], float(one.max())) for one in scores]

    return answers


def serve(side: str, file: str) -> None:
    """Answer lists of files, a line each, until there is no other."""
    answers = package() if side == "package" else one_by_one(side, file)
    for line in sys.stdin:
        start = time.perf_counter(), time.process_time()
        found = answers(json.loads(line))
        seconds = time.perf_counter() - start[0], time.process_time() - start[1]
        print("\n" + json.dumps([found, seconds]), flush=True)


class Side:
    """A process that answers."""

    def __init__(self, side: str, file: str = "", checkout: Path | None = None):
        place = {"PYTHONPATH": str(checkout / "build/typing")} if checkout else {}
        command = [sys.executable, __file__, "--side", side, "--file", file]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **place},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.found: list[Answer] = []
        self.seconds = np.zeros(2)

    def ask(self, files: list[Path], counted: bool = True) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([str(file) for file in files]) + "\n")
        self.process.stdin.flush()
        line = next(line for line in self.process.stdout if line.startswith("[["))
        found, seconds = json.loads(line)
        if counted:
            self.found += found
            self.seconds += seconds


def exported_onnx(folder: Path) -> str:
    """The network as an ONNX file."""
    command = [sys.executable, "-m", "convmedia.apps", APP, "export", "--format", "onnx", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return str(folder / "model.onnx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--part", type=int, default=125)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side, options.file)
        return
    from convmedia.models.weights import __file__ as weights

    with tempfile.TemporaryDirectory() as folder:
        files = draw(Path(folder), options.number)
        sides = {"this revision": Side("package")}
        if options.before:
            sides["before"] = Side("package", checkout=options.before.resolve())
        sides["ONNX Runtime, one by one"] = Side("onnx", exported_onnx(Path(folder, "export")))
        sides["LiteRT, one by one"] = Side("litert", str(Path(weights).with_name(f"{APP}.tflite")))
        for side in sides.values():
            side.ask(files[:2], counted=False)
        for start in range(0, len(files), options.part):
            for side in sides.values():
                side.ask(files[start : start + options.part])
    ours = sides["this revision"]
    for name, side in sides.items():
        clock, processors = side.seconds / len(files) * 1000
        ratios = side.seconds / ours.seconds
        other = sum(one[0] != mine[0] for one, mine in zip(side.found, ours.found, strict=True))
        apart = max(abs(one[1] - mine[1]) for one, mine in zip(side.found, ours.found, strict=True))
        print(
            f"{name}: {clock:.1f} ms, {processors:.1f} ms of the processors; {ratios[0]:.2f}, {ratios[1]:.2f} times ",
            end="",
        )
        print(f"this revision's; {other} other labels, scores {apart:.1e} apart at most", flush=True)


if __name__ == "__main__":
    main()
