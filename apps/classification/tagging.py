"""What is shared by models for several labels: figures, thresholds tuned on validation, the part of a report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.classification.evaluation import LISTED_LABELS
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import percent, table, tell
from convmedia.apps.reporting.shares import doubts, interval, with_counts, with_interval
from convmedia.apps.runs.device import device_of
from convmedia.data.folders.labelled import Labelled
from convmedia.data.storage.errors import InputError
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.losses.label_metrics import average_precisions, wilson_interval
from convmedia.models.losses.resampling import percentile_interval

if TYPE_CHECKING:
    from convmedia.apps.runs.run_folder import Run
    from convmedia.models.inference.predictor import Predictor


def several_in(predictor: FilePredictor, data: Labelled) -> np.ndarray:
    """The truth of the test split as uint8 (n, labels) of the model, also where the set gives each file one label.

    Raises:
        InputError: the set has a label that the model does not know.
    """
    labels, truth = predictor.labels or [], data.test.truth
    unknown = sorted(set(data.labels) - set(labels))
    if unknown:
        raise InputError(f"{data.name} has the label {unknown[0]!r}, the model knows {', '.join(labels)}")
    marks = truth if truth.ndim == 2 else np.eye(len(data.labels), dtype=np.uint8)[truth]
    found = np.zeros((len(truth), len(labels)), np.uint8)
    found[:, [labels.index(label) for label in data.labels]] = marks
    return found


def tagging(
    scores: np.ndarray, truth: np.ndarray, thresholds: Sequence[float], labels: Sequence[str]
) -> dict[str, Any]:
    """What scores of several labels are worth.

    Args:
        scores: float (n, labels), 0..1. truth: (n, labels), 1 for each label that a file has.
        thresholds: from which score on each label is answered.

    Returns:
        {"mean_average_precision" over the labels that have examples, "mean_average_precision_interval" (a bootstrap
        over the files), "f1" over all answers, "macro_f1" (the mean over the labels that have examples), "exact"
        (the share of files with exactly the right labels), "exact_interval", "examples", "per_label": {label:
        {"average_precision", "f1", "threshold", "examples", "answered"}}}; None of a label without examples.
    """
    chosen, marks = scores >= np.asarray(thresholds), truth > 0
    right, answered, there = (chosen & marks).sum(0), chosen.sum(0), marks.sum(0)
    precisions, f1 = average_precisions(scores, truth), 2.0 * right / np.maximum(answered + there, 1)
    exact = (chosen == marks).all(axis=1)
    rows = zip(labels, precisions.tolist(), f1.tolist(), thresholds, there.tolist(), answered.tolist(), strict=True)
    return {
        "mean_average_precision": float(np.nanmean(precisions)),
        "mean_average_precision_interval": percentile_interval(
            lambda counts: np.nanmean(average_precisions(scores, truth, counts), axis=-1), len(truth)
        ),
        "f1": 2.0 * float(right.sum()) / max(float(answered.sum() + there.sum()), 1.0),
        "macro_f1": float(f1[there > 0].mean()),
        "exact": float(exact.mean()),
        "exact_interval": list(wilson_interval(int(exact.sum()), len(truth))),
        "examples": len(truth),
        "per_label": {
            label: {
                "average_precision": precision if number else None,
                "f1": one if number else None,
                "threshold": float(threshold),
                "examples": number,
                "answered": times,
            }
            for label, precision, one, threshold, number, times in rows
        },
    }


def tuned(scores: np.ndarray, truth: np.ndarray) -> list[float]:
    """For each label the threshold with the best F1, half way between two scores; 0.5 for one without examples."""
    thresholds = []
    for column, marks in zip(scores.T, truth.T > 0, strict=True):
        order = np.argsort(-column, kind="stable")
        right = np.cumsum(marks[order])
        f1 = 2 * right / (np.arange(1, len(order) + 1) + max(marks.sum(), 1))
        ends = np.append(column[order][1:], 0.0)
        f1[column[order] == ends] = -1.0  # equal scores are not parted
        best = int(f1.argmax())
        thresholds.append(float((column[order][best] + ends[best]) / 2) if marks.any() else 0.5)
    return thresholds


def with_thresholds(run: "Run", predictor: "Predictor", scores: np.ndarray, truth: np.ndarray) -> "Predictor":
    """The same file, with the thresholds that the scores of validation ask for."""
    import keras

    from convmedia.models import load
    from convmedia.models.answer import Answer

    model = predictor.model
    details = {**predictor.details, "thresholds": tuned(scores, truth)}
    answer = Answer(predictor.app, predictor.labels, predictor.input, details, name="answer")
    run.keep(keras.Model(model.inputs, answer(model.layers[-1].input), name=model.name))
    return load(run.folder, app=predictor.app)


def print_figures(predictor: FilePredictor, data: Labelled, metrics: dict[str, Any], as_json: bool) -> None:
    """What `evaluate` prints of a model for several labels: the shares, and where they are few a row for each label."""
    if as_json:
        document = {"metrics": metrics, "data": data.facts, "model": predictor.digest}
        tell(to_json({**document, "runtime": predictor.runtime, "device": device_of(predictor.runtime)}, indent=2))
        return
    shares = shares_said(metrics["test"])
    tell(table(["split", *shares, f"{data.noun}s"], [["test", *shares.values(), metrics["test"]["examples"]]]))
    rows = label_rows(metrics["test"]["per_label"])
    if len(rows) <= LISTED_LABELS:
        tell()
        tell(table([*LABEL_COLUMNS, f"{data.noun}s"], rows))
    for line in doubts(metrics):
        tell(f"\n{line}")


def shares_said(figures: dict[str, Any]) -> dict[str, str]:
    """The figures of several labels in words."""
    exact = figures["exact"], figures["examples"]
    ends = figures.get("exact_interval")  # not in runs of before
    precision = percent(figures["mean_average_precision"])
    spread = figures.get("mean_average_precision_interval")
    return {
        "mean average precision": f"{precision} (95 % interval {interval(spread)})" if spread else precision,
        "F1": percent(figures["f1"]),
        "exactly right": with_interval(*exact, ends) if ends else with_counts(*exact),
    }


LABEL_COLUMNS = ("label", "average precision", "F1", "threshold")


def label_rows(of_labels: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """A row for each label: as `LABEL_COLUMNS`, and examples; a dash where there are none."""
    return [
        [
            label,
            *("-" if row[name] is None else percent(row[name]) for name in ("average_precision", "f1")),
            f"{row['threshold']:.3f}",
            row["examples"],
        ]
        for label, row in of_labels.items()
    ]


def tags(report: Any, figures: dict[str, Any], noun: str) -> None:
    """The part of a report: a row for each label."""
    report.table("Labels", (*LABEL_COLUMNS, f"{noun}s"), label_rows(figures["per_label"]))
