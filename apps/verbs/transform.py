"""The verbs that make pictures of pictures."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convmedia.apps.cli.options import (
    Engine,
)
from convmedia.apps.console.remarks import remarked
from convmedia.apps.console.terminal import say
from convmedia.apps.verbs.predict import printed
from convmedia.data.storage.files import locked, shown
from convmedia.data.storage.text import plural


def made_line(row: dict[str, Any]) -> str:
    """One row of a verb that makes pictures of pictures: file, result, size, seconds."""
    what = f"error: {row['error']}" if "error" in row else shown(row["out"])
    size = "" if "error" in row else f"\t{row['width']}x{row['height']}\t{row['seconds']:.1f} s"
    return f"{shown(row['file'])}\t{what}{size}"


def make(worker, inputs: list[str], out: Path, settings: dict[str, Any], engine: Engine, workers, as_json) -> int:
    """The verbs that make pictures of pictures: rows as they come and in `out`, and a summary; 1 if any file failed.

    Args:
        worker: an `upscale.Enlarging`, or what has its `pairs` and `rows`.
        settings: what the pictures depend on beside the files.
    """
    from convmedia.apps.batch import image_to_image
    from convmedia.apps.batch.results import Results, busy

    out.mkdir(parents=True, exist_ok=True)
    with locked(out, busy(out)):
        results = Results(out, settings)
        done = results.rows
        if done:
            already = plural(len(done), "file")
            say(f"{already} done already, in {shown(results.path)} from a call that was cut short; going on")
        pairs = worker.pairs(inputs, out)
        by_actors = engine == Engine.ray
        made = image_to_image.made_by_actors(worker, pairs, done, workers) if by_actors else worker.rows(pairs, done)
        began, errors = time.perf_counter(), Counter("error" in row for row in done.values())

        def seen() -> Iterator[dict[str, Any]]:
            for row in remarked(results.kept(made)):
                errors["error" in row] += 1
                yield row

        printed(seen(), as_json, made_line)
    seconds = time.perf_counter() - began
    counts = f"{plural(errors[False], 'picture')} made, {plural(errors[True], 'file')} with an error, {seconds:.1f} s"
    say(f"{counts}; rows: {shown(results.path)}")
    return int(errors[True] > 0)
