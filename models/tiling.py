"""Enlarging large pictures in tiles: the same answer as the whole picture's, in bounded memory."""

from collections.abc import Iterator

import numpy as np

from convmedia.models.predicting import Predictor
from convmedia.models.receptive_field import reach_px

TILE_PX = 1024  # of the enlarged picture: 64 maps of that size are 268 MB
Tile = tuple[slice, slice]


def tiles(height: int, width: int, side: int) -> list[Tile]:
    """Rows and columns of squares of `side` px, and what is left at the right and below, that cover a picture."""
    return [
        (slice(top, min(top + side, height)), slice(left, min(left + side, width)))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def enlarged(
    predictor: Predictor, picture: np.ndarray, scale: int, tile_px: int = TILE_PX, unit: float = 1.0
) -> Iterator[tuple[Tile, np.ndarray]]:
    """Enlarge a picture tile by tile.

    Tiles overlap by as much as the network looks, and what the overlap gave is cut off, so the answer is that of the
    whole picture but for rounding.

    Args:
        predictor: a loaded super-resolution model of `scale`.
        picture: (height, width, 3) of any size, dtype and range.
        unit: what of the picture is 1 of 255: 257 where it has 16 bits.
        tile_px: greatest side of a tile of the enlarged picture; memory grows with its square.

    Yields:
        (rows, columns) of the enlarged picture and what belongs there, float32 (rows, columns, 3), 0..255, neither
        rounded nor clipped.

    Raises:
        InputError: the answer to a tile holds NaN or infinity.
    """
    height, width = picture.shape[:2]
    overlap = reach_px(predictor.model)
    for rows, columns in tiles(height, width, max(tile_px // scale, 1)):
        around = tuple(
            slice(max(part.start - overlap, 0), min(part.stop + overlap, size))
            for part, size in ((rows, height), (columns, width))
        )
        answer = predictor.finite(picture[around][np.newaxis].astype(np.float32) / np.float32(unit))[0]
        inside = tuple(
            slice((part.start - outer.start) * scale, (part.stop - outer.start) * scale)
            for part, outer in zip((rows, columns), around, strict=True)
        )
        place = (slice(rows.start * scale, rows.stop * scale), slice(columns.start * scale, columns.stop * scale))
        yield place, answer[inside]


def whole_picture(predictor: Predictor, picture: np.ndarray, scale: int, tile_px: int = TILE_PX) -> np.ndarray:
    """All tiles of `enlarged` in one array, float32 (height * scale, width * scale, 3)."""
    answer = np.empty((picture.shape[0] * scale, picture.shape[1] * scale, 3), np.float32)
    for place, tile in enlarged(predictor, picture, scale, tile_px):
        answer[place] = tile
    return answer
