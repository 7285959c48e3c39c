"""What the pictures of a super-resolution training take: most memory of a process that draws patches from them.

    python benchmarks/training_memory.py [--number 40] [--before CHECKOUT]

Pictures of 2040x1400 px (8.6 MB each, as those of DIV2K) are held as `patches.load` gives them and patches of all
scales are drawn from them, ten batches of 16; each revision in a process of its own. CHECKOUT is the root of a checkout
of an earlier revision with its own `build/typing`. Prints bytes of the pictures, what the process took more than with
one picture, and milliseconds a batch.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIDES = (1400, 2040, 3)


def taken(number: int) -> dict[str, float]:
    """Most memory of this process, MB, and milliseconds a batch."""
    from convmedia.data.augmentation.patch_recipe import patches as recipe
    from convmedia.data.datasets.patches import Patches

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, SIDES, np.uint8) for _ in range(number)]
    bank = Patches(pictures, [recipe(scale, 48 * scale, enlarged=False) for scale in (2, 3, 4)])
    start = time.perf_counter()
    for step in range(10):
        bank(rng.integers(len(bank), size=16), np.array([1, step], np.int32))
    seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"mb": most / 1e6, "ms": seconds * 100, "pictures": sum(picture.nbytes for picture in pictures) / 1e6}


def measured(number: int, checkout: Path | None) -> dict[str, float]:
    """`taken` in a process of its own."""
    place = {"PYTHONPATH": str(checkout.resolve() / "build/typing")} if checkout else {}
    command = [sys.executable, __file__, "--number", str(number), "--taken"]
    said = subprocess.run(command, env={**os.environ, **place}, capture_output=True, text=True, check=True)
    return json.loads(said.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--taken", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.taken:
        print(json.dumps(taken(options.number)))
        return
    for name, checkout in {"this revision": None, "before": options.before}.items():
        if name == "this revision" or checkout:
            one, many = (measured(number, checkout) for number in (1, options.number))
            print(f"{name}: {many['pictures']:.0f} MB of pictures, ", end="")
            print(f"{many['mb'] - one['mb']:.0f} MB more than with one; ", end="")
            print(f"{many['ms']:.0f} ms a batch", flush=True)


if __name__ == "__main__":
    main()
