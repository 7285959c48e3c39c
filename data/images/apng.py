"""Frames of an animated PNG of 16 bits a channel, of which Pillow keeps 8: unpacked by libpng, put together here.

As the PNG specification (third edition, sections 11.3.6 and 13.4) has it: each frame is drawn over what the one before
left.
"""

import io
import struct
from collections.abc import Iterator
from itertools import islice

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BACKGROUND, PREVIOUS, OVER = 1, 2, 1  # of how a frame is disposed of, and how it is blended
MOST = 65_535


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk; what is cut ends it."""
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        place += 12 + size


def frames(content: bytes) -> Iterator[np.ndarray]:
    """The frames of a file as they are shown, uint16 (height, width, 2 to 4); first a picture that is not of the
    animation, where the file begins with one.

    Raises:
        RuntimeError: as imagecodecs raises it, for data that is damaged.
    """
    canvas = np.zeros(0, np.uint16)
    for control, data, head in parts(content):
        if control is None:
            yield decoded(head, data, None)
            continue
        width, height, left, top, _, _, disposal, blending = control
        pixels = decoded(head, data, (width, height))
        if not canvas.size:
            whole = struct.unpack(">2I", head[:8])
            canvas = np.zeros((whole[1], whole[0], pixels.shape[2]), np.uint16)
        before = canvas.copy()
        place = np.s_[top : top + height, left : left + width]
        canvas[place] = over(pixels, canvas[place]) if blending == OVER else pixels
        yield canvas.copy()
        if disposal == BACKGROUND:
            canvas[place] = 0
        elif disposal == PREVIOUS:
            canvas = before


def frame(content: bytes, place: int) -> np.ndarray:
    """The frame at a place, as Pillow counts them; those before it are drawn, too.

    Raises:
        RuntimeError: as `frames`, and where there is none.
    """
    for found in islice(frames(content), place, place + 1):
        return found
    raise RuntimeError(f"there is no frame {place}")


def parts(content: bytes) -> Iterator[tuple[tuple[int, ...] | None, bytes, bytes]]:
    """Of each frame what fcTL says, None of a picture before the animation; its compressed data; the file's IHDR."""
    head, control = b"", None
    data: list[bytes] = []
    for name, body in chunks(content):
        if name == b"IHDR":
            head = body
        elif name in (b"fcTL", b"IEND"):
            if data:
                yield control, b"".join(data), head
            control, data = (struct.unpack(">4I2H2B", body[4:26]) if name == b"fcTL" else None), []
        elif name == b"IDAT":
            data.append(body)
        elif name == b"fdAT":
            data.append(body[4:])  # after its place in the sequence


def decoded(head: bytes, data: bytes, size: tuple[int, int] | None) -> np.ndarray:
    """Samples of compressed data that is of the file's size, or another one: uint16 (height, width, channels)."""
    import imagecodecs
    from PIL.PngImagePlugin import putchunk

    file = io.BytesIO()
    file.write(SIGNATURE)
    putchunk(file, b"IHDR", head if size is None else struct.pack(">2I", *size) + head[8:])
    putchunk(file, b"IDAT", data)
    putchunk(file, b"IEND", b"")
    return imagecodecs.png_decode(file.getvalue())


def over(pixels: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Pixels laid over others; the last of 2 or 4 channels is alpha, not multiplied into the colour."""
    if pixels.shape[2] % 2:
        return pixels
    top, bottom = pixels / MOST, below / MOST
    share = bottom[..., -1:] * (1.0 - top[..., -1:])
    alpha = top[..., -1:] + share
    colour = (top[..., :-1] * top[..., -1:] + bottom[..., :-1] * share) / np.maximum(alpha, 1e-12)
    return np.round(np.concatenate([colour, alpha], axis=2) * MOST).astype(np.uint16)
