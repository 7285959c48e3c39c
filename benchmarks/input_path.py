"""Pictures a second into training with the `photos()` recipe: this package against the old ImageDataGenerator.

    python benchmarks/input_path.py

Both read the same JPEGs of 500x375 at 150x150 and turn, shift, shear, zoom and mirror them by the same ranges. Ours
starts cold: decoding into the cache is part of the ten epochs, and of the first. The scan that looks for bad files
before a training has no counterpart on the other side; it is timed by itself and added in a row of its own. The old
generator decodes every picture in every epoch, so its rate is taken from one pass, half of it before ours and half
after.

The pictures are the photos of `$CONVMEDIA_DATA/cats_vs_dogs`, enlarged, or cut from the two photos of scikit-learn.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

PHOTOS, EPOCHS, ROUNDS = 1200, 10, 3
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


def old_rate(folder: Path, batches: int) -> float:
    """Pictures a second of the old generator."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(**RANGES)
    flow = generator.flow_from_directory(folder, target_size=SIZE, batch_size=BATCH, class_mode="binary")
    start = time.perf_counter()
    for _ in range(batches):
        next(flow)
    return batches * BATCH / (time.perf_counter() - start)


def ours(folder: Path) -> dict[str, float]:
    """Seconds of each part, from an empty cache: scan, decoding, each epoch; and pictures in an epoch."""
    import tensorflow as tf

    from convmedia.apps.training.trainer import stream
    from convmedia.data.augmentation.photo_recipe import photos
    from convmedia.data.datasets.photos import Decoded, load

    moments = [time.perf_counter()]
    train = load(str(folder)).train
    moments.append(time.perf_counter())
    decoded = Decoded(train, SIZE, fast=True)
    recipe, truth = photos(**RANGES), tf.constant(train.truth)

    def example(indices, seed):
        return recipe(decoded.gather(indices), seed), tf.gather(truth, indices)

    batches, steps = stream(len(train), BATCH, example, seed=1, epochs=range(EPOCHS))
    moments.append(time.perf_counter())
    for number, _ in enumerate(batches, 1):
        if number % steps == 0:
            moments.append(time.perf_counter())
    scan, decode, *epochs = np.diff(moments)
    return {
        "pictures": steps * BATCH,
        "scan": scan,
        "decode": decode,
        "first": decode + epochs[0],
        "all": decode + sum(epochs),
        "later": statistics.median(epochs[1:]),
    }


def measured(folder: Path) -> dict[str, float]:
    """Pictures a second of the old generator and of ours, from one round."""
    half = PHOTOS // BATCH // 2
    before = old_rate(folder, half)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CONVMEDIA_CACHE"] = cache
        seconds = ours(folder)
    pictures = seconds["pictures"]
    return {
        "old generator": statistics.harmonic_mean([before, old_rate(folder, half)]),
        "ten epochs from cold": EPOCHS * pictures / seconds["all"],
        "first epoch, decoding included": pictures / seconds["first"],
        "a later epoch": pictures / seconds["later"],
        "ten epochs and the scan before them": EPOCHS * pictures / (seconds["all"] + seconds["scan"]),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder))
        rounds = [measured(Path(folder)) for _ in range(ROUNDS)]
    for name in rounds[0]:
        rate = statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one[name] / one["old generator"] for one in rounds)
        print(f"{name}: {rate:.0f} pictures/s, {ratio:.2f} of the old generator's", flush=True)


if __name__ == "__main__":
    main()
