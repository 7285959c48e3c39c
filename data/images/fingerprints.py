"""Fingerprints of pictures: some hundred bytes that stay nearly the same when a file is encoded anew,
or resized.

    one, other = of_picture("photo.jpg"), of_picture("the-same-photo-smaller.webp")
    units, slack = picture_vectors([one, other])
    units[0] @ units[1]         # 0.9998

What has too little in it to be recognised by, such as a blank page, has no fingerprint: b"".
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from convmedia.data.images import decoding

SIDE_PX = 16
"""Pictures: luma at so many pixels a side."""

LEAST_CONTRAST = 1.5
"""Standard deviation of those pixels, of 255, below which a picture counts as empty."""

ENCODER_NOISE = 0.6
"""What encoding anew may change in those pixels, of 255, root mean square; measured: 0.3 to 0.9 at JPEG quality 30."""


def of_picture(path: str | Path) -> bytes:
    """Decode a picture completely and give its fingerprint: its luma at 16x16 px, or b"" if it is empty.

    Raises:
        InputError: as of `images.decode`.
    """
    return _unless_empty(decoding.luma(path, SIDE_PX))


def thumbnail(picture: np.ndarray) -> bytes:
    """The fingerprint of a picture in memory, uint8 (height, width, 3)."""
    grey = Image.fromarray(picture).convert("L")
    small = grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=4.0)
    return _unless_empty(np.asarray(small))


def _unless_empty(small: np.ndarray) -> bytes:
    return b"" if small.std() < LEAST_CONTRAST else small.tobytes()


def picture_vectors(fingerprints: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors whose products are correlations, float32 (n, 256), zeros for b""; and how much of each encoding may
    change, float32 (n,): encoder noise over contrast."""
    values = np.zeros((len(fingerprints), SIDE_PX**2), np.float32)
    for row, content in zip(values, fingerprints, strict=True):
        if content:
            row[:] = np.frombuffer(content, np.uint8)
    values -= values.mean(axis=1, keepdims=True)
    contrast = values.std(axis=1)
    return units(values), ENCODER_NOISE / np.maximum(contrast, LEAST_CONTRAST)


def units(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
