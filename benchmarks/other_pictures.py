"""Makes data/samples/other_things.jpg: 256 pictures of neither this nor that, from three packages that give them away.

    pip download --no-deps --python-version 3.8 --only-binary=:all: scikit-image==0.17.2    # unzip it
    apt-get download openclipart-png=1:0.18+dfsg-19                                         # dpkg-deb -x it
    npm pack @pmndrs/assets@1.7.0                                                           # tar -x it
    pip install OpenEXR
    python benchmarks/other_pictures.py --photos skimage/data --drawings openclipart/png --panoramas package/hdri

Views into 18 panoramas (rooms, streets, woods, skies), cuts of 12 photos and scans, and drawings of things, food,
vehicles, buildings, people and animals other than cats and dogs, laid over plain grounds and over cuts of the others.
What was cut and drawn follows from a fixed seed. The licences are in data/samples/SOURCES.md.
"""

import argparse
import base64
import re
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, EACH_WAY = 192, 16
VIEWS, CUTS = 6, 4  # of each panorama, of each photo
PHOTOS = "astronaut brick cell clock_motion coffee grass gravel hubble_deep_field microaneurysms retina rocket text"
DRAWINGS = {
    "animals/birds": 8,
    "animals/bugs": 6,
    "animals/fish": 4,
    "buildings": 8,
    "containers": 3,
    "education": 4,
    "electronics": 8,
    "food": 16,
    "geography": 4,
    "office": 10,
    "people": 10,
    "plants": 4,
    "recreation/music": 5,
    "recreation/toys": 2,
    "tools": 8,
    "transportation/vehicles": 8,
}
OUT = Path(__file__).parents[1] / "data" / "samples" / "other_things.jpg"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "drawings", "panoramas"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    tiles = [view(one, rng) for one in panoramas(given.panoramas) for _ in range(VIEWS)]
    files = [next(given.photos.glob(f"{name}.*[gp]")) for name in PHOTOS.split()]
    tiles += [cut(np.asarray(Image.open(file).convert("RGB")), rng) for file in files for _ in range(CUTS)]
    grounds = list(tiles)
    for kind, wanted in DRAWINGS.items():
        found = sorted((given.drawings / kind).rglob("*.png"))
        found = [file for file in found if not re.search("cat|dog|gatt|cane|kitt|pupp", file.name)]
        for place in rng.permutation(len(found))[:wanted]:
            tiles.append(drawn(Image.open(found[place]), grounds, rng))
    tiles = tiles[: EACH_WAY**2]
    print(len(tiles), "pictures")
    rows = [np.concatenate(tiles[start : start + EACH_WAY], 1) for start in range(0, len(tiles), EACH_WAY)]
    Image.fromarray(np.concatenate(rows)).save(OUT, quality=82, optimize=True)


def panoramas(folder: Path) -> list[np.ndarray]:
    """The panoramas, which lie as base64 in JavaScript, uint8: nine tenths of each below 0.8 of white."""
    exr = import_module("OpenEXR")  # needed for this alone, so it is declared nowhere
    found = []
    for file in sorted(folder.glob("*.exr.js")):
        content = base64.b64decode(re.search("base64,([A-Za-z0-9+/=]+)", file.read_text())[1])
        with tempfile.NamedTemporaryFile(suffix=".exr") as place:
            Path(place.name).write_bytes(content)
            with exr.File(place.name) as opened:
                light = np.maximum(opened.channels()["RGB"].pixels.astype(np.float32), 0)
        seen = np.clip(0.8 * light / np.percentile(light, 90), 0, 1) ** (1 / 2.2)
        found.append((255 * seen).round().astype(np.uint8))
    return found


def view(panorama: np.ndarray, rng) -> np.ndarray:
    """A square about the horizon in some direction."""
    high = int(rng.integers(90, 180))
    top = int(rng.integers(30, panorama.shape[0] - high - 20))
    turned = np.roll(panorama, int(rng.integers(panorama.shape[1])), 1)
    return resized(turned[top : top + high, :high])


def cut(photo: np.ndarray, rng) -> np.ndarray:
    """A square of a photo, from a third of its shorter side up."""
    least = min(photo.shape[:2])
    side = int(rng.integers(least // 3, least + 1))
    top, left = (int(rng.integers(size - side + 1)) for size in photo.shape[:2])
    return resized(photo[top : top + side, left : left + side])


def drawn(picture: Image.Image, grounds: list[np.ndarray], rng) -> np.ndarray:
    """A drawing on a ground: white, of one colour, or another picture."""
    picture = picture.convert("RGBA")
    kind = rng.integers(3)
    if kind == 2:
        ground = Image.fromarray(grounds[rng.integers(len(grounds))])
    else:
        ground = Image.new("RGB", (SIDE, SIDE), tuple(map(int, rng.integers(0, 256, 3))) if kind else "white")
    scale = rng.uniform(0.6, 1.0) * SIDE / max(picture.size)
    small = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    place = tuple(int(rng.integers(SIDE - side + 1)) for side in small.size)
    ground.paste(small, place, small)
    return np.asarray(ground)


def resized(square: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()
