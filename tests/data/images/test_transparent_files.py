"""What is hidden in files of every kind of transparency is seen by no network: hidden colours change nothing."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.apps.tasks.style_transfer.pictures import in_rgb
from convmedia.data.images import decoding, lossless
from convmedia.data.images.lossless import Original

RED = (220, 40, 40)
KINDS = [
    "RGBA",
    "LA",
    "palette",
    "palette of one",
    "colour key",
    "grey key",
    "GIF",
    "WebP",
    "deep RGBA",
    "deep LA",
    "deep key",
]


def disc(hidden: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Colour, uint8 (40, 40, 3), of a red disc over a hidden colour, and where it shows."""
    rows, columns = np.mgrid[:40, :40]
    visible = (rows - 20) ** 2 + (columns - 20) ** 2 < 12**2
    return np.where(visible[..., None], RED, hidden).astype(np.uint8), visible


def with_key(path: Path, key: tuple[int, ...]) -> None:
    """Put tRNS behind IHDR: one transparent colour of 16 bits a channel."""
    content = path.read_bytes()
    body = b"tRNS" + struct.pack(f">{len(key)}H", *key)
    path.write_bytes(
        content[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + content[33:]
    )


def written(path: Path, kind: str, hidden: tuple[int, int, int]) -> Path:
    colour, visible = disc(hidden)
    alpha = np.where(visible, 255, 0).astype(np.uint8)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    palette = Image.fromarray(visible.astype(np.uint8)).convert("P")
    palette.putpalette([*hidden, *RED])
    path = path.with_suffix({"GIF": ".gif", "WebP": ".webp"}.get(kind, ".png"))
    if kind in ("RGBA", "WebP"):
        Image.fromarray(np.dstack([colour, alpha])).save(
            path, **({"lossless": True, "exact": True} if kind == "WebP" else {})
        )
    elif kind == "LA":
        Image.fromarray(np.dstack([grey, alpha])).save(path)
    elif kind == "palette":
        palette.save(path, transparency=bytes([0, 255]))
    elif kind in ("palette of one", "GIF"):
        palette.save(path, transparency=0)
    elif kind == "colour key":
        Image.fromarray(colour).save(path, transparency=hidden)
    elif kind == "grey key":
        Image.fromarray(grey).save(path, transparency=int(grey[0, 0]))
    elif kind == "deep key":
        lossless.write(Original(colour.astype(np.uint16) * 257), path)
        with_key(path, tuple(257 * value for value in hidden))
    else:
        chosen = colour if kind == "deep RGBA" else grey[..., None]
        lossless.write(Original(chosen.astype(np.uint16) * 257, alpha.astype(np.uint16) * 257), path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_classifiers_see_white_where_nothing_shows_whatever_is_hidden(tmp_path: Path, kind: str) -> None:
    seen = [
        decoding.decode(written(tmp_path / name, kind, hidden))
        for name, hidden in (("a", (0, 0, 0)), ("b", (0, 200, 9)))
    ]
    _, visible = disc((0, 0, 0))
    assert (seen[0][~visible] == 255).all() and seen[0][visible].max(1).min() < 255
    np.testing.assert_array_equal(*seen)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_enlarged_or_painted_sees_the_visible_colour_where_nothing_shows(tmp_path: Path, kind: str) -> None:
    seen = [
        in_rgb(lossless.read(written(tmp_path / name, kind, hidden)))
        for name, hidden in (("a", (0, 0, 0)), ("b", (0, 200, 9)))
    ]
    np.testing.assert_allclose(*seen, atol=1e-4)
    assert np.ptp(seen[0], axis=(0, 1)).max() < 1e-4  # one colour everywhere
