"""The kinds of answers that models give: one class and one row of `KINDS` for each.

A saved file names its kind. What a kind says, and to whom, is told in `kind.Kind`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from convmedia.data.storage.errors import InputError
from convmedia.models.box_overlap import matching_boxes
from convmedia.models.kind import Kind, Mismatch, Output, Outputs

LIKE_KERAS_DB = 30.0  # asked of pictures that nothing but the model's own can be compared with
HALF_LEVEL = 0.5 / 255.0  # that rounding may take
ROWS = 5  # labels that a row names where nothing else is asked
LIKE_KERAS_SHARE = 0.95  # asked of numbers: their mean difference is a twentieth of their deviation


class Probabilities(Kind):
    """One for each label, (n, labels), 0..1: which of them a picture or a sound is, or which it has.

    Args:
        thresholds: of a model for several labels, float for each: from which score on a label is answered; None where
            the labels exclude each other.
    """

    name = "probabilities"
    outputs = (Output(2),)
    located = False
    explained = True
    served = {"labels": "string", "scores": "float32"}  # noqa: RUF012

    def __init__(self, thresholds: Sequence[float] | None = None):
        self.thresholds = thresholds

    def of(self, details):
        thresholds = details.get("thresholds")
        return self if thresholds is None else Probabilities(thresholds)

    def wrong(self, labels, shapes):
        reason = super().wrong(labels, shapes)
        if reason is None and shapes[0][-1] != len(labels):
            reason = f"it has {len(labels)} labels for {shapes[0][-1]} scores"
        given = self.thresholds
        if reason is None and given is not None and not _numbers(given, len(labels)):
            reason = f"its thresholds are not {len(labels)} numbers, one for each label"
        return reason

    def same(self, answer, expected):
        """Where the best label is the same; of several labels for each whether both, or neither, answer it."""
        if self.thresholds is None:
            return answer[0].argmax(-1) == expected[0].argmax(-1)
        one, other = (scores[0] >= np.asarray(self.thresholds, np.float32) for scores in (answer, expected))
        return (one == other).ravel()

    def row(self, answer, labels, size, top):
        order = np.argsort(-answer[0], kind="stable")[: ROWS if top is None else top]
        best = [{"label": labels[index], "score": float(answer[0][index])} for index in order]
        if self.thresholds is None:
            return {**best[0], "top": best}
        every = np.argsort(-answer[0], kind="stable")
        chosen = [index for index in every if answer[0][index] >= self.thresholds[index]]
        return {"labels": [{"label": labels[i], "score": float(answer[0][i])} for i in chosen], "top": best}

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


class Quantity(Kind):
    """A number for each picture, (n, 1), in the unit of the column that it was learned from, which is its one label.

    Args:
        deviation: of the numbers that it was learned from: what differences are measured in.
    """

    name = "quantity"
    located = False
    explained = True
    outer_kernels = False  # 8 bits would round visibly what comes out
    metric, asked = "likeness_to_keras", LIKE_KERAS_SHARE
    served = {"value": "float32"}  # noqa: RUF012

    def __init__(self, deviation: float = 1.0):
        self.deviation = deviation
        self.outputs = (Output(2, deviation),)

    def of(self, details):
        scale = details.get("scale")
        found: Any = scale.get("deviation") if isinstance(scale, dict) else None
        told = isinstance(found, int | float) and math.isfinite(found) and found > 0
        return Quantity(found) if told else self

    def wrong(self, labels, shapes):
        reason = super().wrong(labels, shapes)
        if reason is None and (len(labels), shapes[0][-1]) != (1, 1):
            reason = f"a quantity is one number with one name; it has {shapes[0][-1]} and {len(labels)}"
        return reason

    def same(self, answer, expected):
        return None

    def likeness(self, answers, expected):
        """1 less the mean difference in deviations, at least 0."""
        apart = [np.abs(one[0].astype(np.float64) - other[0]) for one, other in zip(answers, expected, strict=True)]
        return max(1.0 - float(np.concatenate(apart).mean()) / self.deviation, 0.0)

    def row(self, answer, labels, size, top):
        return {"target": labels[0], "value": float(answer[0][0])}

    def gives(self, labels):
        return f"a number: {labels[0]}"

    def as_served(self, answer):
        return answer[0][0]

    def served_difference(self, given, expected, labels):
        return _each(self, [(np.reshape(one, (1, 1)),) for one in given[0]], expected)


KINDS: dict[str, Kind] = {kind.name: kind for kind in (Probabilities(), Picture(), Mask(), Boxes(), Quantity())}


def kind_named(name: str | None, labels: Any, details: Any = None) -> Kind:
    """The kind of that name; of a file older than the names what its labels tell.

    Args:
        details: of the file, which may say more of it: as of `Kind.of`.

    Raises:
        ValueError: there is no such kind.
    """
    if name is None:
        name = "picture" if labels is None else "probabilities"
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"a kind of answer is one of {', '.join(KINDS)}. Received: {name!r}")
    return KINDS[name].of(details) if isinstance(details, dict) else KINDS[name]


def _numbers(values: Any, number: int) -> bool:
    """Whether values that a file tells are a list of so many finite numbers."""
    told = isinstance(values, list) and len(values) == number
    return told and all(type(value) in (int, float) and math.isfinite(value) for value in values)


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
