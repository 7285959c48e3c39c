"""An exported file that is a model by itself: what it is comes from the description that it carries."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import EXPORTED, no_layers
from convmedia.models.description import Description, wrong_description
from convmedia.models.inference.exported import ExportedPredictor
from convmedia.models.inference.sessions import MODULES, RUNTIMES, Session
from convmedia.models.saving.places import require_application


class Alone:
    """What is known of a model of which there is an exported file only, as `inference.exported.Facts` has it.

    Attributes:
        path: the file.
        answer: its description.
        session: the file in its runtime.
    """

    def __init__(self, path: Path, answer: Description, session: Session):
        self.path, self.answer, self.session = path, answer, session

    @property
    def classes(self) -> set[str]:
        """Of the layers that prepare pictures: all classifiers of this package look for ink, or resize."""
        if self.answer.input_description["kind"] != "image" or not self.answer.kind.labelled:
            return set()
        return {"FindInk"} if self.answer.details.get("preparation") == "ink" else {"Resize"}

    @property
    def resizes_to(self) -> None:
        """A file does not say what it does first."""
        return None

    @property
    def beside(self) -> list[int]:
        """How many values each further input of the model takes."""
        return [int(shape[-1] or 0) for _, _, shape in self.session.inputs[1:]]

    @property
    def most_filters(self) -> None:
        """A file does not say how many filters it has."""
        return None

    @property
    def reach_px(self) -> int:
        """Raises InputError: only layers say how far a network looks."""
        raise InputError(no_layers(self.path))

    @property
    def hop_samples(self) -> int:
        """Half a window, as of `archive.Archive.hop_samples`."""
        described = self.answer.input_description
        return (round(described["window_seconds"] * described["sample_rate"]) + 1) // 2

    def describe(self, digest: str) -> dict[str, Any]:
        """As `FilePredictor.describe`; of parameters and layers nothing is known."""
        answer = self.answer
        return {
            "app": answer.app,
            "kind": answer.kind.name,
            "input": answer.input_description,
            "labels": answer.labels,
            "parameters": None,
            "details": answer.details,
            "bytes": self.path.stat().st_size,
            "sha256": digest,
            "layers": [],
        }


def alone(path: Path, app: str | None = None, runtime: str | None = None) -> ExportedPredictor:
    """What answers with an exported file alone.

    Args:
        path: an `.onnx` or `.tflite` file that carries a description.
        app: the application that it must be of; None takes any.
        runtime: that was asked for; None takes the file's own.

    Raises:
        InputError: another runtime is asked for, the file's own is not installed, the file is damaged, of other origin
            or altered, or of another application.
    """
    own = EXPORTED[path.suffix]
    if runtime == "keras":
        raise InputError(no_layers(path))
    if runtime not in (None, own):
        raise InputError(f"{shown(path)} is answered by {own}: leave --engine-runtime {runtime} out")
    extras.require(shown(path), own, MODULES[own])
    try:
        session = RUNTIMES[own](path)
        text = session.said()
        said = None if text is None else json.loads(text)
    except MemoryError:
        raise
    except Exception as error:  # the runtimes' parsers of untrusted bytes let out what they like
        raise InputError(f"{shown(path)} cannot be read as {own} ({in_one_line(error)})") from error
    if said is None:
        raise InputError(
            f"{shown(path)} says nothing of its labels and its input: it is no file of this program; give one that "
            "`export` has written, a run folder or a .keras file"
        )
    facts = Alone(path, described(path, said, session), session)
    require_application(facts.answer.app, path, app)
    return ExportedPredictor(facts, own, path, session)


def described(path: Path, said: Any, session: Session) -> Description:
    """The description in a file, which must fit what goes in and comes out.

    Raises:
        InputError: it does not, or something is missing.
    """
    try:
        answer = Description.of(said)
        reason = wrong_description(answer, session.outputs) or wrong_input(answer, session)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"what it says of itself is incomplete ({in_one_line(error)})"
    if reason:
        raise InputError(f"{shown(path)} was altered: {reason}; export it again")
    return answer


def wrong_input(answer: Description, session: Session) -> str | None:
    """What of the described input is not what the file takes, if anything is."""
    wanted = answer.input_description
    if len(session.size) != len(wanted["shape"]) or session.takes not in (np.uint8, np.float32):
        return f"its input is {session.takes} with {len(session.size)} axes, which is no {wanted['kind']}"
    if wanted["kind"] == "sound" and not isinstance(wanted.get("window_seconds"), float | int):
        return "its window is no number of seconds"
    return None
