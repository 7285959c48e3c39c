"""Pictures as networks of style take them and give them: colours, sizes, and back into what a file held."""

from dataclasses import replace

import numpy as np

from convmedia.data.images.lossless import Original
from convmedia.data.images.transparency import extended
from convmedia.data.transforms import bicubic


def in_rgb(original: Original) -> np.ndarray:
    """Its colour as float32 (height, width, 3), 0..255; the nearest visible one where nothing shows."""
    unit = np.float32(original.unit)
    colour = extended(original.colour, original.alpha)
    return np.repeat(colour / unit, 3 // colour.shape[2], axis=2).astype(np.float32)


def fitted(size: tuple[int, int], longer_px: int) -> tuple[int, int]:
    """(height, width) with the longer side at most `longer_px`, 0 for as it is; never enlarged, never 0."""
    factor = min(1.0, longer_px / max(size)) if longer_px else 1.0
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bicubic, antialiased, float32 within the range that the picture had; (height, width) or (height, width, n)."""
    if picture.shape[:2] == size:
        return picture
    return np.clip(bicubic.imresize(picture, size, border="symmetric"), picture.min(), picture.max())


def as_original(original: Original, picture: np.ndarray) -> Original:
    """A painted picture, float (height, width, 3), 0..255, with all else that the file held: depth, alpha, profile."""
    colour = np.clip(np.round(picture * original.unit), 0, original.most).astype(original.colour.dtype)
    alpha = original.alpha
    if alpha is not None and alpha.shape != colour.shape[:2]:
        alpha = bicubic.imresize(alpha, colour.shape[:2])
    return replace(original, colour=colour, alpha=alpha)
