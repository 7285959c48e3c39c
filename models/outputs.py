"""The kinds of answers that models give: one class and one row of `KINDS` for each.

A saved file names its kind. Saving, exporting, quantising, serving, predicting, inspecting and explaining ask here what
that means: what the tensors are, on which scale two answers are compared, when they are the same, what a file in fewer
bits may cost, what encoded files are answered with, and what a row of `predict` holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convmedia.data.storage.errors import InputError
from convmedia.models.box_overlap import matching_boxes

Outputs = tuple[np.ndarray, ...]
"""The tensors that a model gives for a batch, in the model's order."""

TOLERANCE = 1e-4  # of an answer on its kind's scale
LIKE_KERAS_DB = 30.0  # asked of pictures that nothing but the model's own can be compared with
HALF_LEVEL = 0.5 / 255.0  # that rounding may take
ROWS = 5  # labels that a row names where nothing else is asked


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


class Probabilities(Kind):
    """One for each label, (n, labels), 0..1: which of them a picture or a sound is, or which it has."""

    name = "probabilities"
    outputs = (Output(2),)
    located = False
    explained = True
    served = {"labels": "string", "scores": "float32"}  # noqa: RUF012

    def wrong(self, labels, shapes):
        reason = super().wrong(labels, shapes)
        if reason is None and shapes[0][-1] != len(labels):
            reason = f"it has {len(labels)} labels for {shapes[0][-1]} scores"
        return reason

    def same(self, answer, expected):
        return answer[0].argmax(-1) == expected[0].argmax(-1)

    def row(self, answer, labels, size, top):
        order = np.argsort(-answer[0], kind="stable")[: ROWS if top is None else top]
        best = [{"label": labels[index], "score": float(answer[0][index])} for index in order]
        return {**best[0], "top": best}

    def gives(self, labels):
        return f"{len(labels)} probabilities: {', '.join(labels)}"

    def as_served(self, answer):
        return answer[0]

    def served_difference(self, given, expected, labels):
        names, scores = given
        if names.shape != (len(expected), len(labels)):
            raise Mismatch(f"gives {len(expected)} files labels of shape {names.shape}, not {len(labels)} each")
        said = [name.decode(errors="replace") for name in names.ravel().tolist()]
        if said != list(labels) * len(expected):
            raise Mismatch(f"gives the labels {said[: len(labels)]} where {list(labels)} are meant")
        return _each(self, [(one[np.newaxis],) for one in scores], expected)


class Picture(Kind):
    """Pictures made of pictures, (n, height, width, 3), 0..255, neither rounded nor clipped."""

    name = "picture"
    outputs = (Output(4, 255.0),)
    labelled = False
    amplifies = True
    outer_kernels = False  # 8 bits would round visibly what goes in and out
    metric, unit, asked = "psnr_to_keras", "dB", LIKE_KERAS_DB
    served = {"picture_bytes": "string"}  # noqa: RUF012

    def same(self, answer, expected):
        return None

    def likeness(self, answers, expected):
        """Mean PSNR of values in 0..255, dB."""
        pairs = zip(answers, expected, strict=True)
        errors = [np.square(a[0] - e[0], dtype=np.float64).mean((1, 2, 3)) for a, e in pairs]
        return float(np.mean(10 * np.log10(255.0**2 / np.maximum(np.concatenate(errors), 1e-9))))

    def gives(self, labels):
        return "pictures"

    def as_served(self, answer):
        import tensorflow as tf

        return tf.io.encode_png(tf.cast(tf.round(tf.clip_by_value(answer[0], 0.0, 255.0)), tf.uint8))

    def served_difference(self, given, expected, labels):
        """Whole levels are compared, beyond the half that rounding may take."""
        apart = []
        for picture, (wanted,) in _numbered(_pictures(given[0]), expected):
            beyond = self.difference((picture[np.newaxis],), (np.clip(wanted, 0, 255),)) - HALF_LEVEL
            apart.append(max(beyond, 0.0))
        return max(apart)


class Mask(Kind):
    """Probabilities for each pixel, (n, height, width, labels), 0..1, of the picture's size."""

    name = "mask"
    outputs = (Output(4),)
    served = {"mask_bytes": "string"}  # noqa: RUF012

    def wrong(self, labels, shapes):
        reason = super().wrong(labels, shapes)
        if reason is None and shapes[0][-1] != len(labels):
            reason = f"it has {len(labels)} labels for {shapes[0][-1]} probabilities of a pixel"
        return reason

    def same(self, answer, expected):
        return (answer[0].argmax(-1) == expected[0].argmax(-1)).mean((1, 2))

    def row(self, answer, labels, size, top):
        counts = np.bincount(answer[0].argmax(-1).ravel(), minlength=len(labels))
        areas = {label: float(count / counts.sum()) for label, count in zip(labels, counts, strict=True)}
        return {"size": list(size), "areas": areas, "mask": None, "objects": None}

    def gives(self, labels):
        return f"for each pixel {len(labels)} probabilities: {', '.join(labels)}"

    def as_served(self, answer):
        import tensorflow as tf

        return tf.io.encode_png(tf.cast(tf.argmax(answer[0], -1)[..., tf.newaxis], tf.uint8))

    def served_difference(self, given, expected, labels):
        """How much less probable than the most probable label the one is that a pixel has in the PNG."""
        apart = []
        for picture, (wanted,) in _numbered(_pictures(given[0]), expected):
            chosen = picture[..., :1].astype(int)
            if chosen.shape[:2] != wanted.shape[1:3] or chosen.max() >= len(labels):
                raise Mismatch(f"gives a mask of {chosen.shape[:2]} where Keras answers {wanted.shape[1:3]}")
            lower = wanted[0].max(-1) - np.take_along_axis(wanted[0], chosen, -1)[..., 0]
            apart.append(float(lower.max()))
        return max(apart)


class Boxes(Kind):
    """Boxes, best first, (n, most, 6): x1, y1, x2, y2 in px of the input, score 0..1, number of the label; and how many
    of them there are, (n,). Those beyond are zeros."""

    name = "boxes"
    outputs = (Output(3, (100.0, 100.0, 100.0, 100.0, 1.0, 1.0)), Output(1))  # at 1e-4 a hundredth of a pixel
    served = {"boxes": "float32", "number": "float32"}  # noqa: RUF012

    def wrong(self, labels, shapes):
        reason = super().wrong(labels, shapes)
        if reason is None and shapes[0][-1] != 6:
            reason = f"a box has {shapes[0][-1]} numbers and not 6"
        return reason

    def same(self, answer, expected):
        """Which boxes of either have one of the same label in the other that overlaps by half; in pairs, best first."""
        found = []
        for boxes, number, others, wanted in zip(*answer, *expected, strict=True):
            matched = matching_boxes(boxes[: int(number)], others[: int(wanted)])
            found += [np.full(matched, True), np.full(max(int(number), int(wanted)) - matched, False)]
        return np.concatenate([np.full(int(not any(map(len, found))), True), *found])

    def row(self, answer, labels, size, top):
        boxes = answer[0][: int(answer[1])][:top]
        found = [
            {"label": labels[int(one[5])], "score": float(one[4]), "box": [float(side) for side in one[:4]]}
            for one in boxes
        ]
        return {"size": list(size), "boxes": found}

    def gives(self, labels):
        return f"boxes of {len(labels)} labels: {', '.join(labels)}"

    def as_served(self, answer):
        import tensorflow as tf

        return answer[0], tf.cast(answer[1], tf.float32)

    def served_difference(self, given, expected, labels):
        return _each(
            self, [(boxes[np.newaxis], number[np.newaxis]) for boxes, number in zip(*given, strict=True)], expected
        )


KINDS: dict[str, Kind] = {kind.name: kind for kind in (Probabilities(), Picture(), Mask(), Boxes())}


def kind_named(name: str | None, labels: Any) -> Kind:
    """The kind of that name; of a file older than the names what its labels tell.

    Raises:
        ValueError: there is no such kind.
    """
    if name is None:
        name = "picture" if labels is None else "probabilities"
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"a kind of answer is one of {', '.join(KINDS)}. Received: {name!r}")
    return KINDS[name]


def _each(kind: Kind, given: Sequence[Outputs], expected: Sequence[Outputs]) -> float:
    return max(kind.difference(one, wanted) for one, wanted in _numbered(given, expected))


def _numbered(given: Sequence[Any], expected: Sequence[Outputs]) -> Iterable[tuple[Any, Outputs]]:
    if len(given) != len(expected):
        raise Mismatch(f"gives {len(given)} answers to {len(expected)} files")
    return zip(given, expected, strict=True)


def _pictures(contents: np.ndarray) -> list[np.ndarray]:
    from convmedia.data.images import decoding

    try:
        return [decoding.decode(content) for content in contents.ravel().tolist()]
    except InputError as error:
        raise Mismatch(f"gives no picture: {error}") from error
