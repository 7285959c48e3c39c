"""What a quantised file is worth beside its model: a figure before and after, and what may be lost of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convmedia.models.predicting import in_batches

Answers = Iterable[np.ndarray]
LOSS_TOLERANCE = {"dB": 0.1, "points": 0.5}
LIKE_KERAS_DB = 30.0  # asked of pictures that nothing but the model's own can be compared with
BATCH = 32


@dataclass(frozen=True)
class Trial:
    """A measurement of a file.

    Attributes:
        metric: what is measured, as `parity.json` calls it.
        unit: of a loss: "points" (hundredths of a fraction) or "dB".
        data: what it is measured on, for people.
        inputs: raw inputs, uint8 (height, width, 3) or float32 (samples,), one by one at each call.
        score: the figure of answers (n, ...) in the order of `inputs`, given with Keras's own answers.
        asked: the figure that losses are counted from; None for that of Keras's answers.
        number: of examples that the figure is a share of; None where it is no share.
    """

    metric: str
    unit: str
    data: str
    inputs: Callable[[], Iterable[np.ndarray]]
    score: Callable[[Answers, Answers], float]
    asked: float | None = None
    number: int | None = None

    def batches(self) -> Iterable[np.ndarray]:
        """The inputs in batches of one size each, (n, ...)."""
        return (np.stack(batch) for batch in in_batches(self.inputs(), lambda example: example, BATCH))

    def lost(self, before: float, after: float) -> float:
        """What was lost, in `unit`; negative where something was gained."""
        fall = (before if self.asked is None else self.asked) - after
        return 100.0 * fall if self.unit == "points" else fall


def accuracy(data: str, inputs: Callable[[], Iterable[np.ndarray]], truth: np.ndarray) -> Trial:
    """The share of right labels.

    Args:
        truth: (n,) places of the right labels among the model's.
    """

    def score(answers: Answers, _: Answers) -> float:
        return float((np.concatenate([answer.argmax(-1) for answer in answers]) == truth).mean())

    return Trial("accuracy", "points", data, inputs, score, number=len(truth))


def likeness(predictor: Any, examples: Sequence[np.ndarray]) -> Trial:
    """What can be said without a truth: the share of examples that get Keras's label, or of pictures the PSNR, dB, of
    values in 0..255 to Keras's answer."""
    data = f"{len(examples)} held-back examples, against Keras"
    if predictor.labels is None:
        return Trial("psnr_to_keras", "dB", data, lambda: examples, _mean_psnr, LIKE_KERAS_DB)
    return Trial("agreement", "points", data, lambda: examples, _same_labels, number=len(examples))


def _same_labels(answers: Answers, expected: Answers) -> float:
    same = [a.argmax(-1) == e.argmax(-1) for a, e in zip(answers, expected, strict=True)]
    return float(np.concatenate(same).mean())


def _mean_psnr(answers: Answers, expected: Answers) -> float:
    errors = [np.square(a - e, dtype=np.float64).mean((1, 2, 3)) for a, e in zip(answers, expected, strict=True)]
    return float(np.mean(10 * np.log10(255.0**2 / np.maximum(np.concatenate(errors), 1e-9))))
