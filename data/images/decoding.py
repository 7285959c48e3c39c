"""Pictures in and out: whatever people keep in files becomes uint8 RGB, and back.

    picture = decode("photo.jpg")       # uint8 (height, width, 3)
    encode(picture, "copy.png")

Pillow and NumPy only.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convmedia.data.images import bit_depth
from convmedia.data.images.opening import BROKEN, FORMATS, MAX_PIXELS, WITH_HEIF, frames, opened, pixels, size
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import find as find_files
from convmedia.data.storage.files import replacing, shown
from convmedia.data.transforms.colour import LUMA

__all__ = ["BROKEN", "MAX_PIXELS", "decode", "encode", "find", "frames", "opened", "orientation", "pixels", "size"]

WHITE_DRAWING_LUMA = 200
"""Visible parts lighter than this on average (of 255) are composited over black."""

_WRITERS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
Told = Callable[[str], None]

_HEIF = (".heic", ".heif", ".hif")

EXTENSIONS = frozenset([*_WRITERS, ".apng", *[".avif"] * ("AVIF" in FORMATS), *_HEIF * WITH_HEIF])
"""Suffixes, in lower case, of the files that are taken for pictures."""

TO_CONVERT = frozenset([*_HEIF, ".avif"]) - EXTENSIONS
"""Of pictures that are not read here; in a folder they are named with what to do, and not passed over."""

STRIP_PIXELS = 4_000_000  # converted at a time, so that copies of a large picture are small

_ORIENTATION_TAG = 0x0112


def decode(
    source: str | Path | bytes,
    least: tuple[int, int] | None = None,
    most_pixels: int | None = None,
    told: Told | None = None,
) -> np.ndarray:
    """Read a picture as people see it, upright and opaque.

    JPEG, PNG, BMP, WebP, AVIF, GIF, TIFF, and with the extra `heif` HEIC, recognised by content; of several frames or
    pages the first. Exif orientation is applied,
    colour profiles are not. Of 16 bits 65,535 is white, or less where fewer are used: see `data.bits`.

    Transparent pictures are composited over white; where what is visible is itself nearly white (luma weighted by
    alpha above 200 of 255 on average) over black, so that a white drawing on a transparent ground does not vanish.

    Args:
        source: a file, or a file's content.
        least: height and width that are enough: a JPEG may be decoded at a half, a quarter or an eighth of its size
            where both of its sides still have the greater of the two. Faster, and not quite the same pixels.
        most_pixels: a picture of more is averaged over squares of 2x2, 3x3 ... pixels, the smallest that are enough.
        told: called with each remark about what is done to the picture.

    Returns:
        uint8 (height, width, 3), RGB, 0..255.

    Raises:
        InputError: the file is missing, empty, unreadable, cut, not a picture, of another format, of values without
            a known white (32 bits, floating point), or larger than `MAX_PIXELS`, which is found before any pixel is
            decoded; or than the memory.
    """
    if told and len(found := frames(source)) > 1:
        told(f"has {len(found)} frames or pages; the first one is read")
    with opened(source) as (image, name):
        if least is not None and image.format == "JPEG":
            image.draft(None, (max(least), max(least)))
        stored = orientation(image)
        image.load()
        seen, white = _in_known_bits(image, source, name, stored)
        if told and white != bit_depth.FULL:
            told(bit_depth.remark(white))
        return upright(_rgb(seen, name, averaged_side(seen.size, most_pixels), white), orientation(image))


def resized(source: str | Path | bytes, size: tuple[int, int], least: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a picture as `decode` does and resize it with Pillow's antialiased bilinear filter; the sides' ratio is
    not kept. The same pixels as one after the other, without an array of the whole picture.

    Args:
        size: height and width of the result, px.
        least: as of `decode`.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        InputError: as of `decode`.
    """
    with opened(source) as (image, name):
        if least is not None and image.format == "JPEG":
            image.draft(None, (max(least), max(least)))
        small = _whole(image, source, name).resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(small.convert("RGB"))


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
        whole = _whole(image, source, name)
        step = max(1, min(whole.size) // (32 * side_px))
        whole = whole.reduce(step) if step > 1 else whole
        small = whole.convert("L").resize((side_px, side_px), Image.Resampling.BILINEAR, reducing_gap=4.0)
        return np.asarray(small)


def _whole(image: Image.Image, source: str | Path | bytes, name: str) -> Image.Image:
    """An opened picture, loaded, upright and opaque: the loaded image itself where that is grey or RGB already."""
    stored = orientation(image)
    image.load()
    seen, white = _in_known_bits(image, source, name, stored)
    plain = seen.mode in ("L", "RGB") and not seen.has_transparency_data
    whole = seen if plain else Image.fromarray(_rgb(seen, name, 1, white))
    turn = orientation(image)
    return whole if turn == 1 else Image.fromarray(upright(np.asarray(whole), turn))


def averaged_side(sides: tuple[int, int], most_pixels: int | None) -> int:
    """Side of the squares that `decode` averages over, px; 1 is none."""
    pixels = sides[0] * sides[1]
    return 1 if most_pixels is None or pixels <= most_pixels else math.ceil(math.sqrt(pixels / most_pixels))


def encode(picture: np.ndarray, path: str | Path) -> None:
    """Write a picture in the format of the path's suffix; JPEG and WebP in quality 95, GIF in 256 colours.

    Args:
        picture: uint8 (height, width, 3) RGB or (height, width) grey.
        path: ends in .png, .jpg, .jpe, .jpeg, .jfif, .bmp, .gif, .webp, .tif or .tiff; written beside and renamed,
            its folder is made.

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
        raise InputError(f"{shown(path)} names no picture format; end it in one of {' '.join(sorted(_WRITERS))}")
    kind = _WRITERS[path.suffix.lower()]
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    with replacing(path) as beside:
        Image.fromarray(picture).save(beside, kind, **options)


def find(paths: Iterable[str | Path], told: Told | None = None) -> list[Path]:
    """Expand files and folders into pictures, as `files.find` does, those too that have to be converted first.

    Raises:
        InputError: there are only folders, and they hold no picture.
    """
    return find_files(paths, EXTENSIONS, "picture", TO_CONVERT, told)


def orientation(image: Image.Image) -> int:
    """Exif orientation, 1..8. Broken Exif data says nothing of the pixels, so it counts as 1, no rotation.

    Loading a TIFF turns it upright; what is left to do afterwards is 1.
    """
    try:
        found = image.getexif().get(_ORIENTATION_TAG)
    except BROKEN:
        return 1
    return found if isinstance(found, int) and 2 <= found <= 8 else 1


def upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Undo an Exif orientation (Exif 2.3, 4.6.4) of (height, width, ...): 5 to 8 exchange rows and columns before they
    mirror.
    """
    pixels = pixels.swapaxes(0, 1) if turn >= 5 else pixels
    rows, columns = (-1 if turn in (3, 4, 7, 8) else 1), (-1 if turn in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _in_known_bits(image: Image.Image, source: str | Path | bytes, name: str, stored: int) -> tuple[Image.Image, int]:
    """A loaded picture and its white, 65,535 where its 16 bits are all used, or where it has 8.

    Colour of 16 bits, of which Pillow keeps the upper 8, is read again and scaled where little is left of it.

    Args:
        stored: its orientation before it was loaded, which turns a TIFF upright.
    """
    if image.mode.startswith(("I", "F")):
        return image, bit_depth.of_grey(image, _strips(image, 1), source)
    if image.mode not in ("RGB", "RGBA") or bit_depth.depth(image, source) < 16:
        return image, bit_depth.FULL
    extrema: Any = image.getextrema()
    if max(highest for _, highest in extrema[:3]) > bit_depth.UPPER_BITS:
        return image, bit_depth.FULL
    values = bit_depth.samples(image, source, name)
    channels = 1 if values.shape[2] == 2 else 3
    white = bit_depth.white_of(image, [values[..., :channels]], source)
    if white == bit_depth.FULL:
        return image, white
    layers = [np.repeat(bit_depth.in_eight(values[..., :channels], white), 3 // channels, axis=2)]
    if image.mode == "RGBA":
        alpha = values[..., channels:][..., :1]
        layers.append(bit_depth.in_eight(alpha, white if alpha.max() <= white else bit_depth.FULL))
    scaled = np.concatenate(layers, axis=2)
    other = Image.fromarray(upright(scaled, stored) if image.format == "TIFF" else scaled)
    other.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return other, white


def _rgb(image: Image.Image, name: str, side: int = 1, white: int = bit_depth.FULL) -> np.ndarray:
    """A loaded picture as uint8 (height, width, 3), averaged over squares of `side` px, strip by strip."""
    parts = (_colour_and_alpha(strip, name, white) for strip in _strips(image, side))
    ground = None
    if image.has_transparency_data or isinstance(image.info.get("transparency"), int):
        light, visible = np.sum([_light(*part) for part in parts], axis=0)
        ground = 0 if visible and light / visible > WHITE_DRAWING_LUMA else 255
        parts = (_colour_and_alpha(strip, name, white) for strip in _strips(image, side))
    found = np.empty((-(-image.height // side), -(-image.width // side), 3), np.uint8)
    top = 0
    for colour, alpha in parts:
        opaque = colour if alpha is None or ground is None else _composited(colour, alpha, ground)
        if side > 1:
            opaque = np.asarray(Image.fromarray(opaque).reduce(side))
        found[top : top + len(opaque)] = opaque
        top += len(opaque)
    return found


def samples(image: Image.Image, mode: str) -> np.ndarray:
    """A loaded picture in a mode of 8 bits, uint8 (height, width, channels), converted strip by strip."""
    found = np.empty((image.height, image.width, len(mode)), np.uint8)
    top = 0
    for strip in _strips(image, 1):
        found[top : top + strip.height] = np.asarray(strip.convert(mode)).reshape(strip.height, strip.width, -1)
        top += strip.height
    return found


def _strips(image: Image.Image, side: int) -> Iterator[Image.Image]:
    """A loaded picture cut into strips of about `STRIP_PIXELS` and of a multiple of `side` rows."""
    rows = max(1, STRIP_PIXELS // image.width // side) * side
    if rows >= image.height:
        yield image
        return
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip.info = image.info
        vars(strip).update({"tag_v2": image.tag_v2} if hasattr(image, "tag_v2") else {})
        yield strip


def _colour_and_alpha(image: Image.Image, name: str, white: int) -> tuple[np.ndarray, np.ndarray | None]:
    """uint8 (height, width, 3) and, where there is one, uint8 (height, width)."""
    if image.mode.startswith(("I", "F")):
        grey = bit_depth.in_eight(bit_depth.grey(image, name, white), white)
        key = image.info.get("transparency")
        alpha = (np.asarray(image) != key) * np.uint8(255) if isinstance(key, int) else None
        return np.repeat(grey[..., None], 3, axis=2), alpha
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        return pixels[..., :3], pixels[..., 3]
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), None


def _light(colour: np.ndarray, alpha: np.ndarray | None) -> tuple[float, int]:
    """Luma of uint8 (height, width, 3) times uint8 alpha (height, width), and that alpha, each added up."""
    if alpha is None:
        return 0.0, 0
    luma = colour @ np.array(LUMA, np.float32)
    return float((luma * alpha).sum(dtype=np.float64)), int(alpha.sum(dtype=np.int64))


def _composited(colour: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    """Lay uint8 colour (height, width, 3) of uint8 alpha (height, width) over white or black."""
    opacity = alpha[..., None] / np.float32(255)
    return np.round(colour * opacity + np.float32(ground) * (1 - opacity)).astype(np.uint8)
