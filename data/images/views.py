"""Pictures in the shape that somebody looks at: three channels, smaller, of another size."""

import numpy as np


def in_rgb(picture: np.ndarray) -> np.ndarray:
    """A picture with three channels, of one that is grey, (height, width), too."""
    return np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture


def reduced(picture: np.ndarray, side_px: int = 512) -> np.ndarray:
    """The picture, or where a side is longer than `side_px` one of an integer fraction of its size."""
    from PIL import Image

    factor = -(-max(picture.shape[:2]) // side_px)
    return picture if factor == 1 else np.asarray(Image.fromarray(picture).reduce(factor))


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 (h, w, 3), or heat, float32 (h, w), at `size` (width, height), antialiased."""
    from PIL import Image

    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)).clip(0, values.max())
