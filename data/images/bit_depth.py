"""Pictures of 16 bits a channel: their values as stored, and which of them is white.

Cameras, scanners and microscopes put 10, 12 or 14 bits into 16. Taken for 16 they are almost black.
"""

import contextlib
import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from convmedia.data.images import apng
from convmedia.data.storage.errors import InputError

FULL = 65_535
"""White of 16 bits."""

FITTING = (8, 10, 12, 14)
"""Bits that values are taken for where nothing is said and the greatest one fits: 16 would show a quarter at most."""

UPPER_BITS = (2 ** max(FITTING) - 1) >> 8
"""What is left at most of such values in the upper 8 of 16 bits."""

LEAST_HIGHEST = 64
"""Where no value is greater the picture is black, whatever its bits are."""

_BITS, _PHOTOMETRIC, _MOST, _MOST_OF_SAMPLES, _PLANAR, _RGB = 0x0102, 0x0106, 281, 341, 0x011C, 2
_PNG_SIGNATURE = 8  # bytes

Source = str | Path | bytes


def depth(image: Image.Image, source: Source) -> int:
    """Bits a channel in a PNG or TIFF; of other formats 8."""
    if isinstance(image, PngImageFile):
        with _content(source) as file:
            return file.read(25)[24]  # after signature, length and name of IHDR, width, height
    return max(image.tag_v2.get(_BITS, (1,))) if isinstance(image, TiffImageFile) else 8


def white_of(image: Image.Image, strips: Iterable[np.ndarray], source: Source) -> int:
    """The value that is white in a loaded picture of 16 bits.

    Args:
        strips: integers, of the whole picture as stored, in parts.

    Returns:
        2^bits - 1: 65,535 where the file declares nothing and the values do not fit fewer bits (`FITTING`), and where
        fewer are declared and the values are scaled to 16, as PNG wants it.
    """
    declared = declared_bits(image, source)
    highest, step = 0, 1 << (16 - declared if declared and declared < 16 else 0)
    scaled = True
    for strip in strips:
        highest = max(highest, int(strip.max(initial=0)))
        scaled &= not (strip % step).any()
    if declared is not None and 8 <= declared < 16:
        return FULL if highest >= 2**declared or (scaled and highest) else 2**declared - 1
    if highest < LEAST_HIGHEST:
        return FULL
    return next((2**bits - 1 for bits in FITTING if highest < 2**bits), FULL)


def declared_bits(image: Image.Image, source: Source) -> int | None:
    """How many bits of each channel's 16 a file says to be used: sBIT of PNG, MaxSampleValue of TIFF."""
    if isinstance(image, TiffImageFile):
        most = image.tag_v2.get(_MOST_OF_SAMPLES, image.tag_v2.get(_MOST))
        most = max(most) if isinstance(most, tuple) and most else most
        return int(most).bit_length() if isinstance(most, int | float) and 0 < most < FULL else None
    if not isinstance(image, PngImageFile):
        return None
    with _content(source) as file:
        file.seek(_PNG_SIGNATURE)
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            size = int.from_bytes(head[:4], "big")
            if head[4:] == b"sBIT":
                return max(file.read(min(size, 4)), default=0) or None
            file.seek(size + 4, io.SEEK_CUR)
    return None


def remark(white: int) -> str:
    """What is said of values that are scaled."""
    return f"its 16 bits hold {white.bit_length()}: {white:,} is taken for white"


def grey(image: Image.Image, name: str, white: int = FULL) -> np.ndarray:
    """A loaded picture of mode I or I;16, or a strip of it, as uint16 (height, width); 0 is black.

    Raises:
        InputError: values without a known white: floating point, or beyond 0..65535.
    """
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > FULL:
        low, high = values.min(), values.max()
        raise InputError(
            f"{name} holds values from {low:g} to {high:g} (mode {image.mode}) and no known white; "
            "save it with 8 or 16 bits a channel"
        )
    values = values.astype(np.uint16)
    tags = getattr(image, "tag_v2", {})  # of a TIFF, where Pillow leaves 12 bits and white as 0 as they are stored
    if tags.get(_BITS) == (12,):
        values = values << 4 | values >> 8
    return white - values if tags.get(_PHOTOMETRIC) == 0 else values


def of_grey(image: Image.Image, strips: Iterable[Image.Image], source: Source) -> int:
    """White of a loaded picture of mode I, F or I;16; 65,535 of values that `grey` scales or refuses."""
    if image.mode == "F" or getattr(image, "tag_v2", {}).get(_BITS) == (12,):
        return FULL
    return white_of(image, map(np.asarray, strips), source)


def samples(image: Image.Image, source: Source, name: str) -> np.ndarray:
    """All channels of a loaded PNG or TIFF of 16 bits as stored: uint16 (height, width, 2 to 4).

    Raises:
        InputError: they are stored in a way that imagecodecs does not read.
    """
    import imagecodecs

    if isinstance(image, PngImageFile):
        with _content(source) as file, Image.open(file, formats=["PNG"]) as unread:
            unread.verify()  # checksums: a file that fails them is damaged, not of another kind
    tags: Any = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    decode: Callable[[bytes], np.ndarray] = imagecodecs.png_decode
    if not tags and image.tell():
        decode = partial(apng.frame, place=image.tell())
    if tags:
        decode = partial(imagecodecs.tiff_decode, index=image.tell())
    found = None
    if tags.get(_PLANAR, 1) == 1 and tags.get(_PHOTOMETRIC, _RGB) == _RGB:
        with contextlib.suppress(RuntimeError), _content(source) as file:  # a compression that is not known
            found = decode(file.read())
    if found is None or found.dtype != np.uint16 or found.ndim != 3:
        raise InputError(f"{name} stores 16-bit colour in a way that is not read; save it again as a 16-bit PNG")
    return found


def in_eight(values: np.ndarray, white: int) -> np.ndarray:
    """uint16 of any shape as uint8."""
    if white == FULL:
        return np.round(values / 257.0).astype(np.uint8)
    return np.round(np.minimum(values, white) * (255.0 / white)).astype(np.uint8)


def _content(source: Source) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")
