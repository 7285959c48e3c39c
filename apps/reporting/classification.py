"""The part of a report that classifiers share: figures of each label, confusion, mistakes."""

from collections.abc import Callable, Sequence

import numpy as np

from convmedia.apps.reporting import charts, confusion_matrix
from convmedia.apps.reporting.html import Report, _left_out


def classification(
    report: Report,
    probabilities: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    *,
    pictures: Callable[[int], tuple[np.ndarray, str]] | None = None,
    mistakes: int = 24,
) -> Report:
    """Add what a classifier's answers on one split tell: confusion, figures per label, calibration, worst mistakes.

    Args:
        probabilities: (n, k), 0..1, each row adding to 1; n at least 1.
        truth: (n,) label indices.
        labels: k names.
        pictures: example index -> (uint8 picture, caption), asked for the worst mistakes only; None leaves them out.
        mistakes: how many of them are shown: wrong answers, the most confident first.
    """
    from sklearn import metrics

    probabilities, truth = np.asarray(probabilities), np.asarray(truth)
    answers = probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(truth, answers, labels=range(len(labels)))
    wrong = np.flatnonzero(answers != truth)
    counted = f"{len(truth) - len(wrong)} of {len(truth)} answers are right."
    explained = "Rows are the truth, columns the answers; the stronger the colour, the larger the share of its row."
    report.figure("Confusion matrix", confusion_matrix.confusion(matrix, labels), f"{counted} {explained}", counted)
    confusion_matrix.confused_pairs(report, matrix, labels)
    rows = _per_label(truth, answers, labels)
    report.table("Labels", ("label", "precision", "recall", "F1", "examples"), rows, _left_out(rows))
    error = f"Expected calibration error {100 * charts.calibration_error(probabilities, truth):.2g} %."
    bars = "A bar above the dashed line is modest, one below it too sure of itself."
    report.figure("Calibration", charts.reliability(probabilities, truth), bars, error)
    worst = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:mistakes]
    if pictures is None or len(worst) == 0:
        return report
    items = [_mistake(pictures(int(i)), labels[truth[i]], labels[answers[i]], probabilities[i].max()) for i in worst]
    return report.pictures("Worst mistakes", items)


def _mistake(item: tuple[np.ndarray, str], truth: str, answer: str, confidence: float) -> tuple[np.ndarray, str]:
    picture, caption = item
    return picture, f"{truth}, read as {answer}\n{100 * confidence:.1f} % sure\n{caption}".rstrip()


def _per_label(truth: np.ndarray, answers: np.ndarray, labels: Sequence[str]) -> list[tuple]:
    from convmedia.models.losses.label_metrics import label_figures

    # A label that was never answered has no precision, one without examples no recall: None, shown as a dash.
    rows = label_figures(truth, answers, labels)["per_label"]
    found = []
    for label, row in rows.items():
        precision, recall, f1 = _percents([row[name] for name in ("precision", "recall", "f1")])
        right = round((row["recall"] or 0.0) * row["examples"])
        precision = precision and f"{precision} ({right} of {row['answered']})"
        recall = recall and f"{recall} ({right} of {row['examples']})"
        found.append((label, precision, recall, f1, row["examples"]))
    return found


def _percents(values: Sequence[float | None]) -> list[str | None]:
    return [None if value is None else f"{100 * value:.1f} %" for value in values]
