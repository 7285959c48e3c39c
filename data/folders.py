"""A folder of class folders as a data set: what is in it, what is wrong with it, and which split each file is in.

    found = scan("photos")                  # photos/cat/*.jpg, photos/dog/*.jpg
    found.files("train"), found.labels_of("train")

Files are only read.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convmedia.data import images, scanning
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.data.layouts import SPLITS, layout

TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1

FEW_FILES = 10
"""Fewer than this for training, and a class is warned of."""

MOST_UNEQUAL = 10
"""More times as many files for training in one class than in another are warned of."""


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
        warnings: lines on what is used but should be looked at: classes that are small beside others or in all, names
            that are not UTF-8, contents of another format than the suffix says.
    """

    folder: Path
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    bad: tuple[tuple[Path, str], ...]
    duplicates: tuple[tuple[Path, Path], ...]
    given: bool
    warnings: tuple[str, ...] = ()

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
    def classes(self) -> dict[str, dict[str, int]]:
        """Number of files of each label in each split."""
        found = Counter((example.label, example.split) for example in self.examples)
        return {label: {split: found[i, split] for split in SPLITS} for i, label in enumerate(self.labels)}

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
    progress: scanning.Progress | None = None,
    *,
    decode: scanning.Decode = images.decode,
    extensions: Collection[str] = images.EXTENSIONS,
) -> Scan:
    """Read every file of a folder once and say which can be used.

    The folder holds one folder per label, or `train`, `test` and, where wanted, `validation`, each with the same
    label folders inside. Below a label folder files count at any depth; hidden ones do not. Where there are no label
    folders, in the folder or in its `train`, files called as in cat.0.jpg tell their label.

    Files that `decode` refuses, that end before their end marker or that lie elsewhere are bad. Of files with one
    content and one label one is kept, in the test split rather than in validation rather than in training; with
    several labels none is.

    Where the folder does not tell the splits, content does: the first 8 bytes of a file's SHA-256 as a fraction of
    2^64, below 0.1 test, below 0.2 validation, else training, so that a file stays in its split whatever is added,
    renamed or moved. In classes too small for that the smallest fractions are taken instead: at least one file of
    each class is in training, and of 3 or more one each in validation and test. The price: such a file can go back
    to training when a file with a smaller fraction joins its class (in a class of 44, 1 in 100 has no test file of
    its own). A given training split without validation is parted in the same way, 0.1 for validation.

    What was found is remembered in the user's cache: a second scan reads only files that changed since, and bad ones.

    Args:
        progress: called with files read and files in all.
        decode: raises InputError for a file that cannot be used; called from several threads.
        extensions: lower-case suffixes that are read; files with others are bad.

    Raises:
        InputError: no such folder, no class folders, one class only, or a class without a usable file for training.
    """
    folder = Path(folder)
    found = layout(folder, extensions)
    files = [path for _, _, path in found.files]
    outcome = dict(zip(files, scanning.read(folder, files, decode, extensions, progress), strict=True))
    usable = {path: content for path, content in outcome.items() if not isinstance(content, str)}
    refused = [(path, reason) for path, reason in outcome.items() if isinstance(reason, str)]
    read = [
        Example(path, found.labels.index(label), usable[path].digest, split)
        for split, label, path in found.files
        if path in usable
    ]
    kept, duplicates, conflicting = _unique(read)
    examples = divided(kept, given=bool(found.parts), validation="validation" in found.parts)
    examples.sort(key=lambda example: example.path)
    bad = sorted([*found.bad, *refused, *conflicting])
    _require_training(folder, found.labels, examples, bad)
    warnings = [*found.notes, *_few(found.labels, examples), *_odd(folder, examples, usable)]
    return Scan(
        folder,
        found.labels,
        tuple(examples),
        tuple(bad),
        tuple(sorted(duplicates)),
        given=bool(found.parts),
        warnings=tuple(warnings),
    )


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


def divided(examples: list[Example], given: bool, validation: bool) -> list[Example]:
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


def _few(labels: tuple[str, ...], examples: list[Example]) -> Iterator[str]:
    """Lines on classes that are small in all or beside others."""
    counts = Counter(labels[example.label] for example in examples if example.split == "train")
    (most, highest), *_, (least, lowest) = counts.most_common()
    for label in labels:
        if counts[label] < FEW_FILES:
            yield f"{label} has {counts[label]} files for training; give each class {FEW_FILES} or more"
    if highest > MOST_UNEQUAL * lowest:
        yield f"{most} has {highest:,} files for training, {least} {lowest:,}: more than {MOST_UNEQUAL} to 1"


def _odd(folder: Path, examples: list[Example], contents: dict[Path, scanning.Content]) -> Iterator[str]:
    """Lines on files whose name cannot be read, or says another format than their content."""
    names = {file for example in examples for file in (example.path, *example.path.parents)}
    for path in sorted(path for path in names if folder in path.parents and not _readable(path.name)):
        yield f"{shown(path)} has a name that is not UTF-8; it is used"
    for path in [example.path for example in examples]:
        promised, found = scanning.FORMATS.get(path.suffix.lower()), contents[path].format
        if promised and found and promised != found:
            yield f"{shown(path)} is {found}, not {promised} as its suffix says; it is used"


def _readable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def __getattr__(name: str) -> object:
    """`flow_from_directory`, found when it is asked for: whoever scans does not load what generators need."""
    if name == "flow_from_directory":
        from convmedia.data.flow import flow_from_directory

        return flow_from_directory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
