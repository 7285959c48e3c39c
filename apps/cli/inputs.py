"""The files and the model that a command is given."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from convmedia.apps.cli.backend import use_backend
from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import is_exported, require_layers
from convmedia.data.storage.text import listed

if TYPE_CHECKING:
    from convmedia.models.inference.exported import ExportedPredictor
    from convmedia.models.inference.file_predictor import FilePredictor
    from convmedia.models.inference.predictor import Predictor

KERAS, AUTO = "keras", "auto"  # of `--engine-runtime`
NVIDIA = ("dev/nvidia[0-9]*", "proc/driver/nvidia/gpus/*")  # of the driver, whatever Python has


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


def model_of(app: str, model: str | None, shipped: str | None = None) -> "Predictor":
    """The model that `--model` names, or the one that this package ships for the application, with its layers in Keras.

    Args:
        shipped: name of the shipped weights, where it is not the application's.
    """
    require_layers(model)
    use_backend(None)
    from convmedia import models

    return models.shipped(shipped or app) if model is None else models.load(model, app=app)


def answering(app: str, model: str | None, runtime: str, shipped: str | None = None) -> "FilePredictor":
    """What answers for that model: Keras, or where it does as well an exported file.

    Args:
        runtime: the value of `--engine-runtime`.

    Raises:
        InputError: as `engines.exported`; Keras must answer and is not installed.
    """
    found = exported_for(model, app, runtime, shipped)
    if found is None:
        require_keras(model or app)
    return found or model_of(app, model, shipped)


def exported_for(
    source: str | Path | None, app: str | None, runtime: str, shipped: str | None = None
) -> "ExportedPredictor | None":
    """The proved export that answers for a model, or the exported file that is given itself; None where Keras is to
    answer: as it is asked for, no export is at hand, or Keras was chosen with `--backend`, is loaded by that, or has a
    GPU to compute on.

    Args:
        source: as `files.load` takes it; None for the weights that are shipped for the application, or as `shipped`.

    Raises:
        InputError: as `engines.exported`.
    """
    by_keras = runtime == KERAS or (runtime == AUTO and (os.environ.get("KERAS_BACKEND") or has_gpu()))
    if by_keras and not is_exported(source):
        return None
    from convmedia.models.saving import engines, places

    # Of shipped weights the path: a folder here may have their name.
    given = places.shipped_place(shipped or str(app)) if source is None else source
    return engines.exported(given, app, runtime)


def require_keras(source: str | Path) -> None:
    """Raises InputError: Keras, which must answer for a model, is not installed."""
    if lacking := extras.missing([os.environ.get("KERAS_BACKEND") or "tensorflow"]):
        raise InputError(
            f"{shown(source)} is answered by Keras here, and {lacking[0]} is not installed; install it, or give a "
            "model that `export --format litert` has written a file of"
        )


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether the machine has an NVIDIA GPU that nobody hid.

    Args:
        root: of the file system.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1", "NoDevFiles")
    return not hidden and any(any(root.glob(pattern)) for pattern in NVIDIA)
