"""`convmedia data check --near`: altered copies and labels that are probably wrong, as lines, JSON and a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.console.progress import progress, said_if_long
from convmedia.apps.console.terminal import percent
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

if TYPE_CHECKING:
    from convmedia.apps.review.label_faults import Suspect
    from convmedia.apps.review.look_alikes import LookAlike
    from convmedia.data.folders.labelled import Labelled
    from convmedia.data.folders.scan import Scan

NETWORK = "efficientnet-lite0"
TOLD, SHOWN = 40, 200
"""Most rows of a list at the terminal, and on the page."""


@dataclass(frozen=True)
class Odd:
    """What is odd in a set of pictures.

    Attributes:
        files: those that were looked at.
        labels: of each, a name; None where it was left out of the set before its label counted.
        names: of the labels.
        copies: altered copies, the most alike first.
        suspects: labels that are probably wrong, the most suspicious first; None where files may have several.
    """

    files: list[Path]
    labels: list[str | None]
    names: tuple[str, ...]
    copies: "list[LookAlike]"
    suspects: "list[Suspect] | None"

    @cached_property
    def document(self) -> dict[str, Any]:
        """For --json: everything."""
        return {
            "network": NETWORK,
            "look_alikes": [self.copy(row) for row in self.copies],
            "labels": None if self.suspects is None else [self.suspect(row) for row in self.suspects],
        }

    def copy(self, row: "LookAlike") -> dict[str, Any]:
        return {
            "file": self.files[row.first],
            "like": self.files[row.second],
            "labels": [self.labels[row.first], self.labels[row.second]],
            "likeness": row.likeness,
            "how": row.how,
        }

    def suspect(self, row: "Suspect") -> dict[str, Any]:
        counts = sorted(row.neighbours.items(), key=lambda one: -one[1])
        return {
            "file": self.files[row.file],
            "label": self.names[row.label],
            "suggested": self.names[row.suggested],
            "score": row.score,
            "suggested_score": row.suggested_score,
            "neighbours": {self.names[label]: count for label, count in counts},
            "nearest": self.files[row.nearest],
        }


def looked_closely(data: str, found: "Scan | Labelled") -> Odd:
    """Altered copies and probably wrong labels in a set that was looked through.

    Raises:
        InputError: the set holds no files of pictures.
    """
    from convmedia.apps.review import label_faults, look_alikes
    from convmedia.data.audio import decoding
    from convmedia.data.folders.scan import Scan
    from convmedia.models.inference import features

    sounds = decoding.EXTENSIONS | decoding.TO_CONVERT
    if not isinstance(found, Scan) or any(one.path.suffix.lower() in sounds for one in found.examples):
        raise InputError(
            f"{data}: --near compares files of pictures; leave it out, copies of digits and sounds are found without it"
        )
    left_out = [one.path for one in found.near if one.left_out]
    files = [*(one.path for one in found.examples), *left_out]
    with progress("features") as update:
        vectors, failed = features.of_files(features.Pretrained(NETWORK, partial(use_backend, None)), files, update)
    if failed:
        index, reason = next(iter(failed.items()))
        raise InputError(f"{shown(files[index])} changed while it was looked at: {reason}")
    place = {path: index for index, path in enumerate(files)}
    known = [(place[one.path], place[one.like]) for one in found.near if one.like in place]
    with progress("comparing pictures") as update:
        copies = look_alikes.found(files, vectors, known, update)
    labels = [*(found.labels[one.label] for one in found.examples), *(None for _ in left_out)]
    suspects = None
    if not found.several:
        number = len(found.examples)
        truth = np.array([one.label for one in found.examples])
        with said_if_long("looking for wrong labels"):
            suspects = label_faults.suspects(vectors[:number], truth, grouped(len(files), copies)[:number])
    return Odd(files, labels, found.labels, copies, suspects)


def grouped(number: int, copies: "list[LookAlike]") -> np.ndarray:
    """A number for each file that copies of one picture share, int (number,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = ([getattr(row, name) for row in copies] for name in ("first", "second"))
    joined = coo_array((np.ones(len(copies)), (first, second)), shape=(number, number))
    return connected_components(joined, directed=False)[1]


def lines(odd: Odd) -> Iterator[str]:
    """What was found, for people: the first 40 of each list."""
    yield f"{len(odd.copies):,} pairs of altered copies, {wrong(odd)}"
    for row in map(odd.copy, odd.copies[:TOLD]):
        yield f"copy\t{shown(row['file'])}\t{shown(row['like'])}\t{how(row)}"
    yield from _more(len(odd.copies), "pairs")
    for row in map(odd.suspect, (odd.suspects or [])[:TOLD]):
        yield f"label?\t{shown(row['file'])}\t{opinion(row)}"
    yield from _more(len(odd.suspects or []), "labels")


def _more(number: int, what: str) -> Iterator[str]:
    if number > TOLD:
        yield f"and {number - TOLD:,} more {what}: --json lists all, --out PAGE.html shows the first {SHOWN}"


def wrong(odd: Odd) -> str:
    """How many labels are in doubt, in words."""
    if odd.suspects is None:
        return "wrong labels are looked for only where each picture has one label"
    return f"{len(odd.suspects):,} labels that are probably wrong"


def how(row: dict[str, Any]) -> str:
    """What was done to a copy, how alike the two are, and where their labels differ these."""
    alike = "" if row["likeness"] is None else f", likeness {row['likeness']:.2f}"
    first, second = (shown(label or "left out") for label in row["labels"])
    return f"{row['how']}{alike}" + (f"; labels {first} and {second}" if first != second else "")


def opinion(row: dict[str, Any]) -> str:
    """What speaks against a label."""
    counts = ", ".join(f"{count} {shown(label)}" for label, count in row["neighbours"].items())
    score = f"{shown(row['suggested'])} {percent(row['suggested_score'])}"
    return f"{shown(row['label'])} {percent(row['score'])}, {score}; neighbours: {counts}"


def page(data: str, odd: Odd, out: Path) -> None:
    """Write the page that shows pairs of copies, and pictures beside what they look like."""
    from convmedia.apps.reporting.html import Report
    from convmedia.data.images.decoding import decode

    def picture(file: Path) -> np.ndarray:
        return decode(file, least=(288, 288))

    copies, doubts = odd.copies[:SHOWN], (odd.suspects or [])[:SHOWN]
    report = Report("Copies and labels to look at", f"{len(odd.files):,} pictures of {shown(data)}")
    report.headline({"pairs of copies": f"{len(odd.copies):,}", "labels in doubt": f"{len(odd.suspects or []):,}"})
    with progress("writing the page") as update:
        items = []
        for row in map(odd.copy, copies):
            items.append(
                (picture(row["file"]), picture(row["like"]), captioned(odd, [row["file"], row["like"]], how(row)))
            )
            update(len(items), len(copies) + len(doubts))
        note = "Pictures that show the same, the most alike first. Keep them in one split, or keep one of them."
        report.pairs("Altered copies", items, cut(note, len(odd.copies)))
        items = []
        for row in map(odd.suspect, doubts):
            caption = captioned(odd, [row["file"], row["nearest"]], opinion(row))
            items.append((picture(row["file"]), picture(row["nearest"]), caption))
            update(len(copies) + len(items), len(copies) + len(doubts))
    note = (
        "On the left a picture whose label is in doubt, on the right the nearest one with the label that is suggested. "
        "Scores are of a logistic regression that did not learn the picture; neighbours are the ten nearest pictures."
    )
    if odd.suspects is None:
        note = f"{wrong(odd).capitalize()}."
    report.pairs("Labels that are probably wrong", items, cut(note, len(odd.suspects or [])))
    report.write(out)


def cut(note: str, number: int) -> str:
    """A note, with what the page leaves out."""
    return f"{note} The first {SHOWN} of {number:,} are shown." if number > SHOWN else note


def captioned(odd: Odd, files: list[Path], words: str) -> str:
    """The last two parts of each file's path, and what there is to say."""
    return "\n".join([*("/".join(file.parts[-2:]) for file in files), words])
