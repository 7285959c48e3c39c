"""Pictures with all that their files hold: 16 bits, alpha, grey, colour profile, Exif; read, and written again.

    original = read("scan.tif")
    larger = replace(original, colour=..., alpha=...)  # dataclasses.replace
    write(larger, Path("out", "scan").with_suffix(suffix_for(larger, ".tif")))

Pillow, and imagecodecs (libpng, libtiff) for colour of 16 bits, which Pillow reads as 8.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, putchunk

from convmedia.data.images import bit_depth, decoding
from convmedia.data.images.lossless_pixels import EXTRA_SAMPLES, ICC_TAG, pixels_of
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing, shown


@dataclass(frozen=True, eq=False)
class Original:
    """A picture, upright, in the full range of its dtype, or in that of fewer bits.

    Args:
        colour: uint8 or uint16 (height, width, 3) RGB or (height, width, 1) grey.
        alpha: (height, width) of the same dtype, 0 is transparent and not multiplied into the colour; None is opaque.
        icc: the colour profile of `colour`.
        exif: an Exif block that starts with `Exif` and two zeros.
        notes: remarks on what reading did to it.
        white: the greatest value of the colour where its 16 bits hold fewer (`data.bits`); 0 is that of the dtype.

    Raises:
        ValueError: another shape or dtype.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()
    white: int = 0

    @property
    def unit(self) -> float:
        """What the values of the colour are divided by for a network, which takes 0..255."""
        return self.most / 255.0

    @property
    def most(self) -> int:
        """The value that is white."""
        return self.white or int(np.iinfo(self.colour.dtype).max)

    def __post_init__(self) -> None:
        colour, alpha = self.colour, self.alpha
        if colour.dtype not in (np.uint8, np.uint16) or colour.ndim != 3 or colour.shape[2] not in (1, 3):
            raise ValueError(
                "colour is uint8 or uint16 (height, width, 3) or (height, width, 1); "
                f"received {colour.dtype} {colour.shape}"
            )
        if alpha is not None and (alpha.dtype, alpha.shape) != (colour.dtype, colour.shape[:2]):
            raise ValueError(
                f"alpha is {colour.dtype} {colour.shape[:2]} as the colour is; received {alpha.dtype} {alpha.shape}"
            )


class _Format(NamedTuple):
    kind: str
    longest_side: int  # px
    transparent: bool
    deep: bool  # 16 bits a channel
    described: bool  # colour profile and Exif


_PNG = _Format("PNG", 2**31 - 1, transparent=True, deep=True, described=True)
_JPEG = _Format("JPEG", 65_500, transparent=False, deep=False, described=True)
_WEBP = _Format("WEBP", 16_383, transparent=True, deep=False, described=True)
_TIFF = _Format("TIFF", 2**31 - 1, transparent=True, deep=True, described=True)
_BMP = _Format("BMP", 2**31 - 1, transparent=False, deep=False, described=False)
_FORMATS = {
    ".png": _PNG,
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), _JPEG),
    ".webp": _WEBP,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": _BMP,
}

SUFFIXES = frozenset(_FORMATS)
"""Of formats that are written."""


_ORIENTATION, _EXIF_FOLDER, _EXIF_WIDTH, _EXIF_HEIGHT = 0x0112, 0x8769, 0xA002, 0xA003
_RGB = 2  # of PHOTOMETRIC

# TIFF 6.0 and its supplements: tags that say how the file stores its pixels, and GeoTIFF's that tie them to places.
# What is written has other pixels, stored in another way.
_OF_STORAGE = {
    *(*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 317, *range(320, 326), 330),
    *(*range(332, 348), *range(512, 522), *range(529, 533), 33550, 33922, 34264, ICC_TAG, 37724),
}


def read(path: str | Path) -> Original:
    """Read a picture without loss; the first frame where there are several.

    Palettes become RGB, with alpha where they hold transparency; grey of 1, 2 and 4 bits becomes grey of 8, grey of
    12 bits grey of 16; one transparent colour (tRNS of PNG) becomes alpha. CMYK becomes RGB of 8 bits without a
    profile: sRGB by way of the file's profile, and where there is none that fits, plain complements. Exif orientation
    is applied and set to 1. Of Exif, tags that tell how the file stored its pixels go, and the thumbnail; a block
    that cannot be read goes altogether.

    Raises:
        InputError: as `images.decode`; and 16-bit colour in separate planes or a compression that imagecodecs lacks,
            colours other than grey, RGB, YCbCr and CMYK.
    """
    with decoding.opened(path) as (image, name):
        return of_frame(image, Path(path), name)


def of_frame(image: Image.Image, path: Path, name: str) -> Original:
    """The frame at which an opened picture is, as of `read`."""
    if isinstance(image, PngImageFile):
        image.load()  # its Exif may follow the pixels
    exif, stored = _exif(image), decoding.orientation(image)  # loading turns a TIFF upright and drops the tag
    image.load()
    colour, alpha, white = pixels_of(image, path, name, stored)
    printed = image.mode == "CMYK"
    icc = None if printed else image.info.get("icc_profile") or None
    turn = decoding.orientation(image)
    alpha = None if alpha is None else decoding.upright(alpha, turn)
    notes = ("its colours for printing, CMYK, become RGB",) if printed else ()
    if colour.dtype == np.uint16 and white != bit_depth.FULL:
        notes = (*notes, bit_depth.remark(white))
    return Original(decoding.upright(colour, turn), alpha, icc, exif, notes, white)


def suffix_for(original: Original, suffix: str) -> str:
    """The suffix to write a picture with: the one given where its format holds everything, otherwise `.png`.

    Everything is alpha, 16 bits, profile and Exif, and the picture's size: a side of JPEG ends at 65,500 px, of WebP
    at 16,383 px, a TIFF or BMP at 4 GB. Ask with the picture that is to be written.
    """
    form = _FORMATS.get(suffix.lower())
    return suffix if form and not _too_much(original, form) else ".png"


def write(original: Original, path: str | Path) -> None:
    """Write a picture in the format of the path's suffix; JPEG and WebP in quality 95, TIFF uncompressed.

    Grey stays grey (in WebP, which has none, R = G = B). Exif's width and height, where it has them, become the
    picture's.

    Args:
        original: what to write.
        path: ends in .png, .jpg, .jpeg, .jpe, .jfif, .webp, .tif, .tiff or .bmp; written beside and renamed, its folder
            is made.

    Raises:
        InputError: the suffix names no format that is written, or one that cannot hold the picture: see `suffix_for`.
        OSError: as writing raises it.
    """
    path = Path(path)
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise InputError(f"{shown(path)} names no picture format; end it in one of {' '.join(sorted(_FORMATS))}")
    if lost := _too_much(original, form):
        raise InputError(f"{shown(path)} would lose {lost[0]}, which {form.kind} cannot hold; end it in .png")
    tags, samples = _tags(original), _samples(original)
    with replacing(path) as beside, beside.open("wb") as file:
        if form is _TIFF:
            write_tiff(file, original)
        elif samples.dtype == np.uint16:
            _write_deep_png(file, samples, original.icc, tags)
        else:
            _write_with_pillow(file, samples, original.icc, tags, form.kind)


def _samples(original: Original) -> np.ndarray:
    """Colour and alpha side by side: (height, width, 1 to 4)."""
    if original.alpha is None:
        return original.colour
    return np.concatenate([original.colour, original.alpha[..., None]], axis=2)


def _too_much(original: Original, form: _Format) -> list[str]:
    """What of a picture a format cannot hold."""
    height, width, channels = original.colour.shape
    deep, transparent = original.colour.dtype == np.uint16, original.alpha is not None
    exif_bytes = len(original.exif or b"")
    stored = original.colour.nbytes + (original.alpha.nbytes if original.alpha is not None else 0)
    whole = stored + exif_bytes + len(original.icc or b"")
    faults = {
        "its alpha": transparent and not form.transparent,
        "its 16 bits a channel": deep and not form.deep,
        "its colour profile": bool(original.icc) and not form.described,
        "its Exif data": bool(exif_bytes) and not form.described,
        f"all beyond {form.longest_side:,} px of a side": max(height, width) > form.longest_side,
        "its Exif data of over 65,000 bytes": form is _JPEG and exif_bytes > 65_000,  # one segment of JPEG
        # offsets of 32 bits, with room for what points to the strips
        "all beyond 4 GB": form.kind in ("TIFF", "BMP") and whole > 4_000_000_000,
        # Pillow reads no such file
        "its alpha beside 16-bit grey": form is _TIFF and deep and transparent and channels == 1,
    }
    return [what for what, lost in faults.items() if lost]


def _exif(image: Image.Image) -> bytes | None:
    """The Exif block of an opened picture, or a TIFF's tags as one: without those of its storage, Orientation 1."""
    try:
        found = image.getexif()
        found.bigtiff = False  # Exif is a TIFF of the classic kind
        tags = Image.Exif()
        tags.load(found.tobytes())
        for tag in _OF_STORAGE.intersection(tags):
            del tags[tag]
        if _ORIENTATION in tags:
            tags[_ORIENTATION] = 1
        return tags.tobytes() if len(tags) else None
    except decoding.BROKEN:
        return None


def _tags(original: Original) -> Image.Exif:
    """The picture's Exif with the size that the picture has."""
    tags = Image.Exif()
    if original.exif:
        tags.load(original.exif)
    if _EXIF_FOLDER in tags:
        folder = tags.get_ifd(_EXIF_FOLDER)
        sizes = {_EXIF_WIDTH: original.colour.shape[1], _EXIF_HEIGHT: original.colour.shape[0]}
        folder.update({tag: size for tag, size in sizes.items() if tag in folder})
    return tags


def _write_with_pillow(file: BinaryIO, samples: np.ndarray, icc: bytes | None, tags: Image.Exif, kind: str) -> None:
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    options |= {"icc_profile": icc} if icc else {}
    options |= {"exif": tags.tobytes()} if len(tags) else {}
    Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples).save(file, kind, **options)


def _write_deep_png(file: BinaryIO, samples: np.ndarray, icc: bytes | None, tags: Image.Exif) -> None:
    """PNG (third edition) of uint16 (height, width, 1 to 4): Pillow writes grey only."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    file.write(b"\x89PNG\r\n\x1a\n")
    putchunk(file, b"IHDR", struct.pack(">2I5B", width, height, 16, kind, 0, 0, 0))
    if icc:
        putchunk(file, b"iCCP", b"ICC profile\0\0", zlib.compress(icc))
    if len(tags):
        putchunk(file, b"eXIf", tags.tobytes().removeprefix(b"Exif\0\0"))
    deflate = zlib.compressobj()
    for strip in _strips(samples):
        rows = np.ascontiguousarray(strip, ">u2").reshape(len(strip), -1).view(np.uint8)
        filtered = np.pad(rows, ((0, 0), (1, 0)), constant_values=1)  # filter 1, "Sub": less the pixel to the left
        filtered[:, 1 + 2 * channels :] -= rows[:, : -2 * channels]
        putchunk(file, b"IDAT", deflate.compress(filtered.tobytes()))
    putchunk(file, b"IDAT", deflate.flush())
    putchunk(file, b"IEND", b"")


def write_tiff(file: BinaryIO, original: Original) -> None:
    """TIFF 6.0, one page: an Exif block is a TIFF without pixels, so it takes the tags of storage and is followed by
    them.

    Pillow writes colour of 8 bits only.
    """
    samples, icc, tags = _samples(original), original.icc, _tags(original)
    height, width, channels = samples.shape
    strips = [np.ascontiguousarray(strip, strip.dtype.newbyteorder("<")) for strip in _strips(samples)]
    sizes = [strip.nbytes for strip in strips]
    tags.endian = "<"
    tags.update({256: width, 257: height, 258: (8 * samples.itemsize,) * channels, 259: 1})
    tags.update({262: 2 if channels > 2 else 1, 277: channels, 278: len(strips[0]), 279: tuple(sizes), 284: 1})
    tags[273] = tuple(accumulate(sizes[:-1], initial=0))  # `tobytes` adds its own length
    if channels in (2, 4):
        tags[EXTRA_SAMPLES] = 2  # alpha that is not multiplied into the colour
    if icc:
        tags[ICC_TAG] = icc
    file.write(tags.tobytes().removeprefix(b"Exif\0\0"))
    for strip in strips:
        file.write(strip.data)


def _strips(samples: np.ndarray) -> list[np.ndarray]:
    """A picture cut into rows of about 1 MB."""
    rows = max(1, 2**20 // samples[0].nbytes)
    return [samples[top : top + rows] for top in range(0, len(samples), rows)]
