"""What is wrong with arguments and shows without Keras: said at once, before seconds go by while modules are loaded."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from convmedia.data.errors import InputError
from convmedia.data.files import shown, special

NONE = "none"  # of --weights
TABLES = (".csv", ".tsv", ".tab")
WEIGHTS = Path(__file__).parent.parent / "models" / "weights"


def model_given(path: str | None) -> str | None:
    """The value of `--model`.

    Raises:
        InputError: there is no such file or folder, and nothing is shipped under that name.
    """
    if path is None or _joined_special(path) or Path(path).exists() or _shipped(path):
        return path
    raise InputError(f"there is no model {shown(path)}; give --model a run folder or the .keras file of one")


def weights_given(path: str) -> str:
    """The value of `--weights`, as `model_given`; "none" is none."""
    if path == NONE or _joined_special(path) or Path(path).exists() or _shipped(path):
        return path
    raise InputError(
        f"there are no weights {shown(path)}; give --weights a run folder, a .keras file or a shipped name"
    )


def required(app: str, model: str | None) -> None:
    """Raises InputError: `--model` is left out, and no weights are shipped for the application."""
    if model is None and not _shipped(app):
        raise InputError(
            f"No weights are shipped for {app!r}; train first, then give --model the run folder or its model.keras."
        )


def all_missing(files: Sequence[str], read: Callable[[str], object]) -> list[dict[str, str]]:
    """The rows of files none of which is there; none where one is, and reading needs a model.

    Args:
        read: says by its InputError what is wrong with a file.
    """
    rows: list[dict[str, str]] = []
    for file in [] if any(map(os.path.lexists, files)) else files:
        try:
            read(file)
        except InputError as error:
            rows.append({"file": file, "error": str(error)})
    return rows


def _joined_special(value: str) -> bool:
    """Whether a part of a value is a device or pipe, which has a message of its own."""
    return any(map(special, value.split("+")))


def _shipped(name: str) -> bool:
    """Whether a name may be one of the weights that this package ships."""
    return (WEIGHTS / f"{name}.keras").is_file()


def data_given(name: str | None) -> str | None:
    """The value of `--data`: names of sets, or paths, joined by + where that is meant.

    Raises:
        InputError: there is no such file or folder, and no set of that name.
    """
    if name and not Path(name).exists():
        from convmedia.data.catalogue import SOURCES

        for part in name.split("+"):
            if part in ("", *SOURCES) or Path(part).exists() or special(part):
                continue
            if Path(part).suffix.lower() in TABLES:
                raise InputError(f"there is no table {shown(part)}; give a CSV file with the columns file and labels")
            if any(mark in part for mark in "/\\."):
                hint = "give a folder with one folder per label inside, a table of files, or a data set's name"
                raise InputError(f"--data {shown(part)} does not exist; {hint}")
            from convmedia.data import sources

            sources.source(part)  # says which names there are
    return name


def to_begin(context: typer.Context, overwrite: bool) -> bool:
    """The value of `--overwrite`: without it and without `--resume`, an --out that is there is not begun.

    What is on the command line is parsed before what is not, so the other options are known.

    Raises:
        InputError: as `_runs.refuse_existing`.
    """
    out = context.params.get("out")
    begins = not overwrite and not context.params.get("resume")
    if out is not None and begins and out.exists() and not special(out):  # that has a message of its own
        from convmedia.apps._runs import refuse_existing

        refuse_existing(out)
    return overwrite
