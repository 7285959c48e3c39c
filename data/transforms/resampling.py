"""Antialiased bilinear resizing in floating point with NumPy: what the layer `Resize` of saved files computes.

    small = resized(picture, (144, 144))

A picture of the result's own size passes that layer unchanged, so that pictures of several sizes, prepared here, are
answered together.
"""

from functools import lru_cache

import numpy as np

_KEPT_AXES = 256

_ROWS = 8  # of the result, for which what they read becomes floating point once


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize with the filter of Pillow's bilinear `resize`, without rounding; the sides' ratio is not kept.

    Args:
        picture: uint8 or float32 (height, width, channels).
        size: height and width of the result, px.

    Returns:
        float32 (*size, channels), within 2e-3 of what `Resize` answers for 0..255.
    """
    rows = _along_first(picture, size[0])
    return np.ascontiguousarray(_along_first(rows.swapaxes(0, 1), size[1]).swapaxes(0, 1))


def _along_first(values: np.ndarray, number: int) -> np.ndarray:
    """(length, other, channels) to float32 (number, other, channels): some rows at a time from those they need."""
    found = np.empty((number, *values.shape[1:]), np.float32)
    flat, result = np.ascontiguousarray(values).reshape(len(values), -1), found.reshape(number, -1)
    lines = _weights(len(values), number)
    for row in range(0, number, _ROWS):
        first, last = lines[row][0], lines[min(row + _ROWS, number) - 1]
        read = flat[first : last[0] + len(last[1])].astype(np.float32, copy=False)
        for line, (start, weights) in zip(result[row:], lines[row : row + _ROWS], strict=False):
            # Not a product of matrices: the threads that share it would wait for those of the network.
            np.einsum("k,kv->v", weights, read[start - first :][: len(weights)], out=line)
    return found


@lru_cache(_KEPT_AXES)
def _weights(length: int, number: int) -> list[tuple[int, np.ndarray]]:
    """For each of `number` samples of a line of `length`: the first one read, and the weights from there on.

    As `whole_axis` of the layer: a triangle of half-width max(1, step) about each position, cut off at the ends.
    """
    step = np.float32(length) / np.float32(number)
    positions = (np.arange(number, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
    inside = np.clip(positions, 0, length - 1)
    distance = np.abs(inside[:, None] - np.arange(length, dtype=np.float32)) / np.maximum(step, np.float32(1))
    weights = np.maximum(np.float32(1) - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    read = [np.flatnonzero(row) for row in weights]
    return [(int(at[0]), row[at[0] : at[-1] + 1].copy()) for at, row in zip(read, weights, strict=True)]
