"""What an exported file says and answers beside what was promised and what Keras answers."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data import images
from convmedia.data.errors import InputError
from convmedia.models import probes
from convmedia.models.evidence import Evidence, Measured
from convmedia.models.formats import Refused, promised
from convmedia.models.metrics import wilson_interval
from convmedia.models.verifying import read_arrays, unpacked

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
    for name, expected in promised(evidence.predictor.model, runtime).items():
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
        "seconds_at_1", "seconds_at_32", "peak_bytes"}.

    Raises:
        Refused: another signature, other shapes, NaN, random answers, a larger difference.
    """
    answers = begun(answering, evidence, runtimes[0])
    found = list(_differences(answers, evidence.plain.expected, evidence.scale))
    seconds, repeated, costs = answers
    unequal = float(repeated) / evidence.scale
    if not unequal <= REPEAT_TOLERANCE:
        raise Refused(f"random: two runs on the same input differ by {unequal:.3g}")
    found += _differences(begun(probed, evidence, runtimes[1]), evidence.probes.expected, evidence.scale)
    counted = found[: evidence.batches + evidence.varied]
    greatest = max(difference for difference, _ in (counted if tolerance is None else found))
    if tolerance is not None and not greatest <= tolerance:
        raise Refused(f"answers differ from Keras by {greatest:.3g}, more than {tolerance:g}")
    same = np.concatenate([each.ravel() for _, each in counted])
    at_1, at_32, peak_bytes = costs.tolist()
    counts = {} if evidence.predictor.labels is None else counted_share("same_top1", int(same.sum()), len(same))
    return {
        "max_abs_diff": greatest,
        "same_top1": None if evidence.predictor.labels is None else float(same.mean()),
        **counts,
        "seconds_per_example": float(seconds.sum() / evidence.examples),
        **{"seconds_at_1": at_1, "seconds_at_32": at_32, "peak_bytes": int(peak_bytes)},
    }


def counted_share(name: str, right: int, number: int) -> dict[str, Any]:
    """What a share was counted from, and its 95 % interval: {NAME_right, NAME_examples, NAME_interval}."""
    ends = list(wilson_interval(right, number))
    return {f"{name}_right": right, f"{name}_examples": number, f"{name}_interval": ends}


def bytes_compared(answering: Path, evidence: Evidence, tolerance: float) -> float:
    """The largest difference between answers to encoded files and Keras's, scaled to 0..1; of pictures, which come as
    PNG, beyond their rounding.

    Raises:
        Refused: another signature, other labels, no PNG, a larger difference than `tolerance`.
    """
    labels, scale = evidence.predictor.labels, evidence.scale
    answers, expecting = begun(answering, evidence, "serve-bytes"), read_arrays(evidence.encoded.expected)
    greatest = 0.0
    for number in evidence.encoded_batches():
        expected = list(itertools.islice(expecting, number))
        if labels is None:
            found = _pictures(unpacked(next(answers)))
            apart = [_beyond_rounding(*pair) for pair in zip(_same_number(found, number), expected, strict=True)]
        else:
            _refuse_other_labels(next(answers), labels, number)
            found = list(_same_number(next(answers)[:, np.newaxis], number))
            apart = [_difference(*pair) for pair in zip(found, expected, strict=True)]
        greatest = max(greatest, *(each / scale for each in apart))
    if not greatest <= tolerance:
        raise Refused(f"serve_bytes differs from Keras by {greatest:.3g}, more than {tolerance:g}")
    return greatest


def worth(answering: Path, evidence: Evidence, runtime: str, measured: Measured) -> dict[str, Any]:
    """What a quantised file's answers to the trial are worth.

    Raises:
        Refused: too little.
    """
    trial, before = measured.trial, measured.before
    after = trial.score(begun(answering, evidence, runtime), read_arrays(evidence.tried.expected))
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
    expecting = read_arrays(evidence.mistaken.expected)
    for answer in begun(answering, evidence, runtime):
        expected = dict(zip(inputs, itertools.islice(expecting, len(inputs)), strict=True))
        expected |= {name: change(expected["as it is"]) for name, change in REORDERED.items()}
        for name, each in expected.items():
            _difference(answer, each)
            errors[name] += float(np.square(answer - each, dtype=np.float64).sum())
    least = min(errors, key=lambda name: errors[name])
    if errors[least] < MISTAKEN * errors["as it is"]:
        raise Refused(f"answers an input as Keras answers it with {least}")


def _differences(answers: Iterator[np.ndarray], expecting: Path, scale: float) -> Iterator[tuple[float, np.ndarray]]:
    """For each batch the largest difference, and which of its rows are greatest at the same place."""
    for expected in read_arrays(expecting):
        answer = next(answers)
        yield _difference(answer, expected) / scale, answer.argmax(-1) == expected.argmax(-1)


def _difference(answer: np.ndarray, expected: np.ndarray) -> float:
    if answer.shape != expected.shape:
        raise Refused(f"answers {answer.shape} where Keras answers {expected.shape}")
    if not np.isfinite(answer).all():
        raise Refused("answers NaN or infinity")
    return float(np.max(np.abs(answer.astype(np.float64) - expected)))


def _beyond_rounding(answer: np.ndarray, expected: np.ndarray) -> float:
    """How far whole levels are from an answer, beyond the half that rounding may take."""
    return max(_difference(answer[np.newaxis], np.clip(expected, 0, 255)) - 0.5, 0.0)


def _pictures(contents: list[bytes]) -> list[np.ndarray]:
    try:
        return [images.decode(content) for content in contents]
    except InputError as error:
        raise Refused(f"serve_bytes gives no picture: {error}") from error


def _same_number(answers: Any, number: int) -> Any:
    if len(answers) != number:
        raise Refused(f"serve_bytes gives {len(answers)} answers to {number} files")
    return answers


def _refuse_other_labels(names: np.ndarray, labels: list[str], number: int) -> None:
    if names.shape != (number, len(labels)):
        raise Refused(f"serve_bytes gives {number} files labels of shape {names.shape}, not {len(labels)} each")
    given = [name.decode(errors="replace") for name in unpacked(names)]
    if given != labels * number:
        raise Refused(f"serve_bytes gives the labels {given[: len(labels)]} where {labels} are meant")
