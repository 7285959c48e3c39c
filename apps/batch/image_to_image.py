"""Pictures made of picture files, many of them: `upscale` and `apply`.

While one is computed the next ones are read and the one before is written.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from convmedia.apps.batch import worker as batch_worker
from convmedia.apps.console.terminal import note
from convmedia.data.images import decoding, frames, lossless
from convmedia.data.images.frames import Frames
from convmedia.data.images.lossless import Original
from convmedia.data.storage import memory
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import fitting, shown
from convmedia.data.storage.parallel import in_order
from convmedia.models.inference.file_predictor import within_memory

Row = dict[str, Any]
Pair = tuple[Path, Path]  # a file, and its result without the suffix
AHEAD = 2  # pictures that are read before they are needed
PIXELS_AHEAD = 50_000_000  # of those, together: 150 MB, or 300 MB with 16 bits
COPIES = 3  # of all frames of a result, while they are written
TASK_PICTURES = 8  # that an actor is given at once


@dataclass(frozen=True)
class Made:
    """What became of a file.

    Attributes:
        picture: the result.
        facts: of it, for the row.
        beside: writes what else is wanted, in the thread that writes.
    """

    picture: Original
    facts: dict[str, Any]
    beside: Callable[[], None] | None = None


@dataclass(frozen=True)
class Result:
    """What is made of a file: a picture, or several frames.

    Attributes:
        made: of each frame that was read.
        content: the file's.
    """

    made: list[Made]
    content: Frames

    @property
    def pictures(self) -> list[Original]:
        return [one.picture for one in self.made]

    @property
    def facts(self) -> dict[str, Any]:
        """Of the file, for the row: "frames" where it has several, and "notes" where there are some."""
        count, notes = self.content.count, [*self.content.pictures[0].notes]
        if count > len(self.made):
            notes.append(f"has {count} frames or pages, of which the first one is made; --frames makes all")
        return ({"frames": count} if count > 1 else {}) | ({"notes": notes} if notes else {})

    def path(self, stem: Path, suffix: str) -> Path:
        """Where the result goes, or the first one of numbered files."""
        if len(self.made) == 1:
            return stem.with_name(stem.name + lossless.suffix_for(self.made[0].picture, suffix))
        if frames.holds(self.pictures, suffix):
            return stem.with_name(stem.name + suffix)
        return self.numbered(stem, suffix)[0]

    def numbered(self, stem: Path, suffix: str) -> list[Path]:
        """A file for each frame."""
        return [
            stem.with_name(f"{stem.name}_{place:04}{lossless.suffix_for(picture, suffix)}")
            for place, picture in enumerate(self.pictures, start=1)
        ]

    def write(self, path: Path) -> None:
        """Write all to what `path` gave."""
        if len(self.made) == 1:
            lossless.write(self.made[0].picture, path)
        elif frames.holds(self.pictures, path.suffix):
            frames.write(replace(self.content, pictures=self.pictures), path)
        else:
            stem = path.with_name(path.stem.removesuffix("_0001"))
            for picture, place in zip(self.pictures, self.numbered(stem, path.suffix), strict=True):
                lossless.write(picture, place)


def within(given: Iterable[str], out: Path) -> list[tuple[Path, Path]]:
    """Files, and the files of folders, with their place below the folder; those in an `out` below it are results.

    Raises:
        InputError: a folder without pictures, where nothing else is given.
    """
    found: list[tuple[Path, Path]] = []
    for folder in map(Path, given):
        if not folder.is_dir():
            found.append((folder, Path(folder.name)))
            continue
        results = out.resolve() if folder.resolve() in out.resolve().parents else None
        files = [
            file for file in decoding.find([folder], note) if results is None or results not in file.resolve().parents
        ]
        found += [(file, file.relative_to(folder)) for file in files]
    return found


def made(
    pairs: Sequence[Pair],
    make: Callable[[Path, Path, Original], Made],
    done: Mapping[str, Row],
    every_frame: bool = False,
) -> Iterator[Row]:
    """Rows in the order of the files: {"file", "out", "width", "height", ..., "seconds"}, or {"file", "error"}.

    Of files with several frames or pages the row has their number as "frames"; remarks are its "notes".

    Args:
        make: (file, result without suffix, what was read) to the result; called for one file after the other.
        done: rows of files that are left out, and whose results are not replaced.
        every_frame: whether all frames are made, in a file of the same kind or in numbered ones, not only the first.

    Raises:
        OSError: as writing raises it; what is under a final name is complete.
    """
    names = {Path(row["out"]) for row in done.values() if "out" in row}
    left = [(Path(file), Path(stem)) for file, stem in pairs if str(file) not in done]
    last = None
    with (
        ThreadPoolExecutor(1) as writer,
        closing(
            in_order(partial(read, every=every_frame), (file for file, _ in left), AHEAD, decoding.pixels, PIXELS_AHEAD)
        ) as contents,
    ):
        for (file, stem), (content, error, seconds) in zip(left, contents, strict=True):
            began = time.perf_counter()
            try:
                if error or content is None:
                    raise InputError(error)
                with within_memory(shown(file)):
                    result = all_frames(partial(make, file, stem), content)
                path = result.path(stem, file.suffix)
                with fitting(file):
                    taken = path in names or (path.exists() and path.samefile(file))
                if taken:
                    raise InputError(f"{shown(file)} would replace {shown(path)}: give it another --out")
            except InputError as wrong:
                current = writer.submit(dict, file=str(file), error=str(wrong))
            else:
                names.add(path)
                current = writer.submit(written, file, path, result, seconds + time.perf_counter() - began)
            if last:
                yield last.result()
            last = current
        if last:
            yield last.result()


def all_frames(make: Callable[[Original], Made], content: Frames) -> Result:
    """The result of each picture that was read.

    Raises:
        InputError: as `make`; all together they need more memory than there is.
    """
    made = []
    for picture in content.pictures:
        made.append(make(picture))
        if len(made) == 1 < len(content.pictures):
            needed = COPIES * made[0].picture.colour.nbytes * len(content.pictures)
            memory.require(needed, f"the result of {len(content.pictures)} frames")
    return Result(made, content)


def read(file: Path, every: bool = False) -> tuple[Frames | None, str, float]:
    """The first picture of a file or every one, or what is wrong with the file; and the seconds that it took."""
    began = time.perf_counter()
    try:
        return frames.read(file, every), "", time.perf_counter() - began
    except InputError as error:
        return None, str(error), 0.0


def written(file: Path, path: Path, result: Result, seconds: float) -> Row:
    """Write a result: its row."""
    began, first = time.perf_counter(), result.made[0]
    try:
        with within_memory(shown(file)), fitting(file):
            result.write(path)
            if first.beside:
                first.beside()
    except InputError as error:
        return {"file": str(file), "error": str(error)}
    height, width = first.picture.colour.shape[:2]
    facts = {**first.facts, **result.facts, "seconds": round(seconds + time.perf_counter() - began, 3)}
    return {"file": str(file), "out": str(path), "width": width, "height": height, **facts}


def made_by_actors(worker: Any, pairs: Sequence[Pair], done: Mapping[str, Row], workers: int | None) -> Iterator[Row]:
    """The rows of `worker.rows(pairs, done)`, in their order, made as `worker.by_ray` does."""
    chosen = tasks(pairs, done, TASK_PICTURES)
    parts = ([[list(map(str, pairs[place])) for place in places], rows] for places, rows in chosen)
    order = deque(sorted(place for places, _ in chosen for place in places))
    early: dict[int, Row] = {}
    for (places, _), rows in zip(chosen, batch_worker.by_ray(worker, parts, workers), strict=True):
        early.update(zip(places, rows, strict=True))
        while order and order[0] in early:
            yield early.pop(order.popleft())


def tasks(pairs: Sequence[Pair], done: Mapping[str, Row], size: int) -> list[tuple[list[int], dict[str, Row]]]:
    """What is left to do in tasks of about `size` pairs: their places, and rows that concern them.

    Pairs with one result are in one task, which sees that they clash.
    """
    rows: dict[Path, dict[str, Row]] = {}
    for name, row in done.items():
        if "out" in row:
            rows.setdefault(Path(row["out"]).with_suffix(""), {})[name] = row
    same: dict[Path, list[int]] = {}
    for place, (file, stem) in enumerate(pairs):
        if str(file) not in done:
            same.setdefault(stem, []).append(place)
    found = []
    for start in range(0, len(same), size):
        stems = list(same)[start : start + size]
        concerned = {name: row for stem in stems for name, row in rows.get(stem, {}).items()}
        found.append(([place for stem in stems for place in same[stem]], concerned))
    return found
