"""Opening picture files: what cannot be used is said by name, and pictures decoded at once do not fill the memory."""

import io
import math
import re
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown
from convmedia.data.storage.quiet import mute

MAX_PIXELS = 250_000_000
"""Largest picture that is decoded, in pixels: 1 GB of RGB while Pillow holds it. Telephones take 200 million."""

PIXELS_AT_ONCE = 100_000_000
"""Pictures are decoded at the same time while they have no more pixels than this together; a larger one alone."""

PNG_TEXT_BYTES = 64 << 20
"""Of texts and colour profile of a PNG, uncompressed; profiles of printers have more than Pillow's own 1 MiB."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", *["AVIF"] * bool(features.check("avif")))
"""What is recognised, by content; HEIF, too, where pillow-heif is installed."""

WITH_HEIF = find_spec("pillow_heif") is not None

_OF_FRAMES = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")
_SUBFILE_TAG, _REDUCED_OR_MASK = 254, 0b101  # TIFF 6.0, NewSubfileType

_FTYP = re.compile(rb"....ftyp(.{4})", re.DOTALL)
_TO_CONVERT = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}

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


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[tuple[Image.Image, str]]:
    """The picture with only its header read, and its name for messages.

    Its pixels may be decoded inside: where those of other threads are too many together, it waits for them.

    Raises:
        InputError: as `images.decode`; what Pillow raises on a broken file while the picture is read inside is one,
            too, and so is a lack of memory.
    """
    with _header(source) as (image, name):
        try:
            # What libtiff says goes to standard error and names no file; what matters of it is an error here.
            with _room.taken(image.width * image.height), mute() if image.format == "TIFF" else nullcontext():
                yield image, name
        except InputError:
            raise
        except MemoryError as error:
            raise InputError(_no_memory(name, image.size)) from error
        except BROKEN as error:
            reason = in_one_line(error, 120)
            if reason.startswith("out of memory"):  # Pillow's word for it where its decoders are written in C
                raise InputError(_no_memory(name, image.size)) from error
            raise InputError(f"{name} is cut or damaged ({reason}); replace it with a complete copy") from error


def size(source: str | Path | bytes) -> tuple[int, int]:
    """(height, width) in pixels as stored, from the header alone. Raises InputError as `opened` does."""
    with _header(source) as (image, _):
        return image.height, image.width


def pixels(source: str | Path | bytes) -> int:
    """Pixels of a picture by its header; 0 of what cannot be used, which whoever decodes it says."""
    try:
        return math.prod(size(source))
    except InputError:
        return 0


def frames(source: str | Path | bytes) -> list[int]:
    """Places of a picture's frames or pages, from 0 on; reduced pages of a TIFF and its masks do not count.

    What is broken behind the first one says nothing of that, so it counts as the end. Raises InputError as `opened`.
    """
    with _header(source) as (image, _):
        if image.format not in _OF_FRAMES:
            return [0]
        try:
            count = getattr(image, "n_frames", 1)
            if image.format != "TIFF":
                return list(range(count))
            places = []
            for place in range(count):
                image.seek(place)
                if not cast(Any, image).tag_v2.get(_SUBFILE_TAG, 0) & _REDUCED_OR_MASK:
                    places.append(place)
            return places or [0]
        except BROKEN:
            return [0]


@contextmanager
def _header(source: str | Path | bytes) -> Iterator[tuple[Image.Image, str]]:
    if isinstance(source, bytes):
        name, content = f"the picture of {len(source)} bytes", cast(BinaryIO, io.BytesIO(source))
        if not source:
            raise InputError("the picture is empty (0 bytes); give the content of a picture file")
    else:
        name, content = shown(source), _file(Path(source))
    with content, _pillow_held, _identified(content, name) as image:
        if image.width * image.height > MAX_PIXELS:
            raise InputError(_too_large(name, f"{image.width}x{image.height}", image.width * image.height))
        yield image, name


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
        return Image.open(content, formats=_formats())
    except UnidentifiedImageError as error:
        content.seek(0)
        raise InputError(f"{name} {_unknown(content.read(12))}") from error
    except Image.DecompressionBombError as error:
        # Pillow refuses on its own above twice its limit and tells the size only in its text.
        count = re.search(r"\((\d+) pixels\)", str(error))
        pixels = int(count[1]) if count else MAX_PIXELS + 1
        raise InputError(_too_large(name, "it", pixels)) from error
    except MemoryError as error:
        raise InputError(f"{name} needs more memory than there is; make it smaller first") from error
    except BROKEN as error:
        raise InputError(
            f"{name} is cut or damaged ({in_one_line(error, 120)}); replace it with a complete copy"
        ) from error


@cache
def _formats() -> tuple[str, ...]:
    """`FORMATS`, and HEIF where what reads it is installed."""
    if not WITH_HEIF:
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _unknown(head: bytes) -> str:
    """What is said of a file that none of the formats fits, by its first 12 bytes."""
    brand = _FTYP.fullmatch(head)
    kind = _TO_CONVERT.get(brand[1]) if brand else None
    if kind == "HEIC" and not WITH_HEIF:
        return f"is HEIC, which is not read here; run: {extras.command('heif')}, or save it as JPEG"
    if kind == "AVIF" and "AVIF" not in FORMATS:
        return "is AVIF, which this Pillow does not read; install a newer Pillow, or save it as PNG"
    return f"holds no picture of a known format; give a complete file, one of {', '.join(_formats())}"


def _too_large(name: str, what: str, pixels: int) -> str:
    return f"{name} is too large: {what} has {pixels:,} pixels, the limit is {MAX_PIXELS:,}; make it smaller first"


def _no_memory(name: str, sides: tuple[int, int]) -> str:
    return f"{name} needs more memory than there is ({sides[0]}x{sides[1]} px); make it smaller first"


class _Room:
    """Lets threads in while what they hold together is at most `most`; what is more than that, alone."""

    def __init__(self, most: int):
        self.most, self.held, self.changed = most, 0, threading.Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.held == 0 or self.held + amount <= self.most)
            self.held += amount
        try:
            yield
        finally:
            with self.changed:
                self.held -= amount
                self.changed.notify_all()


class _Held:
    """Holds Pillow to our limits and drops its warnings: what matters of them is an error here, and names the file.

    Limits and `warnings.catch_warnings`, which restores the whole list of filters when it ends, are the process's, so
    two threads that decode at once would undo each other; here the first one in changes them, the last one out
    changes them back.
    """

    OURS: tuple[tuple[Any, str, int], ...] = (
        (Image, "MAX_IMAGE_PIXELS", MAX_PIXELS),
        (PngImagePlugin, "MAX_TEXT_CHUNK", PNG_TEXT_BYTES),
        (PngImagePlugin, "MAX_TEXT_MEMORY", PNG_TEXT_BYTES),
    )

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.filter: object = None
        self.theirs: list[Any] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self.filter = warnings.filters[0]
                self.theirs = [getattr(module, name) for module, name, _ in self.OURS]
                for module, name, limit in self.OURS:
                    setattr(module, name, limit)
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside:
                return
            for (module, name, _limit), before in zip(self.OURS, self.theirs, strict=True):
                setattr(module, name, before)
            filters = cast(list, warnings.filters)
            if self.filter in filters:
                filters.remove(self.filter)


_room = _Room(PIXELS_AT_ONCE)
_pillow_held = _Held()
