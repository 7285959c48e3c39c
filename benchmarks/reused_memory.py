"""CPU seconds of networks in float32 on TensorFlow, where it uses memory again and where it gives it back each time.

    python benchmarks/reused_memory.py [--rounds 3] [--only carn-m]

Both sides in child processes, in turns: this package has TensorFlow keep memory for the next maps
(`data/storage/memory.py`); TensorFlow's default gives it back after each operation, and the system clears the pages of
the next one. Of each: CPU seconds (user and system) of a call, the median of all rounds, their ratio, the greatest
memory of the process, and how far the answers are apart.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SETTING = "TF_CPU_ALLOCATOR_USE_BFC"
CALLS = 3
SHAPES = {
    "carn-m": ("super-resolution/carn-m-x2", (1, 552, 552, 3)),  # a tile of 512 px and what the network looks at
    "vdsr": ("super-resolution/vdsr-x2", (1, 532, 532, 3)),
    "style-transfer": ("style-transfer", (1, 640, 480, 3)),
    "cats-vs-dogs": ("cats-vs-dogs", (32, 320, 320, 3)),
    "mnist": ("mnist", (32, 320, 320, 3)),
}


def answer(name: str, out: str) -> None:
    """The child: CPU seconds of some calls and memory, to standard output; the answer to a file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from convmedia.models import shipped

    source, shape = SHAPES[name]
    predictor = shipped(source)
    batch = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    predictor(batch)
    taken = []
    for _ in range(CALLS):
        start = time.process_time()
        answered = predictor(batch)
        taken.append(time.process_time() - start)
    np.save(out, answered)
    print(json.dumps({"seconds": taken, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def compared(name: str, rounds: int) -> None:
    given = {name: value for name, value in os.environ.items() if name != SETTING}
    sides = {"kept": given, "given back": {**given, SETTING: "false"}}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    most = dict.fromkeys(sides, 0)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for side, settings in sides.items():
                command = [sys.executable, __file__, "--answer", name, "--out", f"{folder}/{side}.npy"]
                found = json.loads(
                    subprocess.run(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
                    .stdout.splitlines()[-1]
                )  # fmt: skip
                seconds[side] += found["seconds"]
                most[side] = max(most[side], found["bytes"])
        apart = np.abs(np.subtract(*(np.load(Path(folder) / f"{side}.npy") for side in sides))).max()
    kept, back = (statistics.median(seconds[side]) for side in sides)
    print(
        f"{name}: {kept:.3f} CPU s, given back {back:.3f}, ratio {back / kept:.2f}; {most['kept'] / 1e6:.0f} MB at "
        f"most, given back {most['given back'] / 1e6:.0f}; apart by {apart:.2g}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=SHAPES)
    parser.add_argument("--answer", choices=SHAPES, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.answer, options.out)
        return
    for name in [options.only] if options.only else SHAPES:
        compared(name, options.rounds)


if __name__ == "__main__":
    main()
