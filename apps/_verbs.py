"""The verbs that applications share: `predict` for every classifier, `export` for all."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer

from convmedia.apps._commands import (
    Examples,
    ExportOut,
    Folder,
    Format,
    Formats,
    Inputs,
    Json,
    MayLose,
    Model,
    Quantize,
    Rows,
    Smaller,
    Top,
    counted,
    percent,
    say,
    table,
    to_json,
    use_backend,
)
from convmedia.data.errors import InputError
from convmedia.data.files import shown


def add(
    command: typer.Typer,
    app: str,
    examples: Callable[[str | None], Sequence],
    labelled: Callable[[str], Any],
    before: Callable[[Any], Any],
    bundled: str | None = None,
) -> None:
    """Add `predict`, `export` and `explain` to a classifier of pictures.

    Args:
        examples: gives raw pictures of a set, or of the bundled one, to verify exports with.
        labelled: gives a set, on whose test split quantised files are measured.
        bundled: the set that the shipped weights are measured on without --data.
        before: gives the first filters before training of a predictor, or None where they are not known.
    """

    @command.command("predict")
    def predict_files(
        inputs: Inputs, model: Model = None, top: Top = None, as_json: Json = False, out: Rows = None
    ) -> int:
        """Say what each picture shows."""
        return predict(app, inputs, model, top, as_json, out)

    @command.command("export")
    def export_files(
        model: Model = None,
        format: Formats = [*Format],  # noqa: B006
        quantize: Quantize = [],  # noqa: B006
        tolerance: MayLose = None,
        out: ExportOut = None,
        data: Examples = None,
        as_json: Json = False,
    ) -> int:
        """Write SavedModel, ONNX and LiteRT files, each proved in its own runtime to answer as the model does."""
        use_backend(None)
        from convmedia.apps._classifiers import trial

        names = with_smaller(format, quantize)
        predictor = model_of(app, model)
        return export_of(
            predictor,
            model,
            names,
            out,
            lambda: examples(data),
            as_json,
            trial=lambda _: trial(predictor, labelled, tested_on(model, data, bundled)),
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
) -> None:
    """The `train` verb: `train_run` makes a run complete and gives its record, `line` says one row of its metrics."""
    from convmedia.apps._runs import open_run

    run = open_run(app, context, out, resume, overwrite)
    if run.complete:
        say(f"{out} is complete; more --epochs continue it")
        return
    metrics = train_run(run)["metrics"]
    width = max(map(len, metrics))
    for name, figures in metrics.items():
        print(f"{name:{width}}  {line(name, figures) if line else 'accuracy ' + percent(figures['accuracy'])}")
    print(f"run {out}, report {out / 'report.html'}")


def predict(app: str, inputs: list[str], model: str | None, top: int | None, as_json: bool, out: Path | None) -> int:
    """The `predict` verb of every classifier: rows in the order given; 1 if any file failed."""
    use_backend(None)
    from convmedia.data.images import find

    predictor = model_of(app, model)
    files = find(inputs)
    if out is not None:
        return predict_to_file(predictor, files, top, as_json, out)
    rows = []
    for row in counted(predictor.predict_rows(files, top=top), len(files), "predicting"):
        rows.append(row)
        if not as_json:
            print(line_of(row), flush=True)
    if as_json:
        print(to_json(rows, indent=2))
    return int(any("error" in row for row in rows))


def line_of(row: dict[str, Any]) -> str:
    """One row of predictions for a person: file, label, probability, runners-up."""
    if "error" in row:
        return f"{shown(row['file'])}\terror: {row['error']}"
    file = shown(row["file"])
    others = ", ".join(f"{entry['label']} {percent(entry['score'])}" for entry in row["top"][1:3])
    return f"{file}\t{row['label']}\t{percent(row['score'])}" + (f"\t({others})" if others else "")


def print_made(rows: Iterable[dict[str, Any]], as_json: bool) -> int:
    """What verbs that make pictures of pictures print, row by row as they come; 1 if any file failed."""
    made = []
    for row in rows:
        made.append(row)
        if as_json:
            continue
        what = f"error: {row['error']}" if "error" in row else shown(row["out"])
        size = "" if "error" in row else f"\t{row['width']}x{row['height']}\t{row['seconds']:.1f} s"
        print(f"{shown(row['file'])}\t{what}{size}", flush=True)
    if as_json:
        print(to_json(made, indent=2))
    return int(any("error" in row for row in made))


def predict_to_file(predictor, files, top, as_json, out: Path) -> int:
    """Append rows to a JSON Lines file, leaving out the files that are already in it, and print a summary."""
    done = finished(out)
    left = [file for file in files if str(file) not in done]
    errors = sum("error" in row for row in done.values())
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as stream:
        for row in counted(predictor.predict_rows(left, top=top), len(left), "predicting"):
            errors += "error" in row
            stream.write(to_json(row) + "\n")
            stream.flush()
    summary = {"out": str(out), "files": len(files), "skipped": len(files) - len(left), "errors": errors}
    text = f"{len(left)} rows added to {out}, {summary['skipped']} were there, {errors} with an error"
    print(to_json(summary) if as_json else text)
    return int(errors > 0)


ROW_START = b'{"file": '


def finished(out: Path) -> dict[str, dict[str, Any]]:
    """The complete rows of a JSON Lines file by their file; half a last row, left by a kill, is cut off.

    Raises:
        InputError: the file holds something else; it is left as it is.
    """
    if not out.exists():
        return {}
    content = out.read_bytes()
    complete = content.rfind(b"\n") + 1
    half = content[complete:]
    try:
        rows = [json.loads(line) for line in content[:complete].split(b"\n")[:-1]]
        done = {row["file"]: row for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{out} holds something else than rows of predictions; give another --out") from error
    if not (half.startswith(ROW_START) or ROW_START.startswith(half)):
        raise InputError(f"{out} holds something else than rows of predictions; give another --out")
    with out.open("rb+") as stream:
        stream.truncate(complete)
    return done


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


def with_smaller(formats: Sequence[Format], quantize: Sequence[Smaller]) -> list[str]:
    """Names of `exporting.FORMATS`: each format, and after it the quantised files that there are of it.

    Raises:
        InputError: none of the formats has such a file.
    """
    from convmedia.models.formats import FORMATS

    pairs = [f"{one}-{smaller}" for one in formats for smaller in quantize]
    for smaller in quantize:
        if not any(f"{one}-{smaller}" in FORMATS for one in formats):
            raise InputError(f"--quantize {smaller} is for {smaller_of(smaller)}; received {', '.join(formats)}")
    return [*map(str, formats), *(pair for pair in pairs if pair in FORMATS)]


def smaller_of(smaller: Smaller) -> str:
    """The formats that have such a file."""
    from convmedia.models.formats import FORMATS

    return " and ".join(f"--format {one}" for one in Format if f"{one}-{smaller}" in FORMATS)


def tested_on(model: str | None, data: str | None, bundled: str | None = None) -> str | None:
    """The set that a quantised file is measured on: --data, else what the run was trained on, where it is at hand.

    Args:
        bundled: what it is for the shipped weights.
    """
    from convmedia.apps._runs import recorded
    from convmedia.data import sources

    if data or model is None:
        return data or bundled
    record = recorded(Path(model) if Path(model).is_dir() else Path(model).parent)
    name = record["arguments"].get("data") if record else None
    at_hand = name and (Path(name).exists() or (name in sources.SOURCES and sources.locate(name) is not None))
    return name if at_hand else None


def export_of(
    predictor,
    model: str | None,
    formats: list[str],
    out: Path | None,
    data,
    as_json: bool,
    *,
    trial: Callable[[Sequence], Any],
    loss_tolerance: float | None = None,
    **limits: float,
) -> int:
    """The `export` verb of every application: write, verify in a child process, say what was refused.

    Args:
        data: gives raw examples where the model has no `examples.npz` beside it.
        trial: gives what quantised files are measured by, called with the examples; None measures likeness to Keras.
        loss_tolerance: what a quantised file may lose; None for what is usual of the trial's unit.
        limits: `tolerance`, where it is not what `exporting.export` has.
    """
    from convmedia.models.exporting import export as write
    from convmedia.models.exporting import read_examples
    from convmedia.models.formats import FORMATS

    run = None if model is None else Path(model) if Path(model).is_dir() else Path(model).parent
    kept = run / "examples.npz" if run else None
    examples = read_examples(kept) if kept and kept.exists() else data()
    measured = trial(examples) if any(FORMATS[name].quantised for name in formats) else None
    default = run / "export" if run and (run / "run.json").exists() else Path(f"{predictor.app}-export")
    say(f"exporting {', '.join(formats)} and verifying each on {len(examples)} examples ...")
    parity = write(
        predictor, formats, out or default, examples, trial=measured, loss_tolerance=loss_tolerance, **limits
    )
    if as_json:
        print(to_json(parity, indent=2))
    else:
        print_parity(parity, out or default)
    return int(any("refused" in figures for figures in parity.values()))


def print_parity(parity: dict[str, Any], out: Path) -> None:
    """The verified files and their figures as tables; refusals with their reason."""
    good = {name: figures for name, figures in parity.items() if "refused" not in figures}
    if good:
        header = ["format", "max difference", "same top label", "bytes", "ms each", "at 32", "MB at most"]
        rows = [
            [
                name,
                f"{f['max_abs_diff']:.1e}",
                "-" if f["same_top1"] is None else percent(f["same_top1"]),
                f["bytes"],
                *(f"{1e3 * f[cost]:.2f}" if cost in f else "-" for cost in ("seconds_at_1", "seconds_at_32")),
                round(f.get("peak_bytes", 0) / 1e6),
            ]
            for name, f in good.items()
        ]
        print(table(header, rows))
        for name, f in good.items():
            if "metric" in f:
                print(f"{name}: {worth(f)}")
        print(f"written to {out}")
    for name, figures in parity.items():
        if "refused" in figures:
            print(f"{name} refused: {figures['refused']}")


def worth(figures: dict[str, Any]) -> str:
    """What a quantised file is worth, before and after."""
    written = (lambda value: f"{value:.2f} dB") if "psnr" in figures["metric"] else percent
    before = "" if figures["before"] is None else f"{written(figures['before'])} before, "
    metric = figures["metric"].replace("_", " ")
    return f"{metric} {before}{written(figures['after'])} after ({figures['measured_on']})"
