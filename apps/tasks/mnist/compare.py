"""The inversion experiment: what four trainings read in the same pictures."""

from pathlib import Path
from typing import Any

from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import percent, table
from convmedia.apps.reporting.shares import counted as share_said
from convmedia.apps.runs.run_folder import Run, write_text
from convmedia.data.images import decoding
from convmedia.data.images.views import reduced

ALL = slice(None)


def compared(run: Run, parts: list[tuple[str, Run]], files: list[Path]) -> dict[str, Any]:
    """The inversion experiment's result: figures of each training and what it answers to each file."""
    from convmedia.models import load

    rows = []
    for name, part in parts:
        predictor = load(part.folder)
        rows.append(
            {
                "training": name,
                "run": str(part.folder),
                "examples": part.record["data"]["train"],
                "metrics": part.record["metrics"],
                "answers": predictor.predict_files(files, top=1),
            }
        )
    result = {"pictures": [str(file) for file in files], "trainings": rows}
    write_text(run.folder / "compare.json", to_json(result, indent=2) + "\n")
    comparison_report(run, result)
    accuracies = {row["training"]: {k: f["accuracy"] for k, f in row["metrics"].items()} for row in rows}
    run.finish(metrics=accuracies)
    return result


def comparison_rows(result: dict[str, Any], pictures: slice = ALL) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a training in each row; the two accuracies, then a picture in each column."""
    names = [Path(file).name for file in result["pictures"][pictures]]
    rows = []
    for training in result["trainings"]:
        answered = training["answers"][pictures]
        cells = ["error" if "error" in row else f"{row['label']} {percent(row['score'])}" for row in answered]
        splits = (training["metrics"][split] for split in ("test", "inverted"))
        accuracies = [share_said(one["accuracy"], one["examples"]) for one in splits]
        rows.append([training["training"], *accuracies, *cells])
    return ["training", "test", "inverted", *names], rows


def comparison_table(result: dict[str, Any], across: int = 6) -> str:
    """The result for a terminal, `across` pictures in a row."""
    starts = range(0, len(result["pictures"]), across)
    return "\n\n".join(table(*comparison_rows(result, slice(start, start + across))) for start in starts)


def comparison_report(run: Run, result: dict[str, Any]) -> None:
    """`report.html` of the inversion experiment."""
    from convmedia.apps.reporting.html import Report

    report = Report("The inversion experiment", "The same pictures read after several trainings")
    report.text(
        "A network that saw only light ink on dark ground is lost when the ink is dark. Trained on each picture and "
        "its inversion, 255 - pixel, it reads both; the default preparation finds the ink and needs neither."
    )
    header, rows = comparison_rows(result)
    report.table("Answers and accuracies", header, rows)
    good = [row["file"] for row in result["trainings"][0]["answers"] if "error" not in row]
    report.pictures("Pictures", [(reduced(decoding.decode(file)), Path(file).name) for file in good])
    report.facts("Arguments", run.arguments)
    report.write(run.folder / "report.html")
