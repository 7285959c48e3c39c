"""Remarks on what was done to single files, said as their rows come."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from convmedia.apps.console.terminal import note
from convmedia.data.storage.files import shown

NOTES = 5


def remarked(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same rows; the notes of each are said, the first `NOTES` of those that differ in numbers only."""
    said: Counter[str] = Counter()
    for row in rows:
        for text in row.get("notes", ()):
            kind = re.sub(r"\d+", "", text)
            said[kind] += 1
            if said[kind] <= NOTES:
                note(f"{shown(row['file'])}: {text}")
            elif said[kind] == NOTES + 1:
                note("more files are like that; their rows have it as notes")
        yield row
