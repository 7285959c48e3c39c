"""Files of several frames or pages: how many there are, all of them read, and written again as one file.

found = read("waves.gif")                     # found.pictures, found.durations
write(replace(found, pictures=larger), "larger.gif")
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from convmedia.data.images import decoding, lossless
from convmedia.data.images.lossless import Original
from convmedia.data.storage.files import replacing

_KINDS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_LONGEST_GIF = 65_535  # px


@dataclass(frozen=True)
class Frames:
    """What a file holds.

    Attributes:
        pictures: its frames or pages; the first one alone, where only that is wanted.
        count: how many the file has.
        durations: of each picture, ms; empty where the file tells none.
        loop: how often an animation is played, 0 for ever; None is not told.
    """

    pictures: list[Original]
    count: int = 1
    durations: Sequence[float] = ()
    loop: int | None = None


def read(path: str | Path, every: bool = True) -> Frames:
    """The frames or pages of a file, or the first one; a still picture has one. Reduced pages of a TIFF, as previews
    are, are left out.

    Raises:
        InputError: as `originals.read`.
    """
    places = decoding.frames(path)
    if len(places) < 2 or not every:
        return Frames([lossless.read(path)], len(places))
    pictures, durations, loop = [], [], None
    with decoding.opened(path) as (image, name):
        for place in places:
            image.seek(place)
            pictures.append(lossless.of_frame(image, Path(path), name))
            durations.append(image.info.get("duration"))
            loop = image.info.get("loop", loop)
    known = [float(one) for one in durations if one is not None]
    return Frames(pictures, len(places), known if len(known) == len(places) else (), loop)


def holds(pictures: Sequence[Original], suffix: str) -> bool:
    """Whether one file with this suffix can hold these frames with all that they are."""
    kind = _KINDS.get(suffix.lower())
    sizes = {picture.colour.shape[:2] for picture in pictures}
    if kind == "TIFF":
        return all(lossless.suffix_for(picture, suffix) == suffix for picture in pictures)
    if kind is None or len(sizes) > 1 or any(picture.colour.dtype != np.uint8 for picture in pictures):
        return False
    if kind == "GIF":
        return max(max(size) for size in sizes) <= _LONGEST_GIF
    return kind == "PNG" or all(lossless.suffix_for(picture, suffix) == suffix for picture in pictures)


def write(frames: Frames, path: str | Path) -> None:
    """Write frames as one file, with their durations and loop; a GIF has 256 colours a frame.

    Args:
        path: ends in .gif, .png, .apng, .webp, .tif or .tiff; written beside and renamed, its folder is made.

    Raises:
        OSError: as writing raises it.
    """
    path = Path(path)
    kind = _KINDS[path.suffix.lower()]
    with replacing(path) as beside:
        if kind == "TIFF":
            beside.touch()
            with AppendingTiffWriter(str(beside), new=True) as stream:
                for place, picture in enumerate(frames.pictures):
                    if place:
                        stream.newFrame()
                    page = io.BytesIO()
                    lossless.write_tiff(page, picture)
                    stream.write(page.getvalue())
            return
        first, *others = _in_one_mode(frames.pictures)
        options: dict[str, Any] = {"save_all": True, "append_images": others}
        options |= {"duration": list(frames.durations)} if frames.durations else {}
        options |= {"loop": frames.loop} if frames.loop is not None else {}
        # What is under a frame goes before the next one comes: no transparent one lies over another. Of WebP every
        # frame is stored whole (kmax), or the file loses its alpha.
        options |= {"GIF": {"disposal": 2}, "PNG": {"disposal": 1}, "WEBP": {"quality": 95, "kmax": 1}}[kind]
        if kind != "GIF":
            options |= {"icc_profile": frames.pictures[0].icc, "exif": frames.pictures[0].exif or b""}
        first.save(beside, kind, **options)


def _in_one_mode(pictures: Sequence[Original]) -> list[Image.Image]:
    """Frames in RGB, or in RGBA where one of them has alpha."""
    transparent = any(picture.alpha is not None for picture in pictures)
    found = []
    for picture in pictures:
        height, width = picture.colour.shape[:2]
        layers = [np.broadcast_to(picture.colour, (height, width, 3))]
        if transparent:
            opaque = np.full((height, width), 255, np.uint8)
            layers.append((opaque if picture.alpha is None else picture.alpha)[..., None])
        found.append(Image.fromarray(np.concatenate(layers, axis=2)))
    return found
