"""What a quantised file is worth beside its model: a figure before and after, and what may be lost of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convmedia.models.export.probes import fitted
from convmedia.models.formats.formats import shown_size
from convmedia.models.inference.batching import in_batches
from convmedia.models.outputs import Outputs, Probabilities

Answers = Iterable[Outputs]
LOSS_TOLERANCE = {"dB": 0.1, "points": 0.5}
BATCH = 32


@dataclass(frozen=True)
class Trial:
    """A measurement of a file.

    Attributes:
        metric: what is measured, as `parity.json` calls it.
        unit: of a loss: "points" (hundredths of a fraction) or "dB".
        data: what it is measured on, for people.
        inputs: raw inputs, uint8 (height, width, 3) or float32 (samples,), one by one at each call.
        score: the figure of answers to batches in the order of `inputs`, given with Keras's own answers.
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

    def batches(self, most: int = BATCH) -> Iterable[np.ndarray]:
        """The inputs in batches of one size each, (n, ...), n up to `most`."""
        return (np.stack(batch) for batch in in_batches(self.inputs(), lambda example: example, most))

    def at(self, size: tuple[int, ...]) -> "Trial":
        """The same measurement of inputs brought to a fixed size, as `probes.fitted` does."""
        said = f"{self.data}, brought to {shown_size(size)}"
        return replace(self, inputs=lambda: (fitted(one, size) for one in self.inputs()), data=said)

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
        return float((np.concatenate([scores.argmax(-1) for scores, *_ in answers]) == truth).mean())

    return Trial("accuracy", "points", data, inputs, score, number=len(truth))


def likeness(predictor: Any, examples: Sequence[np.ndarray]) -> Trial:
    """What can be said without a truth: how like Keras's the answers are, as the kind of answer has it."""
    data, kind = f"{len(examples)} held-back examples, against Keras", predictor.kind
    number = len(examples) if isinstance(kind, Probabilities) else None  # others count parts of an answer
    return Trial(kind.metric, kind.unit, data, lambda: examples, kind.likeness, kind.asked, number)
