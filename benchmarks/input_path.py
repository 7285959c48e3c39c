"""Pictures a second into training with the `photos()` recipe: this package against the old ImageDataGenerator, and
against albumentations with OpenCV's decoder in two processes.

    python benchmarks/input_path.py [--peers FOLDER]

Both read the same JPEGs of 500x375 at 150x150 and turn, shift, shear, zoom and mirror them by the same ranges. Ours
starts cold: decoding into the cache is part of the ten epochs, and of the first. The scan that looks for bad files
before a training has no counterpart on the other side; it is timed by itself and added in a row of its own. The old
generator decodes every picture in every epoch, so its rate is taken from one pass, half of it before ours and half
after.

The pictures are the photos of `$CONVMEDIA_DATA/cats_vs_dogs`, enlarged, or cut from the two photos of scikit-learn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

PHOTOS, EPOCHS, ROUNDS = 1200, 10, 3
PEER_EPOCHS = 2
SIZE, BATCH = (150, 150), 32
RANGES = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "fill_mode": "nearest",
}


def originals() -> Iterator[Image.Image]:
    """Photos without end, no two the same."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(1)
    given = os.environ.get("CONVMEDIA_DATA")
    for path in sorted(Path(given, "cats_vs_dogs", "train").rglob("*.jpg"))[::-1] if given else ():
        yield Image.open(path).convert("RGB")
    while True:
        for photo in load_sample_images().images:
            top, left, height = (int(rng.integers(1, most)) for most in (200, 300, 200))
            yield Image.fromarray(photo[top : top + height + 20, left : left + (height + 20) * 4 // 3])


def write_photos(folder: Path) -> None:
    """JPEGs of 500x375 in two class folders."""
    for label in ("a", "b"):
        (folder / label).mkdir()
    for number, photo in zip(range(PHOTOS), originals(), strict=False):
        path = folder / "ab"[number % 2] / f"{number:05}.jpg"
        photo.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=92)


def old_rate(folder: Path, batches: int) -> np.ndarray:
    """Pictures a second of the old generator, by the clock and by the processors."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(**RANGES)
    flow = generator.flow_from_directory(folder, target_size=SIZE, batch_size=BATCH, class_mode="binary")
    start = now()
    for _ in range(batches):
        next(flow)
    return batches * BATCH / (now() - start)


def ours(folder: Path) -> dict[str, np.ndarray]:
    """Seconds of each part, of the clock and of the processors, from an empty cache: scan, the first epoch with
    decoding, all of them, a later one; and pictures in an epoch."""
    import tensorflow as tf

    from convmedia.apps.training.trainer import stream
    from convmedia.data.augmentation.photo_recipe import photos
    from convmedia.data.datasets.photos import Decoded, load

    moments = [now()]
    train = load(str(folder)).train
    moments.append(now())
    decoded = Decoded(train, SIZE, fast=True)
    recipe, truth = photos(**RANGES), tf.constant(train.truth)

    def example(indices, seed):
        return recipe(decoded.gather(indices), seed), tf.gather(truth, indices)

    batches, steps = stream(len(train), BATCH, example, seed=1, epochs=range(EPOCHS))
    moments.append(now())
    for number, _ in enumerate(batches, 1):
        if number % steps == 0:
            moments.append(now())
    scan, decode, *epochs = np.diff(moments, axis=0)
    return {
        "pictures": steps * BATCH,
        "scan": scan,
        "first": decode + epochs[0],
        "all": decode + sum(epochs),
        "later": sum(epochs[1:]) / len(epochs[1:]),
    }


def now() -> np.ndarray:
    """Seconds of the clock and of all processors."""
    return np.array([time.perf_counter(), time.process_time()])


def peer_rates(folder: Path, peers: Path | None) -> np.ndarray | None:
    """Pictures a second of albumentations with OpenCV, by the clock and by the processors; None where it is missing."""
    path = os.pathsep.join([*[str(peers)] * (peers is not None), os.environ.get("PYTHONPATH", "")])
    script = Path(__file__).with_name("input_path_peers.py")
    numbers = map(str, (*SIZE, BATCH, PEER_EPOCHS))
    found = subprocess.run(
        [sys.executable, script, folder, *numbers],
        env={**os.environ, "PYTHONPATH": path, "NO_ALBUMENTATIONS_UPDATE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        print(f"without albumentations: {found.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    said = json.loads(found.stdout)
    return said["pictures"] / np.array([statistics.median(said["clock"]), said["processors"]])


def measured(folder: Path, peers: Path | None) -> dict[str, np.ndarray]:
    """Pictures a second of each side, by the clock and by the processors, from one round."""
    half = PHOTOS // BATCH // 2
    before, peer = old_rate(folder, half), peer_rates(folder, peers)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CONVMEDIA_CACHE"] = cache
        seconds = ours(folder)
    pictures = seconds["pictures"]
    after, peer_after = old_rate(folder, half), peer_rates(folder, peers) if peer is not None else None
    rates = {"old generator": 2 / (1 / before + 1 / after)}
    if peer is not None and peer_after is not None:
        rates["albumentations, OpenCV"] = 2 / (1 / peer + 1 / peer_after)
    return rates | {
        "first epoch, decoding included": pictures / seconds["first"],
        "first epoch, with the scan before it": pictures / (seconds["first"] + seconds["scan"]),
        "a later epoch": pictures / seconds["later"],
        "ten epochs from cold": EPOCHS * pictures / seconds["all"],
        "ten epochs and the scan before them": EPOCHS * pictures / (seconds["all"] + seconds["scan"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="folder that albumentations was installed into with pip --target")
    peers = parser.parse_args().peers
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder))
        rounds = [measured(Path(folder), peers) for _ in range(ROUNDS)]
    sides = [side for side in ("old generator", "albumentations, OpenCV") if side in rounds[0]]
    for name in rounds[0]:
        clock, processors = np.median([one[name] for one in rounds], axis=0)
        print(f"{name}: {clock:.0f} pictures/s, {processors:.0f} per second of the processors", end="")
        for side in sides:
            ratios = np.median([one[name] / one[side] for one in rounds], axis=0)
            print(f"; of {side} {ratios[0]:.2f}, {ratios[1]:.2f}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
