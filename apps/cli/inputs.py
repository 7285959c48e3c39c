"""The files and the model that a command is given."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.text import listed

if TYPE_CHECKING:
    from convmedia.models.inference.predictor import Predictor


def given(inputs: list[str] | None, files_from: Path | None) -> list[str]:
    """Files and folders of the command line, then those that `--files-from` names.

    Raises:
        InputError: none, or the list cannot be read.
    """
    names = list(inputs or [])
    if files_from is not None:
        try:
            content = sys.stdin.buffer.read() if str(files_from) == "-" else files_from.read_bytes()
        except OSError as error:
            raise InputError(f"--files-from {shown(files_from)}: {error.strerror}") from error
        names += listed(content)
    if not names:
        raise InputError("no file is named: give files or folders, or --files-from LIST")
    return names


def model_of(app: str, model: str | None) -> "Predictor":
    """The predictor that `--model` names, or the one that this package ships for the application."""
    from convmedia.models import load, shipped

    return shipped(app) if model is None else load(model, app=app)
