"""The part of a picture that a digit stands in: without a scanner's dark border, a frame or the table around a sheet.

Only what can be told with certainty is cut off: what is left must show something.
"""

import numpy as np
from PIL import Image

WORKING_PX = 256
"""Longer side at which borders and frames are looked for."""

LEAST_CONTRAST = 12.0
"""Of 255: what differs less from the paper around it is no mark."""

SMOOTHED_PX, MOST_NOISE = 48, 5.0

STEP = 60.0
"""Of 255: how sharply a border ends at least; light that falls off does not."""

COVERED = 0.85
"""Of each side of a frame, what is drawn at least; of a round digit it is less than 0.6."""

LEAST_SIDE = 0.3
"""Of the picture's sides, what a frame or a sheet takes at least."""


def inside(picture: np.ndarray) -> np.ndarray:
    """The picture without what surrounds its page; as it is where nothing does, or where nothing would be left.

    Args:
        picture: uint8 (height, width, 3).

    Returns:
        A view of it.
    """
    part, working = picture, _working(picture)
    for cut in (_border, _frame):
        top, bottom, left, right = _in_pixels(part, working, *cut(_apart(working)))
        smaller = part[top:bottom, left:right]
        if smaller.size and smaller.shape != part.shape and not is_blank(smaller):
            part, working = smaller, _working(smaller)
    return part


def is_blank(picture: np.ndarray) -> bool:
    """Whether a picture, uint8 (height, width, 3), shows nothing: noise and uneven light are nothing."""
    residual = _residual(_working(picture))
    step = 3 if min(picture.shape[:2]) >= SMOOTHED_PX else 1
    some = residual[::step, ::step]
    noise = 1.4826 * float(np.median(np.abs(some - np.median(some))))
    if min(picture.shape[:2]) >= SMOOTHED_PX:  # noise becomes a third, strokes stay
        residual, noise = _smoothed(residual), noise / 3.0
    return float(np.abs(residual).max()) < max(LEAST_CONTRAST, 6.0 * min(noise, MOST_NOISE))


def _smoothed(maps: np.ndarray) -> np.ndarray:
    """Means of 3x3 pixels, float32 (height, width, channels), those at the edges repeated."""
    tall = np.pad(maps, ((1, 1), (0, 0), (0, 0)), "edge")
    wide = np.pad(tall[:-2] + tall[1:-1] + tall[2:], ((0, 0), (1, 1), (0, 0)), "edge")
    return (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / np.float32(9)


def _working(picture: np.ndarray) -> np.ndarray:
    """float32 (height, width, 3), averaged to a longer side of `WORKING_PX` at most."""
    height, width = picture.shape[:2]
    factor = WORKING_PX / max(height, width)
    if factor < 1.0:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    return picture.astype(np.float32)


def _residual(working: np.ndarray) -> np.ndarray:
    """What light that changes evenly over the picture, a plane, does not explain."""
    mean = working.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    residual = working - mean
    for axis, length in enumerate(working.shape[:2]):
        place = np.linspace(-1, 1, length, dtype=np.float32)  # its sum is 0, so each slope is found on its own
        profile = residual.mean(axis=1 - axis)
        slope = place @ profile / max(float(place @ place), 1e-9)
        residual -= np.expand_dims(np.outer(place, slope), 1 - axis) if length > 1 else np.float32(0)
    return residual


def _apart(working: np.ndarray) -> np.ndarray:
    """How far each pixel is from the commonest colour, of 255: (height, width)."""
    step = 2 if min(working.shape[:2]) >= SMOOTHED_PX else 1
    paper = np.median(working[::step, ::step].reshape(-1, 3), axis=0).astype(np.float32)
    return np.abs(working - paper).max(axis=2)


def _border(apart: np.ndarray) -> tuple[int, int, int, int]:
    """Rows and columns that are left where lines of another colour lie along the picture's edges."""
    edges = []
    for lines in (apart, apart[::-1], apart.T, apart.T[::-1]):
        foreign = (lines > STEP).mean(axis=1) > 0.9
        number = int(np.argmin(foreign)) if not foreign.all() else 0
        level = np.median(lines, axis=1)
        sharp = number and level[number - 1] - level[min(number + 1, len(level) - 1)] > STEP
        edges.append(number + 2 if sharp and number < len(lines) // 3 else 0)
    return edges[0], len(apart) - edges[1], edges[2], apart.shape[1] - edges[3]


def _frame(apart: np.ndarray) -> tuple[int, int, int, int]:
    """Rows and columns inside of the largest frame, or of a sheet that lies on something of another colour."""
    marked = apart > max(LEAST_CONTRAST, 0.4 * float(apart.max()))
    if not (_two_long_lines(marked) and _two_long_lines(marked.T)):
        return 0, marked.shape[0], 0, marked.shape[1]
    from scipy import ndimage  # takes longer to load than a digit takes to be read, so that it comes after a first look

    numbers, _ = ndimage.label(marked, np.ones((3, 3)))
    best = (0, marked.shape[0], 0, marked.shape[1])
    largest = 0
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers), start=1):
        own = numbers[rows, columns] == number
        height, width = own.shape
        if height < LEAST_SIDE * marked.shape[0] or width < LEAST_SIDE * marked.shape[1] or min(own.shape) < 12:
            continue
        margin = _frame_px(own)
        if margin is None or own.size <= largest:
            continue
        largest = own.size
        best = (rows.start + margin, rows.stop - margin, columns.start + margin, columns.stop - margin)
    return best


def _two_long_lines(marked: np.ndarray) -> bool:
    """Whether marked pixels, bool (height, width), may be the upper and the lower side of what `_frame` looks for."""
    height, width = marked.shape
    near = max(2, min(height, width) // 16)
    band = np.lib.stride_tricks.sliding_window_view(np.pad(marked, ((0, near - 1), (0, 0))), near, axis=0).any(-1)
    rows = np.flatnonzero(band.sum(axis=1) >= COVERED * LEAST_SIDE * width)
    return len(rows) > 0 and rows[-1] - rows[0] >= LEAST_SIDE * height - 2 * near


def _frame_px(own: np.ndarray) -> int | None:
    """How many pixels the lines of a frame take at its sides, or a sheet's edge; None for what is neither.

    Args:
        own: bool (height, width), which pixels of its box belong to it.
    """
    height, width = own.shape
    near = max(2, min(height, width) // 16)
    sides = (own[:near].any(0), own[-near:].any(0), own[:, :near].any(1), own[:, -near:].any(1))
    if min(side.mean() for side in sides) < COVERED:
        return None
    if own.mean() > 0.6:  # a sheet: what is written on it are holes
        return near
    for margin in range(near, min(height, width) // 5):
        if not own[margin:-margin, margin:-margin].any():
            return margin + 1
    return None


def _in_pixels(
    picture: np.ndarray, working: np.ndarray, top: int, bottom: int, left: int, right: int
) -> tuple[int, int, int, int]:
    """Edges in the working copy as edges in the picture."""
    (height, width), (rows, columns) = picture.shape[:2], working.shape[:2]
    down, along = height / rows, width / columns
    return (round(top * down), round(bottom * down), round(left * along), round(right * along))
