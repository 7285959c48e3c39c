"""Faults planted in a folder of 500 photos: how many of them `convmedia data check --near` lists first.

python benchmarks/planted_faults.py             # seeds 0 to 4
python benchmarks/planted_faults.py 7 8

Of the photos of dogs-vs-cats in CONVMEDIA_DATA each seed draws 480. Of 20 an altered copy is added: a cut, a mirror
image, other brightness and contrast, another size, a strong JPEG, a small rotation, or several of these. 20 others are
put under the other label. Counted is what is among the first 40 of each list. `--develop` draws from the half of the
photos that thresholds were chosen on; without it, from the other half.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from convmedia.data.images.decoding import find
from convmedia.data.sources import fetch

PHOTOS, COPIES, WRONG, LISTED = 480, 20, 20, 40
SEEDS = range(5)
Altered = Callable[[Image.Image, np.random.Generator], Image.Image]


def crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """70 to 90 % of each side, anywhere."""
    width, height = (round(side * rng.uniform(0.7, 0.9)) for side in image.size)
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))


def mirror(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def recolour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast and saturation, each by 0.6 to 1.4."""
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(rng.uniform(0.6, 1.4))
    return image


def resize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """0.4 to 0.8 times the size."""
    factor = rng.uniform(0.4, 0.8)
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """By 2 to 8 degrees; the black corners are cut off."""
    degrees = rng.uniform(2, 8) * rng.choice((-1, 1))
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    sine = np.sin(np.radians(abs(degrees)))
    across, down = int(sine * image.height / 2) + 1, int(sine * image.width / 2) + 1
    return turned.crop((across, down, image.width - across, image.height - down))


def compress(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image  # its file is written with a low quality


def several(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A mirror image or not, turned, cut, recoloured and made smaller."""
    steps = [*([mirror] if rng.random() < 0.5 else []), rotate, crop, recolour, resize]
    for step in steps:
        image = step(image, rng)
    return image


ALTERED: tuple[Altered, ...] = (crop, mirror, recolour, resize, compress, rotate, several)


def plant(photos: dict[str, list[Path]], folder: Path, seed: int, number: int = PHOTOS) -> dict[str, dict[str, str]]:
    """Copy `number` photos to class folders, and plant the faults.

    Args:
        photos: files of each of two labels.

    Returns:
        {"copies": {name of a copy: name of its original}, "wrong": {name: true label}}; names below `folder`.
    """
    rng = np.random.default_rng(seed)
    names: list[tuple[str, str]] = []
    for label, files in photos.items():
        (folder / label).mkdir(parents=True)
        for file in rng.permutation(np.array(sorted(map(str, files))))[: number // 2]:
            shutil.copy(file, folder / label)
            names.append((label, Path(file).name))
    chosen = rng.permutation(len(names))[: COPIES + WRONG]
    copies, wrong = {}, {}
    for at, place in enumerate(chosen[:COPIES]):
        label, name = names[place]
        with Image.open(folder / label / name) as image:
            altered = ALTERED[at % len(ALTERED)](image.convert("RGB"), rng)
        quality = int(rng.integers(25, 50)) if ALTERED[at % len(ALTERED)] in (compress, several) else 88
        copy = f"{label}/{ALTERED[at % len(ALTERED)].__name__}-{rng.integers(10**9)}.jpg"
        altered.save(folder / copy, quality=quality)
        copies[copy] = f"{label}/{name}"
    for place in chosen[COPIES:]:
        label, name = names[place]
        other = next(one for one in photos if one != label)
        target = f"{other}/wrong-{name}"
        (folder / label / name).rename(folder / target)
        wrong[target] = label
    return {"copies": copies, "wrong": wrong}


def half(photos: list[Path], developing: bool) -> list[Path]:
    """The half of the photos that is developed on, or the other one: by content."""
    return [file for file in photos if (hashlib.sha256(file.read_bytes()).digest()[0] % 2 == 0) == developing]


def main() -> None:
    arguments = [one for one in sys.argv[1:] if one != "--develop"]
    place = fetch.locate("dogs-vs-cats")
    if place is None:
        sys.exit("dogs-vs-cats is not on this machine: set CONVMEDIA_DATA")
    developing = "--develop" in sys.argv
    photos = {
        label: half([file for file in find([place]) if file.parent.name == label], developing)
        for label in ("cat", "dog")
    }
    for seed in map(int, arguments or SEEDS):
        with tempfile.TemporaryDirectory() as temporary:
            found = counts(photos, Path(temporary), seed)
        print(f"seed {seed}: " + ", ".join(f"{name} {value}" for name, value in found.items()), flush=True)


def counts(photos: dict[str, list[Path]], place: Path, seed: int) -> dict[str, str]:
    """What one seed's folder gives."""
    planted = plant(photos, place / "photos", seed)
    start = time.perf_counter()
    command = [sys.executable, "-m", "convmedia.apps", "data", "check", str(place / "photos"), "--near", "--json"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CONVMEDIA_CACHE": str(place / "cache")},
    )
    seconds = time.perf_counter() - start
    found = json.loads(done.stdout)["near"]

    def name(file: str) -> str:
        return Path(file).relative_to(place / "photos").as_posix()

    pairs = [{name(row["file"]), name(row["like"])} for row in found["look_alikes"][:LISTED]]
    suspects = [name(row["file"]) for row in found["labels"][:LISTED]]
    missed = [copy for copy, original in planted["copies"].items() if {copy, original} not in pairs]
    return {
        "copies": f"{COPIES - len(missed)} of {COPIES} (of {len(pairs)} pairs listed)",
        "wrong labels": f"{len(planted['wrong'].keys() & set(suspects))} of {WRONG}",
        "missed": ", ".join(missed) or "none",
        "seconds": f"{seconds:.0f}",
    }


if __name__ == "__main__":
    main()
