"""Pictures made of picture files, many of them: `upscale` and `apply`.

While one is computed the next ones are read and the one before is written.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convmedia.apps import _engines
from convmedia.data import images, originals
from convmedia.data.errors import InputError
from convmedia.data.files import fitting, shown
from convmedia.data.originals import Original
from convmedia.data.parallel import in_order
from convmedia.models.predicting import within_memory

Row = dict[str, Any]
Pair = tuple[Path, Path]  # a file, and its result without the suffix
AHEAD = 2  # pictures that are read before they are needed
PIXELS_AHEAD = 50_000_000  # of those, together: 150 MB, or 300 MB with 16 bits
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
        files = [file for file in images.find([folder]) if results is None or results not in file.resolve().parents]
        found += [(file, file.relative_to(folder)) for file in files]
    return found


def made(pairs: Sequence[Pair], make: Callable[[Path, Path, Original], Made], done: Mapping[str, Row]) -> Iterator[Row]:
    """Rows in the order of the files: {"file", "out", "width", "height", ..., "seconds"}, or {"file", "error"}.

    Args:
        make: (file, result without suffix, what was read) to the result; called for one file after the other.
        done: rows of files that are left out, and whose results are not replaced.

    Raises:
        OSError: as writing raises it; what is under a final name is complete.
    """
    names = {Path(row["out"]) for row in done.values() if "out" in row}
    left = [(Path(file), Path(stem)) for file, stem in pairs if str(file) not in done]
    last = None
    with (
        ThreadPoolExecutor(1) as writer,
        closing(in_order(read, (file for file, _ in left), AHEAD, images.pixels, PIXELS_AHEAD)) as contents,
    ):
        for (file, stem), (original, error, seconds) in zip(left, contents, strict=True):
            began = time.perf_counter()
            try:
                if error or original is None:
                    raise InputError(error)
                with within_memory(shown(file)):
                    result = make(file, stem, original)
                path = stem.with_name(stem.name + originals.suffix_for(result.picture, file.suffix))
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


def read(file: Path) -> tuple[Original | None, str, float]:
    """A picture, or what is wrong with its file; and the seconds that it took."""
    began = time.perf_counter()
    try:
        return originals.read(file), "", time.perf_counter() - began
    except InputError as error:
        return None, str(error), 0.0


def written(file: Path, path: Path, result: Made, seconds: float) -> Row:
    """Write a result: its row."""
    began = time.perf_counter()
    try:
        with within_memory(shown(file)), fitting(file):
            originals.write(result.picture, path)
            if result.beside:
                result.beside()
    except InputError as error:
        return {"file": str(file), "error": str(error)}
    height, width = result.picture.colour.shape[:2]
    seconds = round(seconds + time.perf_counter() - began, 3)
    return {"file": str(file), "out": str(path), "width": width, "height": height, **result.facts, "seconds": seconds}


def made_by_actors(worker: Any, pairs: Sequence[Pair], done: Mapping[str, Row], workers: int | None) -> Iterator[Row]:
    """The rows of `worker.rows(pairs, done)`, in their order, made as `_engines.by_ray` does."""
    chosen = tasks(pairs, done, TASK_PICTURES)
    parts = ([[list(map(str, pairs[place])) for place in places], rows] for places, rows in chosen)
    order = deque(sorted(place for places, _ in chosen for place in places))
    early: dict[int, Row] = {}
    for (places, _), rows in zip(chosen, _engines.by_ray(worker, parts, workers), strict=True):
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
