"""The verbs that applications share: `predict` for every classifier, `export` for all."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer

from convmedia.apps._commands import (
    Engine,
    EngineChoice,
    Examples,
    ExportOut,
    FilesFrom,
    Folder,
    Formats,
    Inputs,
    InputsOrList,
    Json,
    MayLose,
    Model,
    Quantize,
    Rows,
    Top,
    Workers,
    counted,
    given,
    load_pipelines,
    note,
    percent,
    say,
    tell,
    to_json,
    use_backend,
)
from convmedia.apps._early import all_missing, required
from convmedia.apps._exports import export_of, smaller_of, tested_on, with_smaller  # noqa: F401  a verb, too
from convmedia.apps._notes import remarked
from convmedia.apps._shares import doubts
from convmedia.data.files import locked, shown
from convmedia.data.text import plural


def add(
    command: typer.Typer,
    app: str,
    examples: Callable[[str | None], Sequence],
    labelled: Callable[[str, str | None, str | None], Any],
    before: Callable[[Any], Any],
    bundled: str | None = None,
) -> None:
    """Add `predict`, `export` and `explain` to a classifier of pictures.

    Args:
        examples: gives raw pictures of a set, or of the bundled one, to verify exports with.
        labelled: gives a set, with the groups of `--group` and the fold of `--fold`, on whose test split quantised
            files are measured.
        bundled: the set that the shipped weights are measured on without --data.
        before: gives the first filters before training of a predictor, or None where they are not known.
    """

    @command.command("predict")
    def predict_files(
        inputs: InputsOrList = None,
        files_from: FilesFrom = None,
        model: Model = None,
        top: Top = None,
        as_json: Json = False,
        out: Rows = None,
        engine: EngineChoice = Engine.local,
        workers: Workers = None,
    ) -> int:
        """Say what each picture shows."""
        from convmedia.data.images import decode, find

        required(app, model)
        named = given(inputs, files_from)
        missing = all_missing(named, decode) if out is None and model is None else []
        if missing:
            return printed(missing, as_json, line_of)
        use_backend(None)
        from convmedia.apps._engines import Answering

        files = find(named, note)
        return predict(Answering(app, model, top), files, as_json, out, engine, workers)

    @command.command("export")
    def export_files(
        model: Model = None,
        format: Formats = [],  # noqa: B006
        quantize: Quantize = [],  # noqa: B006
        tolerance: MayLose = None,
        out: ExportOut = None,
        data: Examples = None,
        as_json: Json = False,
    ) -> int:
        """Write SavedModel, ONNX and LiteRT files, each proved in its own runtime to answer as the model does."""
        required(app, model)
        use_backend(None)
        from convmedia.apps._classifiers import trial
        from convmedia.apps._runs import fold_of, group_of

        names = with_smaller(format, quantize)
        predictor = model_of(app, model)
        tested = tested_on(model, data, bundled)
        parted = (group_of(model, tested), fold_of(model, tested)) if tested else (None, None)
        return export_of(
            predictor,
            model,
            names,
            out,
            lambda: examples(data),
            as_json,
            trial=lambda _: trial(predictor, labelled, tested, *parted),
            loss_tolerance=tolerance,
        )

    @command.command("explain")
    def explain_files(inputs: Inputs, out: Folder, model: Model = None) -> int:
        """Draw the first filters before and after training, each layer's maps and Grad-CAM for each picture."""
        return explain(app, inputs, out, model, before)


def train(
    app: str,
    context: typer.Context,
    out: Path,
    resume: bool,
    overwrite: bool,
    train_run: Callable[..., dict[str, Any]],
    line: Callable[[str, dict[str, Any]], str] | None = None,
    *,
    distribute: bool,
) -> None:
    """The `train` verb: `train_run` makes a run complete and gives its record, `line` says one row of its metrics."""
    load_pipelines()
    from convmedia.apps import _distributed
    from convmedia.apps._runs import open_run

    opened = partial(open_run, app, context, out, resume, overwrite)
    with _distributed.joined(distribute), _distributed.everywhere(opened) as run:
        if run.complete:
            at = run.record.get("diverged")
            more = f"it diverged in epoch {at['epoch']} and goes no further" if at else "more --epochs continue it"
            say(f"{out} is complete; {more}")
            return
        metrics = train_run(run)["metrics"]
        if _distributed.rank() == 0:
            print_trained(out, metrics, line)


def print_trained(out: Path, metrics: dict[str, Any], line: Callable[[str, dict[str, Any]], str] | None) -> None:
    """The figures of a complete run, and where it is.

    Args:
        line: says the figures of one split; None for those of a classifier.
    """
    from convmedia.apps._classifiers import accuracy_line

    width = max(map(len, metrics))
    for name, figures in metrics.items():
        tell(f"{name:{width}}  {(line or accuracy_line)(name, figures)}")
    for doubt in doubts(metrics):
        note(doubt)
    tell(f"run {out}, report {out / 'report.html'}")


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
        answering: an `_engines.Answering`.
        told: called with each sound and its own sample rate, Hz, or a remark about what is done to it.
        line: says a row for a person; `line_of` where it is left out.
    """
    from convmedia.apps import _engines, _rows

    answering.predictor  # noqa: B018  what is wrong with the model is said here, and by no actor

    def rows_of(files: list[Path]) -> Iterable[dict[str, Any]]:
        if engine == Engine.ray:
            return remarked(_engines.answered(answering, files, workers))
        return remarked(answering.rows(files, told))

    if out is not None:
        return _rows.to_file(rows_of, files, as_json, out)
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
    """One row of predictions for a person: file, label, probability, runners-up."""
    if "error" in row:
        return f"{shown(row['file'])}\terror: {row['error']}"
    file = shown(row["file"])
    others = ", ".join(f"{shown(entry['label'])} {percent(entry['score'])}" for entry in row["top"][1:3])
    return f"{file}\t{shown(row['label'])}\t{percent(row['score'])}" + (f"\t({others})" if others else "")


def made_line(row: dict[str, Any]) -> str:
    """One row of a verb that makes pictures of pictures: file, result, size, seconds."""
    what = f"error: {row['error']}" if "error" in row else shown(row["out"])
    size = "" if "error" in row else f"\t{row['width']}x{row['height']}\t{row['seconds']:.1f} s"
    return f"{shown(row['file'])}\t{what}{size}"


def make(worker, inputs: list[str], out: Path, settings: dict[str, Any], engine: Engine, workers, as_json) -> int:
    """The verbs that make pictures of pictures: rows as they come and in `out`, and a summary; 1 if any file failed.

    Args:
        worker: an `_upscaling.Enlarging`, or what has its `pairs` and `rows`.
        settings: what the pictures depend on beside the files.
    """
    from convmedia.apps import _making
    from convmedia.apps._rows import Results, busy

    out.mkdir(parents=True, exist_ok=True)
    with locked(out, busy(out)):
        results = Results(out, settings)
        done = results.rows
        if done:
            already = plural(len(done), "file")
            say(f"{already} done already, in {shown(results.path)} from a call that was cut short; going on")
        pairs = worker.pairs(inputs, out)
        by_actors = engine == Engine.ray
        made = _making.made_by_actors(worker, pairs, done, workers) if by_actors else worker.rows(pairs, done)
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


def explain(app: str, inputs: list[str], out: Path, model: str | None, before) -> int:
    """The `explain` verb of every classifier of pictures: filters, maps and Grad-CAM; 1 if any file failed.

    Args:
        before: gives the first filters before training of a predictor, or None where they are not known.
    """
    required(app, model)
    use_backend(None)
    from convmedia.apps._classifiers import explained
    from convmedia.data.images import find

    predictor = model_of(app, model)
    files = find(inputs, note)
    failed = 0
    for file, written in counted(explained(predictor, files, out, before(predictor)), len(files), "drawing"):
        failed += isinstance(written, str)
        tell(f"{shown(file)}\terror: {written}" if isinstance(written, str) else "\n".join(map(str, written)))
    return int(failed > 0)


def model_of(app: str, model: str | None):
    """The predictor that `--model` names, or the one that this package ships for the application."""
    from convmedia.models import load, shipped

    return shipped(app) if model is None else load(model, app=app)
