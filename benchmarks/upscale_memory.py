"""The memory that upscaling a 6000x4000 picture by two takes: `convmedia super-resolution upscale` in a child process.

    python benchmarks/upscale_memory.py [--network srcnn] [--width 6000] [--height 4000] [--tile 1024]

Prints the most memory that the process and its parts have had (as the kernel counts it) and the seconds.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="srcnn")
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--tile", type=int, default=1024)
    options = parser.parse_args()
    photo = load_sample_image("flower.jpg")
    copies = (-(-options.height // photo.shape[0]), -(-options.width // photo.shape[1]), 1)
    picture = np.tile(photo, copies)[: options.height, : options.width]
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(picture).save(Path(folder) / "large.jpg", quality=95)
        del picture
        start = time.perf_counter()
        command = [sys.executable, "-m", "convmedia.apps", "super-resolution", "upscale", f"{folder}/large.jpg"]
        command += ["--network", options.network, "--scale", "2", "--tile", str(options.tile), "--out", folder]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{options.network}: {peak / 1e9:.2f} GB at most, {seconds:.0f} s")


if __name__ == "__main__":
    main()
