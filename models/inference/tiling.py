"""Enlarging large pictures in tiles: the same answer as the whole picture's, in bounded memory."""

from collections.abc import Iterator

import numpy as np

from convmedia.models.inference.file_predictor import FilePredictor

TILE_PX = 1024  # of the enlarged picture: 64 maps of that size are 268 MB
Tile = tuple[slice, slice]


def tiles(height: int, width: int, side: int) -> list[Tile]:
    """Rows and columns of squares of `side` px, and what is left at the right and below, that cover a picture."""
    return [
        (slice(top, min(top + side, height)), slice(left, min(left + side, width)))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def tile_side(predictor: FilePredictor, scale: int, tile_px: int) -> int:
    """Side of the tiles of a picture, px: those of the enlarged picture have at most `tile_px`."""
    return predictor.tile_side(max(tile_px // scale, 1))


def surroundings(part: slice, size: int, side: int, overlap: int, one_shape: bool) -> slice:
    """What a network is shown for a part of a line of `size` px: the part and `overlap` px on each side.

    Args:
        one_shape: the first and the last part are shown with more, up to `side` and two overlaps, so that all tiles of
            a large picture have one shape; none ends closer to what it is for.
    """
    start, stop = max(part.start - overlap, 0), min(part.stop + overlap, size)
    if one_shape:
        stop = min(start + side + 2 * overlap, size)
        start = max(stop - side - 2 * overlap, 0)
    return slice(start, stop)


def enlarged(
    predictor: FilePredictor, picture: np.ndarray, scale: int, tile_px: int = TILE_PX, unit: float = 1.0
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
    side, overlap = tile_side(predictor, scale, tile_px), predictor.reach_px
    for rows, columns in tiles(height, width, side):
        lines = ((rows, height), (columns, width))
        around = tuple(surroundings(part, size, side, overlap, predictor.one_shape) for part, size in lines)
        answer = predictor.finite(picture[around][np.newaxis].astype(np.float32) / np.float32(unit))[0]
        inside = tuple(
            slice((part.start - outer.start) * scale, (part.stop - outer.start) * scale)
            for part, outer in zip((rows, columns), around, strict=True)
        )
        place = (slice(rows.start * scale, rows.stop * scale), slice(columns.start * scale, columns.stop * scale))
        yield place, answer[inside]


def whole_picture(predictor: FilePredictor, picture: np.ndarray, scale: int, tile_px: int = TILE_PX) -> np.ndarray:
    """All tiles of `enlarged` in one array, float32 (height * scale, width * scale, 3)."""
    answer = np.empty((picture.shape[0] * scale, picture.shape[1] * scale, 3), np.float32)
    for place, tile in enlarged(predictor, picture, scale, tile_px):
        answer[place] = tile
    return answer
