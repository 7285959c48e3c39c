"""The class folders and files that `flow_from_directory` takes."""

import os
import warnings
from pathlib import Path

from convmedia.data.folders import file_checks
from convmedia.data.images import decoding
from convmedia.data.splits import split_names
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import is_hidden, is_of_system, shown


def class_names(directory: Path) -> list[str]:
    """The class folders, sorted; not hidden ones (.ipynb_checkpoints) and systems' own (__MACOSX).

    Raises:
        InputError: the folders are those of splits.
    """
    names = sorted(path.name for path in directory.iterdir() if path.is_dir() and not passed_over(path.name))
    if set(split_names.splits(names).values()) & {"train", "test"}:
        raise InputError(
            f"{shown(directory)} holds {', '.join(map(shown, names))}, which tell splits and not labels; give the "
            "folder of one split, or name the classes"
        )
    return names


def passed_over(name: str) -> bool:
    return is_hidden(name) or is_of_system(name)


def image_files(folder: Path, follow_links: bool) -> list[Path]:
    """The pictures below a class folder, in the old generator's order: folders by path, then files by name."""
    if not folder.is_dir():
        raise InputError(f"{shown(folder)} is no folder; name the class folders as they are called")
    found = []
    for here, folders, names in os.walk(folder, followlinks=follow_links):
        place = Path(here).resolve()
        folders[:] = [
            name
            for name in folders
            if not passed_over(name) and Path(here, name).resolve() not in (place, *place.parents)
        ]
        found.append((here, sorted(name for name in names if name.lower().endswith(EXTENSIONS))))
    return [Path(here, name) for here, names in sorted(found) for name in names]


def usable_files(directory: Path, files: list[Path], progress: file_checks.Progress | None) -> set[Path]:
    """The files that can be decoded; the others are warned of."""
    usable = set()
    for file, outcome in zip(
        files, file_checks.read(directory, files, decoding.decode, EXTENSIONS, progress), strict=True
    ):
        if isinstance(outcome, str):
            warnings.warn(f"left out: {outcome}", stacklevel=3)
        else:
            usable.add(file)
    return usable


EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
"""Suffixes, in lower case, of the files that the old generator took for pictures."""
