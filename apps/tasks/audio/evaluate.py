"""What a trained file of sounds is worth."""

from typing import Any

import numpy as np

from convmedia.apps.classification import evaluation, tagging
from convmedia.apps.console.progress import progress
from convmedia.apps.tasks.audio.sets import loaded
from convmedia.data.datasets import sounds
from convmedia.data.folders.labelled import Split, truth_in
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.inference.sound_predictor import scores_of


def measure(predictor: FilePredictor, data: sounds.Sounds) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on the test sounds as they are, and its answers to them, float64 (n, labels)."""
    found = answers(predictor, data.test, "testing")
    if predictor.details.get("thresholds") is None:
        labels = predictor.labels or []
        return {"test": evaluation.figures(found, truth_in(labels, data), labels)}, found
    truth, labels = tagging.several_in(predictor, data), predictor.labels or []
    return {"test": tagging.tagging(found, truth, predictor.details["thresholds"], labels)}, found


def answers(predictor: FilePredictor, split: Split, label: str) -> np.ndarray:
    """Scores of a split's files, in order."""
    with progress(label) as update:
        return scores_of(predictor, split.paths, lambda done: update(done, len(split)))


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
    tagging.print_figures(predictor, data, metrics, as_json)
