"""The verbs that applications share: `predict` for every classifier, `export` for all."""

from collections.abc import Callable, Iterable, Sequence
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
    Format,
    Formats,
    Inputs,
    InputsOrList,
    Json,
    Model,
    Rows,
    Top,
    Workers,
    counted,
    given,
    load_pipelines,
    percent,
    say,
    table,
    to_json,
    use_backend,
)
from convmedia.data.files import shown


def add(
    command: typer.Typer, app: str, examples: Callable[[str | None], Sequence], before: Callable[[Any], Any]
) -> None:
    """Add `predict`, `export` and `explain` to a classifier of pictures.

    Args:
        examples: gives raw pictures of a set, or of the bundled one, to verify exports with.
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
        use_backend(None)
        from convmedia.apps._engines import Answering
        from convmedia.data.images import find

        files = find(given(inputs, files_from))
        return predict(Answering(app, model, top), files, as_json, out, engine, workers)

    @command.command("export")
    def export_files(
        model: Model = None,
        format: Formats = [*Format],  # noqa: B006
        out: ExportOut = None,
        data: Examples = None,
        as_json: Json = False,
    ) -> int:
        """Write SavedModel, ONNX and LiteRT files, each proved in its own runtime to answer as the model does."""
        return export(app, model, [str(name) for name in format], out, lambda: examples(data), as_json)

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
    distribute: bool = False,
) -> None:
    """The `train` verb: `train_run` makes a run complete and gives its record, `line` says one row of its metrics."""
    load_pipelines()
    from convmedia.apps import _distributed
    from convmedia.apps._runs import open_run

    opened = partial(open_run, app, context, out, resume, overwrite)
    with _distributed.joined(distribute), _distributed.everywhere(opened) as run:
        if run.complete:
            say(f"{out} is complete; more --epochs continue it")
            return
        metrics = train_run(run)["metrics"]
        if _distributed.rank() == 0:
            print_trained(out, metrics, line)


def print_trained(out: Path, metrics: dict[str, Any], line: Callable[[str, dict[str, Any]], str] | None) -> None:
    """The figures of a complete run, and where it is."""
    width = max(map(len, metrics))
    for name, figures in metrics.items():
        print(f"{name:{width}}  {line(name, figures) if line else 'accuracy ' + percent(figures['accuracy'])}")
    print(f"run {out}, report {out / 'report.html'}")


def predict(
    answering,
    files: list[Path],
    as_json: bool,
    out: Path | None,
    engine: Engine,
    workers: int | None,
    told: Callable[[str, int], None] | None = None,
    line: Callable[[dict[str, Any]], str] | None = None,
) -> int:
    """The `predict` verb of every classifier: rows in the order given; 1 if any file failed.

    Args:
        answering: an `_engines.Answering`.
        told: called with each sound and its own sample rate, Hz.
        line: says a row for a person; `line_of` where it is left out.
    """
    from convmedia.apps import _engines, _rows

    answering.predictor  # noqa: B018  what is wrong with the model is said here, and by no actor

    def rows_of(files: list[Path]) -> Iterable[dict[str, Any]]:
        if engine == Engine.ray:
            return _engines.ray_rows(answering, files, workers)
        return answering.rows(files, told)

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
            print(line(row), flush=True)
    if as_json:
        print(to_json(kept, indent=2))
    return int(failed)


def line_of(row: dict[str, Any]) -> str:
    """One row of predictions for a person: file, label, probability, runners-up."""
    if "error" in row:
        return f"{shown(row['file'])}\terror: {row['error']}"
    file = shown(row["file"])
    others = ", ".join(f"{entry['label']} {percent(entry['score'])}" for entry in row["top"][1:3])
    return f"{file}\t{row['label']}\t{percent(row['score'])}" + (f"\t({others})" if others else "")


def made_line(row: dict[str, Any]) -> str:
    """One row of a verb that makes pictures of pictures: file, result, size, seconds."""
    what = f"error: {row['error']}" if "error" in row else shown(row["out"])
    size = "" if "error" in row else f"\t{row['width']}x{row['height']}\t{row['seconds']:.1f} s"
    return f"{shown(row['file'])}\t{what}{size}"


def print_made(rows: Iterable[dict[str, Any]], results, as_json: bool) -> int:
    """Rows of a verb that makes pictures, as they come and into `results`, a `_rows.Results`; 1 if any file failed."""
    if results.rows:
        say(f"{len(results.rows)} files are in {results.path} from a call that was cut short; going on")
    failed = any("error" in row for row in results.rows.values())
    return printed(results.kept(rows), as_json, made_line) or int(failed)


def explain(app: str, inputs: list[str], out: Path, model: str | None, before) -> int:
    """The `explain` verb of every classifier of pictures: filters, maps and Grad-CAM; 1 if any file failed.

    Args:
        before: gives the first filters before training of a predictor, or None where they are not known.
    """
    use_backend(None)
    from convmedia.apps._classifiers import explained
    from convmedia.data.images import find

    predictor = model_of(app, model)
    files = find(inputs)
    failed = 0
    for file, written in counted(explained(predictor, files, out, before(predictor)), len(files), "drawing"):
        failed += isinstance(written, str)
        print(f"{shown(file)}\terror: {written}" if isinstance(written, str) else "\n".join(map(str, written)))
    return int(failed > 0)


def model_of(app: str, model: str | None):
    """The predictor that `--model` names, or the one that this package ships for the application."""
    from convmedia.models import load, shipped

    return shipped(app) if model is None else load(model, app=app)


def export(app: str, model: str | None, formats: list[str], out: Path | None, data, as_json: bool) -> int:
    """The `export` verb of every classifier."""
    use_backend(None)
    return export_of(model_of(app, model), model, formats, out, data, as_json)


def export_of(
    predictor, model: str | None, formats: list[str], out: Path | None, data, as_json: bool, **limits: float
) -> int:
    """The `export` verb of every application: write, verify in a child process, say what was refused.

    Args:
        data: gives raw examples where the model has no `examples.npz` beside it.
        limits: `tolerance`, where it is not what `exporting.export` has.
    """
    from convmedia.models.exporting import export as write
    from convmedia.models.exporting import read_examples

    run = None if model is None else Path(model) if Path(model).is_dir() else Path(model).parent
    kept = run / "examples.npz" if run else None
    examples = read_examples(kept) if kept and kept.exists() else data()
    default = run / "export" if run and (run / "run.json").exists() else Path(f"{predictor.app}-export")
    say(f"exporting {', '.join(formats)} and verifying each on {len(examples)} examples ...")
    parity = write(predictor, formats, out or default, examples, **limits)
    if as_json:
        print(to_json(parity, indent=2))
    else:
        print_parity(parity, out or default)
    return int(any("refused" in figures for figures in parity.values()))


def print_parity(parity: dict[str, Any], out: Path) -> None:
    """The verified files and their figures as a table; refusals with their reason."""
    good = {name: figures for name, figures in parity.items() if "refused" not in figures}
    if good:
        header = ["format", "max difference", "same top label", "bytes", "ms each"]
        rows = [
            [
                name,
                f"{f['max_abs_diff']:.1e}",
                "-" if f["same_top1"] is None else percent(f["same_top1"]),
                f["bytes"],
                f"{1e3 * f['seconds_per_example']:.2f}",
            ]
            for name, f in good.items()
        ]
        print(table(header, rows))
        print(f"written to {out}")
    for name, figures in parity.items():
        if "refused" in figures:
            print(f"{name} refused: {figures['refused']}")
