"""How long a command takes from nothing to its answer, with Keras and with the file that answers in its place.

    python benchmarks/cold_answers.py [--rounds 10] [--further 50] [mnist audio ...]

Whole processes, both sides by turns; medians of seconds on the clock and of the processors. "each further" is what one
more file takes in the same call: that of many files less that of one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from convmedia.data import samples

SIDES = ("keras", "auto")


class Seconds(NamedTuple):
    clock: float
    processors: float


def ran(words: list[str]) -> Seconds:
    """A command in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment.pop("KERAS_BACKEND", None)
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "convmedia.apps", *words], check=True, capture_output=True, env=environment)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Seconds(time.perf_counter() - began, used)


def commands(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Of each command its words and the files that it is given."""
    samples.copy(folder)
    Image.open(folder / "cat.jpg").resize((200, 200)).save(folder / "small.png")
    digit, photo, sound, small = (str(folder / name) for name in ("seven.jpg", "cat.jpg", "seven.wav", "small.png"))
    out = ["--out", str(folder / "made")]
    return {
        "mnist": (["mnist", "predict"], [digit]),
        "cats-vs-dogs": (["cats-vs-dogs", "predict"], [photo]),
        "audio": (["audio", "predict"], [sound]),
        "super-resolution": (["super-resolution", "upscale", *out], [small]),
        "style-transfer": (["style-transfer", "apply", *out], [small]),
        "inspect": (["inspect", "cats-vs-dogs"], []),
    }


def with_runtime(words: list[str], side: str) -> list[str]:
    """`inspect` computes nothing: with Keras loaded it is what it was."""
    return words if words[0] == "inspect" else [*words, "--engine-runtime", side]


def median(runs: list[Seconds]) -> Seconds:
    return Seconds(*(statistics.median(values) for values in zip(*runs, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--further", type=int, default=50, help="Files of the call for many; 0 leaves it out.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        chosen = {name: one for name, one in commands(Path(place)).items() if name in (asked.names or [name])}
        print(
            "| | seconds, keras | auto | ratio | of the processors, keras | auto | ratio | each further, keras | auto |"
        )
        print("| --- |" + " --- |" * 8)
        for name, (words, files) in chosen.items():
            print(row(name, words, files, asked.rounds, asked.further), flush=True)


def row(name: str, words: list[str], files: list[str], rounds: int, further: int) -> str:
    """A line of the table."""
    sides = SIDES if files else ("auto",)
    for side in sides:
        ran([*with_runtime(words, side), *files])  # compiles modules, fills the cache of files
    runs: dict[str, list[Seconds]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            runs[side].append(ran([*with_runtime(words, side), *files]))
    found = {side: median(of_side) for side, of_side in runs.items()}
    auto = found["auto"]
    if len(sides) == 1:
        return f"| `{' '.join(words)}` | | {auto.clock:.2f} | | | {auto.processors:.2f} | | | |"
    keras = found["keras"]
    each = {}
    if further and "--out" not in words:
        for side in sides:
            many = ran([*with_runtime(words, side), *files * further])
            each[side] = (many.processors - found[side].processors) / (further - 1)
    more = [f"{1e3 * each[side]:.1f} ms" if side in each else "" for side in sides]
    return (
        f"| `{' '.join(words[:2])}` | {keras.clock:.2f} | {auto.clock:.2f} | **{keras.clock / auto.clock:.1f}** | "
        f"{keras.processors:.2f} | {auto.processors:.2f} | **{keras.processors / auto.processors:.1f}** | "
        f"{more[0]} | {more[1]} |"
    )


if __name__ == "__main__":
    main()
