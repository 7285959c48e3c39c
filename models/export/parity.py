"""Exported files answered in a child process."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from convmedia.models.formats import runtimes
from convmedia.models.formats.formats import Refused


class Asked(NamedTuple):
    """What a file is to answer.

    Attributes:
        runtime: of `runtimes.RUNTIMES`.
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


def arguments(batches: Sequence[Asked]) -> list[str]:
    """What is asked, as `verifying` takes it after the file."""
    return [str(part) for one in batches for part in (one.runtime, one.path, one.answers, one.inputs, one.mode)]


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
            [sys.executable, "-P", runtimes.__file__, path, *arguments(batches)],
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


def first_line(text: str, most: int = 300) -> str:
    """The first line of a text that has something in it, cut at `most` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no message")
    return line if len(line) <= most else f"{line[:most]}..."
