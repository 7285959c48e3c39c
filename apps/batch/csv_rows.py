"""Rows of `predict` as CSV: file, label, score and error, then what else there is, a column for each part.

Further labels are label_2, score_2 and so on; where a file may have several labels `labels` names them, parted by ;.
`windows` of sounds hold JSON; of a number, `target` names what it is of and `value` is it.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from convmedia.apps.console.strict_json import to_json
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing, shown

Row = dict[str, Any]
COLUMNS = ("file", "label", "score", "error")
LATER = ("labels", "windows")


def flat(row: Row) -> Row:
    """A row without lists: what was flat stays as it is."""
    made = {name: value for name, value in row.items() if name not in ("top", *LATER)}
    made["file"] = shown(row["file"])
    for place, entry in enumerate(row.get("top", []), start=1):
        end = "" if place == 1 else f"_{place}"
        made.setdefault(f"label{end}", entry["label"])
        made.setdefault(f"score{end}", entry["score"])
    labels, windows = row.get("labels"), row.get("windows")
    if labels is not None:
        made["labels"] = labels if isinstance(labels, str) else ";".join(entry["label"] for entry in labels)
    if windows is not None:
        made["windows"] = windows if isinstance(windows, str) else to_json(windows)
    return made


def columns(names: Iterable[str]) -> list[str]:
    """All columns in their order: of further labels by their rank."""

    def rank(name: str) -> tuple[int, int, str]:
        head, _, number = name.partition("_")
        return (1, int(number), head) if number.isdecimal() else (2 if name in LATER else 0, 0, name)

    return [*COLUMNS, *sorted(set(names) - set(COLUMNS), key=rank)]


def write(rows: Iterable[Row], names: Iterable[str], out: Path) -> None:
    """Write a CSV file in UTF-8, beside and renamed.

    Args:
        names: of the columns that any row has.
    """
    with replacing(out) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns(names), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(flat, rows))


def read(path: Path) -> Iterator[Row]:
    """The rows of a file that `write` wrote, flat, without what is empty.

    Raises:
        InputError: it is no such file.
    """
    other = InputError(f"{shown(path)} holds something else than rows about files; give another --out")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if tuple(reader.fieldnames or ())[: len(COLUMNS)] != COLUMNS:
                raise other
            for row in reader:
                if None in row or not row["file"]:
                    raise other
                # Of a sound with several labels none may be named.
                yield {name: value for name, value in row.items() if value or name == "labels"}
    except (UnicodeDecodeError, csv.Error) as error:
        raise other from error
