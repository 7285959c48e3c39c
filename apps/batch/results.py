"""Rows of many files, one for each, as JSON Lines, CSV or Parquet: written as they come, continued after a kill."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convmedia.apps.batch import csv_rows
from convmedia.apps.cli.row_formats import CSV, PARQUET, rows_file
from convmedia.apps.console.progress import counted
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import tell
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import locked, replacing, shown
from convmedia.data.storage.text import plural

Row = dict[str, Any]
PARQUET_ROWS = 10_000  # of one group
ROW_START = b'{"file": '
RESULTS = "results.jsonl"
UNFINISHED = ".unfinished.json"


def to_file(
    rows_of: Callable[[list[Path]], Iterable[Row]],
    files: Sequence[Path],
    as_json: bool,
    out: Path,
    runtime: str = "keras",
) -> int:
    """Append a row for each file that has none yet, and print a summary; 1 if any file failed.

    Args:
        rows_of: answers files, in their order.
        runtime: what computes, as `FilePredictor.runtime` says.
        out: JSON Lines, or with the suffix .csv or .parquet that; its rows wait in `out`.jsonl until all are there.
    """
    rows_file(out)
    with locked(out, busy(out)):
        summary = added(rows_of, files, out, runtime)
    new = plural(summary["files"] - summary["skipped"], "row")
    text = f"{new} added to {shown(out)}, {summary['skipped']} were there, {summary['errors']} with an error"
    tell(to_json(summary) if as_json else text)
    return int(summary["errors"] > 0)


def busy(out: Path) -> str:
    """What is said where another process writes to `--out`."""
    return f"{shown(out)} is in use by another process: wait for it or give another --out"


def added(
    rows_of: Callable[[list[Path]], Iterable[Row]], files: Sequence[Path], out: Path, runtime: str = "keras"
) -> dict[str, Any]:
    """As `to_file`, of which it is the part that no other process may do at the same time: the summary."""
    from convmedia.apps.runs.device import device_of

    lines = out
    waits = out.suffix.lower() in (CSV, PARQUET)
    if waits:
        lines = out.with_name(f"{out.name}.jsonl")
        if out.exists() and not lines.exists():
            unpack(out, lines)
    failed = finished(lines)
    left = [file for file in files if failed.keys().isdisjoint((str(file), shown(file)))]
    errors = sum(failed.values())
    with appending(lines) as append:
        for row in counted(rows_of(left), len(left), "predicting"):
            errors += "error" in row
            append(row)
    if waits:
        pack(lines, out)
    skipped = len(files) - len(left)
    facts = {"out": str(out), "files": len(files), "skipped": skipped, "errors": errors}
    return {**facts, "runtime": runtime, "device": device_of(runtime)}


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Row], None]]:
    """Gives what appends a row to a JSON Lines file, in the file before the next one is asked for; of a row that could
    not be written nothing stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:  # a buffer would write what failed once more when it is closed

        def append(row: Row) -> None:
            before, left = file.seek(0, os.SEEK_END), f"{to_json(row)}\n".encode()
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                file.truncate(before)
                raise

        yield append


def rows_in(path: Path) -> Iterator[Row]:
    """The complete rows of a JSON Lines file, in order; half a last row, left by a kill, is cut off.

    Raises:
        InputError: the file holds something else; it is left as it is.
    """
    other = InputError(f"{shown(path)} holds something else than rows about files; give another --out")
    if not path.exists():
        return
    complete = 0
    with path.open("rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                if line.startswith(ROW_START) or ROW_START.startswith(line):
                    break
                raise other
            try:
                row = json.loads(line)
                if not isinstance(row["file"], str):
                    raise TypeError
            except (ValueError, KeyError, TypeError) as error:
                raise other from error
            complete += len(line)
            yield row
    if complete < path.stat().st_size:
        with path.open("rb+") as stream:
            stream.truncate(complete)


def finished(path: Path) -> dict[str, bool]:
    """The files that have a row, and whether it is an error; as `rows_in`."""
    return {row["file"]: "error" in row for row in rows_in(path)}


class Results:
    """`results.jsonl` in a folder that pictures are written to: what was made there, continued after a kill.

    Rows are appended as pictures are made. A call that was cut short left a note of its settings; the same call goes
    on where it stopped. Any other starts a new file.

    Args:
        folder: where the pictures go; made where it is missing.
        settings: what the pictures depend on beside the files: JSON values.

    Attributes:
        rows: of an earlier call that was cut short, by file; those whose picture is gone are left out.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.note = folder / RESULTS, folder / UNFINISHED
        self.settings = json.loads(to_json(settings))
        rows = list(rows_in(self.path)) if self._cut_short() else []
        self.rows = {row["file"]: row for row in rows if "error" in row or Path(str(row.get("out", ""))).is_file()}
        with replacing(self.note) as beside:
            beside.write_text(to_json(self.settings), encoding="utf-8")
        with replacing(self.path) as beside:
            beside.write_text("".join(to_json(row) + "\n" for row in self.rows.values()), encoding="utf-8")

    def _cut_short(self) -> bool:
        try:
            return json.loads(self.note.read_text(encoding="utf-8")) == self.settings
        except (OSError, ValueError):
            return False

    def kept(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, each in the file before it is given on; at the end nothing is unfinished."""
        with appending(self.path) as append:
            for row in rows:
                append(row)
                yield row
        self.note.unlink(missing_ok=True)


def schema():
    """Columns of Parquet: what rows of every classifier may hold; what a row has not is null."""
    import pyarrow as pa

    score = [("label", pa.string()), ("score", pa.float64())]
    scores = pa.list_(pa.struct(score))
    window = pa.struct([("start", pa.float64()), ("end", pa.float64()), *score, ("labels", scores)])
    columns = [("file", pa.string()), *score, ("top", scores), ("labels", scores), ("windows", pa.list_(window))]
    return pa.schema([*columns, ("error", pa.string()), ("target", pa.string()), ("value", pa.float64())])


def pack(lines: Path, out: Path) -> None:
    """JSON Lines to CSV or Parquet, some rows at a time; the lines are removed once the file is complete."""
    if out.suffix.lower() == CSV:
        names = {name for row in rows_in(lines) for name in csv_rows.flat(row)}
        csv_rows.write(rows_in(lines), names, out)
    else:
        _pack_parquet(lines, out)
    lines.unlink()


def unpack(packed: Path, lines: Path) -> None:
    """CSV or Parquet that `pack` wrote back to JSON Lines, without what is null.

    Raises:
        InputError: it is no such file.
    """
    if packed.suffix.lower() == CSV:
        with replacing(lines) as beside, beside.open("w", encoding="utf-8") as stream:
            stream.writelines(to_json(row) + "\n" for row in csv_rows.read(packed))
    else:
        _unpack_parquet(packed, lines)


def _pack_parquet(lines: Path, out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(out) as beside, pq.ParquetWriter(beside, schema()) as writer:
        group: list[Row] = []
        for row in rows_in(lines):
            # Parquet holds UTF-8 only, file names are bytes.
            group.append({**row, "file": shown(row["file"])} if not row["file"].isprintable() else row)
            if len(group) == PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(group, schema()))
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema()))


def _unpack_parquet(packed: Path, lines: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(packed) as file, replacing(lines) as beside, beside.open("w", encoding="utf-8") as stream:
            columns = list(file.schema_arrow)
            if not columns or columns != list(schema())[: len(columns)]:  # a file of before has fewer of them
                raise InputError(f"{shown(packed)} holds something else than rows about files; give another --out")
            for batch in file.iter_batches(PARQUET_ROWS):
                stream.writelines(to_json(_without_null(row)) + "\n" for row in batch.to_pylist())
    except pa.ArrowException as error:
        raise InputError(f"{shown(packed)} is no Parquet file; give another --out") from error


def _without_null(value):
    if isinstance(value, dict):
        return {name: _without_null(part) for name, part in value.items() if part is not None}
    return [_without_null(part) for part in value] if isinstance(value, list) else value
