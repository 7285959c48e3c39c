"""The ways in which a folder tells the label and the split of the files in it."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from convmedia.data.splits import split_names
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import OF_SYSTEMS, is_hidden, is_of_system, shown, tree

SPLITS = ("train", "validation", "test")

_FLAT = re.compile(r"([^.]+)\.\d.*", re.DOTALL)  # cat.0.jpg, as Kaggle's "Dogs vs. Cats" (2013) names its pictures

_NAMED = 5  # folders in a message

Found = list[tuple[str, str, Path]]


class Layout(NamedTuple):
    """Where the files of a data set are.

    Attributes:
        labels: the classes, sorted, also those without files.
        files: (split, label, file), the split "" where `parts` does not tell it.
        bad: files that belong to no class, folders that cannot be read, links that loop: each with the reason.
        parts: the splits that the folder tells; empty where it tells none.
        notes: lines on what is not looked at, or is not where one would look for it.
    """

    labels: tuple[str, ...]
    files: Found
    bad: list[tuple[Path, str]]
    parts: frozenset[str]
    notes: list[str]


def layout(folder: Path, extensions: Collection[str]) -> Layout:
    """Find one folder per label, or files called LABEL.NUMBER.SUFFIX; in `folder`, or in its train, test, validation.

    Splits are recognised as `split_names.splits` does, around the label folders or inside each of them. Where a folder
    holds nothing but one folder, that one is taken; likewise in a folder of a split. Flat names count where there are
    no class folders. Beside a labelled training split, folders of files without such names (Kaggle's test pictures
    have no labels) are left alone. Names that differ only in how Unicode composes their letters are one label.

    Raises:
        InputError: no such folder, no classes, one class only, or folders that tell splits but no training, one split
            twice, or splits and something else.
    """
    top = folder
    _require_folder(folder)
    folder, notes = _entered(folder, extensions)
    parts, more = _parts(folder, extensions)
    notes += more
    files: Found = []
    bad = [] if "" in parts and parts[""] == folder else _outside(folder)
    bad += _outside(top) if top != folder else []
    for split, part in parts.items():
        if _folders(part):
            bad += _outside(part)
            for inside in _folders(part):
                found, odd = tree(inside)
                files += [(split, inside.name, file) for file in found]
                bad += odd
        else:
            flat, rest = _flat(part, extensions)
            files += [(split, label, file) for label, found in flat.items() for file in found]
            bad += [(path, f"{shown(path)} tells no label; name it as in cat.0{path.suffix}") for path in rest]
    names = [inside.name for part in parts.values() for inside in _folders(part)] + [label for _, label, _ in files]
    spelt = _spelt(names)
    labels = sorted({*spelt.values()})
    if len(labels) < 2:
        raise InputError(_no_classes(folder, labels, len(bad)))
    told = frozenset(parts) - {""}
    if not told:
        files = _with_inner_splits(parts[""], files)
        told = frozenset(split for split, _, _ in files) - {""}
        notes += _deeper(parts[""]) if not told else []
    notes += [note for level in {top, folder, *parts.values()} for note in _of_systems(level)]
    return Layout(tuple(labels), [(split, spelt[name], file) for split, name, file in files], bad, told, sorted(notes))


def _require_folder(folder: Path) -> None:
    name = shown(folder)
    if not folder.exists():
        raise InputError(f"{name} does not exist; give a folder with one folder per label inside, or a data set's name")
    if not folder.is_dir():
        raise InputError(f"{name} is a file; give the folder that holds one folder per label")


def _entered(folder: Path, extensions: Collection[str]) -> tuple[Path, list[str]]:
    """The folder that holds the classes or the splits: where there is nothing but one folder, what is in that one."""
    inside = _folders(folder)
    notes: list[str] = []
    while len(inside) == 1 and (inside[0].name == folder.name or _wraps(inside[0], extensions)):
        folder = inside[0]
        inside = _folders(folder)
        notes = [f"{shown(folder)} is taken for the folder of the classes: nothing but it is in the folder around it"]
    return folder, notes


def _wraps(folder: Path, extensions: Collection[str]) -> bool:
    return not split_names.splits([folder.name]) and _holds_classes(folder, extensions)


def _holds_classes(folder: Path, extensions: Collection[str]) -> bool:
    inside = _folders(folder)
    if len(inside) == 1:
        return _holds_classes(inside[0], extensions)
    return len(inside) > 1 or len(_flat(folder, extensions)[0]) > 1


def _parts(folder: Path, extensions: Collection[str]) -> tuple[dict[str, Path], list[str]]:
    """The folders that hold classes, by split; one, under the name "", where splits are not told. And notes."""
    inside = _folders(folder)
    split_of = split_names.splits(path.name for path in inside)
    if not _tell_splits(inside, split_of):
        return {"": folder}, []
    parts = [(split_of.get(path.name, ""), _entered(path, extensions)[0]) for path in inside]
    notes = []
    if any(split == "train" and _is_labelled(part, extensions) for split, part in parts):
        unlabelled = [one for one in parts if one[0] != "train" and not _is_labelled(one[1], extensions)]
        parts = [one for one in parts if one not in unlabelled]
        for _, part in unlabelled:
            what = f"the names of its {len(_files(part)):,} files tell no label" if _files(part) else "it is empty"
            notes.append(f"{shown(part)} is left out: {what}")
    found = Counter(split for split, _ in parts)
    if found == {"train": 1} and (notes or _holds_classes(parts[0][1], extensions)):
        alone = f"{shown(parts[0][1])} is the only split with labels; validation and test are taken from it"
        return {"": parts[0][1]}, notes or [alone]
    if found["train"] != 1 or len(parts) == 1 or found[""] or max(found.values()) > 1:
        received = ", ".join(shown(path.name) for path in inside)
        raise InputError(
            f"{shown(folder)} holds {received}; give train, test and at most validation, or only label folders "
            "that are not called like a split"
        )
    return dict(parts), notes


def _tell_splits(inside: list[Path], split_of: dict[str, str]) -> bool:
    """Whether folders are those of splits. "valid" alone may be a label, such as beside "invalid"."""
    told = {split_of[path.name] for path in inside if path.name in split_of}
    return bool(told & {"train", "test"}) or any(path.name in split_of and _folders(path) for path in inside)


def _is_labelled(part: Path, extensions: Collection[str]) -> bool:
    return bool(_folders(part) or _flat(part, extensions)[0])


def _with_inner_splits(folder: Path, files: Found) -> Found:
    """The same files with the splits that folders inside of each class tell: cat/train, cat/test, dog/train ...

    Raises:
        InputError: some classes tell splits and others do not, or the same one twice.
    """
    told = {path.name: split_names.splits(inner.name for inner in _folders(path)) for path in _folders(folder)}
    if not any("train" in found.values() and len(set(found.values())) > 1 for found in told.values()):
        return files
    for path in _folders(folder):
        found, inner = told[path.name], _folders(path)
        if len(set(found.values())) < len(inner) or "train" not in found.values() or _files(path):
            received = ", ".join([*(shown(one.name) for one in inner), *["files"] * bool(_files(path))]) or "nothing"
            raise InputError(
                f"{shown(path)} holds {received}, where other classes hold folders of splits; give every class train, "
                "test and at most validation, or put those around the classes"
            )
    return [(told[name][file.relative_to(folder / name).parts[0]], name, file) for _, name, file in files]


def _deeper(folder: Path) -> list[str]:
    """A line where classes hold nothing but folders, which may have been meant as the classes."""
    deep = [path for path in _folders(folder) if len(_folders(path)) > 1 and not _files(path)]
    if not deep:
        return []
    inner = _listed(one.name for path in deep for one in _folders(path))
    classes = _listed(path.name for path in deep)
    return [
        f"{shown(folder)}: {classes} hold folders ({inner}), whose files count as {classes}; "
        "to have those folders as labels, put them side by side"
    ]


def _listed(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(map(shown, names)))
    return ", ".join(every[:_NAMED]) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")


def _of_systems(folder: Path) -> list[str]:
    found = sorted(path for path in folder.iterdir() if is_of_system(path.name) and path.is_dir())
    return [f"{shown(path)} is left out: {OF_SYSTEMS[path.name.lower()]}" for path in found]


def _spelt(names: Iterable[str]) -> dict[str, str]:
    """The label of each name. Of several spellings of the same letters in Unicode the composed one (NFC) is taken:
    macOS's older file systems, and archives made there, decompose what others compose."""
    alike: dict[str, set[str]] = defaultdict(set)
    for name in names:
        alike[unicodedata.normalize("NFC", name)].add(name)
    return {
        name: shown(composed if len(spellings) > 1 else name)
        for composed, spellings in alike.items()
        for name in spellings
    }


def _flat(part: Path, extensions: Collection[str]) -> tuple[dict[str, list[Path]], list[Path]]:
    """Files called LABEL.NUMBER.SUFFIX by their label, and the others."""
    labelled: dict[str, list[Path]] = defaultdict(list)
    rest = []
    for path in _files(part):
        match = _FLAT.fullmatch(path.stem)
        if match and path.suffix.lower() in extensions:
            labelled[match[1]].append(path)
        else:
            rest.append(path)
    return labelled, rest


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(
            path for path in folder.iterdir() if path.is_dir() and not (is_hidden(path.name) or is_of_system(path.name))
        )
    except PermissionError as error:
        raise InputError(f"{shown(folder)} cannot be read ({error.strerror}); check its permissions") from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.is_dir() and not is_hidden(path.name))


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
