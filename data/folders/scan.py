"""A folder of class folders as a data set: what is in it, what is wrong with it, and which split each file is in.

    found = scan("photos")                  # photos/cat/*.jpg, photos/dog/*.jpg
    found.files("train"), found.labels_of("train")

Files are only read.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convmedia.data.folders import file_checks
from convmedia.data.images import decoding, fingerprints
from convmedia.data.splits import groups, splitting
from convmedia.data.splits.layouts import SPLITS, layout
from convmedia.data.splits.near_duplicates import PICTURES, Likeness
from convmedia.data.splits.splitting import Example, NearDuplicate
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown


@dataclass(frozen=True)
class Scan:
    """What a folder, or another set of files, holds.

    Attributes:
        folder: all files lie below it.
        labels: the classes, sorted.
        examples: the files that can be used, sorted by path.
        bad: files that are skipped, each with the reason in words.
        duplicates: files that are skipped because their content is there already, each with the one that is kept.
        given: whether the set itself tells training and another split apart.
        warnings: lines on what is used but should be looked at: classes that are small beside others or in all, names
            that are not UTF-8, contents of another format than the suffix says, near duplicates, groups in several
            splits.
        near: files that nearly equal others, each with one of them.
    """

    folder: Path
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    bad: tuple[tuple[Path, str], ...]
    duplicates: tuple[tuple[Path, Path], ...]
    given: bool
    warnings: tuple[str, ...] = ()
    near: tuple[NearDuplicate, ...] = ()

    def files(self, split: str) -> list[Path]:
        """Files of "train", "validation" or "test", sorted by path."""
        return [example.path for example in self._of(split)]

    def labels_of(self, split: str) -> np.ndarray:
        """The label of each of `files(split)` as an index into `labels`, int64 (files,); or where a file may have
        several labels, uint8 (files, labels) with 1 for each."""
        found = self._of(split)
        if not self.several:
            return np.array([example.label for example in found], np.int64)
        truth = np.zeros((len(found), len(self.labels)), np.uint8)
        for row, example in zip(truth, found, strict=True):
            row[list(example.labels)] = 1
        return truth

    def values_of(self, split: str) -> np.ndarray:
        """The number of each of `files(split)`, float64 (files,), where numbers were read."""
        return np.array([example.value for example in self._of(split)], np.float64)

    def digests(self, split: str) -> list[str]:
        """SHA-256 of the content of each of `files(split)`."""
        return [example.digest for example in self._of(split)]

    @property
    def several(self) -> bool:
        """Whether a file may have several labels."""
        return any(len(example.labels) > 1 for example in self.examples)

    @property
    def counts(self) -> dict[str, int]:
        """Number of files of each split, of bad ones, of duplicates and near duplicates; number of groups."""
        return {split: len(self._of(split)) for split in SPLITS} | {
            "bad": len(self.bad),
            "duplicates": len(self.duplicates),
            "near_duplicates": len(self.near),
            "groups": len(self.groups),
        }

    @property
    def groups(self) -> dict[str, dict[str, int]]:
        """Number of files of each group in each split."""
        found = Counter((example.group, example.split) for example in self.examples if example.group)
        return {name: {split: found[name, split] for split in SPLITS} for name in sorted({name for name, _ in found})}

    @property
    def classes(self) -> dict[str, dict[str, int]]:
        """Number of files of each label in each split."""
        found = Counter((label, example.split) for example in self.examples for label in example.labels)
        return {label: {split: found[i, split] for split in SPLITS} for i, label in enumerate(self.labels)}

    @property
    def digest(self) -> str:
        """SHA-256 over labels (or numbers), contents and splits; names and places of files do not matter."""

        def told(example: Example) -> str:
            if example.value is not None:
                return repr(example.value)
            return ";".join(self.labels[label] for label in example.labels)

        lines = sorted(f"{example.split}\t{told(example)}\t{example.digest}" for example in self.examples)
        return hashlib.sha256("\n".join([*self.labels, "", *lines]).encode()).hexdigest()

    def _of(self, split: str) -> list[Example]:
        if split not in SPLITS:
            raise ValueError(f"a split is one of {', '.join(SPLITS)}; received {split!r}")
        return [example for example in self.examples if example.split == split]


def scan(
    folder: str | Path,
    progress: file_checks.Progress | None = None,
    *,
    decode: file_checks.Decode = fingerprints.of_picture,
    extensions: Collection[str] = decoding.EXTENSIONS | decoding.TO_CONVERT,
    likeness: Likeness = PICTURES,
    group: str | None = None,
    fold: str | None = None,
) -> Scan:
    """Read every file of a folder once and say which can be used.

    The folder holds one folder per label, or `train` with `test`, `validation` or both, each with the same label
    folders inside; `layouts.layout` says how they may be spelt and where else they may stand. Below a label folder
    files count at any depth; hidden ones do not. Where there are no label folders, in the folder or in its `train`,
    files called as in cat.0.jpg tell their label.

    Files that `decode` refuses, that end before their end marker or that lie elsewhere are bad. Where the folder does
    not tell the splits, content does: `splitting.divided` has the rules, and what becomes of duplicates, near
    duplicates and groups.

    What was found is remembered in the user's cache: a second scan reads only files that changed since, and bad ones.

    Args:
        progress: called with files read and files in all.
        decode: raises InputError for a file that cannot be used, gives the fingerprint of another; called from several
            threads.
        extensions: lower-case suffixes that are read; files with others are bad.
        likeness: how near duplicates are found.
        group: a regular expression; files with the same match in their path below the folder are one group.
        fold: one of `stratifying.FOLDS` for test, whatever splits the folder tells.

    Raises:
        InputError: no such folder, no class folders, one class only, a class without a usable file for training, a
            pattern for groups that matches nothing.
    """
    folder = Path(folder)
    found = layout(folder, extensions)
    files = [path for _, _, path in found.files]
    outcome = dict(zip(files, file_checks.read(folder, files, decode, extensions, progress), strict=True))
    usable = {path: content for path, content in outcome.items() if not isinstance(content, str)}
    refused = [(path, reason) for path, reason in outcome.items() if isinstance(reason, str)]
    read = [
        Example(path, (found.labels.index(label),), usable[path].digest, split, "", usable[path].fingerprint)
        for split, label, path in found.files
        if path in usable
    ]
    return in_splits(
        folder,
        found.labels,
        read,
        [*found.bad, *refused],
        notes=found.notes,
        contents=usable,
        given=bool(found.parts),
        validation="validation" in found.parts,
        test="test" in found.parts,
        likeness=likeness,
        group=group,
        fold=fold,
    )


def in_splits(
    folder: Path,
    labels: tuple[str, ...],
    examples: list[Example],
    bad: list[tuple[Path, str]],
    *,
    contents: Mapping[Path, file_checks.Content],
    given: bool,
    validation: bool,
    test: bool | None = None,
    likeness: Likeness,
    notes: Iterable[str] = (),
    group: str | None = None,
    name: str | None = None,
    fold: str | None = None,
) -> Scan:
    """Files that were read, put into splits and looked through: as of `scan`, whatever told their labels.

    Args:
        contents: what was read of each.
        given, validation, test: whether training and another split, and whether these, are told; test is if examples
            are for it, where that is left out.
        name: of the set, for messages; the folder's where it is left out.
        fold: as of `splitting.divided`.

    Raises:
        InputError: a class without a usable file for training, a pattern for groups that matches nothing.
    """
    if group is not None:
        names = groups.group_names(folder, [example.path for example in examples], group)
        examples = groups.with_groups(examples, names)
    test = any(example.split == "test" for example in examples) if test is None else test
    parted = list(_told(name or shown(folder), fold, given, test))
    found = splitting.divided(
        examples, given=given, validation=validation, likeness=likeness, test=test, fold=fold, labels=labels
    )
    every_bad = sorted([*bad, *found.conflicting])
    numbers = any(example.value is not None for example in examples)
    if not numbers:  # what lies in ranges is learned from others, too
        _require_training(name or shown(folder), labels, found.examples, every_bad)
    few = [] if numbers else splitting.few(labels, found.examples)
    warnings = [*notes, *parted, *few, *_odd(folder, found.examples, contents)]
    return Scan(
        folder,
        labels,
        tuple(found.examples),
        tuple(every_bad),
        tuple(found.duplicates),
        given=given and fold is None,
        warnings=(*warnings, *found.warnings),
        near=tuple(found.near),
    )


def _told(name: str, fold: str | None, given: bool, test: bool) -> Iterator[str]:
    """A line on splits that a set tells and that do not count, or on a test split that it does not tell."""
    if given and fold is not None:
        yield f"{name} tells its own splits; for folds they are pooled, its test split too"
    elif given and not test:
        yield f"{name} tells no test split; it is taken from training"


def _require_training(name: str, labels: tuple[str, ...], examples: list[Example], bad: list[tuple[Path, str]]) -> None:
    trained = {label for example in examples if example.split == "train" for label in example.labels}
    missing = [label for index, label in enumerate(labels) if index not in trained]
    if missing:
        reason = f"; of {len(bad)} bad files the first: {shown(bad[0][0])}" if bad else ""
        reason += f" {bad[0][1].removeprefix(f'{shown(bad[0][0])} ')}" if bad else ""
        raise InputError(
            f"{name} has no usable file for training of {', '.join(missing[:5])}; add some or remove the label{reason}"
        )


def _odd(folder: Path, examples: list[Example], contents: Mapping[Path, file_checks.Content]) -> Iterator[str]:
    """Lines on files whose name cannot be read, or says another format than their content."""
    names = {file for example in examples for file in (example.path, *example.path.parents)}
    for path in sorted(path for path in names if folder in path.parents and not _readable(path.name)):
        yield f"{shown(path)} has a name that is not UTF-8; it is used"
    for path in [example.path for example in examples]:
        promised, found = file_checks.FORMATS.get(path.suffix.lower()), contents[path].format
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
        from convmedia.data.folders.flow import flow_from_directory

        return flow_from_directory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
