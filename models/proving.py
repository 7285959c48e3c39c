"""Exported files answered in a child process, and what their answers are beside those of Keras."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convmedia.models import verifying
from convmedia.models.formats import Refused
from convmedia.models.verifying import read_arrays

REPEAT_TOLERANCE = 1e-5  # between two runs of one file on one input: rounding of threads, no random numbers


class Asked(NamedTuple):
    """What a file is to answer.

    Attributes:
        runtime: of `verifying.RUNTIMES`.
        path: of the batches; the answers are written beside them, as `verifying` says.
        inputs: how many arrays a batch has.
        mode: as of `verifying`.
    """

    runtime: str
    path: Path
    inputs: int
    mode: str

    @property
    def answers(self) -> Path:
        return self.path.with_name(f"answers_{self.path.name}")


def answered(path: Path, batches: Sequence[Asked], timeout_seconds: float) -> None:
    """Answer batches in another process: a file can crash its runtime, and then it must not crash us.

    Raises:
        Refused: the runtime fails, crashes or does not end in time.
    """
    settings = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    for one in batches:
        one.answers.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-P", verifying.__file__, path),
                *(str(part) for one in batches for part in (one.runtime, one.path, one.answers, one.inputs, one.mode)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=settings,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"its runtime did not finish within {timeout_seconds:g} s") from error
    said = _last_words(done.stderr.decode(errors="replace"))
    if done.returncode < 0:
        raise Refused(f"its runtime crashed with {signal.Signals(-done.returncode).name}: {said}")
    if done.returncode:
        raise Refused(f"its runtime failed: {said}")


def _last_words(text: str) -> str:
    """The exception's first line where there is a traceback, else the last line."""
    _, traceback, after = text.rpartition("Traceback (most recent call last):\n")
    if traceback:
        return first_line("\n".join(line for line in after.splitlines() if not line.startswith(" ")))
    return first_line("\n".join(reversed(text.splitlines())))


def compared(
    answering: Path, expecting: Path, counts: dict[str, Any], labelled: bool, tolerance: float | None
) -> dict[str, Any]:
    """What answers are beside what was expected.

    Args:
        answering, expecting: files of the runtime's answers and of Keras's.
        counts: {"examples", "batches"}; what follows those batches is not timed.
        labelled: whether the answers are scores of labels.
        tolerance: largest difference of an answer scaled to 0..1; None for any.

    Returns:
        {"max_abs_diff", "same_top1", "seconds_per_example"}, and what was timed.

    Raises:
        Refused: other shapes, NaN, random answers, a larger difference.
    """
    answers = read_arrays(answering)
    differences, same = [], []
    for expected in read_arrays(expecting):
        answer = next(answers)
        if answer.shape != expected.shape:
            raise Refused(f"answers {answer.shape} where Keras answers {expected.shape}")
        scale = 255.0 if expected.ndim == 4 else 1.0  # pictures in 0..255, probabilities
        differences.append(np.max(np.abs(answer.astype(np.float64) - expected)) / scale)
        if labelled:
            same.append(answer.argmax(-1) == expected.argmax(-1))
    seconds, repeated, *costs = answers
    unequal = float(repeated) / scale
    if not np.isfinite([*differences, unequal]).all():
        raise Refused("answers NaN or infinity")
    if unequal > REPEAT_TOLERANCE:
        raise Refused(f"random: two runs on the same input differ by {unequal:.3g}")
    if tolerance is not None and max(differences) > tolerance:
        raise Refused(f"answers differ from Keras by {max(differences):.3g}, more than {tolerance:g}")
    return {
        "max_abs_diff": float(max(differences)),
        "same_top1": float(np.concatenate(same).mean()) if labelled else None,
        "seconds_per_example": float(seconds[: counts["batches"]].sum() / counts["examples"]),
        **(_costs(*costs[0].tolist()) if costs else {}),
    }


def _costs(seconds_at_1: float, seconds_at_32: float, peak_bytes: float) -> dict[str, Any]:
    return {"seconds_at_1": seconds_at_1, "seconds_at_32": seconds_at_32, "peak_bytes": int(peak_bytes)}


def first_line(text: str, most: int = 300) -> str:
    """The first line of a text that has something in it, cut at `most` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no message")
    return line if len(line) <= most else f"{line[:most]}..."
