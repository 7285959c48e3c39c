"""Handwritten digits: MNIST, scikit-learn's 8x8 digits, folders of pictures; and what a camera makes of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.special import expit

from convmedia.data.folders import tabled
from convmedia.data.folders.labelled import Labelled
from convmedia.data.sources import fetch
from convmedia.data.sources.catalogue import require_kind
from convmedia.data.splits.layouts import SPLITS
from convmedia.data.splits.splitting import Example, divided
from convmedia.data.storage.errors import InputError
from convmedia.data.transforms.colour import LUMA

LABELS = tuple("0123456789")


@dataclass(frozen=True)
class Split:
    """Raw pictures in memory, uint8 (n, height, width), and their labels, int64 (n,)."""

    pictures: np.ndarray
    truth: np.ndarray

    def __len__(self):
        return len(self.truth)

    def take(self, indices):
        """The examples at `indices`, in that order."""
        return Split(self.pictures[indices], self.truth[indices])


class Digits(Labelled):
    """A set of digits."""


def load(data: str, progress=None, group: str | None = None, fold: str | None = None) -> Digits:
    """A named set (`mnist`, `digits`) or a folder of class folders.

    Args:
        data: a name, or else a path; a folder that is called like a set is given as ./NAME.
        progress: called with (done, total) while files are scanned or downloaded.
        group: as of `folders.scan`, for a folder.
        fold: as of `pictures.load`.

    Raises:
        InputError: unknown name, missing folder, set that cannot be had, fewer than two classes, a pattern for groups
            that matches nothing.
    """
    if not data.strip():
        raise InputError("--data is empty: give mnist, digits or a folder of class folders")
    if group is not None and data in ("mnist", "digits"):
        raise InputError(f"--group {group!r} looks at the names of files, and {data} has none: leave it out")
    if data in ("mnist", "digits"):
        chosen = tabled.known_fold(data, fold, [])
        found = bundled() if data == "digits" else from_mnist(fetch.fetch("mnist", progress))
        return in_fold(found, chosen) if chosen else found
    require_kind(data, "digits")
    if Path(data).exists() or any(mark in data for mark in "/\\."):
        return from_folder(Path(data), progress, group, fold)
    return from_mnist(fetch.fetch(data, progress))  # no such name: says what there is


def split_by_seed(name, pictures, truth, counts, test=None) -> Digits:
    """Hold out validation (and test, where there is none) examples: `counts` of each, drawn once for all runs.

    Training examples that are exact copies of held-out ones are left out, with a warning that counts them.
    """
    order = np.random.default_rng(0).permutation(len(truth))
    held = {}
    for split, count in counts.items():
        held[split], order = Split(pictures[order[:count]], truth[order[:count]]), order[count:]
    order = np.sort(order)
    digest = hashlib.sha256(pictures.tobytes() + truth.astype("uint8").tobytes()).hexdigest()
    test = held.get("test", test)
    known = {picture.tobytes() for split in (test, held["validation"]) for picture in split.pictures}
    copied = np.array([picture.tobytes() in known for picture in pictures[order]])
    warnings = []
    if copied.any():
        warnings = [f"{copied.sum():,} training pictures are copies of held-out ones; they are left out"]
        order = order[~copied]
        digest = hashlib.sha256(f"{digest} {copied.sum()}".encode()).hexdigest()
    return Digits(
        name, LABELS, Split(pictures[order], truth[order]), held["validation"], test, digest, warnings=tuple(warnings)
    )


def in_fold(data: Digits, fold: str) -> Digits:
    """The same pictures, pooled, those of one of `stratifying.FOLDS` for test; of equal ones one is left."""
    parts = (data.train, data.validation, data.test)
    pictures, truth = (np.concatenate([getattr(part, name) for part in parts]) for name in ("pictures", "truth"))
    contents = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
    examples = [Example(Path(f"{i:08d}"), (int(truth[i]),), content) for i, content in enumerate(contents)]
    found = divided(examples, given=False, validation=False, likeness=None, fold=fold, labels=data.labels)
    places = {split: [int(one.path.name) for one in found.examples if one.split == split] for split in SPLITS}
    train, held, test = (Split(pictures[places[split]], truth[places[split]]) for split in SPLITS)
    lines = sorted(f"{one.split} {one.label} {one.digest}" for one in found.examples)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    note = f"{data.name} tells its own splits; for folds they are pooled, its test split too"
    same = tuple(found.duplicates)
    return Digits(data.name, data.labels, train, held, test, digest, duplicates=same, warnings=(note,))


def from_mnist(path) -> Digits:
    """MNIST (LeCun, Cortes, Burges 1998), 28x28, light on dark: 58,000 for training, 2,000 held out, 10,000 test."""
    with np.load(path) as file:
        train, test = [(file[f"x_{part}"], file[f"y_{part}"].astype("int64")) for part in ("train", "test")]
    return split_by_seed("mnist", *train, {"validation": 2000}, Split(*test))


def bundled() -> Digits:
    """The 1,797 digits of 8x8 that scikit-learn carries (Alpaydin, Kaynak 1998): 360 test, 180 validation."""
    from sklearn.datasets import load_digits

    everything = load_digits()
    pictures = np.round(everything.images * (255 / 16)).astype("uint8")
    return split_by_seed("digits", pictures, everything.target.astype("int64"), {"test": 360, "validation": 180})


def from_folder(folder: Path, progress=None, group: str | None = None, fold: str | None = None) -> Digits:
    """A folder of class folders, or a table of files and labels: as of `tabled.pictures`; bad files are named."""
    return Digits.of(str(folder), tabled.pictures(folder, progress, group, fold))


def photograph(digit: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """What a phone would make of a digit: pen, paper, light, place and size drawn at random.

    Args:
        digit: uint8 (28, 28), light on dark.
        size: height and width of the result, px, at least 32.
        rng: every choice comes from it.

    Returns:
        uint8 (height, width, 3), dark or light on any colour.
    """
    ink = pen(digit, size, rng)
    surface = paper(size, rng)
    colour = ink_colour(surface.mean(axis=(0, 1)), rng)
    surface = lines(surface, colour, rng) if rng.random() < 0.25 else surface
    flow = rng.uniform(0.8, 1.0) * ink[..., None]
    picture = surface * (1 - flow) + colour * flow
    return finish(picture * light(size, rng), rng)


def without_digit(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A picture that shows no digit: empty paper, ruled paper, blots, texture. uint8 (height, width, 3)."""
    surface = paper(size, rng)
    colour = ink_colour(surface.mean(axis=(0, 1)), rng)
    kind = rng.integers(4)
    if kind == 1:
        surface = lines(surface, colour, rng)
    elif kind > 1:
        grain = smooth_noise(size, int(rng.integers(3, 14 if kind == 2 else 40)), rng)
        blots = expit((grain - rng.uniform(0.0, 1.2)) * rng.uniform(3, 20))
        surface = surface * (1 - blots[..., None]) + colour * blots[..., None]
    return finish(surface * light(size, rng), rng)


def styled(digit: np.ndarray, label: str, rng: np.random.Generator) -> np.ndarray:
    """A digit in a common style of writing that MNIST hardly has: slashed 0, 1 on a base, closed 4, crossed 7.

    Args:
        digit: uint8 (28, 28), light on dark.
        label: what it shows; other labels than 0, 1, 4 and 7 come back as they are, and so do three of four of those.

    Returns:
        uint8 (28, 28).
    """
    if label not in STYLES or rng.random() < 0.75 or digit.max() < 128:
        return digit
    ground = digit if label != "4" else np.zeros_like(digit)
    canvas = Image.fromarray(ground).resize((28 * OVERSAMPLE, 28 * OVERSAMPLE), Image.Resampling.BICUBIC)
    pencil, width = ImageDraw.Draw(canvas), int(rng.uniform(1.6, 3.0) * OVERSAMPLE)
    for stroke in STYLES[label](digit, rng):
        points = [tuple(np.clip(np.asarray(point), 4, 24) * OVERSAMPLE) for point in stroke]
        pencil.line(points, fill=255, width=width, joint="curve")
        for x, y in points:
            pencil.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(canvas.resize((28, 28), Image.Resampling.BOX))


def ink_box(digit):
    """Left, top, right, bottom of the ink, px."""
    rows, columns = np.nonzero(digit > 100)
    return columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0


def column_at(digit, row):
    """Mean column of the ink in a row, or of all ink where the row has none."""
    columns = np.nonzero(digit[int(row)] > 100)[0]
    return float((columns if len(columns) else np.nonzero(digit > 100)[1]).mean()) + 0.5


def slash(digit, rng):
    left, top, right, bottom = ink_box(digit)
    reach = rng.uniform(-0.2, 0.12, 2) * (bottom - top)
    return [[(left - reach[0], bottom + reach[0]), (right + reach[1], top - reach[1])]]


def base_and_flag(digit, rng):
    _, top, _, bottom = ink_box(digit)
    height, foot, head = bottom - top, column_at(digit, bottom - 1), column_at(digit, top)
    half, tilt = rng.uniform(0.15, 0.5) * height, rng.uniform(-1, 1)
    strokes = [[(foot - half, bottom - 1 + tilt), (foot + half * rng.uniform(0.7, 1.2), bottom - 1 - tilt)]]
    if rng.random() < 0.7:
        strokes.append(
            [(head, top + 1), (head - rng.uniform(0.12, 0.35) * height, top + rng.uniform(0.1, 0.35) * height)]
        )
    return strokes


def closed_four(digit, rng):
    height, lean = rng.uniform(17, 20), rng.uniform(-1.5, 3)
    top, stem = 14 - height / 2, rng.uniform(14, 18)
    bar = top + height * rng.uniform(0.4, 0.68)
    elbow = (stem - height * rng.uniform(0.35, 0.6), bar + rng.uniform(-2.5, 0.5))
    past = stem + rng.uniform(-0.5, 4)
    return [
        [(stem + lean, top), elbow, (past, bar)],
        [(stem + lean + rng.uniform(-0.7, 0.7), top + rng.uniform(0, 1)), (stem - lean, top + height)],
    ]


def crossbar(digit, rng):
    _, top, _, bottom = ink_box(digit)
    row = top + rng.uniform(0.42, 0.62) * (bottom - top)
    middle, half, tilt = column_at(digit, row), rng.uniform(0.15, 0.4) * (bottom - top), rng.uniform(-1.2, 1.2)
    return [[(middle - half, row + tilt), (middle + half, row - tilt)]]


STYLES = {"0": slash, "1": base_and_flag, "4": closed_four, "7": crossbar}
OVERSAMPLE = 4


def pen(digit, size, rng):
    """Ink 0..1 of shape `size`: the digit enlarged, turned, drawn with a thinner or thicker pen, put somewhere."""
    height, width = size
    box = Image.fromarray(digit).crop((1, 1, 27, 27))
    side = int(min(size) * rng.uniform(0.4, 0.98))
    stretched = (max(int(side * rng.uniform(0.75, 1.0)), 16), side)
    large = box.resize(stretched, Image.Resampling.BICUBIC).rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    thickness = int(rng.integers(-side // 22, side // 26 + 1))
    if thickness:
        window = 2 * abs(thickness) + 1
        changed = large.filter(ImageFilter.MaxFilter(window) if thickness > 0 else ImageFilter.MinFilter(window))
        large = changed if np.asarray(changed).mean() > 0.3 * np.asarray(large).mean() else large
    edge = rng.uniform(8, 30)
    lowest, highest = expit(-0.45 * edge), expit(0.55 * edge)
    crisp = (expit((np.asarray(large, "float32") / 255 - 0.45) * edge) - lowest) / (highest - lowest)
    canvas = np.zeros(size, "float32")
    top = int(rng.integers(0, height - large.height + 1))
    left = int(rng.integers(0, max(width - large.width, 0) + 1))
    shown = crisp[:, : width - left]
    canvas[top : top + large.height, left : left + shown.shape[1]] = shown
    return canvas


def paper(size, rng):
    """Plain or grainy ground, light or dark: float32 (height, width, 3), 0..255."""
    base = rng.uniform(150, 255) if rng.random() < 0.7 else rng.uniform(0, 100)
    tint = rng.uniform(-35, 35, 3) * (rng.random() < 0.5)
    grain = smooth_noise(size, int(rng.integers(8, 60)), rng) * rng.uniform(0, 6) * (rng.random() < 0.6)
    return np.clip(base + tint + grain[..., None], 0, 255).astype("float32")


def ink_colour(ground, rng):
    """A colour that differs in luma from `ground` by at least 55 of 255."""
    luma = float(ground @ LUMA)
    for _ in range(50):
        colour = rng.uniform(0, 255, 3)
        if abs(float(colour @ LUMA) - luma) > 55:
            return colour.astype("float32")
    return np.full(3, 0.0 if luma > 127 else 255.0, "float32")


def lines(surface, colour, rng):
    """Rule the paper: thin lines, fainter than the ink, slightly tilted, sometimes squared."""
    height, width = surface.shape[:2]
    y, x = np.mgrid[:height, :width].astype("float32")
    spacing, tilt = rng.uniform(0.15, 0.7) * height, rng.uniform(-0.04, 0.04)
    strength, thin = rng.uniform(0.15, 0.55), rng.uniform(0.6, 0.02 * height + 0.7)
    offset = rng.uniform(0, spacing)

    def comb(across, along):
        distance = np.abs((across + tilt * along + offset) % spacing - spacing / 2)
        return np.clip(thin - distance + 0.5, 0, 1)

    mark = comb(y, x) if rng.random() < 0.85 else np.maximum(comb(y, x), comb(x, -y))
    return surface * (1 - strength * mark[..., None]) + colour * (strength * mark[..., None])


def light(size, rng):
    """Uneven light as a factor (height, width, 1): a gradient, and sometimes the soft edge of a shadow."""
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    factor = 1 - rng.uniform(0, 0.25) * (along + 1) / 2 * (rng.random() < 0.6)
    if rng.random() < 0.25:
        edge = expit((along - rng.uniform(-1, 1)) * rng.uniform(2, 12))
        factor = factor * (1 - rng.uniform(0.1, 0.4) * edge)
    return factor[..., None].astype("float32")


def finish(picture, rng):
    """Lens blur, sensor noise, 8 bit."""
    picture = np.clip(picture + rng.normal(0, rng.uniform(0, 7), picture.shape), 0, 255).astype("uint8")
    if rng.random() < 0.4:
        blurred = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.4)))
        picture = np.asarray(blurred)
    return picture


def smooth_noise(size, cells, rng):
    """Noise of mean 0 and standard deviation about 1 with `cells` bumps along a side: float32 (height, width)."""
    small = rng.normal(0, 1, (max(cells, 2), max(cells, 2))).astype("float32")
    return np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
