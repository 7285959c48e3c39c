"""Labelled sounds for training: a named set, a folder of class folders, or a table of files and labels.

    sounds = load("fsdd")                                # the official split
    for fold in folds("esc10", "official"):
        sounds = load("esc10", fold=fold)

Every file is read once before training; those that cannot be used are left out, named.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convmedia.data import clips, folders, scanning, sources, tables
from convmedia.data.download import Progress
from convmedia.data.errors import InputError
from convmedia.data.files import shown
from convmedia.data.folders import Example
from convmedia.data.labelled import Labelled
from convmedia.data.layouts import SPLITS
from convmedia.data.tables import Row

VALIDATION_SHARE = 0.1
OFFICIAL, SPEAKER = "official", "speaker"
FSDD = re.compile(r"(\d)_(\w+)_(\d+)")
"""Names of FSDD's files: digit, speaker, take."""

ESC = re.compile(r"\d+-(\d+)-\w+-\d+")
"""Names of ESC's files: fold, recording, take, target."""


@dataclass(frozen=True)
class Split:
    """Files of one split with the SHA-256 of each content, and their truth: int64 (n,), or uint8 (n, labels) where a
    sound may have several."""

    paths: tuple[Path, ...]
    truth: np.ndarray
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Split":
        """The files at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        return Split(tuple(self.paths[i] for i in chosen), self.truth[chosen], tuple(self.digests[i] for i in chosen))


class Sounds(Labelled):
    """A set of labelled sounds in files."""

    noun = "sound"

    @property
    def several(self) -> bool:
        """Whether a sound may have several labels."""
        return self.train.truth.ndim == 2

    def limited(self, limit: int | None, seed: int) -> "Sounds":
        """The same set with at most `limit` training sounds, drawn with `seed`; classes keep their shares."""
        number = len(self.train)
        if limit is None or limit >= number:
            return self
        rng = np.random.default_rng(seed)
        truth = self.train.truth.argmax(1) if self.several else self.train.truth
        place = np.empty(number)
        for label in np.unique(truth):
            members = rng.permutation(np.flatnonzero(truth == label))
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
            place[members[0]] = 0
        return replace(self, train=self.train.take(np.sort(np.argsort(place, kind="stable")[:limit])))


def folds(data: str, split: str = OFFICIAL) -> list[str]:
    """The folds of a set: the official ones, or with `split` "speaker" the speakers.

    Raises:
        InputError: the set has none.
    """
    _require_speakers(data, split)
    found = sorted({row.fold for row in _rows(data, split, None)[0] if row.fold} if _is_table(data) else set())
    if not found:
        raise InputError(
            f"{data} has no folds: esc10 and esc50 have, fsdd with --split speaker, and tables with a column fold"
        )
    return found


def load(data: str, split: str = OFFICIAL, fold: str | None = None, progress: Progress | None = None) -> Sounds:
    """A named set, a folder as `folders.scan` reads it, or a CSV with the columns file and labels.

    Args:
        data: the name, or else a path. Several labels of one file are parted by ; or |. A table may have a column
            split (train, validation, test) or fold; without, contents decide as in `folders.scan`.
        split: "official", or "speaker" for fsdd.
        fold: tests on this fold of `folds`, trains on the others; None takes the first one, where there are folds.
        progress: called with (done, total) while files are read or downloaded.

    Raises:
        InputError: unknown name, missing file or folder, set that cannot be had, fewer than two classes, no such fold,
            columns missing.
    """
    if not data.strip():
        raise InputError("--data is empty: give a named set of sounds, a folder of class folders or a CSV file")
    _require_speakers(data, split)
    if not _is_table(data):
        if fold is not None:
            folds(data, split)
        return _from_folder(Path(data), progress)
    rows, bad, root = _rows(data, split, progress)
    names = sorted({row.fold for row in rows if row.fold})
    chosen = fold or (names[0] if names else None)
    if chosen is not None and chosen not in names:
        raise InputError(f"{data} has the folds {', '.join(names) or 'none'}; received {chosen}")
    placed = [replace(row, split=_split_of(row, chosen)) if chosen else row for row in rows]
    return _read(data, root, placed, bad, progress)


def _require_speakers(data: str, split: str) -> None:
    if split == SPEAKER and data != "fsdd":
        raise InputError(f"--split speaker is for fsdd, whose names tell the speaker; received --data {data}")


def _is_table(data: str) -> bool:
    """Whether a set says label by label what its files are; not so a folder of class folders."""
    known = sources.SOURCES.get(data)
    if known is None:
        if not (Path(data).exists() or any(mark in data for mark in "/\\.")):
            sources.source(data)  # says which names there are
        return Path(data).suffix.lower() == ".csv"
    if known.kind != "sounds":
        raise InputError(f"{data} holds no sounds: give fsdd, esc10, esc50, speech-commands, a folder or a CSV file")
    return True


def _rows(data: str, split: str, progress: Progress | None) -> tuple[list[Row], list[tuple[Path, str]], Path]:
    """The rows of a set, what is wrong with some, and the folder that its files lie in."""
    if data not in sources.SOURCES:
        return (*tables.read(Path(data)), Path(data).parent)
    folder = sources.fetch(data, progress)
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


def _split_of(row: Row, tested: str) -> str:
    """Where a row is when a fold is tested: told, or a tenth of the recordings for validation, by their names."""
    if row.fold == tested:
        return "test"
    if row.split:
        return row.split
    name = hashlib.sha256((row.group or row.path.name).encode("utf-8", "surrogateescape")).hexdigest()
    return "validation" if int(name[:8], 16) < VALIDATION_SHARE * 2**32 else "train"


def _read(data: str, root: Path, rows: list[Row], bad: list[tuple[Path, str]], progress: Progress | None) -> Sounds:
    """Read the files of a table and put them into splits."""
    files = [row.path for row in rows]
    found = list(scanning.read(_common(root, files), files, clips.check, clips.EXTENSIONS, progress))
    labels = tuple(sorted({label for row in rows for label in row.labels}))
    if len(labels) < 2:
        raise InputError(f"{data} holds one class only ({', '.join(labels)}), and a classifier needs two")
    several = any(len(row.labels) > 1 for row in rows)
    index = {label: place for place, label in enumerate(labels)}
    examples, marks, refused = [], {}, list(bad)
    for row, content in zip(rows, found, strict=True):
        if isinstance(content, str):
            refused.append((row.path, content))
            continue
        examples.append(Example(row.path, index[row.labels[0]], content.digest, row.split))
        marks[row.path] = [index[label] for label in row.labels]
    examples = _placed(examples)
    _require_training(data, labels, examples, marks, refused)
    lines = sorted(f"{e.split}\t{';'.join(labels[i] for i in marks[e.path])}\t{e.digest}" for e in examples)
    whole = hashlib.sha256("\n".join([*labels, "", *lines]).encode()).hexdigest()
    several_of = marks if several else None
    train, validation, test = (_part(name, examples, several_of, len(labels)) for name in SPLITS)
    return Sounds(data, labels, train, validation, test, digest=whole, bad=tuple(sorted(refused)))


def _common(root: Path, files: Iterable[Path]) -> Path:
    """A folder that all files lie below: what was found out about them is remembered under its place."""
    return root if all(root in path.parents for path in files) else Path(root.anchor)


def _placed(examples: list[Example]) -> list[Example]:
    """Splits that the table does not tell are told by content, as `folders.scan` does."""
    told = {example.split for example in examples if example.split}
    if told:
        examples = [example if example.split else replace(example, split="train") for example in examples]
    placed = folders.divided(examples, given=bool(told), validation="validation" in told)
    return sorted(placed, key=lambda example: example.path)


def _require_training(data: str, labels: tuple[str, ...], examples: list[Example], marks, bad) -> None:
    trained = {label for example in examples if example.split == "train" for label in marks[example.path]}
    missing = [label for place, label in enumerate(labels) if place not in trained]
    if missing:
        reason = f"; of {len(bad)} bad files the first: {shown(bad[0][0])} {bad[0][1]}" if bad else ""
        raise InputError(f"{data} has no usable file for training of {', '.join(missing[:5])}; add some{reason}")


def _part(name: str, examples: list[Example], marks: dict | None, labels: int) -> Split:
    chosen = [example for example in examples if example.split == name]
    truth = np.array([example.label for example in chosen], np.int64)
    if marks is not None:
        truth = np.zeros((len(chosen), labels), np.uint8)
        for row, example in zip(truth, chosen, strict=True):
            row[marks[example.path]] = 1
    return Split(tuple(example.path for example in chosen), truth, tuple(example.digest for example in chosen))


def _from_folder(folder: Path, progress: Callable | None) -> Sounds:
    scan = folders.scan(folder, progress, decode=clips.check, extensions=clips.EXTENSIONS)

    def part(name: str) -> Split:
        digests = tuple(example.digest for example in scan.examples if example.split == name)
        return Split(tuple(scan.files(name)), scan.labels_of(name), digests)

    train, validation, test = map(part, SPLITS)
    return Sounds(
        str(folder),
        scan.labels,
        train,
        validation,
        test,
        digest=scan.digest,
        bad=scan.bad,
        duplicates=scan.duplicates,
        warnings=scan.warnings,
    )
