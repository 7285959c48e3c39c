"""A folder of class folders as a data set: what is in it, what is wrong with it, and which split each file is in.

    found = scan("photos")                  # photos/cat/*.jpg, photos/dog/*.jpg
    found.files("train"), found.labels_of("train")

Files are only read.
"""

import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convmedia.data import images
from convmedia.data.errors import InputError
from convmedia.data.files import digest, shown

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1

_ALIASES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Example:
    """One file that can be used: `label` is an index into the labels, `digest` the SHA-256 of its content."""

    path: Path
    label: int
    digest: str
    split: str


@dataclass(frozen=True)
class Scan:
    """What a folder holds.

    Attributes:
        labels: names of the class folders, sorted.
        examples: the files that can be used, sorted by path.
        bad: files that are skipped, each with the reason in words.
        duplicates: files that are skipped because their content is there already, each with the one that is kept.
        given: whether the folder itself tells training and test apart.
    """

    folder: Path
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    bad: tuple[tuple[Path, str], ...]
    duplicates: tuple[tuple[Path, Path], ...]
    given: bool

    def files(self, split: str) -> list[Path]:
        """Files of "train", "validation" or "test", sorted by path."""
        return [example.path for example in self._of(split)]

    def labels_of(self, split: str) -> np.ndarray:
        """int64 (files,): the label of each of `files(split)`, as an index into `labels`."""
        return np.array([example.label for example in self._of(split)], np.int64)

    @property
    def counts(self) -> dict[str, int]:
        """Number of files of each split, of bad ones and of duplicates."""
        return {split: len(self._of(split)) for split in SPLITS} | {
            "bad": len(self.bad),
            "duplicates": len(self.duplicates),
        }

    @property
    def digest(self) -> str:
        """SHA-256 over labels, contents and splits; names and places of files do not matter."""
        lines = sorted(f"{example.split}\t{self.labels[example.label]}\t{example.digest}" for example in self.examples)
        return hashlib.sha256("\n".join([*self.labels, "", *lines]).encode()).hexdigest()

    def _of(self, split: str) -> list[Example]:
        if split not in SPLITS:
            raise ValueError(f"a split is one of {', '.join(SPLITS)}; received {split!r}")
        return [example for example in self.examples if example.split == split]


def scan(
    folder: str | Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    decode: Callable[[Path], object] = images.decode,
    extensions: Collection[str] = images.EXTENSIONS,
) -> Scan:
    """Read every file of a folder once and say which can be used.

    The folder holds one folder per label, or `train`, `test` and, where wanted, `validation`, each with the same
    label folders inside. Below a label folder files count at any depth; hidden ones do not.

    Files that `decode` refuses and files that lie elsewhere are bad. Of files with one content and one label one is
    kept, in the test split rather than in validation rather than in training; with several labels none is.

    Where the folder does not tell the splits, content does: the first 8 bytes of a file's SHA-256 as a fraction of
    2^64, below 0.1 test, below 0.2 validation, else training, so that a file stays in its split whatever is added,
    renamed or moved. In classes too small for that the smallest fractions are taken instead: at least one file of
    each class is in training, and of 3 or more one each in validation and test. The price: such a file can go back
    to training when a file with a smaller fraction joins its class (in a class of 44, 1 in 100 has no test file of
    its own). A given training split without validation is parted in the same way, 0.1 for validation.

    Args:
        progress: called with files read and files in all.
        decode: raises InputError for a file that cannot be used; called from several threads.
        extensions: lower-case suffixes that are read; files with others are bad.

    Raises:
        InputError: no such folder, no class folders, one class only, or a class without a usable file for training.
    """
    folder = Path(folder)
    parts = _parts(folder)
    places, loose = _places(folder, parts)
    labels = tuple(sorted({label for _, label, _ in places}))
    if len(labels) < 2:
        raise InputError(_no_classes(folder, labels, loose))
    bad = [(path, "lies outside the class folders") for path in loose]
    candidates = [Example(path, labels.index(label), "", split) for split, label, files in places for path in files]
    read, refused = _read(candidates, decode, extensions, progress)
    kept, duplicates, conflicting = _unique(read)
    examples = _divided(kept, given=len(parts) > 1, validation="validation" in parts)
    bad = sorted(bad + refused + conflicting)
    _require_training(folder, labels, examples, bad)
    examples.sort(key=lambda example: example.path)
    return Scan(folder, labels, tuple(examples), tuple(bad), tuple(sorted(duplicates)), given=len(parts) > 1)


def _parts(folder: Path) -> dict[str, Path]:
    """The folders that hold class folders, by split; one, under the name "", where splits are not given."""
    name = shown(folder)
    if not folder.exists():
        raise InputError(f"{name} does not exist; give a folder with one folder per label inside, or a data set's name")
    if not folder.is_dir():
        raise InputError(f"{name} is a file; give the folder that holds one folder per label")
    inside = _folders(folder)
    if not {_ALIASES.get(path.name) for path in inside} & {"train", "test"}:
        return {"": folder}
    parts = {_ALIASES.get(path.name, path.name): path for path in inside}
    if not {"train", "test"} <= set(parts) <= set(SPLITS) or len(parts) < len(inside):
        received = ", ".join(shown(path.name) for path in inside)
        raise InputError(f"{name} holds {received}; give train, test and at most validation, or only label folders")
    return parts


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except PermissionError as error:
        raise InputError(f"{shown(folder)} cannot be read ({error.strerror}); check its permissions") from error


def _places(folder: Path, parts: dict[str, Path]) -> tuple[list[tuple[str, str, list[Path]]], list[Path]]:
    """(split, label, files) of each class folder, and the files that lie in none."""
    places = []
    loose = _loose(folder)
    for split, part in parts.items():
        if part != folder:
            loose += _loose(part)
        places += [(split, shown(inside.name), images.walk(inside)) for inside in _folders(part)]
    return places, loose


def _loose(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_dir() and not path.name.startswith(".")]


def _no_classes(folder: Path, labels: tuple[str, ...], loose: list[Path]) -> str:
    name = shown(folder)
    wanted = f"make one folder per label, as in {name}/cat and {name}/dog"
    if labels:
        return f"{name} holds one class only ({labels[0]}), and a classifier needs two; {wanted}"
    if loose:
        return f"{name} holds {len(loose)} files and no class folders; {wanted}"
    return f"{name} is empty; {wanted}"


def _read(
    candidates: list[Example],
    decode: Callable[[Path], object],
    extensions: Collection[str],
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Example], list[tuple[Path, str]]]:
    """The candidates with their digests, and those that cannot be used with the reason."""

    def examine(example: Example) -> Example | str:
        if example.path.suffix.lower() not in extensions:
            return f"{shown(example.path)} has the suffix {shown(example.path.suffix)!r}, which is not read"
        try:
            decode(example.path)
            return replace(example, digest=digest(example.path))
        except InputError as error:
            return str(error)
        except OSError as error:
            return f"{shown(example.path)} cannot be read ({error.strerror})"

    read, refused = [], []
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        for done, (example, result) in enumerate(zip(candidates, pool.map(examine, candidates), strict=True), 1):
            if isinstance(result, Example):
                read.append(result)
            else:
                refused.append((example.path, result))
            if progress:
                progress(done, len(candidates))
    finally:
        pool.shutdown(cancel_futures=True)
    return read, refused


def _unique(
    examples: list[Example],
) -> tuple[list[Example], list[tuple[Path, Path]], list[tuple[Path, str]]]:
    """One example per content; the duplicates with the one kept; and contents under several labels, with reasons."""
    same: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        same[example.digest].append(example)
    kept, duplicates, conflicting = [], [], []
    for group in same.values():
        group.sort(key=lambda example: (-SPLITS.index(example.split) if example.split else 0, example.path))
        if len({example.label for example in group}) == 1:
            kept.append(group[0])
            duplicates += [(example.path, group[0].path) for example in group[1:]]
            continue
        for example in group:
            other = next(member.path for member in group if member.label != example.label)
            conflicting.append((example.path, f"has the content of {shown(other)}, which has another label"))
    return kept, duplicates, conflicting


def _divided(examples: list[Example], given: bool, validation: bool) -> list[Example]:
    """The examples with their splits, as `scan` tells."""
    if validation:
        return examples
    moving = [example for example in examples if example.split != "test"]
    placed = [example for example in examples if example.split == "test"]
    shares = (0.0 if given else TEST_SHARE, VALIDATION_SHARE)
    for label in {example.label for example in moving}:
        group = sorted((example for example in moving if example.label == label), key=lambda example: example.digest)
        tests, validations = _edges([_fraction(example.digest) for example in group], *shares)
        for index, example in enumerate(group):
            split = "test" if index < tests else "validation" if index < validations else "train"
            placed.append(replace(example, split=split))
    return placed


def _edges(fractions: list[float], test: float, validation: float) -> tuple[int, int]:
    """How many of the sorted fractions go to test, and how many to test and validation together."""
    count, least = len(fractions), 1 if len(fractions) >= 3 else 0
    tests, edge = 0, 0
    if test:
        tests = max(least, _below(fractions, test))
        tests = min(tests, max(count - 1 - least, 0))
    edge = max(tests + least, _below(fractions, test + validation))
    return tests, min(edge, count - 1)


def _below(fractions: Iterable[float], edge: float) -> int:
    return sum(fraction < edge for fraction in fractions)


def _fraction(content: str) -> float:
    """A SHA-256 as a number in 0..1, from its first 8 bytes."""
    return math.ldexp(int(content[:16], 16), -64)


def _require_training(
    folder: Path, labels: tuple[str, ...], examples: list[Example], bad: list[tuple[Path, str]]
) -> None:
    trained = {example.label for example in examples if example.split == "train"}
    missing = [label for index, label in enumerate(labels) if index not in trained]
    if missing:
        reason = f"; of {len(bad)} bad files the first: {bad[0][1]}" if bad else ""
        raise InputError(
            f"{shown(folder)} has no usable file for training of {', '.join(missing)}; add some or remove the "
            f"folder{reason}"
        )
