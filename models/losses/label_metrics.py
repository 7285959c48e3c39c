"""What tells how well labels are told apart where some are rare, in NumPy.

label_figures(truth, answers, labels)   # balanced accuracy, macro F1, an interval for the accuracy, each label
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def label_figures(truth: np.ndarray, answers: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """What the answers to a split are worth where its labels are not equally frequent.

    Balanced accuracy is the mean recall over the labels, macro F1 the mean F1; labels without examples are left out
    of both.

    Args:
        truth, answers: int (n,), places of labels; n at least 1.
        labels: all of the model's.

    Returns:
        {"balanced_accuracy", "macro_f1", "accuracy_interval": [low, high] as of `wilson_interval`, "per_label":
        {label: {"precision", "recall", "f1", "examples", "answered" (how often), "recall_interval"}}}; None where a
        figure is not defined: the precision of a label that was never answered, the recall of one without examples.
        Where there are examples of several labels and one is always answered, also "only_answer": it.
    """
    from sklearn.metrics import precision_recall_fscore_support

    found = precision_recall_fscore_support(truth, answers, labels=range(len(labels)), zero_division=np.nan)
    precision, recall, f1, examples = (np.asarray(values, np.float64) for values in found)
    there = examples > 0
    given = np.bincount(answers, minlength=len(labels))
    rows = zip(labels, precision, recall, f1, examples, given, strict=True)
    only = [label for label, number in zip(labels, given, strict=True) if number]
    return {
        "balanced_accuracy": float(recall[there].mean()),
        "macro_f1": float(np.nan_to_num(f1[there]).mean()),
        "accuracy_interval": list(wilson_interval(int((truth == answers).sum()), len(truth))),
        "per_label": {
            label: {
                "precision": _or_none(p),
                "recall": _or_none(r),
                "f1": _or_none(f),
                "examples": int(number),
                "answered": int(times),
                "recall_interval": list(wilson_interval(round(r * number), int(number))) if number else None,
            }
            for label, p, r, f, number, times in rows
        },
        **({"only_answer": only[0]} if len(only) == 1 and there.sum() > 1 else {}),
    }


def average_precisions(scores: np.ndarray, truth: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Average precision of each label, as scikit-learn has it: the precision at each score from which on a label could
    be answered, weighted by the recall that this score adds.

    Args:
        scores: float (n, labels). truth: (n, labels), above 0 for each label that an example has.
        counts: (resamples, n), how often each example counts; None for once.

    Returns:
        float64 (labels,), or (resamples, labels); NaN for a label without examples.
    """
    times = np.ones((1, len(scores))) if counts is None else np.asarray(counts, np.float64)
    found = []
    for column, marks in zip(scores.T, truth.T > 0, strict=True):
        order = np.argsort(-column, kind="stable")
        last = np.append(np.flatnonzero(np.diff(column[order])), len(order) - 1)  # of the examples with one score
        right = np.cumsum(times[:, order] * marks[order], axis=1)[:, last]
        answered = np.cumsum(times[:, order], axis=1)[:, last]
        gained = np.diff(right, axis=1, prepend=0.0)
        with np.errstate(invalid="ignore"):
            found.append((gained * right / np.maximum(answered, 1.0)).sum(1) / right[:, -1])
    stacked = np.stack(found, axis=-1)
    return stacked[0] if counts is None else stacked


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def wilson_interval(right: int, number: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The score interval of a share of which `right` of `number` are known (Wilson 1927, "Probable inference"): the
    shares that the result does not speak against, at a confidence of 95 % for the default `z`.

    It stays within 0..1, and is right for few examples and for shares near 0 and 1.
    """
    share, spread = right / number, z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / number + spread / (4 * number)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)
