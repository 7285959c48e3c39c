"""Whether time grows with the number of files and memory does not: `predict` of 100, 1,000 and 10,000.

    python benchmarks/many_files.py [--numbers 100 1000 10000] [mnist cats-vs-dogs audio]

A process for each number, `--out FILE.jsonl`, what answers by default: seconds on the clock, milliseconds of the
processors for each file beyond the smallest number, and the most memory that the kernel counted. Digits are those of
scikit-learn, drawn as PNG in three sizes; photos and sounds are the files of `$CONVMEDIA_DATA`, again and again under
other names, or drawn from scikit-learn's photos and noise.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

CODE = (
    "import resource, subprocess, sys, time; start = time.perf_counter(); "
    "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
    "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print(done.returncode, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)"
)


class Used(NamedTuple):
    seconds: float
    of_processors: float
    most_bytes: int


def digits() -> Iterator[bytes]:
    """PNG, dark on light and light on dark, in three sizes."""
    from sklearn.datasets import load_digits

    for place, digit in enumerate((load_digits().images * 15.9).astype(np.uint8)):
        picture = Image.fromarray(digit if place % 2 else 255 - digit)
        yield encoded(picture.resize((40 + 8 * (place // 500 % 3), 48)), "PNG")


def photos() -> Iterator[bytes]:
    """JPEG as they are, or parts of two photos."""
    given = os.environ.get("CONVMEDIA_DATA")
    if given:
        yield from (path.read_bytes() for path in sorted(Path(given, "cats_vs_dogs").rglob("*.jpg")))
        return
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(1)
    for photo in islice(cycle(load_sample_images().images), 200):
        top, left, side = (int(rng.integers(1, most)) for most in (200, 300, 200))
        yield encoded(Image.fromarray(photo[top : top + side + 50, left : left + side + 80]), "JPEG")


def sounds() -> Iterator[bytes]:
    """WAV as they are, or noise of half a second."""
    given = os.environ.get("CONVMEDIA_DATA")
    if given:
        yield from (path.read_bytes() for path in sorted(Path(given, "audio", "fsdd", "recordings").glob("*.wav")))
        return
    rng = np.random.default_rng(1)
    for _ in range(200):
        file = io.BytesIO()
        with wave.open(file, "wb") as written:
            written.setparams((1, 2, 8000, 0, "NONE", ""))
            written.writeframes(rng.integers(-9000, 9000, 4000).astype("<i2").tobytes())
        yield file.getvalue()


def encoded(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


KINDS: dict[str, tuple[Callable[[], Iterator[bytes]], str]] = {
    "mnist": (digits, ".png"),
    "cats-vs-dogs": (photos, ".jpg"),
    "audio": (sounds, ".wav"),
}


def write(folder: Path, number: int, application: str) -> None:
    """So many files, the same ones again under other names where there are fewer."""
    made, suffix = KINDS[application]
    folder.mkdir()
    for place, content in enumerate(islice(cycle(list(made())), number)):
        (folder / f"{place:06}{suffix}").write_bytes(content)


def predicted(application: str, folder: Path, out: Path) -> Used:
    """One call in a process of its own."""
    words = [sys.executable, "-m", "convmedia.apps", application, "predict", str(folder), "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", CODE, *words], stdout=subprocess.PIPE, check=True)
    code, seconds, processors, most = done.stdout.split()
    assert int(code) == 0, (application, folder, code)
    return Used(float(seconds), float(processors), int(most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("applications", nargs="*", default=list(KINDS))
    options = parser.parse_args()
    print("\n| | files | seconds | a further file, CPU ms | memory at most, MB |\n| --- | --- | --- | --- | --- |")
    for application in options.applications:
        first = None
        for number in options.numbers:
            with tempfile.TemporaryDirectory() as temporary:
                folder, out = Path(temporary, "files"), Path(temporary, "rows.jsonl")
                write(folder, number, application)
                used = predicted(application, folder, out)
                assert out.read_text().count("\n") == number
            further = ""
            if first is not None:
                further = f"{1000 * (used.of_processors - first[1].of_processors) / (number - first[0]):.2f}"
            first = first or (number, used)
            cells = (f"`{application} predict`", f"{number:,}", f"{used.seconds:.1f}", further)
            print("| " + " | ".join((*cells, f"{used.most_bytes / 1e6:.0f}")) + " |", flush=True)


if __name__ == "__main__":
    main()
