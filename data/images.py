"""Pictures in and out: whatever people keep in files becomes uint8 RGB, and back.

    picture = decode("photo.jpg")       # uint8 (height, width, 3)
    encode(picture, "copy.png")

Pillow and NumPy only.
"""

import io
import re
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from convmedia.data.colouring import LUMA
from convmedia.data.errors import InputError, in_one_line
from convmedia.data.files import find as find_files
from convmedia.data.files import replacing, shown

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded, in pixels: 300 MB of RGB."""

WHITE_DRAWING_LUMA = 200
"""Visible parts lighter than this on average (of 255) are composited over black."""

_WRITERS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
EXTENSIONS = frozenset(_WRITERS)
"""Suffixes, in lower case, of the files that are taken for pictures."""

FORMATS = tuple(dict.fromkeys(_WRITERS.values()))

# What Pillow's readers raise on files that are cut or altered: they parse untrusted bytes and let the parser's own
# exceptions out.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)

_BITS_TAG, _PHOTOMETRIC_TAG, _ORIENTATION_TAG = 0x0102, 0x0106, 0x0112
# Exif 2.3, 4.6.4: what must be done to show a picture stored with this orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(source: str | Path | bytes, least: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture as people see it, upright and opaque.

    JPEG, PNG, BMP, WebP, and the first frame of GIF and TIFF, recognised by content. Exif orientation is applied,
    colour profiles are not. Grey of 16 bits is divided by 257, so 65535 is white.

    Transparent pictures are composited over white; where what is visible is itself nearly white (luma weighted by
    alpha above 200 of 255 on average) over black, so that a white drawing on a transparent ground does not vanish.

    Args:
        source: a file, or a file's content.
        least: height and width that are enough: a JPEG may be decoded at a half, a quarter or an eighth of its size
            where both of its sides still have the greater of the two. Faster, and not quite the same pixels.

    Returns:
        uint8 (height, width, 3), RGB, 0..255.

    Raises:
        InputError: the file is missing, empty, unreadable, cut, not a picture, of another format, of values without
            a known white (32 bits, floating point), or larger than `MAX_PIXELS`, which is found before any pixel is
            decoded.
    """
    with opened(source) as (image, name):
        if least is not None and image.format == "JPEG":
            image.draft(None, (max(least), max(least)))
        image.load()
        return _rgb(_upright(image), name)


def luma(source: str | Path | bytes, side_px: int) -> np.ndarray:
    """Decode a picture completely and shrink its luma, antialiased; the sides' ratio is not kept.

    Quicker than `decode` with what would follow: no array of the whole picture is made, and of a JPEG all data are
    read, but colours are not computed. Raises InputError as `decode` does.

    Returns:
        uint8 (side_px, side_px).
    """
    with opened(source) as (image, name):
        if image.format == "JPEG":
            image.draft("L", None)
        image.load()
        plain = image.mode in ("L", "RGB") and not image.has_transparency_data
        whole = _upright(image) if plain else Image.fromarray(_rgb(_upright(image), name))
        step = max(1, min(whole.size) // (32 * side_px))
        whole = whole.reduce(step) if step > 1 else whole
        small = whole.convert("L").resize((side_px, side_px), Image.Resampling.BILINEAR, reducing_gap=4.0)
        return np.asarray(small)


def size(source: str | Path | bytes) -> tuple[int, int]:
    """(height, width) in pixels as stored, from the header alone. Raises InputError as `decode` does."""
    with opened(source) as (image, _):
        return image.height, image.width


def encode(picture: np.ndarray, path: str | Path) -> None:
    """Write a picture in the format of the path's suffix; JPEG and WebP in quality 95, GIF in 256 colours.

    Args:
        picture: uint8 (height, width, 3) RGB or (height, width) grey.
        path: ends in one of `EXTENSIONS`; written beside and renamed, its folder is made.

    Raises:
        InputError: the suffix names no format that is written.
        ValueError: another shape or dtype.
        OSError: as writing raises it.
    """
    path = Path(path)
    if picture.dtype != np.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise ValueError(
            f"a picture is uint8 (height, width, 3) or (height, width); received {picture.dtype} {picture.shape}"
        )
    if path.suffix.lower() not in _WRITERS:
        raise InputError(f"{shown(path)} names no picture format; end it in one of {' '.join(sorted(EXTENSIONS))}")
    kind = _WRITERS[path.suffix.lower()]
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    with replacing(path) as beside:
        Image.fromarray(picture).save(beside, kind, **options)


def find(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files and folders into files, in the order given; a folder gives its pictures, sorted by name.

    Folders are searched to any depth, by extension, without hidden entries; linked folders are followed and each
    is read once. A file is kept whatever its name, a missing one too, and so is a folder without pictures among other
    inputs: reading them says what is wrong.

    Raises:
        InputError: there are only folders, and they hold no picture.
    """
    return find_files(paths, EXTENSIONS, "picture")


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[tuple[Image.Image, str]]:
    """The picture with only its header read, and its name for messages.

    Raises:
        InputError: as `decode`; what Pillow raises on a broken file while the picture is read inside is one, too.
    """
    if isinstance(source, bytes):
        name, content = f"the picture of {len(source)} bytes", cast(BinaryIO, io.BytesIO(source))
        if not source:
            raise InputError("the picture is empty (0 bytes); give the content of a picture file")
    else:
        name, content = shown(source), _file(Path(source))
    with content, _pillow_silenced, _identified(content, name) as image:
        if image.width * image.height > MAX_PIXELS:
            raise InputError(_too_large(name, f"{image.width}x{image.height}", image.width * image.height))
        try:
            yield image, name
        except InputError:
            raise
        except BROKEN as error:
            reason = in_one_line(error, 120)
            raise InputError(f"{name} is cut or damaged ({reason}); replace it with a complete copy") from error


def _file(path: Path) -> BinaryIO:
    name = shown(path)
    try:
        found = path.stat()
        file = path.open("rb") if stat.S_ISREG(found.st_mode) else None
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist; check the path") from error
    except OSError as error:
        raise InputError(f"{name} cannot be opened ({error.strerror}); check the path and its permissions") from error
    except ValueError as error:
        raise InputError(f"{name} is no file name ({error}); check the path") from error
    if file is None:
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
        raise InputError(f"{name} is {kind}, not a picture; give a file")
    if found.st_size == 0:
        file.close()
        raise InputError(f"{name} is empty (0 bytes); replace it with a complete copy")
    return file


def _identified(content: BinaryIO, name: str) -> Image.Image:
    try:
        return Image.open(content, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} holds no picture of a known format; give a complete file, one of {', '.join(FORMATS)}"
        ) from error
    except Image.DecompressionBombError as error:
        # Pillow refuses on its own above twice its limit and tells the size only in its text.
        count = re.search(r"\((\d+) pixels\)", str(error))
        pixels = int(count[1]) if count else MAX_PIXELS + 1
        raise InputError(_too_large(name, "it", pixels)) from error
    except BROKEN as error:
        raise InputError(
            f"{name} is cut or damaged ({in_one_line(error, 120)}); replace it with a complete copy"
        ) from error


def _too_large(name: str, what: str, pixels: int) -> str:
    return f"{name} is too large: {what} has {pixels:,} pixels, the limit is {MAX_PIXELS:,}; make it smaller first"


def orientation(image: Image.Image) -> int:
    """Exif orientation, 1..8. Broken Exif data says nothing of the pixels, so it counts as 1, no rotation.

    Loading a TIFF turns it upright; what is left to do afterwards is 1.
    """
    try:
        found = image.getexif().get(_ORIENTATION_TAG)
    except BROKEN:
        return 1
    return found if isinstance(found, int) and found in _UPRIGHT else 1


def _upright(image: Image.Image) -> Image.Image:
    """Undo the camera's rotation."""
    method = _UPRIGHT.get(orientation(image))
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image, name: str) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        grey = np.round(sixteen_bits(image, name) / 257.0).astype(np.uint8)
        alpha = np.ones(grey.shape, bool)
        if isinstance(image.info.get("transparency"), int):
            alpha = np.asarray(image) != image.info["transparency"]
        return _composited(np.repeat(grey[..., None], 3, axis=2), alpha * np.uint8(255))
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        return _composited(pixels[..., :3], pixels[..., 3])
    return np.array(image.convert("RGB"))


def sixteen_bits(image: Image.Image, name: str) -> np.ndarray:
    """A loaded picture of mode I or I;16 as uint16 (height, width); Pillow's own conversion to 8 bits clips at 255.

    Raises:
        InputError: values without a known white: floating point, or beyond 0..65535.
    """
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        low, high = values.min(), values.max()
        raise InputError(
            f"{name} holds values from {low:g} to {high:g} (mode {image.mode}) and no known white; "
            "save it with 8 or 16 bits a channel"
        )
    values = values.astype(np.uint16)
    tags = getattr(image, "tag_v2", {})  # of a TIFF, where Pillow leaves 12 bits and white as 0 as they are stored
    if tags.get(_BITS_TAG) == (12,):
        values = values << 4 | values >> 8
    return 65535 - values if tags.get(_PHOTOMETRIC_TAG) == 0 else values


def _composited(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay uint8 colour (height, width, 3) of uint8 alpha (height, width) over white or black, as `decode` says."""
    if alpha.min() == 255:
        return np.array(colour)
    luma = colour @ np.array(LUMA, np.float32)
    visible = alpha.sum(dtype=np.int64)
    light = visible > 0 and (luma * alpha).sum(dtype=np.float64) / visible > WHITE_DRAWING_LUMA
    opacity = alpha[..., None] / np.float32(255)
    ground = np.float32(0 if light else 255)
    return np.round(colour * opacity + ground * (1 - opacity)).astype(np.uint8)


class _Silence:
    """Drops warnings from within Pillow: what matters of them is an error here, and names the file.

    `warnings.catch_warnings` restores the whole list of filters when it ends, so two threads that decode at once
    would undo each other; here the first one in adds one filter and the last one out removes it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.filter: object = None

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self.filter = warnings.filters[0]
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            filters = cast(list, warnings.filters)
            if self.inside == 0 and self.filter in filters:
                filters.remove(self.filter)


_pillow_silenced = _Silence()
