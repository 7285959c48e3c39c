"""Which file a path of a model means, and what shows at once that it is none; nothing is loaded."""

import zipfile
from pathlib import Path

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

MODEL_FILE = "model.keras"  # of a run folder
OF_SCALES = "model_x*.keras"  # of one with a model for each of several scales


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


def require_archive(path: Path) -> None:
    """Raises InputError: no such file, or one that is not packed as a Keras file is."""
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
    if not (path.is_dir() and any(path.glob(OF_SCALES))):
        require_archive(file_in(path))
