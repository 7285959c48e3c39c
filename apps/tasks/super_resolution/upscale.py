"""Enlarging picture files: everything the file holds stays, large ones go tile by tile."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from convmedia.apps.batch.image_to_image import Made, Pair, Row, made, within
from convmedia.apps.console.progress import progress
from convmedia.apps.tasks.super_resolution.model_choice import at_precision, chosen, computed_in, runtime_for
from convmedia.data.images import bit_depth, decoding
from convmedia.data.images.lossless import Original
from convmedia.data.images.transparency import extended
from convmedia.data.storage import memory
from convmedia.data.storage.files import shown
from convmedia.data.transforms import bicubic
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.inference.tiling import enlarged, tile_side, tiles

RESULTS = 3  # times the bytes of a result, which its writer copies
GAP_PX = 8  # between the two pictures of a comparison


@dataclass(frozen=True)
class Enlarging:
    """What enlarges files; the same object in this process and in every actor.

    Attributes:
        model: path of a run folder or .keras file, None for the shipped weights.
        network, scale: as the options name them; None for the model's.
        tile_px: side of the tiles, px of the result.
        compare: whether to write bicubic and ours side by side, too.
        precision: "auto", "bfloat16" or "float32"; pictures of 16 bits are computed in float32 whatever it says.
        frames: whether every frame is made, as of `image_to_image.made`.
        runtime: as `--engine-runtime` has it.
    """

    model: str | None
    network: str | None
    scale: int | None
    tile_px: int
    compare: bool
    precision: str
    frames: bool = False
    runtime: str = "auto"

    @cached_property
    def chosen(self) -> tuple[FilePredictor, int]:
        """The model and its scale. Raises InputError as `_super_resolution.chosen`."""
        return chosen(self.model, self.network, self.scale, runtime_for(self.runtime, self.precision))

    @cached_property
    def quick(self) -> FilePredictor:
        """What computes 8-bit pictures."""
        return at_precision(*self.chosen, self.precision)

    def pairs(self, inputs: Iterable[str], out: Path) -> list[Pair]:
        """Each file with its result below `out`, without suffix; folders keep their structure."""
        scale = self.chosen[1]
        return [(file, out / place.parent / f"{place.stem}_x{scale}") for file, place in within(inputs, out)]

    def rows(self, pairs: Sequence[Pair], done: Mapping[str, Row]) -> Iterator[Row]:
        """As `image_to_image.made`; "precision" says what a picture was computed in."""
        return made(pairs, self.larger, done, self.frames)

    def larger(self, file: Path, stem: Path, original: Original) -> Made:
        """One picture enlarged, tile by tile with a bar."""
        predictor, scale = self.chosen
        fine = original.colour.dtype == np.uint16
        with progress(shown(file.name)) as update:
            picture = upscale(predictor if fine else self.quick, original, scale, self.tile_px, update)

        def compare() -> None:
            decoding.encode(compared(original, picture, scale), stem.with_name(f"{stem.name}_compare.png"))

        precision = "float32" if fine else computed_in(predictor, self.precision)
        return Made(picture, {"precision": precision, "runtime": predictor.runtime}, compare if self.compare else None)


def upscale(
    predictor: FilePredictor,
    original: Original,
    scale: int,
    tile_px: int,
    update: Callable[[int, int | None], None] = lambda done, total: None,
) -> Original:
    """The picture `scale` times as large: colour by the network, alpha by bicubic, all else as it was.

    Where nothing shows the network sees the nearest visible colour, so that no hidden one darkens an edge.
    """
    colour = extended(original.colour, original.alpha)
    height, width, channels = colour.shape
    result_bytes = math.prod((height, width, channels)) * scale**2 * colour.itemsize
    memory.require(RESULTS * result_bytes, f"the result of {width * scale}x{height * scale} px")
    larger = np.empty((height * scale, width * scale, channels), colour.dtype)
    total = len(tiles(height, width, tile_side(predictor, scale, tile_px)))
    in_three = np.broadcast_to(colour, (height, width, 3))
    for done, (place, answer) in enumerate(enlarged(predictor, in_three, scale, tile_px, unit=original.unit), start=1):
        part = answer.mean(axis=2, keepdims=True) if channels == 1 else answer
        larger[place] = np.clip(np.round(part * original.unit), 0, original.most).astype(colour.dtype)
        update(done, total)
    alpha = None if original.alpha is None else bicubic.imresize(original.alpha, scale)
    return replace(original, colour=larger, alpha=alpha)


def compared(original: Original, larger: Original, scale: int) -> np.ndarray:
    """Bicubic at the left, the network at the right, uint8 RGB (height, 2 * width + gap, 3), without alpha."""
    visible = extended(original.colour, original.alpha)
    pair = [in_eight_bits(one, original.most) for one in (bicubic.imresize(visible, scale), larger.colour)]
    left, right = (np.broadcast_to(picture, (*picture.shape[:2], 3)) for picture in pair)
    return np.concatenate([left, np.full((left.shape[0], GAP_PX, 3), 255, np.uint8), right], axis=1)


def in_eight_bits(colour: np.ndarray, white: int) -> np.ndarray:
    """uint8, or uint16 of which a value is white, as uint8."""
    return colour if colour.dtype == np.uint8 else bit_depth.in_eight(colour, white)
