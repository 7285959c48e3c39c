"""A table of files and labels as a data set, the same for pictures, digits and sounds."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convmedia.data.folders import csv_tables, file_checks
from convmedia.data.folders import scan as folders_scan
from convmedia.data.folders.csv_tables import Row
from convmedia.data.folders.scan import Scan
from convmedia.data.images import decoding, fingerprints
from convmedia.data.splits import stratifying
from convmedia.data.splits.near_duplicates import PICTURES, Likeness
from convmedia.data.splits.splitting import Example, hashed
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

RANGES = 5
"""Of the numbers of a table, by which splits are stratified."""


def pictures(
    data: Path,
    progress: file_checks.Progress | None = None,
    group: str | None = None,
    fold: str | None = None,
    *,
    several: bool = False,
    target: str | None = None,
) -> Scan:
    """The pictures of a folder as `folders.scan` reads it, or of a table as `tables.read` does.

    A table may have a column split, or fold, of which the first one is the test split.

    Args:
        fold: the one of `picture_folds` that is tested on.
        several: whether a picture may have several labels.
        target: the column of numbers that is read instead of labels; the ranges that hold a fifth of the numbers each
            are the labels then, by which splits are stratified.

    Raises:
        InputError: as they do; a picture with several labels where it may have one; no such fold; a folder, where
            numbers are wanted, or all numbers are the same.
    """
    if not csv_tables.is_table(data) or data.is_dir():
        if target is not None:
            raise InputError(f"--target {target} is for a table with a column of numbers; received {shown(data)}")
        return folders_scan.scan(data, progress, group=group, fold=known_fold(str(data), fold, []))
    rows, bad = csv_tables.read(data, target)
    if target is not None:
        rows = in_ranges(shown(data), target, rows)
    for row in rows if not several else ():
        if len(row.labels) > 1:
            raise InputError(
                f"{shown(data)} gives {shown(row.path)} several labels ({', '.join(row.labels)}); a picture has one"
            )
    names = own_folds(rows)
    chosen = known_fold(str(data), fold, names)
    return scan(
        str(data),
        data.parent,
        in_fold(rows, chosen or names[0]) if names else rows,
        bad,
        decode=fingerprints.of_picture,
        extensions=decoding.EXTENSIONS | decoding.TO_CONVERT,
        likeness=PICTURES,
        progress=progress,
        group=group,
        by_name=bool(names),
        fold=None if names else chosen,
    )


def picture_folds(data: Path, target: str | None = None) -> list[str]:
    """The folds of a folder or table of pictures: those that the table tells, else five stratified ones."""
    rows = csv_tables.read(data, target)[0] if csv_tables.is_table(data) and not data.is_dir() else []
    return own_folds(rows) or [*stratifying.FOLDS]


def in_ranges(name: str, target: str, rows: Sequence[Row]) -> list[Row]:
    """Rows with numbers, each with the range as a label that its number lies in: five of them that hold a fifth of the
    rows each, or fewer where many rows have one number.

    Raises:
        InputError: all numbers are the same.
    """
    values = np.array([row.value for row in rows], np.float64)
    if values.min() == values.max():
        raise InputError(f"{name} has {values[0]:g} in every row of the column {target}: there is nothing to learn")
    edges = np.unique(np.quantile(values, np.arange(1, RANGES) / RANGES, method="lower"))
    edges = edges[edges < values.max()]
    edges = edges if len(edges) else values.min(keepdims=True)
    place = np.digitize(values, edges, right=True)
    ends = {at: (values[place == at].min(), values[place == at].max()) for at in np.unique(place)}
    width = len(str(len(edges)))
    names = {at: f"{target}, range {at + 1:0{width}}: {low:g} to {high:g}" for at, (low, high) in ends.items()}
    return [replace(row, labels=(names[at],)) for row, at in zip(rows, place, strict=True)]


def own_folds(rows: Iterable[Row]) -> list[str]:
    """The folds that rows tell, sorted."""
    return sorted({row.fold for row in rows if row.fold})


def known_fold(data: str, fold: str | None, own: Sequence[str]) -> str | None:
    """The same fold, or None.

    Raises:
        InputError: it is neither one of a set's own, nor, where there are none, one of `stratifying.FOLDS`.
    """
    names = own or stratifying.FOLDS
    if fold is not None and fold not in names:
        raise InputError(f"{data} has the folds {', '.join(names)}; received {fold}")
    return fold


def in_fold(rows: Iterable[Row], fold: str) -> list[Row]:
    """The same rows, those of a fold for test."""
    return [replace(row, split="test" if row.fold == fold else row.split) for row in rows]


def scan(
    data: str,
    root: Path,
    rows: Sequence[Row],
    bad: list[tuple[Path, str]],
    *,
    decode: file_checks.Decode,
    extensions: Collection[str],
    likeness: Likeness,
    progress: file_checks.Progress | None,
    group: str | None,
    by_name: bool,
    fold: str | None = None,
) -> Scan:
    """Read the files of a table and put them into splits.

    Args:
        data: what the table is called in messages.
        root: its files lie below it.
        bad: files whose rows cannot be used.
        decode, extensions, likeness, progress, group: as of `folders.scan`.
        by_name: files without a group are placed by their names, not by their contents.
        fold: as of `folders.in_splits`.

    Raises:
        InputError: one class only; as `folders.in_splits`.
    """
    if not all(root in row.path.parents for row in rows):  # absolute ones among relative ones, or others' folders
        rows, root = [replace(row, path=row.path.absolute()) for row in rows], root.absolute()
    files = [row.path for row in rows]
    found = list(file_checks.read(_common(root, files), files, decode, extensions, progress))
    labels = tuple(sorted({label for row in rows for label in row.labels}))
    if len(labels) < 2:
        raise InputError(f"{data} holds one class only ({', '.join(labels)}), and a classifier needs two")
    index = {label: place for place, label in enumerate(labels)}
    told = {row.split for row in rows if row.split}
    examples, contents, refused = [], {}, list(bad)
    for row, content in zip(rows, found, strict=True):
        if isinstance(content, str):
            refused.append((row.path, f"{content} ({row.where})" if row.where else content))
            continue
        contents[row.path] = content
        marks = tuple(index[label] for label in row.labels)
        split = row.split or ("train" if told else "")
        place = hashed(row.path.name) if by_name else ""
        known = content.digest, split, row.group, content.fingerprint, place
        examples.append(Example(row.path, marks, *known, value=row.value))
    return folders_scan.in_splits(
        root,
        labels,
        examples,
        refused,
        contents=contents,
        given=bool(told),
        validation="validation" in told,
        likeness=likeness,
        group=group,
        name=data,
        fold=fold,
    )


def _common(root: Path, files: Iterable[Path]) -> Path:
    """A folder that all files lie below: what was found out about them is remembered under its place."""
    return root if all(root in path.parents for path in files) else Path(root.anchor)
