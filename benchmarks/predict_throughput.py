"""`predict` on a folder of pictures: its rate against those of decoding and of inference alone, in one run.

    python benchmarks/predict_throughput.py [--number 600] [--side 320] [--rounds 3]

d is the rate of decoding alone, in as many threads as `predict` uses; i that of the model alone, on the decoded
pictures in the same batches. One after the other they would reach 1 / (1/d + 1/i). Prints the three rates in turns,
pictures a second, and the ratio of the medians.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from convmedia.data.images import decoding as images_decoding
from convmedia.data.storage.parallel import in_order
from convmedia.models import shipped

BATCH = 32


def draw(folder: Path, number: int, side: int) -> list[Path]:
    """Cuts of two photos as JPEG, side x side px."""
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    files = [folder / f"{place:05}.jpg" for place in range(number)]
    for place, file in enumerate(files):
        photo = photos[place % 2]
        top, left = (rng.integers(size - side + 1) for size in photo.shape[:2])
        Image.fromarray(photo[top : top + side, left : left + side]).save(file, quality=90)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=600)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    predictor = shipped("mnist")
    with tempfile.TemporaryDirectory() as folder:
        files = draw(Path(folder), options.number, options.side)
        decoded = list(in_order(images_decoding.decode, files))
        batches = [np.stack(decoded[start : start + BATCH]) for start in range(0, len(decoded), BATCH)]
        ways = {
            "decoding": lambda: list(in_order(images_decoding.decode, files)),
            "inference": lambda: [predictor(batch) for batch in batches],
            "predict": lambda: predictor.predict_files(files),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.rounds + 1):
            for way, call in ways.items():
                start = time.perf_counter()
                call()
                rates[way].append(options.number / (time.perf_counter() - start))
    decoding, inference, whole = (statistics.median(found[1:]) for found in rates.values())
    expected = 1 / (1 / decoding + 1 / inference)
    print(f"decoding {decoding:.0f}, inference {inference:.0f}, predict {whole:.0f} pictures/s: ", end="")
    print(f"{whole / expected:.2f} of one after the other")


if __name__ == "__main__":
    main()
