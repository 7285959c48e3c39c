"""Sample files that come with the package: `convmedia samples` copies them to a folder."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing, shown

if TYPE_CHECKING:
    import numpy as np

FOLDER = Path(__file__).parent
SAMPLES = {
    "seven.jpg": "a drawn 7 as a photograph of it would be, dark on light",
    "two.jpg": "a 2 on lined paper",
    "five.jpg": "a 5, light on dark",
    "four.png": "a 4 on a transparent ground",
    "cat.jpg": "a photograph of a cat",
    "seven.wav": "a spoken seven",
    "SOURCES.md": "where they come from, and their licence",
}
"""File name: what it is."""

OTHER_THINGS = FOLDER / "other_things.jpg"
OTHER_SIDE = 192
"""px, of each of the pictures side by side in `OTHER_THINGS`."""


def other_things() -> "list[np.ndarray]":
    """256 pictures of rooms, streets, woods, textures, scans and drawings, uint8 (192, 192, 3): what a classifier of
    something else should know nothing of. `benchmarks/other_pictures.py` made them."""
    from convmedia.data.images import decoding

    sheet = decoding.decode(OTHER_THINGS)
    rows, columns = (side // OTHER_SIDE for side in sheet.shape[:2])
    squares = sheet.reshape(rows, OTHER_SIDE, columns, OTHER_SIDE, 3).transpose(0, 2, 1, 3, 4)
    return list(squares.reshape(-1, OTHER_SIDE, OTHER_SIDE, 3))


def copy(folder: str | Path) -> list[Path]:
    """Copy the samples to a folder, which is made where missing.

    Returns:
        The copies.

    Raises:
        InputError: the folder is a file, or holds another file of a sample's name; nothing was copied then.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{shown(folder)} is a file; give a folder")
    copies = {FOLDER / name: folder / name for name in SAMPLES}
    for original, path in copies.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == original.read_bytes()):
            raise InputError(f"{shown(path)} exists and is not the sample of that name; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for original, path in copies.items():
        with replacing(path) as unfinished:
            shutil.copyfile(original, unfinished)
    return list(copies.values())
