"""The end of a classifier's training: figures, examples, `report.html`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convmedia.apps.classification import sureness
from convmedia.apps.classification.evaluation import headline, measure, raw_examples
from convmedia.apps.console.progress import said_if_long
from convmedia.apps.reporting.shares import doubts
from convmedia.apps.runs.run_folder import Run
from convmedia.data.folders.labelled import Labelled, truth_in
from convmedia.data.images.views import reduced
from convmedia.models.inference.predictor import Predictor


@said_if_long("measuring the model and writing the report")
def finish(
    run: Run,
    title: str,
    data: Labelled,
    history: list[dict[str, float]],
    measure: Callable[[Predictor, Any], tuple[dict[str, Any], np.ndarray]] = measure,
    extra: Callable[[Any, Predictor], None] | None = None,
    headline: Callable[[dict[str, Any]], dict[str, str]] = headline,
    drawn: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Measure the saved file, keep examples for exports, write the report and complete `run.json`.

    Args:
        measure: gives the figures of each split, and the answers to the test pictures.
        extra: adds an application's own part to the report, called with it and the loaded file.
        headline: the few numbers that the report begins with, of the figures of each split.
        drawn: adds what the answers tell to the report, called with it, the loaded file, the data, the figures and the
            answers; None for answers of one label.
    """
    from convmedia.models import load
    from convmedia.models.answer import PICTURE
    from convmedia.models.export.examples import write_examples

    predictor = load(run.folder, app=run.record["app"])
    write_examples(run.folder / "examples.npz", raw_examples(data.train.pictures))
    metrics, probabilities = measure(predictor, data)
    parts = headline(metrics), drawn or classified
    write_report(run, title, predictor, data, history, metrics, probabilities, extra, parts)
    run.finish(history, input=PICTURE, metrics=metrics, data=data.facts)
    return run.record


def write_report(run: Run, title, predictor, data: Labelled, history, metrics, probabilities, extra, parts) -> None:
    """`report.html` of one training.

    Args:
        parts: the numbers that it begins with, and what draws the answers, as of `finish`.
    """
    from convmedia.apps.reporting.charts import curves
    from convmedia.apps.reporting.html import Report
    from convmedia.apps.training.checkpoints import kept_epoch

    numbers, drawn = parts
    report = Report(title, f"{predictor.details['network']} trained on {data.name}, {len(data.train):,} pictures")
    parameters = f"{predictor.model.count_params():,}"
    report.headline({**numbers, "epochs": len(history), "parameters": parameters})
    if len(history) > 1:
        series = {name: [row[name] for row in history] for name in history[0] if name not in ("epoch", "seconds")}
        report.figure("Training", curves(series, kept_epoch(run)))
    drawn(report, predictor, data, metrics, probabilities)
    if not run.record.keys().isdisjoint(("calibration", "none_of_these")):
        labels = predictor.labels or []
        sureness.told(report, run, labels, probabilities, truth_in(labels, data))
    if extra:
        extra(report, predictor)
    write_end(report, run, data, metrics)


def classified(report, predictor: Predictor, data: Labelled, metrics: dict[str, Any], probabilities) -> None:
    """What answers of one label tell."""
    from convmedia.apps.reporting.classification import classification

    labels = predictor.labels or []
    tested = partial(tested_picture, data)
    classification(report, probabilities, truth_in(labels, data), labels, pictures=tested)


def tested_picture(data: Labelled, index: int) -> tuple[np.ndarray, str]:
    """A test picture, reduced to 256 px, and what it is called."""
    paths = getattr(data.test.pictures, "paths", None)
    return reduced(data.test.pictures[index], 256), paths[index].name if paths else f"test picture {index}"


def write_end(report, run: Run, data: Labelled, metrics: dict[str, Any], **facts: dict[str, Any]) -> None:
    """The end of every classifier's report: doubts, what was left out, arguments; and write the page.

    Args:
        facts: further ones, before those of the data, by their titles with underscores for spaces.
    """
    look = [*doubts(metrics), *data.warnings]
    if look:
        report.text(" ".join(look), "To look at")
    report.problems("Files left out", data.bad)
    report.problems("Duplicates", data.copies)
    report.facts("Arguments", run.arguments)
    for title, values in facts.items():
        report.facts(title.replace("_", " "), values)
    report.facts("Data", data.facts)
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")
