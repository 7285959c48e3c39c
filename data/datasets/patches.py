"""Training patches for super-resolution from a folder of pictures, and the pictures that are held out."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data.augmentation.stateless_random import generator, rows_of
from convmedia.data.storage.errors import InputError
from convmedia.data.transforms.bicubic import luma

HELD_OUT = 0.05  # of the pictures
SHRINKS = (1.0, 0.9, 0.8, 0.7, 0.6)  # Dong et al. 2016, "Accelerating the super-resolution convolutional network", 4.1


@dataclass(frozen=True)
class HighResolution:
    """Pictures to learn from.

    Attributes:
        train, validation: uint8 (height, width, 3) or, of luma, (height, width, 1) each.
        train_files, validation_files: where they are.
        digest: SHA-256 over contents and the choice.
        bad: files that could not be used, and why.
    """

    train: list[np.ndarray]
    validation: list[np.ndarray]
    train_files: list[Path]
    validation_files: list[Path]
    digest: str
    bad: list[tuple[Path, str]]

    def facts(self, name: str) -> dict[str, Any]:
        """What `run.json` says of it."""
        counts = {"train": len(self.train), "validation": len(self.validation), "left_out": len(self.bad)}
        return {"name": name, **counts, "digest": self.digest}


def load(
    files: Sequence[Path],
    least_px: int,
    grey: bool,
    update: Callable[[int, int | None], None],
    benchmarks: bool = True,
) -> HighResolution:
    """Read pictures whole and hold some out: those whose content has the smallest SHA-256, whatever their names.
    Pictures that nearly equal each other are all held out, or all trained on.

    Args:
        files: pictures of any size; those of the same content count once.
        least_px: smaller ones are left out.
        grey: keep luma alone, rounded.
        update: told (done, all) on the way.
        benchmarks: leave out what nearly equals a benchmark's picture, whatever its size.

    Raises:
        InputError: fewer than two pictures can be used.
    """
    # With them Pillow, which training from arrays does without.
    from convmedia.data.datasets import benchmark_pictures
    from convmedia.data.images import decoding, fingerprints
    from convmedia.data.splits import near_duplicates, splitting

    known = benchmark_pictures.Benchmarks() if benchmarks else None
    found: dict[Path, np.ndarray] = {}
    close: dict[Path, np.ndarray] = {}
    examples: dict[str, splitting.Example] = {}
    bad: list[tuple[Path, str]] = []
    for number, file in enumerate(files, start=1):
        try:
            content = file.read_bytes()
            picture = decoding.decode(content) if content else decoding.decode(file)
        except (InputError, OSError) as error:
            bad.append((file, str(error)))
            continue
        if min(picture.shape[:2]) < least_px:
            bad.append((file, f"smaller than {least_px} px"))
        elif known and (like := known.like(picture)):
            bad.append((file, f"nearly equals {like}, which networks are measured on"))
        else:
            found[file] = luma(picture)[..., np.newaxis] if grey else picture
            close[file] = near_duplicates.closely(picture)
            name = hashlib.sha256(content).hexdigest()
            mark = fingerprints.thumbnail(picture)
            examples[name] = splitting.Example(file, (0,), name, fingerprint=mark)
        update(number, len(files))
    likeness = replace(near_duplicates.PICTURES, detail=close.__getitem__)
    number = max(1, round(HELD_OUT * len(examples)))
    held, rest = splitting.held_out(examples.values(), number, likeness) if len(examples) > 1 else ([], [])
    if not held:
        reason = f" ({bad[0][0].name}: {bad[0][1]})" if bad else ""
        raise InputError(
            f"two different pictures of {least_px} px or more are needed to train and validate{reason}; add some"
        )
    names = [example.digest for example in (*held, *rest)]
    digest = hashlib.sha256("\n".join([*names, str(len(held))]).encode()).hexdigest()
    train_files, validation_files = ([example.path for example in part] for part in (rest, held))
    train, validation = ([found[file] for file in part] for part in (train_files, validation_files))
    return HighResolution(train, validation, train_files, validation_files, digest, sorted(bad))


class Patches:
    """Batches of training patches: windows at random places of random pictures, through a recipe for each scale.

    Args:
        pictures: uint8 (height, width, channels) each, one number of channels.
        recipes: `augmentation.patches` for one scale or several; a batch is of one of them, drawn from its seed.
        shrinks: windows are larger by one over these factors, and the recipe shrinks them: drawn for each batch.
    """

    def __init__(self, pictures: Sequence[np.ndarray], recipes: Sequence, shrinks: Sequence[float] = SHRINKS):
        self.recipes, self.shrinks = list(recipes), list(shrinks)
        widest = max(self._window(recipe, shrink) for recipe in self.recipes for shrink in self.shrinks)
        # The pictures themselves, not one array of them all, which would be a second copy beside whoever holds them.
        self.pictures = [at_least(picture, widest) for picture in pictures]
        self.channels = self.pictures[0].shape[2]
        self.heights, self.widths = np.array([picture.shape[:2] for picture in self.pictures]).T
        self.ends = np.cumsum(self.heights * self.widths)
        self.number = max(1, int(self.ends[-1]) // max(recipe.size_px for recipe in self.recipes) ** 2)

    def __len__(self) -> int:
        """How many patches cover the pictures once: an epoch."""
        return self.number

    @staticmethod
    def _window(recipe, shrink: float) -> int:
        return int(np.ceil(recipe.window_px / shrink))

    def __call__(self, indices: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of one batch, float32 0..1, that follow from the arguments alone.

        Args:
            indices: (n,) in 0..len - 1; they choose the pictures, large ones more often.
            seed: int32 (2,), of `augmentation.step_seed`.
        """
        rng = generator(seed, 1)  # the recipe has the same seed
        recipe = self.recipes[rng.integers(len(self.recipes))]
        side = self._window(recipe, self.shrinks[rng.integers(len(self.shrinks))])
        place = (np.asarray(indices) + rows_of(rng.random, len(indices))) / len(self) * self.ends[-1]
        chosen = np.searchsorted(self.ends, place, side="right").clip(max=len(self.ends) - 1)
        heights, widths = self.heights[chosen], self.widths[chosen]
        tops = (rows_of(rng.random, len(chosen)) * (heights - side + 1)).astype(np.int64)
        lefts = (rows_of(rng.random, len(chosen)) * (widths - side + 1)).astype(np.int64)
        places = zip(chosen.tolist(), tops.tolist(), lefts.tolist(), strict=True)
        windows = [self.pictures[one][top : top + side, left : left + side] for one, top, left in places]
        return recipe(np.stack(windows), seed)


def middle(picture: np.ndarray, side_px: int) -> np.ndarray:
    """The middle of a picture, at most `side_px` a side."""
    top, left = (max(0, size - side_px) // 2 for size in picture.shape[:2])
    return picture[top : top + side_px, left : left + side_px]


def at_least(picture: np.ndarray, side: int) -> np.ndarray:
    """Mirrored at its ends until no side is shorter than `side`."""
    missing = [(0, max(0, side - size)) for size in picture.shape[:2]]
    return np.pad(picture, [*missing, (0, 0)], mode="symmetric") if any(after for _, after in missing) else picture
