"""What a quantised file is worth beside its model: a figure before and after, and what may be lost of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convmedia.models.export.probes import fitted
from convmedia.models.formats.formats import shown_size
from convmedia.models.inference.batching import in_batches
from convmedia.models.kind import Outputs
from convmedia.models.losses.label_metrics import average_precisions
from convmedia.models.outputs import Probabilities

Answers = Iterable[Outputs]
OF_DEVIATION = "% of the deviation"
LOSS_TOLERANCE = {"dB": 0.1, "points": 0.5, OF_DEVIATION: 1.0}
BATCH = 32


@dataclass(frozen=True)
class Trial:
    """A measurement of a file.

    Attributes:
        metric: what is measured, as `parity.json` calls it.
        unit: of a loss: "points" (hundredths of a fraction), "dB" or `OF_DEVIATION`.
        data: what it is measured on, for people.
        inputs: raw inputs, uint8 (height, width, 3) or float32 (samples,), one by one at each call.
        score: the figure of answers to batches in the order of `inputs`, given with Keras's own answers.
        asked: the figure that losses are counted from; None for that of Keras's answers.
        number: of examples that the figure is a share of; None where it is no share.
        deviation: of the numbers that an error is of, in which its rise is measured; None where more is better.
    """

    metric: str
    unit: str
    data: str
    inputs: Callable[[], Iterable[np.ndarray]]
    score: Callable[[Answers, Answers], float]
    asked: float | None = None
    number: int | None = None
    deviation: float | None = None

    def batches(self, most: int = BATCH) -> Iterable[np.ndarray]:
        """The inputs in batches of one size each, (n, ...), n up to `most`."""
        return (np.stack(batch) for batch in in_batches(self.inputs(), lambda example: example, most))

    def at(self, size: tuple[int, ...]) -> "Trial":
        """The same measurement of inputs brought to a fixed size, as `probes.fitted` does."""
        said = f"{self.data}, brought to {shown_size(size)}"
        return replace(self, inputs=lambda: (fitted(one, size) for one in self.inputs()), data=said)

    def lost(self, before: float, after: float) -> float:
        """What was lost, in `unit`; negative where something was gained."""
        if self.deviation is not None:
            return 100.0 * (after - before) / self.deviation
        fall = (before if self.asked is None else self.asked) - after
        return 100.0 * fall if self.unit == "points" else fall


def accuracy(data: str, inputs: Callable[[], Iterable[np.ndarray]], truth: np.ndarray) -> Trial:
    """The share of right labels.

    Args:
        truth: (n,) places of the right labels among the model's.
    """

    def score(answers: Answers, _: Answers) -> float:
        return float((np.concatenate([scores.argmax(-1) for scores, *_ in answers]) == truth).mean())

    return Trial("accuracy", "points", data, inputs, score, number=len(truth))


def average_precision(data: str, inputs: Callable[[], Iterable[np.ndarray]], truth: np.ndarray) -> Trial:
    """The mean average precision over the labels that have examples.

    Args:
        truth: (n, labels) of the model, 1 for each label that an example has.
    """

    def score(answers: Answers, _: Answers) -> float:
        return float(np.nanmean(average_precisions(np.concatenate([scores for scores, *_ in answers]), truth)))

    return Trial("mean_average_precision", "points", data, inputs, score)


def absolute_error(data: str, inputs: Callable[[], Iterable[np.ndarray]], truth: np.ndarray, deviation: float) -> Trial:
    """The mean absolute error of numbers, in their unit.

    Args:
        truth: (n,). deviation: of the numbers that the model was trained on.
    """

    def score(answers: Answers, _: Answers) -> float:
        return float(np.abs(np.concatenate([values[:, 0] for values, *_ in answers]) - truth).mean())

    return Trial("mean_absolute_error", OF_DEVIATION, data, inputs, score, deviation=deviation)


def likeness(predictor: Any, examples: Sequence[np.ndarray]) -> Trial:
    """What can be said without a truth: how like Keras's the answers are, as the kind of answer has it."""
    data, kind = f"{len(examples)} held-back examples, against Keras", predictor.kind
    one_label = isinstance(kind, Probabilities) and kind.thresholds is None
    number = len(examples) if one_label else None  # others count parts of an answer
    return Trial(kind.metric, kind.unit, data, lambda: examples, kind.likeness, kind.asked, number)
