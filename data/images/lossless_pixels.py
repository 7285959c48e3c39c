"""The pixels of a picture with all their bits."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import TiffImageFile

from convmedia.data.images import bit_depth, decoding
from convmedia.data.storage.errors import InputError


def pixels_of(image: Image.Image, path: Path, name: str, stored: int) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Colour, alpha and white of a loaded picture; a PNG's are as stored, a TIFF's upright, which was `stored`
    otherwise."""
    depth = bit_depth.depth(image, path)
    alpha, light = None, 0
    if image.mode.startswith(("I", "F")):
        light = bit_depth.of_grey(image, [image], path)
        colour = bit_depth.grey(image, name, light)[..., None]
    elif image.mode not in _MODES:
        raise InputError(f"{name} holds colours of mode {image.mode}, which are not read; save it as RGB")
    elif depth == 16 and image.mode != "CMYK":
        colour, alpha = _deep(image, path, name, stored)
        light = bit_depth.white_of(image, [colour], path)
    elif image.mode == "CMYK":
        colour = _from_cmyk(image)
    else:
        colour, alpha = _shallow(image)
    key = image.info.get("transparency")
    if alpha is None and key is not None:
        white = np.iinfo(colour.dtype).max
        if depth < 8:  # Pillow scales the pixels, and of the key's values only those of one bit
            key = min(white, key * (white // (2**depth - 1)))
        alpha = np.where((colour == key).all(axis=2), 0, white).astype(colour.dtype)
    return colour, alpha, light or int(np.iinfo(colour.dtype).max)


def _shallow(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    grey = image.mode in ("1", "L", "LA", "La")
    palette = image.mode == "P" and "transparency" in image.info
    if palette or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        pixels = decoding.samples(image, "LA" if grey else "RGBA")
        return pixels[..., :-1], pixels[..., -1]
    return decoding.samples(image, "L" if grey else "RGB"), None


def _deep(image: Image.Image, path: Path, name: str, stored: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour of 16 bits, (height, width, 3), of a PNG of grey with alpha (height, width, 1); and alpha."""
    pixels = bit_depth.samples(image, path, name)
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    pixels = decoding.upright(pixels, stored) if tags else pixels
    colours = 1 if pixels.shape[2] == 2 else 3
    colour, alpha = pixels[..., :colours], None
    if image.mode == "RGBA":
        alpha = pixels[..., colours]
        if tags.get(EXTRA_SAMPLES, (0,))[0] == 1:  # multiplied into the colour
            # 65535 * 65535 + 32767 is below 2^32
            plain = (colour.astype(np.uint32) * 65535 + alpha[..., None] // 2) // np.maximum(alpha, 1)[..., None]
            colour = np.minimum(plain, 65535).astype(np.uint16)
    return colour, alpha


def _from_cmyk(image: Image.Image) -> np.ndarray:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            rgb = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return np.array(rgb)
        except (ImageCms.PyCMSError, OSError):  # broken, or of other colours
            pass
    return np.array(image.convert("RGB"))


_MODES = frozenset(["1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"])


EXTRA_SAMPLES, PLANAR, BITS_TAG, PHOTOMETRIC, ICC_TAG = 0x0152, 0x011C, 0x0102, 0x0106, 0x8773
