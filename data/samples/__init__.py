"""Sample files that come with the package: `convmedia samples` copies them to a folder."""

import shutil
from pathlib import Path

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing, shown

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
