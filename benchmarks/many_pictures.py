"""Answering many pictures: memory that does not grow, kills that lose nothing, Ray's rows equal to one process's.

    python benchmarks/many_pictures.py [--number 20000] [--few 1000] [--kills 3] [--seed 1]

`convmedia mnist predict --out FILE.jsonl` in child processes on drawn digits, one of them damaged: the most memory that
it has had for few and for all, as the kernel counts it; all again, killed at random moments and started anew; all with
`--engine ray` where that is installed. Every file must have one row, and the rows must be equal.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def draw(folder: Path, number: int) -> None:
    """Digits as PNG, dark on light and light on dark, in three sizes; the seventh file is damaged."""
    folder.mkdir()
    digits = (load_digits().images * 15.9).astype(np.uint8)
    for place in range(number):
        digit = digits[place % len(digits)]
        picture = Image.fromarray(digit if place % 2 else 255 - digit)
        picture.resize((40 + 8 * (place // 500 % 3), 48)).save(folder / f"{place:06}.png")
    (folder / "000006.png").write_bytes(b"damaged")


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "convmedia.apps", "mnist", "predict", str(folder), "--out", str(out), "--json", *more]


def predicted(folder: Path, out: Path, *more: str) -> float:
    """Seconds of one call that ends by itself. One damaged file: exit code 1."""
    start = time.perf_counter()
    done = subprocess.run(command(folder, out, *more), stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 1, done.returncode
    return time.perf_counter() - start


def peak(folder: Path, out: Path) -> tuple[int, float]:
    """The most memory, bytes, of a call in a process of its own, and its seconds."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command(folder, out)], stdout=subprocess.PIPE, check=True)
    return int(done.stdout), time.perf_counter() - start


def killed(folder: Path, out: Path, kills: int, number: int) -> list[int]:
    """Rows that were there at each kill; each at a number of rows drawn at random."""
    found = []
    for at in sorted(random.sample(range(1, number), kills)):
        process = subprocess.Popen(command(folder, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < at):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        found.append(out.read_bytes().count(b"\n"))
    predicted(folder, out)
    return found


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=20_000)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        draw(root / "few", options.few)
        draw(root / "all", options.number)
        little, _ = peak(root / "few", root / "few.jsonl")
        much, seconds = peak(root / "all", root / "all.jsonl")
        print(f"memory: {little / 1e6:.0f} MB for {options.few:,}, {much / 1e6:.0f} MB for {options.number:,}", end="")
        print(f" ({much / little - 1:+.1%}); {options.number / seconds:.0f} pictures a second, start included")
        once = rows(root / "all.jsonl")
        assert len({row["file"] for row in once}) == len(once) == options.number
        at = killed(root / "all", root / "killed.jsonl", options.kills, options.number)
        again = rows(root / "killed.jsonl")
        assert [row["file"] for row in again] == [row["file"] for row in once]
        apart = max(abs(one.get("score", 0) - other.get("score", 0)) for one, other in zip(once, again, strict=True))
        print(f"killed at {', '.join(map(str, at))} rows: each file once, scores within {apart:.1e}")
        if find_spec("ray") is None:
            print("ray is not installed")
            return
        predicted(root / "all", root / "ray.jsonl", "--engine", "ray")
        assert rows(root / "ray.jsonl") == once
        print("Ray's rows are equal")


if __name__ == "__main__":
    main()
