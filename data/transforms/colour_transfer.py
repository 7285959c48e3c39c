"""Giving a painting the colours of a photo, or a result the photo's: float32 (height, width, 3), RGB in 0..255.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving color in neural artistic style transfer".
"""

import numpy as np

from convmedia.data.transforms.colour import LUMA


def luma(picture: np.ndarray) -> np.ndarray:
    """Weighted sum of red, green and blue (BT.601), (height, width, 1)."""
    return picture @ np.array(LUMA, np.float32)[:, np.newaxis]


def with_luma(picture: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A picture with another luma and its own chroma.

    Adding the same to red, green and blue changes no difference between them, so Cb and Cr stay. What would leave
    0..255 is given the nearest luma that does not.

    Args:
        wanted: (height, width, 1).
    """
    offsets = picture - luma(picture)
    least, most = -offsets.min(axis=2, keepdims=True), 255.0 - offsets.max(axis=2, keepdims=True)
    return np.clip(offsets + np.clip(wanted, least, most), 0.0, 255.0)


def with_spread_of(values: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Values with the mean and standard deviation of others, per channel; each (height, width, channels), any size."""
    axes = (0, 1)
    spread = model.std(axis=axes) / np.maximum(values.std(axis=axes), 1e-6)
    return (values - values.mean(axis=axes)) * spread + model.mean(axis=axes)


def with_covariance_of(picture: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Colours moved linearly to the mean and covariance of another picture's, by symmetric roots; clipped to 0..255."""
    mean, root = _statistics(picture)
    wanted_mean, wanted_root = _statistics(model)
    move = wanted_root @ np.linalg.inv(root)
    return np.clip((picture - mean) @ move.T + wanted_mean, 0.0, 255.0).astype(np.float32)


def _statistics(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and the symmetric root of the covariance of the colours, never singular."""
    colours = picture.reshape(-1, 3).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(colours.T, bias=True) + 1e-4 * np.eye(3))
    return colours.mean(axis=0), (vectors * np.sqrt(values)) @ vectors.T


def with_histogram_of(picture: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Each channel's values moved to those of the same rank in another picture's channel."""
    matched = np.empty(picture.shape, np.float32)
    for channel in range(picture.shape[2]):
        values, places = np.unique(picture[..., channel], return_inverse=True)
        counts = np.bincount(places.ravel(), minlength=len(values))
        middle = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
        sample = np.sort(model[..., channel], axis=None)
        ranks = (np.arange(sample.size) + 0.5) / sample.size
        matched[..., channel] = np.interp(middle, ranks, sample)[places].reshape(picture.shape[:2])
    return matched
