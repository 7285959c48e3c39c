"""What the applications that label pictures share: measuring a saved file, examples for its exports, explaining it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from convmedia.apps.console.progress import progress
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import percent, say, say_left_out, table, tell
from convmedia.apps.reporting.shares import doubts, interval, said, with_counts, with_interval
from convmedia.apps.runs.device import device_of
from convmedia.data.folders.labelled import Labelled, truth_in
from convmedia.data.images.views import in_rgb, reduced
from convmedia.models.export.quality_loss import Trial, accuracy
from convmedia.models.inference.batching import in_batches
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.losses.label_metrics import label_figures

CHUNK = 250  # most pictures of a batch
LISTED_LABELS = 20  # most labels that `evaluate` prints a row for


def answers(predictor: FilePredictor, pictures: Iterable[np.ndarray], number: int, label: str) -> np.ndarray:
    """What a predictor says to `number` raw pictures of any sizes, in order.

    Raises:
        InputError: an answer holds NaN or infinity.
    """
    found: list[np.ndarray] = []
    with progress(label) as update:
        for batch in in_batches(pictures, lambda picture: picture, CHUNK):
            found.extend(predictor.finite(np.stack(batch)))
            update(len(found), number)
    return np.stack(found)


def figures(
    probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str], none: str | None = None
) -> dict[str, Any]:
    """Accuracy as a fraction, cross-entropy in nats, number of examples; and what `label_figures` gives.

    Args:
        none: the label that says that none of the others is meant, which is wrong where an example has another one;
            "abstained" is then the share of the examples of others that it is said of.
    """
    right = probabilities[np.arange(len(truth)), truth]
    answered = probabilities.argmax(1)
    return {
        "accuracy": float((answered == truth).mean()),
        "loss": float(-np.log(np.clip(right, 1e-7, 1.0)).mean()),
        "examples": len(truth),
        **label_figures(truth, answered, labels),
        **({} if none is None else {"abstained": abstained(truth, answered, labels.index(none))}),
    }


def abstained(truth: np.ndarray, answered: np.ndarray, none: int) -> float:
    """The share of the examples of all labels but `none` that are answered with it."""
    others = truth != none
    return float((answered[others] == none).mean()) if others.any() else 0.0


def accuracy_line(_: str, figures: dict[str, Any]) -> str:
    """The figures of one split, or of all folds together, for a person: accuracy alone where there is no more."""
    if "accuracy_interval" not in figures:
        return shares_line(figures)
    further = f"balanced accuracy {percent(figures['balanced_accuracy'])}, macro F1 {percent(figures['macro_f1'])}"
    return f"accuracy {accuracy_said(figures)}, {further}"


def shares_line(figures: dict[str, Any]) -> str:
    """All figures but losses: of several folds their means and spreads."""
    kept = {name: value for name, value in figures.items() if isinstance(value, int | float) and name != "examples"}
    shares = {name: value for name, value in kept.items() if not name.startswith("loss")}
    return ", ".join(f"{name.replace('_', ' ')} {said(name, value)}" for name, value in shares.items())


def accuracy_said(figures: dict[str, Any]) -> str:
    """The accuracy and what it was counted from: "92.83 % (557 of 600, 95 % interval 90.5 to 94.6 %)"."""
    return with_interval(figures["accuracy"], figures["examples"], figures["accuracy_interval"])


def headline(metrics: dict[str, Any]) -> dict[str, str]:
    """The few numbers that a report begins with: each split's accuracy, and of the first split what else there is."""
    first = next(iter(metrics.values()))
    numbers = {}
    for split, one in metrics.items():
        numbers[split] = with_counts(one["accuracy"], one["examples"])
        numbers["95 % interval" if one is first else f"95 % interval, {split}"] = interval(one["accuracy_interval"])
    return {
        **numbers,
        "balanced accuracy": percent(first["balanced_accuracy"]),
        "macro F1": percent(first["macro_f1"]),
        **({"abstained": percent(first["abstained"])} if "abstained" in first else {}),
    }


def trial(
    predictor: FilePredictor,
    labelled: Callable[[str, str | None, str | None], Labelled],
    data: str | None,
    group: str | None,
    fold: str | None = None,
) -> Trial | None:
    """What quantised files are measured by: the right labels of a set's test split; None without one."""
    if data is None:
        return None
    chosen = labelled(data, group, fold).required("test")
    said = f"test split of {chosen.name}, {len(chosen.test):,} {chosen.noun}s"
    return accuracy(said, lambda: map(in_rgb, chosen.test.pictures), truth_in(predictor.labels or [], chosen))


def raw_examples(pictures: "Sequence[np.ndarray] | np.ndarray", most: int = 200) -> list[np.ndarray]:
    """Up to `most` raw pictures spread over a split, uint8 (height, width, 3): to verify and calibrate exports with."""
    places = np.unique(np.linspace(0, len(pictures) - 1, min(most, len(pictures))).astype(int))
    chosen = [pictures[place] for place in places]
    return [reduced(in_rgb(picture)) for picture in chosen]


def say_problems(data: Labelled) -> None:
    """Say what is to be looked at in a set, and the first of the files that cannot be used."""
    for line in data.warnings:
        say(f"note: {line}")
    say_left_out(data.bad)


def measure(predictor: FilePredictor, data: Labelled) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a saved file on the raw test pictures, and its answers to them."""
    found = answers(predictor, data.test.pictures, len(data.test), "testing")
    labels = predictor.labels or []
    return {"test": figures(found, truth_in(labels, data), labels, predictor.details.get("none_of_these"))}, found


def print_figures(predictor: FilePredictor, data: Labelled, metrics: dict[str, Any], as_json: bool) -> None:
    """What `evaluate` prints: a row for each split; of the first split a row for each label, where they are few."""
    if as_json:
        document = {"metrics": metrics, "data": data.facts, "model": predictor.digest}
        tell(to_json({**document, "runtime": predictor.runtime, "device": device_of(predictor.runtime)}, indent=2))
        return
    header = ["split", "accuracy", "balanced accuracy", "macro F1", "loss"]
    rows = [
        [split, accuracy_said(f), percent(f["balanced_accuracy"]), percent(f["macro_f1"]), f"{f['loss']:.4f}"]
        + ([percent(f["abstained"])] if "abstained" in f else [])
        for split, f in metrics.items()
    ]
    tell(table([*header, "abstained"][: len(rows[0])], rows))
    of_labels = next(iter(metrics.values()))["per_label"]
    if len(of_labels) <= LISTED_LABELS:
        tell()
        tell(table(["label", "precision", "recall", "F1", f"{data.noun}s"], label_rows(of_labels)))
    for line in (absent(of_labels, predictor.details.get("none_of_these")), *doubts(metrics)):
        if line:
            tell(f"\n{line}")


def label_rows(of_labels: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """A row for each label: precision, recall and F1 in percent, the first two with their counts; examples."""
    return [
        [
            label,
            with_counts(row["precision"], row["answered"]),
            with_counts(row["recall"], row["examples"]),
            "-" if row["f1"] is None else percent(row["f1"]),
            row["examples"],
        ]
        for label, row in of_labels.items()
    ]


def absent(of_labels: dict[str, dict[str, Any]], none: str | None = None) -> str:
    """Says which labels but `none` have no examples; empty where all have some."""
    names = [label for label, row in of_labels.items() if not row["examples"] and label != none]
    without = f"balanced accuracy and macro F1 leave out the labels without examples: {', '.join(names)}"
    return without if names else ""
