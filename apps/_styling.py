"""The `apply` verb: files painted by a trained network in one pass each, frames of a video kept steady."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from convmedia.apps._painting import shares
from convmedia.apps._pictures import sample_photos
from convmedia.apps._stylizing import as_original, fitted, in_rgb, resized
from convmedia.apps._upscaling import within
from convmedia.data import originals
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.models.predicting import Predictor

CHANGE = 12.0  # of 255: what differs by more from the frame before is taken from this frame alone


def painted(
    predictor: Predictor,
    inputs: Iterable[str],
    out: Path,
    blend: str | None,
    size: int,
    smooth: float,
    done: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> Iterator[dict[str, Any]]:
    """Paint files one after the other: {"file", "out", "width", "height", "seconds"}, or {"file", "error"}.

    Args:
        blend: how much of each style, as `_painting.shares` takes it.
        size: longer side of the results, px, at most; 0 is as they are.
        smooth: of 0..1, how much of the frame before stays where a frame shows the same.
        done: rows of files that are to be left out.

    Raises:
        InputError: a blend that does not fit the model; a folder without pictures, where nothing else is given.
        OSError: as writing raises it; what is under a final name is complete.
    """
    weights = styles_of(predictor, blend)
    steady = Steady(smooth)
    made = {Path(row["out"]) for row in done.values() if "out" in row}
    before: tuple[Path, Path] | None = None
    for file, place in [pair for given in inputs for pair in within(Path(given))]:
        if row := done.get(str(file)):
            before = (file, Path(row["out"])) if "out" in row else None
            continue
        try:
            if before is not None:
                steady.go_on(*before, size)
                before = None
            start = time.perf_counter()
            original = originals.read(file)
            photo = in_rgb(original)
            photo = resized(photo, fitted(photo.shape[:2], size))
            picture = steady(photo, predictor(photo[np.newaxis], *weights)[0])
            result = as_original(original, picture)
            path = out / place.with_suffix(originals.suffix_for(result, file.suffix))
            if path in made or (path.exists() and path.samefile(file)):
                raise InputError(f"{shown(file)} would replace {shown(path)}: give it another --out")
            originals.write(result, path)
            made.add(path)
        except InputError as error:
            yield {"file": str(file), "error": str(error)}
            continue
        height, width = picture.shape[:2]
        seconds = round(time.perf_counter() - start, 3)
        yield {"file": str(file), "out": str(path), "width": width, "height": height, "seconds": seconds}


def styles_of(predictor: Predictor, blend: str | None) -> list[np.ndarray]:
    """What the model takes beside the picture: nothing, or the weights of its styles (1, styles)."""
    styles = predictor.details["styles"]
    try:
        weights = shares(blend, len(styles))
    except InputError as error:
        raise InputError(f"{error}; the model's styles are {', '.join(styles)}") from error
    return [np.array([weights], np.float32)] if len(styles) > 1 else []


class Steady:
    """Keeps what a video shows still from flickering: there, part of the frame before stays.

    Args:
        share: of 0..1, how much of it; 0 leaves frames as they are. A frame of another size starts anew.
    """

    def __init__(self, share: float):
        self.share = share
        self.photo: np.ndarray | None = None
        self.picture: np.ndarray | None = None

    def go_on(self, file: Path, painting: Path, size: int) -> None:
        """After a frame that an earlier call has painted.

        Raises:
            InputError: one of its files cannot be read.
        """
        if self.share:
            photo = in_rgb(originals.read(file))
            self.photo = resized(photo, fitted(photo.shape[:2], size))
            self.picture = in_rgb(originals.read(painting))

    def __call__(self, photo: np.ndarray, picture: np.ndarray) -> np.ndarray:
        """The frame to show, of a photo and its painting, float32 (height, width, 3), 0..255."""
        if self.share and self.photo is not None and self.photo.shape == photo.shape:
            change = np.abs(photo - self.photo).max(axis=2, keepdims=True) / CHANGE
            kept = self.share * np.clip(1.0 - change, 0.0, 1.0)
            picture = picture + kept * (self.picture - picture)
        self.photo, self.picture = photo, picture
        return picture


def examples(data: str | None) -> list[np.ndarray]:
    """Raw pictures to verify an export with, small ones: of a folder, or of the photos that scikit-learn carries."""
    if data:
        from convmedia.apps._quality import picture_sets
        from convmedia.data import images

        files = [file for found in picture_sets(data).values() for file in found]
        return [images.decode(file)[:96, :128] for file in files[:12]]
    return [photo[: 60 + 7 * place, : 90 - 4 * place] for place, photo in enumerate(sample_photos()[:8])]
