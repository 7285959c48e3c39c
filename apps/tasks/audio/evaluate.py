"""What a trained file of sounds is worth: its figures, its thresholds, its report, examples for its exports."""

from typing import Any

import numpy as np

from convmedia.apps.classification import evaluation
from convmedia.apps.console.progress import progress
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import percent, table, tell
from convmedia.apps.reporting.shares import doubts, with_counts, with_interval
from convmedia.apps.runs.device import device_of
from convmedia.apps.tasks.audio.sets import loaded
from convmedia.data.datasets import sounds
from convmedia.data.folders.labelled import Split, truth_in
from convmedia.data.storage.errors import InputError
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.inference.sound_predictor import scores_of
from convmedia.models.losses.label_metrics import wilson_interval


def measure(predictor: FilePredictor, data: sounds.Sounds) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on the test sounds as they are, and its answers to them, float64 (n, labels)."""
    found = answers(predictor, data.test, "testing")
    if predictor.details.get("thresholds") is None:
        labels = predictor.labels or []
        return {"test": evaluation.figures(found, truth_in(labels, data), labels)}, found
    return {"test": tagging(found, several_in(predictor, data), predictor.details["thresholds"])}, found


def answers(predictor: FilePredictor, split: Split, label: str) -> np.ndarray:
    """Scores of a split's files, in order."""
    with progress(label) as update:
        return scores_of(predictor, split.paths, lambda done: update(done, len(split)))


def several_in(predictor: FilePredictor, data: sounds.Sounds) -> np.ndarray:
    """The truth of the test split as uint8 (n, labels) of the model, also where the set gives each sound one label.

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


def tagging(scores: np.ndarray, truth: np.ndarray, thresholds: list[float]) -> dict[str, Any]:
    """Mean average precision over the labels that have examples, F1 over all answers at the thresholds, and how many
    sounds have exactly the right labels."""
    chosen = scores >= np.asarray(thresholds)
    right = float((chosen & (truth > 0)).sum())
    exact = (chosen == (truth > 0)).all(axis=1)
    return {
        "mean_average_precision": float(np.nanmean(average_precisions(scores, truth))),
        "f1": 2 * right / max(float(chosen.sum() + truth.sum()), 1.0),
        "exact": float(exact.mean()),
        "exact_interval": list(wilson_interval(int(exact.sum()), len(truth))),
        "examples": len(truth),
    }


def average_precisions(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision of each label, float64 (labels,); NaN for a label without examples."""
    from sklearn.metrics import average_precision_score

    columns = zip(truth.T, scores.T, strict=True)
    return np.array([average_precision_score(t, s) if t.any() else np.nan for t, s in columns])


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


def tested(
    predictor: FilePredictor, data: str, split: str | None = None, fold: str | None = None, group: str | None = None
) -> sounds.Sounds:
    """A set with the test sounds that a model never heard, where it was trained on the same set."""
    kept = predictor.details if data in ("fsdd", "esc10", "esc50") else {}
    options = {"data": data, "split": split or kept.get("split", "official"), "fold": fold or kept.get("fold")}
    return loaded({**options, "group": group}).required("test")


def print_figures(predictor: FilePredictor, data: sounds.Sounds, metrics: dict[str, Any], as_json: bool) -> None:
    """What `evaluate` prints."""
    if "accuracy" in metrics["test"]:
        evaluation.print_figures(predictor, data, metrics, as_json)
        return
    if as_json:
        document = {"metrics": metrics, "data": data.facts, "model": predictor.digest}
        tell(to_json({**document, "runtime": predictor.runtime, "device": device_of(predictor.runtime)}, indent=2))
        return
    header = ["split", *shares_said(metrics["test"]), "sounds"]
    tell(table(header, [["test", *shares_said(metrics["test"]).values(), metrics["test"]["examples"]]]))
    for line in doubts(metrics):
        tell(f"\n{line}")


def shares_said(figures: dict[str, Any]) -> dict[str, str]:
    """The figures of sounds with several labels in words."""
    exact = figures["exact"], figures["examples"]
    ends = figures.get("exact_interval")  # not in runs of before
    return {
        "mean average precision": percent(figures["mean_average_precision"]),
        "F1": percent(figures["f1"]),
        "exactly right": with_interval(*exact, ends) if ends else with_counts(*exact),
    }
