"""What every kind of answers has: `outputs` has the kinds themselves.

Saving, exporting, quantising, serving, predicting, inspecting and explaining ask a kind what an answer is: what the
tensors are, on which scale two answers are compared, when they are the same, what a file in fewer bits may cost, what
encoded files are answered with, and what a row of `predict` holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convmedia.data.storage.errors import InputError

Outputs = tuple[np.ndarray, ...]
"""The tensors that a model gives for a batch, in the model's order."""

TOLERANCE = 1e-4  # of an answer on its kind's scale


class Mismatch(Exception):
    """Two answers that cannot be compared; the message says why, in one line."""


@dataclass(frozen=True)
class Output:
    """One of the tensors of an answer.

    Attributes:
        rank: of a batch.
        scale: what a difference is divided by before it is compared; for each place of the last axis, or one for all.
    """

    rank: int
    scale: float | tuple[float, ...] = 1.0

    def difference(self, answer: np.ndarray, expected: np.ndarray) -> float:
        """The largest difference, in fractions of the scale.

        Raises:
            Mismatch: another shape, NaN or infinity.
        """
        if answer.shape != expected.shape:
            raise Mismatch(f"answers {answer.shape} where Keras answers {expected.shape}")
        if not np.isfinite(answer).all():
            raise Mismatch("answers NaN or infinity")
        return float(np.max(np.abs(answer.astype(np.float64) - expected) / self.scale, initial=0.0))


class Kind:
    """What all kinds have.

    Attributes:
        name: as saved files, `run.json` and exported files have it.
        outputs: the tensors of an answer.
        labelled: whether it speaks of labels.
        located: whether it has places in the picture, which must then go in as it is.
        amplifies: whether the model may turn rounding of its input into large differences.
        explained: whether Grad-CAM can say what speaks for a label.
        outer_kernels: whether a file in 8 bits has the first and the last kernel in 8 bits, too.
        tolerance: largest difference of an exported file's answers, in fractions of the scale.
        metric, unit, asked: of a quantised file's likeness to Keras: its name, "points" (hundredths) or "dB", and the
            figure that is asked; None for that of Keras's own answers.
        served: names of what `serve_bytes` gives, with their dtypes.
    """

    name: str
    outputs: tuple[Output, ...]
    labelled = True
    located = True
    amplifies = False
    explained = False
    outer_kernels = True
    tolerance = TOLERANCE
    metric, unit = "agreement", "points"
    asked: float | None = None
    served: dict[str, str]

    def of(self, details: Mapping[str, Any]) -> "Kind":
        """This kind as it is in a file with these details, such as the scale of the numbers that it answers."""
        return self

    def wrong(self, labels: Sequence[str] | None, shapes: Sequence[tuple[int | None, ...]]) -> str | None:
        """Why tensors of such shapes, batch first, are no answer of this kind about such labels; None if they are."""
        if (labels is not None) != self.labelled:
            return f"an answer of {self.name} has {'labels' if self.labelled else 'no labels'}"
        if [len(shape) for shape in shapes] != [output.rank for output in self.outputs]:
            return f"an answer of {self.name} has other tensors than {', '.join(map(str, shapes))}"
        return None

    def difference(self, answer: Outputs, expected: Outputs) -> float:
        """The largest difference of two answers to a batch, in fractions of the scale.

        Raises:
            Mismatch: other shapes, NaN or infinity.
        """
        compared = zip(self.outputs, answer, expected, strict=True)
        return max(output.difference(one, other) for output, one, other in compared)

    def same(self, answer: Outputs, expected: Outputs) -> np.ndarray | None:
        """Which parts of two answers say the same, bool (n,); None of a kind in which every value counts."""
        raise NotImplementedError

    def likeness(self, answers: Iterable[Outputs], expected: Iterable[Outputs]) -> float:
        """How like Keras's answers others are, as `metric` has it: a share in 0..1 of what is the same, or dB."""
        pairs = zip(answers, expected, strict=True)
        return float(np.concatenate([self.agreeing(*pair) for pair in pairs]).mean())

    def agreeing(self, answer: Outputs, expected: Outputs) -> np.ndarray:
        """As `same`, of a kind that has it."""
        found = self.same(answer, expected)
        assert found is not None
        return found

    def row(self, answer: Outputs, labels: Sequence[str], size: tuple[int, int], top: int | None) -> dict[str, Any]:
        """What `predict` says of one file.

        Args:
            answer: the tensors, without the batch.
            size: width and height of the picture, px.
            top: how many entries a list has at most; None for what is usual.

        Raises:
            InputError: an answer of this kind is no row.
        """
        raise InputError(f"an answer of {self.name} is no row of words; see the other commands of the application")

    def gives(self, labels: Sequence[str] | None) -> str:
        """What comes out, for people."""
        raise NotImplementedError

    def as_served(self, answer: Sequence[Any]) -> Any:
        """Tensors of TensorFlow for one file to what `serve_bytes` gives of it, without `names`."""
        raise NotImplementedError

    def served_difference(self, given: Outputs, expected: Sequence[Outputs], labels: Sequence[str] | None) -> float:
        """The largest difference between what `serve_bytes` gave for some files and Keras's answers to them.

        Args:
            given: by their names in order; strings as bytes, object (n, ...).
            expected: of each file, a batch of one.

        Raises:
            Mismatch: other numbers or labels, no PNG.
        """
        raise NotImplementedError
