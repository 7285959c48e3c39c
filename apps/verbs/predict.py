"""The `predict` verb of every classifier."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from convmedia.apps.cli.options import (
    Engine,
)
from convmedia.apps.console.progress import counted
from convmedia.apps.console.remarks import remarked
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import percent, tell
from convmedia.data.storage.files import shown


def predict(
    answering,
    files: list[Path],
    as_json: bool,
    out: Path | None,
    engine: Engine,
    workers: int | None,
    told: Callable[[str, int | str], None] | None = None,
    line: Callable[[dict[str, Any]], str] | None = None,
) -> int:
    """The `predict` verb of every classifier: rows in the order given; 1 if any file failed.

    Args:
        answering: an `worker.Answering`.
        told: called with each sound and its own sample rate, Hz, or a remark about what is done to it.
        line: says a row for a person; `line_of` where it is left out.
    """
    from convmedia.apps.batch import results, worker

    runtime = answering.predictor.runtime  # what is wrong with the model is said here, and by no actor

    def rows_of(files: list[Path]) -> Iterable[dict[str, Any]]:
        if engine == Engine.ray:
            return remarked(worker.answered(answering, files, workers))
        return remarked(answering.rows(files, told))

    if out is not None:
        return results.to_file(rows_of, files, as_json, out, runtime)
    return printed(counted(rows_of(files), len(files), "predicting"), as_json, line or line_of)


def printed(rows: Iterable[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> int:
    """Rows as they come, a line for each, or one JSON list; 1 if any file failed."""
    failed, kept = False, []
    for row in rows:
        failed |= "error" in row
        if as_json:
            kept.append(row)
        else:
            tell(line(row), flush=True)
    if as_json:
        tell(to_json(kept, indent=2))
    return int(failed)


def line_of(row: dict[str, Any]) -> str:
    """One row of predictions for a person: file, label, probability, runners-up; or its labels; or its number."""
    if "error" in row:
        return f"{shown(row['file'])}\terror: {row['error']}"
    file = shown(row["file"])
    if "value" in row:
        return f"{file}\t{shown(row['target'])}\t{row['value']:.6g}"
    if "labels" in row:
        named = ", ".join(f"{shown(entry['label'])} {percent(entry['score'])}" for entry in row["labels"])
        return f"{file}\t{named or 'no label'}"
    others = ", ".join(f"{shown(entry['label'])} {percent(entry['score'])}" for entry in row["top"][1:3])
    return f"{file}\t{shown(row['label'])}\t{percent(row['score'])}" + (f"\t({others})" if others else "")
