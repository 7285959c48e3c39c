"""What an exported file says and answers beside what was promised and what Keras answers."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.models.export import probes
from convmedia.models.export.evidence import Evidence, Measured, Part, grouped
from convmedia.models.formats.formats import Refused
from convmedia.models.formats.runtimes import read_arrays, unpacked
from convmedia.models.formats.writers import promised
from convmedia.models.kind import Kind, Mismatch, Outputs
from convmedia.models.losses.label_metrics import wilson_interval

REPEAT_TOLERANCE = 1e-5  # between two runs of one file on one input: rounding of threads, no random numbers
REORDERED: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # along the last axis: labels, or channels of pictures
    "its answers reversed": lambda answer: answer[..., ::-1],
    "its answers moved on by one": lambda answer: np.roll(answer, 1, axis=-1),
    "its answers moved back by one": lambda answer: np.roll(answer, -1, axis=-1),
}
MISTAKEN = 0.5  # of the squared error: what is that much closer to a wrong input's answer has seen that input


def begun(answering: Path, evidence: Evidence, runtime: str) -> Iterator[np.ndarray]:
    """The arrays that a runtime wrote, without the first one, which says what the file takes and gives.

    Raises:
        Refused: that is not what was promised.
    """
    arrays = read_arrays(answering)
    said = json.loads(next(arrays).tobytes())
    for name, expected in promised(evidence.predictor.model, runtime, evidence.size).items():
        if said[name] != expected:
            raise Refused(f"its {name} are {said[name]} where {expected} are promised")
    return arrays


def compared(
    answering: Path, probed: Path, evidence: Evidence, runtimes: tuple[str, str], tolerance: float | None
) -> dict[str, Any]:
    """What the answers to examples and probes are beside Keras's.

    Args:
        answering, probed: what the two `runtimes` wrote of `evidence.plain`, timed, and of `evidence.probes`.
        tolerance: largest difference of an answer scaled to 0..1; None, of a quantised file, for any, and then of the
            probes only cut and enlarged examples are counted.

    Returns:
        {"max_abs_diff", "same_top1" (of examples, as they are, cut and enlarged), "seconds_per_example",
        "seconds_at_1", "seconds_at_32" (of a fixed size "seconds_at_8"), "peak_bytes"}.

    Raises:
        Refused: another signature, other shapes, NaN, random answers, a larger difference.
    """
    answers = begun(answering, evidence, runtimes[0])
    found = list(_differences(answers, evidence, evidence.plain))
    seconds, repeated, costs = answers
    unequal = float(repeated) / evidence.least_scale
    if not unequal <= REPEAT_TOLERANCE:
        raise Refused(f"random: two runs on the same input differ by {unequal:.3g}")
    found += _differences(begun(probed, evidence, runtimes[1]), evidence, evidence.probes)
    counted = found[: evidence.batches + evidence.varied]
    greatest = max(difference for difference, _ in (counted if tolerance is None else found))
    if tolerance is not None and not greatest <= tolerance:
        raise Refused(f"answers differ from Keras by {greatest:.3g}, more than {tolerance:g}")
    kept = [each.ravel() for _, each in counted if each is not None]
    same = np.concatenate(kept) if kept else np.zeros(0)
    at_1, at_many, peak_bytes = costs.tolist()
    return {
        "max_abs_diff": greatest,
        "same_top1": float(same.mean()) if kept else None,
        **(counted_share("same_top1", int(same.sum()), len(same)) if kept and same.dtype == bool else {}),
        "seconds_per_example": float(seconds.sum() / evidence.examples),
        **{"seconds_at_1": at_1, f"seconds_at_{evidence.many}": at_many, "peak_bytes": int(peak_bytes)},
    }


def counted_share(name: str, right: int, number: int) -> dict[str, Any]:
    """What a share was counted from, and its 95 % interval: {NAME_right, NAME_examples, NAME_interval}."""
    ends = list(wilson_interval(right, number))
    return {f"{name}_right": right, f"{name}_examples": number, f"{name}_interval": ends}


def bytes_compared(answering: Path, evidence: Evidence, tolerance: float) -> float:
    """The largest difference between answers to encoded files and Keras's, in fractions of the scale; of pictures,
    which come as PNG, beyond their rounding.

    Raises:
        Refused: another signature, other labels, no PNG, a larger difference than `tolerance`.
    """
    kind, labels = evidence.predictor.kind, evidence.predictor.labels
    answers = grouped(begun(answering, evidence, "serve-bytes"), len(kind.served))
    expecting = evidence.answers_in(evidence.encoded)
    greatest = 0.0
    for number, given in zip(evidence.encoded_batches(), answers, strict=True):
        expected = list(itertools.islice(expecting, number))
        try:
            apart = kind.served_difference(tuple(map(_strings, given)), expected, labels)
        except Mismatch as error:
            raise Refused(f"serve_bytes {error}") from error
        greatest = max(greatest, apart)
    if not greatest <= tolerance:
        raise Refused(f"serve_bytes differs from Keras by {greatest:.3g}, more than {tolerance:g}")
    return greatest


def worth(answering: Path, evidence: Evidence, runtime: str, measured: Measured) -> dict[str, Any]:
    """What a quantised file's answers to the trial are worth.

    Raises:
        Refused: too little.
    """
    trial, before = measured.trial, measured.before
    answers = grouped(begun(answering, evidence, runtime), len(evidence.predictor.kind.outputs))
    after = trial.score(answers, evidence.answers_in(evidence.tried))
    lost = trial.lost(before, after)
    if not lost <= measured.may_lose:
        asked = f"{trial.asked:g} are asked" if trial.asked else f"{before:.6g} before, {lost:.3g} {trial.unit} lost"
        raise Refused(f"{trial.metric} {after:.6g}, {asked}, with {measured.may_lose:g} allowed ({trial.data})")
    kept = None if trial.asked else before
    figures = {"metric": trial.metric, "measured_on": trial.data, "before": kept, "after": after}
    if trial.number is None:
        return figures
    shares = {name: share for name, share in (("before", kept), ("after", after)) if share is not None}
    for name, share in shares.items():
        figures |= counted_share(name, round(share * trial.number), trial.number)
    return figures


def refuse_mistaken(answering: Path, evidence: Evidence, runtime: str) -> None:
    """Refuse a file that answers as Keras does to another input, or in another order: a quantised one need not answer
    exactly, but to the input that it was given.

    Raises:
        Refused: the answers are far closer to mistaken ones.
    """
    inputs = ["as it is", *probes.mistaken(evidence.predictor.input["kind"])]
    errors = dict.fromkeys(inputs, 0.0) | dict.fromkeys(REORDERED, 0.0)
    kind, expecting = evidence.predictor.kind, evidence.answers_in(evidence.mistaken)
    for answer in grouped(begun(answering, evidence, runtime), len(kind.outputs)):
        expected = dict(zip(inputs, itertools.islice(expecting, len(inputs)), strict=True))
        first, *others = expected["as it is"]
        expected |= {name: (change(first), *others) for name, change in REORDERED.items()}
        for name, each in expected.items():
            _difference(kind, answer, each)
            pairs = zip(kind.outputs, answer, each, strict=True)
            errors[name] += sum(float(np.square((a - e) / one.scale, dtype=np.float64).sum()) for one, a, e in pairs)
    least = min(errors, key=lambda name: errors[name])
    if errors[least] < MISTAKEN * errors["as it is"]:
        raise Refused(f"answers an input as Keras answers it with {least}")


def _differences(
    answers: Iterator[np.ndarray], evidence: Evidence, part: Part
) -> Iterator[tuple[float, np.ndarray | None]]:
    """For each batch the largest difference, and which parts of the answers say the same."""
    kind = evidence.predictor.kind
    for expected in evidence.answers_in(part):
        answer = tuple(itertools.islice(answers, len(expected)))
        yield _difference(kind, answer, expected), kind.same(answer, expected)


def _difference(kind: Kind, answer: Outputs, expected: Outputs) -> float:
    try:
        return kind.difference(answer, expected)
    except Mismatch as error:
        raise Refused(str(error)) from error


def _strings(array: np.ndarray) -> np.ndarray:
    """Byte strings of any length from what `runtimes.packed` made of them; other arrays as they are."""
    return np.array(unpacked(array), object).reshape(array.shape) if array.dtype.kind == "S" else array
