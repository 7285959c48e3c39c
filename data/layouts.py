"""The ways in which a folder tells the label and the split of the files in it."""

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from convmedia.data.errors import InputError
from convmedia.data.files import shown, tree

SPLITS = ("train", "validation", "test")

_ALIASES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
_FLAT = re.compile(r"([^.]+)\.\d.*", re.DOTALL)  # cat.0.jpg, as Kaggle's "Dogs vs. Cats" (2013) names its pictures


class Layout(NamedTuple):
    """Where the files of a data set are.

    Attributes:
        labels: the classes, sorted, also those without files.
        files: (split, label, file), the split "" where `parts` does not tell it.
        bad: files that belong to no class, folders that cannot be read, links that loop: each with the reason.
        parts: the splits that the folder tells; empty where it tells none.
        notes: lines on what is not looked at.
    """

    labels: tuple[str, ...]
    files: list[tuple[str, str, Path]]
    bad: list[tuple[Path, str]]
    parts: frozenset[str]
    notes: list[str]


def layout(folder: Path, extensions: Collection[str]) -> Layout:
    """Find one folder per label, or files called LABEL.NUMBER.SUFFIX; in `folder`, or in its train, test, validation.

    Flat names count where there are no class folders. Beside a flat `train`, folders of files without such names
    (Kaggle's test pictures have no labels) are left alone.

    Raises:
        InputError: no such folder, no classes, one class only, or other folders beside train and test.
    """
    parts, notes = _parts(folder, extensions)
    files: list[tuple[str, str, Path]] = []
    bad = [] if "" in parts and parts[""] == folder else _outside(folder)
    for split, part in parts.items():
        if _folders(part):
            bad += _outside(part)
            for inside in _folders(part):
                found, odd = tree(inside)
                files += [(split, shown(inside.name), file) for file in found]
                bad += odd
        else:
            flat, rest = _flat(part, extensions)
            files += [(split, label, file) for label, found in flat.items() for file in found]
            bad += [(path, f"{shown(path)} tells no label; name it as in cat.0{path.suffix}") for path in rest]
    labels = sorted({shown(inside.name) for part in parts.values() for inside in _folders(part)})
    labels = sorted({*labels, *(label for _, label, _ in files)})
    if len(labels) < 2:
        raise InputError(_no_classes(folder, labels, len(bad)))
    return Layout(tuple(labels), files, bad, frozenset(parts) - {""}, notes)


def _parts(folder: Path, extensions: Collection[str]) -> tuple[dict[str, Path], list[str]]:
    """The folders that hold classes, by split; one, under the name "", where splits are not told. And notes."""
    name = shown(folder)
    if not folder.exists():
        raise InputError(f"{name} does not exist; give a folder with one folder per label inside, or a data set's name")
    if not folder.is_dir():
        raise InputError(f"{name} is a file; give the folder that holds one folder per label")
    inside = _folders(folder)
    if not {_ALIASES.get(path.name) for path in inside} & {"train", "test"}:
        return {"": folder}, []
    parts = {_ALIASES.get(path.name, path.name): path for path in inside}
    notes = []
    if len(parts) == len(inside) and "train" in parts and _is_flat(parts["train"], extensions):
        unlabelled = [split for split, part in parts.items() if not _folders(part) and not _is_flat(part, extensions)]
        for split in unlabelled:
            part = parts.pop(split)
            notes.append(f"{shown(part)} is left out: the names of its {len(_files(part)):,} files tell no label")
        if set(parts) == {"train"}:
            return {"": parts["train"]}, notes
    if not {"train", "test"} <= set(parts) <= set(SPLITS) or len(parts) + len(notes) < len(inside):
        received = ", ".join(shown(path.name) for path in inside)
        raise InputError(f"{name} holds {received}; give train, test and at most validation, or only label folders")
    return parts, notes


def _is_flat(part: Path, extensions: Collection[str]) -> bool:
    return not _folders(part) and bool(_flat(part, extensions)[0])


def _flat(part: Path, extensions: Collection[str]) -> tuple[dict[str, list[Path]], list[Path]]:
    """Files called LABEL.NUMBER.SUFFIX by their label, and the others."""
    labelled: dict[str, list[Path]] = defaultdict(list)
    rest = []
    for path in _files(part):
        match = _FLAT.fullmatch(path.stem)
        if match and path.suffix.lower() in extensions:
            labelled[shown(match[1])].append(path)
        else:
            rest.append(path)
    return labelled, rest


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except PermissionError as error:
        raise InputError(f"{shown(folder)} cannot be read ({error.strerror}); check its permissions") from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.is_dir() and not path.name.startswith("."))


def _outside(folder: Path) -> list[tuple[Path, str]]:
    return [(path, "lies outside the class folders") for path in _files(folder)]


def _no_classes(folder: Path, labels: list[str], loose: int) -> str:
    name = shown(folder)
    wanted = f"make one folder per label, as in {name}/cat and {name}/dog"
    if labels:
        return f"{name} holds one class only ({labels[0]}), and a classifier needs two; {wanted}"
    if loose:
        return f"{name} holds {loose} files and no class folders; {wanted}"
    return f"{name} is empty; {wanted}"
