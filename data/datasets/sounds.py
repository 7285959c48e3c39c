"""Labelled sounds for training: a named set, a folder of class folders, or a table of files and labels.

    sounds = load("fsdd")                                # the official split
    for fold in folds("esc10", "official"):
        sounds = load("esc10", fold=fold)

Every file is read once before training; those that cannot be used are left out, named.
"""

import csv
import re
from pathlib import Path

from convmedia.data.audio import decoding
from convmedia.data.folders import csv_tables, tabled
from convmedia.data.folders import scan as folders_scan
from convmedia.data.folders.csv_tables import Row
from convmedia.data.folders.labelled import Labelled
from convmedia.data.folders.scan import Scan
from convmedia.data.sources import fetch
from convmedia.data.sources.catalogue import require_kind
from convmedia.data.sources.download import Progress
from convmedia.data.splits import stratifying
from convmedia.data.splits.near_duplicates import SOUNDS
from convmedia.data.storage.errors import InputError

OFFICIAL, SPEAKER = "official", "speaker"
FSDD = re.compile(r"(\d)_(\w+)_(\d+)")
"""Names of FSDD's files: digit, speaker, take."""

ESC = re.compile(r"\d+-(\d+)-\w+-\d+")
"""Names of ESC's files: fold, recording, take, target."""


class Sounds(Labelled):
    """A set of labelled sounds in files."""

    noun = "sound"


def folds(data: str, split: str = OFFICIAL) -> list[str]:
    """The folds of a set: its own, with `split` "speaker" the speakers, else five stratified ones."""
    _require_speakers(data, split)
    return tabled.own_folds(_rows(data, split, None)[0] if _is_table(data) else []) or [*stratifying.FOLDS]


def load(
    data: str,
    split: str = OFFICIAL,
    fold: str | None = None,
    progress: Progress | None = None,
    group: str | None = None,
) -> Sounds:
    """A named set, a folder as `folders.scan` reads it, or a CSV with the columns file and labels: as of `scan`."""
    return Sounds.of(data if _is_table(data) else str(Path(data)), scan(data, split, fold, progress, group))


def scan(
    data: str,
    split: str = OFFICIAL,
    fold: str | None = None,
    progress: Progress | None = None,
    group: str | None = None,
) -> Scan:
    """What a named set, a folder or a table holds.

    Args:
        data: the name, or else a path. Several labels of one file are parted by ; or |. A table may have a column
            split (train, validation, test) or fold; without, contents decide as in `folders.scan`. Its column group
            (or speaker, patient, subject, recording) names the files that belong together.
        split: "official", or "speaker" for fsdd.
        fold: tests on this fold of `folds`, trains on the others; None takes the first one, where the set has folds of
            its own.
        progress: called with (done, total) while files are read or downloaded.
        group: a regular expression, as of `folders.scan`, in place of the groups that the set tells.

    Raises:
        InputError: unknown name, missing file or folder, set that cannot be had, fewer than two classes, no such fold,
            columns missing, a pattern for groups that matches nothing.
    """
    if not data.strip():
        raise InputError("--data is empty: give a named set of sounds, a folder of class folders or a CSV file")
    _require_speakers(data, split)
    if not _is_table(data):
        chosen = tabled.known_fold(data, fold, [])
        decode, extensions = decoding.check, decoding.EXTENSIONS | decoding.TO_CONVERT
        return folders_scan.scan(
            data, progress, decode=decode, extensions=extensions, likeness=SOUNDS, group=group, fold=chosen
        )
    rows, bad, root = _rows(data, split, progress)
    names = tabled.own_folds(rows)
    chosen = tabled.known_fold(data, fold, names)
    placed = tabled.in_fold(rows, chosen or names[0]) if names else rows
    return _read(data, root, placed, bad, progress, group, by_name=bool(names), fold=None if names else chosen)


def _require_speakers(data: str, split: str) -> None:
    if split == SPEAKER and data != "fsdd":
        raise InputError(f"--split speaker is for fsdd, whose names tell the speaker; received --data {data}")


def _is_table(data: str) -> bool:
    """Whether a set says label by label what its files are; not so a folder of class folders."""
    if data not in fetch.SOURCES:
        if not (Path(data).exists() or any(mark in data for mark in "/\\.")):
            fetch.source(data)  # says which names there are
        return csv_tables.is_table(data)
    require_kind(data, "sounds")
    return True


def _rows(data: str, split: str, progress: Progress | None) -> tuple[list[Row], list[tuple[Path, str]], Path]:
    """The rows of a set, what is wrong with some, and the folder that its files lie in."""
    if data not in fetch.SOURCES:
        return (*csv_tables.read(Path(data)), Path(data).parent)
    folder = fetch.fetch(data, progress)
    if data == "fsdd":
        return _fsdd(folder, split), [], folder
    if data == "speech-commands":
        return _speech_commands(folder), [], folder
    with (folder / f"{data}.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    rows = [
        Row(folder / "audio" / line["filename"], (line["category"],), fold=line["fold"], group=_recording(line))
        for line in lines
    ]
    return rows, [], folder


def _recording(line: dict[str, str]) -> str:
    """The recording that a clip of ESC was cut from: takes of one must not be trained and validated on."""
    match = ESC.match(line["filename"])
    return match[1] if match else line["filename"]


def _fsdd(folder: Path, split: str) -> list[Row]:
    """Official: takes 0 to 4 test; of the others 5 to 7 validate. By speaker: the others' takes 0 to 4 validate."""
    rows = []
    for path in sorted(folder.glob("*.wav")):
        match = FSDD.fullmatch(path.stem)
        if not match:
            continue
        digit, speaker, take = match[1], match[2], int(match[3])
        if split == SPEAKER:
            rows.append(Row(path, (digit,), "validation" if take < 5 else "train", fold=speaker))
        else:
            rows.append(Row(path, (digit,), "test" if take < 5 else "validation" if take < 8 else "train"))
    return rows


def _speech_commands(folder: Path) -> list[Row]:
    """Warden 2018: two lists name the files of test and validation."""
    named: dict[str, str] = {}
    for split, name in (("test", "testing_list.txt"), ("validation", "validation_list.txt")):
        named |= dict.fromkeys((folder / name).read_text(encoding="utf-8").split(), split)
    files = sorted(path for path in folder.glob("*/*.wav") if not path.parent.name.startswith("_"))
    return [Row(path, (path.parent.name,), named.get(path.relative_to(folder).as_posix(), "train")) for path in files]


def _read(
    data: str,
    root: Path,
    rows: list[Row],
    bad: list[tuple[Path, str]],
    progress: Progress | None,
    group: str | None,
    by_name: bool,
    fold: str | None,
) -> Scan:
    """Read the files of a table and put them into splits.

    Args:
        by_name: files without a group are placed by their names, not by their contents.
        fold: as of `folders.in_splits`.
    """
    return tabled.scan(
        data,
        root,
        rows,
        bad,
        decode=decoding.check,
        extensions=decoding.EXTENSIONS | decoding.TO_CONVERT,
        likeness=SOUNDS,
        progress=progress,
        group=group,
        by_name=by_name,
        fold=fold,
    )
