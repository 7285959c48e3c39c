"""Bicubic resizing equal to MATLAB's `imresize`, and MATLAB's luma: what super-resolution is measured by.

NumPy only. Results do not depend on the machine: products and sums are taken in a fixed order, tap by tap.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np

Border = Literal["replicate", "symmetric"]

CUBIC_WIDTH = 4.0  # samples; Keys 1981, "Cubic convolution interpolation for digital image processing", a = -0.5
BLOCK_VALUES = 1 << 17  # of an output computed at a time: 1 MB of float64 stays in the cache

# MATLAB's rgb2ycbcr for RGB in 0..1 (ITU-R BT.601, studio range): Y in 16..235, Cb and Cr in 16..240.
YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
YCBCR_OFFSET = np.array([16.0, 128.0, 128.0])
YCBCR.setflags(write=False)
YCBCR_OFFSET.setflags(write=False)


def cubic(distance: np.ndarray) -> np.ndarray:
    """Keys's cubic kernel with a = -0.5 at distances in samples; zero from 2 samples on. Any shape, float64."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))


@lru_cache(maxsize=64)
def taps(
    size: int, new_size: int, scale: float, border: Border = "replicate", antialias: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """What each sample of a resized line is the weighted sum of.

    Args:
        size: length of the line, in samples.
        new_size: length of the resized line.
        scale: distance of samples before over after; `new_size / size`, unless `new_size` was rounded.
        border: "replicate" repeats the first and last sample (MATLAB until about 2012), "symmetric" mirrors the line
            at its ends (since).
        antialias: widen the kernel when shrinking.

    Returns:
        Indices (taps, new_size) int64 into the line and weights (taps, new_size) float64 that sum to 1; read-only.
    """
    stretch = min(scale, 1.0) if antialias else 1.0
    width = CUBIC_WIDTH / stretch
    # Positions count from 1 and follow imresize's own expressions: another order of the same sum moves the last bit.
    centre = np.arange(1, new_size + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = np.floor(centre - width / 2.0)
    position = first + np.arange(math.ceil(width) + 2)[:, np.newaxis]
    weights = stretch * cubic(stretch * (centre - position))
    weights /= weights.sum(axis=0)
    used = weights.any(axis=1)
    indices = _inside(position[used].astype(np.int64) - 1, size, border)
    weights = weights[used]
    indices.setflags(write=False)
    weights.setflags(write=False)
    return indices, weights


@lru_cache(maxsize=64)
def matrix(size: int, new_size: int, scale: float, border: Border = "symmetric") -> np.ndarray:
    """The same as a matrix, (new_size, size) float64, read-only: for small lines, many at a time."""
    indices, weights = taps(size, new_size, scale, border)
    dense = np.zeros((new_size, size))
    np.add.at(dense, (np.arange(new_size), indices), weights)
    dense.setflags(write=False)
    return dense


def _inside(position: np.ndarray, size: int, border: Border) -> np.ndarray:
    if border == "replicate":
        return np.clip(position, 0, size - 1)
    folded = np.mod(position, 2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def imresize(
    picture: np.ndarray,
    scale_or_size: float | tuple[int, int],
    *,
    border: Border = "replicate",
    antialias: bool = True,
) -> np.ndarray:
    """Resize as MATLAB's `imresize(picture, scale_or_size, "bicubic")` does.

    One axis at a time: the one that shrinks most first, and rows before columns where both change alike. Integers are
    rounded (halves away from zero) and clipped to their type after each axis, as MATLAB does; floats are neither.

    Args:
        picture: (height, width), (height, width, channels) or (batch, height, width, channels); uint8, uint16, float32
            or float64, any range. Computed in float64.
        scale_or_size: scale of both axes, the new size being rounded up; or the new (height, width).
        border: "replicate" (MATLAB until about 2012, and the published low-resolution sets) or "symmetric" (since).
        antialias: widen the kernel along axes that shrink.

    Returns:
        The resized picture, dtype and axes as given.

    Raises:
        ValueError: another rank or dtype, an empty picture, a scale or size that is not positive, another border.
    """
    picture = np.asarray(picture)
    _check(picture, border)
    first_axis = 1 if picture.ndim == 4 else 0
    plans = _plans(picture.shape[first_axis : first_axis + 2], scale_or_size)
    # Stable: equal scales leave rows first.
    for axis, new_size, scale in sorted(plans, key=lambda plan: plan[2]):
        size = picture.shape[first_axis + axis]
        picture = _along(picture, first_axis + axis, *taps(size, new_size, scale, border, antialias))
    return picture


def _check(picture: np.ndarray, border: str) -> None:
    if picture.ndim not in (2, 3, 4) or picture.size == 0:
        raise ValueError(f"A picture has 2, 3 or, in a batch, 4 axes and is not empty. Received: shape {picture.shape}")
    if picture.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ValueError(f"A picture is uint8, uint16, float32 or float64. Received: {picture.dtype}")
    if border not in ("replicate", "symmetric"):
        raise ValueError(f'border is "replicate" or "symmetric". Received: {border!r}')


def _plans(sizes: tuple[int, ...], scale_or_size: float | tuple[int, int]) -> list[tuple[int, int, float]]:
    """(axis, new size, scale) of rows and columns."""
    if isinstance(scale_or_size, tuple | list):
        if len(scale_or_size) != 2 or min(scale_or_size) < 1:
            raise ValueError(f"A new size is (height, width), each at least 1. Received: {scale_or_size}")
        new_sizes = [int(new) for new in scale_or_size]
        return [(axis, new, new / size) for axis, (new, size) in enumerate(zip(new_sizes, sizes, strict=True))]
    if not 0 < scale_or_size < math.inf:
        raise ValueError(f"A scale is positive and finite. Received: {scale_or_size}")
    return [(axis, math.ceil(scale_or_size * size), float(scale_or_size)) for axis, size in enumerate(sizes)]


def _along(picture: np.ndarray, axis: int, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums along one axis, in blocks, so that float64 exists of a block only."""
    lines = np.moveaxis(picture, axis, 0)
    across = lines.shape[1:]
    lines = np.ascontiguousarray(lines).reshape(lines.shape[0], -1)
    resized = np.empty((indices.shape[1], lines.shape[1]), picture.dtype)
    step = max(1, BLOCK_VALUES // lines.shape[1])
    for start in range(0, len(resized), step):
        block = slice(start, start + step)
        resized[block] = _as_type(_weighted(lines, indices[:, block], weights[:, block]), picture.dtype)
    return np.ascontiguousarray(np.moveaxis(resized.reshape(-1, *across), 0, axis))


def _weighted(lines: np.ndarray, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = np.zeros((indices.shape[1], lines.shape[1]))
    for index, weight in zip(indices, weights[:, :, np.newaxis], strict=True):
        total += weight * lines[index]
    return total


def _as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as they are; integers rounded, halves up (below zero all are clipped), and clipped to the type's range."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    return np.clip(np.floor(values + 0.5), 0, np.iinfo(dtype).max).astype(dtype)


def modcrop(picture: np.ndarray, scale: int) -> np.ndarray:
    """Cut rows and columns off the end until both are multiples of `scale`, as the benchmarks do.

    Args:
        picture: (height, width) or (height, width, channels), at least `scale` on each side.
        scale: positive integer.

    Returns:
        A view of the picture.

    Raises:
        ValueError: the picture is smaller than `scale`, or `scale` is below 1.
    """
    if scale < 1 or min(picture.shape[:2]) < scale:
        raise ValueError(
            f"A picture of at least {max(scale, 1)} pixels a side is cut to multiples of a scale of at least 1. "
            f"Received: shape {picture.shape}, scale {scale}"
        )
    height, width = (size - size % scale for size in picture.shape[:2])
    return picture[:height, :width]


def rgb2ycbcr(picture: np.ndarray) -> np.ndarray:
    """MATLAB's `rgb2ycbcr` on 0..255.

    Args:
        picture: (..., 3) RGB in 0..255; uint8, float32 or float64.

    Returns:
        (..., 3) Y in 16..235, Cb and Cr in 16..240 around 128; uint8 rounded, floats not.

    Raises:
        ValueError: the last axis is not 3, or another dtype.
    """
    return _mixed(picture, YCBCR / 255.0, YCBCR_OFFSET)


def ycbcr2rgb(picture: np.ndarray) -> np.ndarray:
    """Inverse of `rgb2ycbcr`, as MATLAB's `ycbcr2rgb` on 0..255.

    Args:
        picture: (..., 3) Y, Cb, Cr; uint8, float32 or float64.

    Returns:
        (..., 3) RGB; uint8 rounded and clipped to 0..255; floats neither (MATLAB clips them too).

    Raises:
        ValueError: the last axis is not 3, or another dtype.
    """
    inverse = np.linalg.inv(YCBCR / 255.0)
    return _mixed(picture, inverse, -inverse @ YCBCR_OFFSET)


def luma(picture: np.ndarray) -> np.ndarray:
    """Y of `rgb2ycbcr` alone; a grey picture is its own Y, as in the published evaluations.

    Args:
        picture: (height, width, 3) RGB, or (height, width) grey, in 0..255; uint8, float32 or float64.

    Returns:
        (height, width), dtype as given: uint8 rounded, floats not; 16..235 for RGB.

    Raises:
        ValueError: another shape or dtype.
    """
    picture = np.asarray(picture)
    if picture.ndim == 2:
        return picture
    return _mixed(picture, YCBCR[:1] / 255.0, YCBCR_OFFSET[:1])[..., 0]


def _mixed(picture: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    picture = np.asarray(picture)
    if picture.ndim < 1 or picture.shape[-1] != 3 or picture.dtype not in (np.uint8, np.float32, np.float64):
        raise ValueError(
            f"Colours are (..., 3), uint8 or float32 or float64. Received: {picture.dtype} {picture.shape}"
        )
    red, green, blue = np.moveaxis(picture, -1, 0)
    mixed = [red * row[0] + green * row[1] + blue * row[2] + add for row, add in zip(matrix, offset, strict=True)]
    return _as_type(np.stack(mixed, axis=-1), picture.dtype)
