"""Where a model is that a user names: a run folder, a `.keras` file, weights that this package ships."""

import re
from pathlib import Path

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import file_in

WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULTS = {"super-resolution": "carn-m_x2"}  # of applications that ship several
SCALE = re.compile(r"-x(?=\d$)")


def place(source: str | Path) -> Path:
    """The file of a model.

    Args:
        source: a run folder, a `.keras` file, or the name of shipped weights; a path that exists goes before a name.

    Raises:
        InputError: a folder without a model, or nothing is shipped under a name.
    """
    path = Path(source)
    named = isinstance(source, str) and not path.suffix and (shipped_file(source) or path.name == source)
    return shipped_place(str(source)) if named and not path.exists() else file_in(path)


def shipped_place(name: str) -> Path:
    """The file of shipped weights, `models/weights/<name>.keras`.

    Raises:
        InputError: none are shipped under that name.
    """
    file = shipped_file(name)
    if file is None:
        raise InputError(
            f"No weights are shipped for {name!r}; train first, then give --model the run folder or its model.keras."
        )
    return WEIGHTS / file


def shipped_file(name: str) -> str | None:
    """The file of shipped weights of that name; None where there is none. Of networks for several scales, such as
    "vdsr-x2", the file has an underscore before the scale."""
    stem = DEFAULTS.get(name, name.rpartition("/")[2])
    files = (f"{stem}.keras", f"{SCALE.sub(r'_x', stem)}.keras")
    return next((file for file in files if (WEIGHTS / file).is_file()), None)


def require_application(found: str, source: str | Path, app: str | None) -> None:
    """Raises InputError: a model is of the application `found`, not of `app`; None takes any."""
    if app is not None and found != app:
        raise InputError(
            f"{shown(source)} is a model of {found!r}, not of {app!r}; use `convmedia {found}` or another model."
        )


def require_shipped(found: str, name: str) -> None:
    """Raises InputError: weights named "APPLICATION/NETWORK" are of another application, `found`."""
    app, _, network = name.partition("/")
    if network and found != app:
        raise InputError(f"No weights of {app!r} are shipped as {name!r}; they are of {found!r}.")
