"""Tables that name files and their labels, or a number for each: columns file and labels (or the one of the numbers),
if wanted split or fold, and group.

CSV parted by commas, semicolons, tabs or |, in UTF-8 or UTF-16, whatever the case of the columns' names.
"""

import csv
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from convmedia.data.splits import split_names
from convmedia.data.splits.layouts import SPLITS
from convmedia.data.storage import text
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

SUFFIXES = frozenset({".csv", ".tsv", ".tab"})
FILE_COLUMNS = (
    "file",
    "filename",
    "file_name",
    "fname",
    "path",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "picture",
    "audio",
    "audio_path",
    "sound",
)
LABEL_COLUMNS = ("labels", "label", "category", "class", "classes", "tags")
GROUP_COLUMNS = ("group", "speaker", "patient", "subject", "recording")
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """One file of a table: its labels, its split where it is told, its fold, the name of its group, where it is said,
    and its number, where a column of numbers is read instead of labels."""

    path: Path
    labels: tuple[str, ...]
    split: str = ""
    fold: str = ""
    group: str = ""
    where: str = field(default="", compare=False)
    value: float | None = None


class Unusable(ValueError):
    """What is wrong with a row."""


def is_table(path: str | Path) -> bool:
    """Whether a file is taken for a table, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def read(path: Path, target: str | None = None) -> tuple[list[Row], list[tuple[Path, str]]]:
    """The rows of a table, and the files whose rows cannot be used, with reasons.

    Several labels of one file are parted by ; or |, or by commas without a space behind them. Files with the same text
    in a column group (or speaker, patient, subject, recording) belong together. Paths are absolute or relative to the
    table's folder; backslashes part folders, too, and where a file has no suffix the only one of that name is meant.

    A file that is listed again in the same way counts once; one that is listed with other labels, or in another split,
    is left out.

    Args:
        target: the column of numbers that is read instead of labels; rows have no labels then. A decimal comma counts
            as a point.

    Raises:
        InputError: no such file, no table in UTF-8 or UTF-16, no column for files, labels or numbers, no usable row,
            labels that differ in case only.
    """
    name = shown(path)
    header, lines = _content(path, target)
    folder = Folder(path.parent)
    found: dict[Path, tuple[int, Row]] = {}
    bad: list[tuple[Path, str]] = []
    labelled = header.get("labels")
    alone = {_text(cells[labelled]) for _, cells in lines if labelled is not None and labelled < len(cells)}
    first: dict[str, tuple[int, str]] = {}
    for number, cells in lines:
        values = {column: cells[at].strip() if at < len(cells) else "" for column, at in header.items()}
        file = folder.find(values["file"])
        where = f"row {number} of {name}"
        try:
            row = _row(file, values, alone, where)
            known = found.get(file)
            if known and known[1] != row:
                same = (known[1].labels, known[1].value) == (row.labels, row.value)
                told = "other labels" if target is None else "another number"
                what = "another split, fold or group" if same else told
                raise Unusable(f"is listed twice, with {what} in row {known[0]} than")
        except Unusable as error:
            bad.append((file, f"{error} in {where}"))
            continue
        for label in row.labels:
            before, spelt = first.setdefault(label.casefold(), (number, label))
            if spelt != label:
                where = f"{spelt!r} in row {before}, {label!r} in row {number}"
                raise InputError(f"labels of {name} differ in case only ({where}); write them in one way")
        found.setdefault(file, (number, row))
    rows = [row for _, row in found.values()]
    contradicted = {file for file, reason in bad if reason.startswith("is listed twice")}
    rows = [row for row in rows if row.path not in contradicted]
    if not rows:
        why = f"; the first reason: {shown(bad[0][0].name)} {bad[0][1]}" if bad else ""
        what = "a label" if target is None else f"a number in the column {target}"
        raise InputError(f"{name} has no row with a file and {what} that can be used{why}; fill in these two columns")
    return rows, bad


def _content(path: Path, target: str | None) -> tuple[dict[str, int], list[tuple[int, list[str]]]]:
    """Where the columns are that matter, and the rows with their numbers, as a spreadsheet counts them."""
    name = shown(path)
    try:
        content = text.decoded(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"there is no table {name}; give a CSV file with the columns file and labels") from error
    except UnicodeDecodeError as error:
        row = len(text.lines(error.object[: error.start].decode("latin-1")))
        what = f"row {row} holds the byte 0x{error.object[error.start]:02x}"
        raise InputError(f"{name} is no text in UTF-8 or UTF-16: {what}; save it as CSV in UTF-8") from error
    content = content.removeprefix("\ufeff")
    marked = re.match(r"sep=(.)\r?\n?", content)  # what spreadsheets write to tell the delimiter
    skipped = 1 if marked else 0
    lines = text.lines(content)[skipped:]
    delimiter = marked[1] if marked else _delimiter(lines)
    try:
        rows = [
            (number, cells)
            for number, cells in enumerate(csv.reader(_kept_ends(lines), delimiter=delimiter), start=1 + skipped)
            if any(map(str.strip, cells))
        ]
    except csv.Error as error:
        raise InputError(f"{name} is no CSV file ({error}); save it as one") from error
    return _columns(name, rows[0][1] if rows else [], target), rows[1:]


def _kept_ends(lines: Sequence[str]) -> Iterator[str]:
    return (f"{line}\n" for line in lines)


def _delimiter(lines: Sequence[str]) -> str:
    """What parts the columns: what most of the columns that matter are found with in the first line."""
    first = next((line for line in lines if line.strip()), "")

    def found(delimiter: str) -> tuple[int, int]:
        names = _names(next(csv.reader([first], delimiter=delimiter), []))
        known = sum(any(one in names for one in wanted) for wanted in (FILE_COLUMNS, LABEL_COLUMNS))
        return known, len(names)

    return max(DELIMITERS, key=found)


def _names(cells: Sequence[str]) -> list[str]:
    return [re.sub(r"[\s-]+", "_", _text(cell).casefold()) for cell in cells]


def _columns(name: str, cells: Sequence[str], target: str | None) -> dict[str, int]:
    names = _names(cells)
    learned = {"labels": LABEL_COLUMNS} if target is None else {"target": tuple(_names([target]))}
    wanted = {"file": FILE_COLUMNS, **learned, "split": ("split",), "fold": ("fold",)}
    columns = {}
    for column, spellings in {**wanted, "group": GROUP_COLUMNS}.items():
        found = next((one for one in spellings if one in names), None)
        if found is not None:
            columns[column] = names.index(found)
        elif column in ("file", "labels"):
            received = ", ".join(map(_text, cells)) or "none"
            raise InputError(f"{name} has no column {column}; its columns are {received}; name one {column} in row 1")
        elif column == "target":
            received = ", ".join(map(_text, cells)) or "none"
            raise InputError(f"{name} has no column {target}; its columns are {received}; give --target one of numbers")
    return columns


def _text(cell: str) -> str:
    """A cell without space around it; letters with accents are written in one way."""
    return unicodedata.normalize("NFC", cell.strip())


def _row(file: Path, values: dict[str, str], alone: set[str], where: str) -> Row:
    """What a row says of a file.

    Args:
        alone: what stands as a label by itself somewhere.
    """
    if not values["file"]:
        raise Unusable("has no file")
    value = _number(values["target"]) if "target" in values else None
    labels = () if "target" in values else _labels(_text(values["labels"]), alone)
    split = values.get("split", "")
    if not labels and value is None:
        raise Unusable("has no label")
    if split and split.casefold() not in split_names.WORDS:
        raise Unusable(f"has the split {split!r}, not one of {', '.join(SPLITS)}")
    fold, group = values.get("fold", ""), values.get("group", "")
    return Row(file, labels, split_names.WORDS.get(split.casefold(), ""), fold, group, where, value)


def _number(cell: str) -> float:
    """A cell as a number."""
    if not cell:
        raise Unusable("has no number")
    try:
        value = float(cell if "." in cell else cell.replace(",", "."))
    except ValueError as error:
        raise Unusable(f"has {cell!r} where a number is wanted,") from error
    if not math.isfinite(value):
        raise Unusable(f"has {cell!r} where a finite number is wanted,")
    return value


def _labels(cell: str, alone: set[str]) -> tuple[str, ...]:
    """The labels of a cell, sorted. Names may hold a comma and a space; where parts are labels of other files by
    themselves it is not known what is meant."""
    parts = [part.strip() for part in re.split(r"[;|]|,(?=\S)", cell) if part.strip()]
    for part in parts:
        if {one.strip() for one in part.split(",")} & alone - {part}:
            raise Unusable(f"has a comma in the label {part!r} (part several labels by ; or |)")
    return tuple(sorted(set(parts)))


class Folder:
    """Finds the files that a table names.

    Args:
        path: what relative names start from.
    """

    def __init__(self, path: Path):
        self.path = path
        self.listed: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str) -> Path:
        """The file, or where it would be."""
        spellings = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
        spellings += [PureWindowsPath(one).as_posix() for one in spellings if "\\" in one]
        places = [self.path / one for one in dict.fromkeys(spellings)]
        found = next((place for place in places if place.exists()), None)
        if found or not name:
            return found or self.path
        alike = next(filter(None, map(self._without_suffix, places)), [])
        return alike[0] if len(alike) == 1 else places[-1]

    def _without_suffix(self, place: Path) -> list[Path]:
        if place.parent not in self.listed:
            by_stem: dict[str, list[Path]] = {}
            for one in place.parent.iterdir() if place.parent.is_dir() else ():
                by_stem.setdefault(one.stem, []).append(one)
            self.listed[place.parent] = by_stem
        return self.listed[place.parent].get(place.name, [])
