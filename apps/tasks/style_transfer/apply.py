"""The `apply` verb: files painted by a trained network in one pass each, frames of a video kept steady."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from convmedia.apps.batch.image_to_image import Made, Pair, Row, made, within
from convmedia.apps.tasks.style_transfer.options import shares
from convmedia.apps.tasks.style_transfer.pictures import as_original, fitted, in_rgb, resized
from convmedia.data.images import lossless
from convmedia.data.images.lossless import Original
from convmedia.data.storage import memory
from convmedia.data.storage.errors import InputError
from convmedia.models.inference.file_predictor import FilePredictor

# Of memory that painting takes for each value of the outermost maps, as measured at 1000x1000 and 2000x2000 px with 24
# maps: 450 to 540 bytes a pixel filled, and of address space 2,050 to 2,075.
FILLED_BYTES, MAPPED_BYTES = 23, 87
CHANGE = 12.0  # of 255: what differs by more from the frame before is taken from this frame alone


@dataclass(frozen=True)
class Painting:
    """What paints files; the same object in this process and in every actor.

    Attributes:
        model: path of a run folder or .keras file, None for the shipped weights.
        blend: how much of each style, as `_painting_options.shares` takes it.
        size: longer side of the results, px, at most; 0 is as they are.
        smooth: of 0..1, how much of the frame before stays where a frame shows the same.
        frames: whether every frame of a file is painted, as of `image_to_image.made`.
        runtime: as `--engine-runtime` has it.
    """

    model: str | None
    blend: str | None
    size: int
    smooth: float
    frames: bool = False
    runtime: str = "auto"

    @cached_property
    def predictor(self) -> FilePredictor:
        from convmedia.apps.cli.inputs import answering

        return answering("style-transfer", self.model, self.runtime)

    def pairs(self, inputs: Iterable[str], out: Path) -> list[Pair]:
        """Each file with its result below `out`, without suffix; folders keep their structure."""
        return [(file, out / place.with_suffix("")) for file, place in within(inputs, out)]

    def rows(self, pairs: Sequence[Pair], done: Mapping[str, Row]) -> Iterator[Row]:
        """As `image_to_image.made`.

        Raises:
            InputError: a blend that does not fit the model.
        """
        weights, steady = styles_of(self.predictor, self.blend), Steady(self.smooth)
        before = frames_before(pairs, done)

        def painted(file: Path, _: Path, original: Original) -> Made:
            if file in before:
                steady.go_on(*before[file], self.size)
            photo = in_rgb(original)
            photo = resized(photo, fitted(photo.shape[:2], self.size))
            require_memory(self.predictor, photo.shape[:2])
            picture = steady(photo, self.predictor.finite(photo[np.newaxis], *weights)[0])
            return Made(as_original(original, picture), {"runtime": self.predictor.runtime})

        return made(pairs, painted, done, self.frames)


def require_memory(predictor: FilePredictor, size: tuple[int, ...]) -> None:
    """Look whether a network that normalises over the whole picture can paint one of `size`, (height, width).

    Raises:
        InputError: it cannot.
    """
    height, width = size
    channels = predictor.most_filters or 12
    values = height * width * channels // 4  # the outermost maps, which are the largest, have a quarter of the most
    what = f"painting {width}x{height} px"
    memory.require(values * FILLED_BYTES, what, values * MAPPED_BYTES)


def frames_before(pairs: Sequence[Pair], done: Mapping[str, Row]) -> dict[Path, tuple[Path, Path]]:
    """For each file that comes after ones that an earlier call has painted: the last of those, and its painting."""
    found: dict[Path, tuple[Path, Path]] = {}
    last = None
    for file, _ in pairs:
        row = done.get(str(file))
        if row is None:
            if last:
                found[file] = last
            last = None
        elif "out" in row:
            last = file, Path(row["out"])
    return found


def styles_of(predictor: FilePredictor, blend: str | None) -> list[np.ndarray]:
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
            photo = in_rgb(lossless.read(file))
            self.photo = resized(photo, fitted(photo.shape[:2], size))
            self.picture = in_rgb(lossless.read(painting))

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
        from convmedia.apps.batch.picture_sets import picture_sets
        from convmedia.data.images import decoding

        files = [file for found in picture_sets(data).values() for file in found]
        return [decoding.decode(file)[:96, :128] for file in files[:12]]
    from convmedia.apps.classification.photo_pipeline import sample_photos

    return [photo[: 60 + 7 * place, : 90 - 4 * place] for place, photo in enumerate(sample_photos()[:8])]
