"""Tables that name files and their labels: CSV with the columns file and labels, if wanted split or fold, and group."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.data.layouts import SPLITS

FILE_COLUMNS = ("file", "filename", "path")
LABEL_COLUMNS = ("labels", "label", "category", "class")
GROUP_COLUMNS = ("group", "speaker", "patient", "subject", "recording")


@dataclass(frozen=True)
class Row:
    """One file of a table: its labels, its split where it is told, its fold, and the name of its group."""

    path: Path
    labels: tuple[str, ...]
    split: str = ""
    fold: str = ""
    group: str = ""


def read(path: Path) -> tuple[list[Row], list[tuple[Path, str]]]:
    """The rows of a CSV, and the files whose rows cannot be used, with reasons.

    Several labels of one file are parted by ; or |. Files with the same text in a column group (or speaker, patient,
    subject, recording) belong together. Paths are relative to the table's folder.

    Raises:
        InputError: no such file, no CSV in UTF-8, no column for files or labels, no usable row.
    """
    name = shown(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as content:
            reader = csv.DictReader(content, skipinitialspace=True)
            columns = reader.fieldnames or []
            lines = list(reader)
    except FileNotFoundError as error:
        raise InputError(f"there is no table {name}; give a CSV file with the columns file and labels") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name} is no CSV file in UTF-8 ({error}); save it as one") from error
    of_file, of_label = _column(name, columns, FILE_COLUMNS), _column(name, columns, LABEL_COLUMNS)
    of_group = next((column for column in GROUP_COLUMNS if column in columns), "")
    rows, bad = [], []
    for number, line in enumerate(lines, start=2):
        file = path.parent / (line[of_file] or "").strip()
        labels = tuple(sorted({part.strip() for part in re.split(r"[;|]", line[of_label] or "") if part.strip()}))
        split = (line.get("split") or "").strip().lower()
        if not labels or split not in ("", *SPLITS):
            what = f"the split {split!r}, not one of {', '.join(SPLITS)}" if labels else "no label"
            bad.append((file, f"has {what} in row {number} of {name}"))
            continue
        fold, group = ((line.get(column) or "").strip() for column in ("fold", of_group))
        rows.append(Row(file, labels, split, fold, group))
    if not rows:
        raise InputError(f"{name} has no row with a file and a label; fill in the columns {of_file} and {of_label}")
    return rows, bad


def _column(name: str, columns: Sequence[str], wanted: Sequence[str]) -> str:
    found = next((column for column in wanted if column in columns), None)
    if found is None:
        received = ", ".join(columns) or "none"
        raise InputError(f"{name} has no column {wanted[0]}; its columns are {received}; name one {wanted[0]}")
    return found
