"""Which file a path of a model means, and what shows at once that it is none; nothing is loaded."""

import zipfile
from pathlib import Path

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

MODEL_FILE = "model.keras"  # of a run folder
OF_SCALES = "model_x*.keras"  # of one with a model for each of several scales
EXPORTED = {".onnx": "onnx", ".tflite": "litert"}
"""Suffixes of exported files that answer by themselves, and what runs them."""


def file_in(path: Path) -> Path:
    """The model file of a path: its own, or that of a run folder.

    Raises:
        InputError: the folder has none.
    """
    if not path.is_dir():
        return path
    if not (path / MODEL_FILE).is_file():
        raise InputError(f"The folder {shown(path)} holds no {MODEL_FILE}; give the --out folder of a training.")
    return path / MODEL_FILE


def is_exported(source: str | Path | None) -> bool:
    """Whether a path is that of an exported file, which has no layers that Keras could load."""
    return source is not None and Path(source).suffix in EXPORTED and Path(source).is_file()


def require_layers(source: str | Path | None) -> None:
    """Raises InputError: the path is that of an exported file, and the layers of the model are needed."""
    if source is not None and is_exported(source):
        raise InputError(no_layers(Path(source)))


def no_layers(path: Path) -> str:
    """The error of an exported file where a model's layers are needed."""
    return (
        f"{shown(path)} is an exported file, which only answers: this needs the layers of the model; give the .keras "
        "file or run folder that it was made from"
    )


def require_archive(path: Path) -> None:
    """Raises InputError: no such file, one that is not packed as a Keras file is, or an exported one."""
    require_layers(path)
    if not path.is_file():
        raise InputError(
            f"There is no model file {shown(path)}; give a run folder or a .keras file that this program wrote."
        )
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise InputError(
            f"{shown(path)} is no Keras file, or only a part of one; give a run folder or a complete .keras."
        )


def require_model(path: Path) -> None:
    """Raises InputError: a run folder without a model, or a file that cannot be one."""
    if not (is_exported(path) or (path.is_dir() and any(path.glob(OF_SCALES)))):
        require_archive(file_in(path))
