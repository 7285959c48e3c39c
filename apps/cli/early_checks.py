"""What is wrong with arguments and shows without Keras: said at once, before seconds go by while modules are loaded."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown, special
from convmedia.data.storage.model_files import require_layers, require_model
from convmedia.models.saving.places import shipped_file

NONE = "none"  # of --weights
TABLES = (".csv", ".tsv", ".tab")


def model_given(path: str | None) -> str | None:
    """The value of `--model`.

    Raises:
        InputError: there is no such file or folder, and nothing is shipped under that name; or it holds no model.
    """
    if path is None or _joined_special(path):
        return path
    if Path(path).exists():
        require_model(Path(path))
        return path
    if _shipped(path):
        return path
    raise InputError(
        f"there is no model {shown(path)}; give --model a run folder, the .keras file of one or an exported file"
    )


def layers_given(path: str | None) -> str | None:
    """As `model_given`, of a model whose layers are needed. Raises InputError also for an exported file."""
    require_layers(path)
    return model_given(path)


def weights_given(path: str) -> str:
    """The value of `--weights`, as `layers_given`; "none" is none."""
    require_layers(path)
    if path == NONE or _joined_special(path) or Path(path).exists() or _shipped(path):
        return path
    raise InputError(
        f"there are no weights {shown(path)}; give --weights a run folder, a .keras file or a shipped name"
    )


def others_given(named: str) -> str:
    """The value of `--none-of-these`: "none", "bundled", or a folder that has pictures."""
    if named in (NONE, "bundled"):
        return named
    if not named or not Path(named).is_dir():
        raise InputError(
            f"--none-of-these takes bundled, none, or a folder of pictures of other things; received {named!r}"
        )
    pictures_given([named])
    return named


def pictures_given(files: Sequence[str]) -> None:
    """Raises InputError: there are only folders, and they hold no picture."""
    if all(map(os.path.isdir, files)):
        from convmedia.data.images import decoding

        decoding.find(files)


def pictures_of(context: typer.Context, name: str | None) -> str | None:
    """The value of a `--data` that names pictures without labels. Raises InputError as `data_given`, and for a folder
    without pictures and a file that is none."""
    if data_given(context, name) is None or _joined_special(str(name)):
        return name
    name = str(name)
    for part in [name] if Path(name).is_dir() else name.split("+"):
        if Path(part).is_dir():
            pictures_given([part])
        else:
            from convmedia.data.sources import fetch

            fetch.source(part)  # a file is no set
    return name


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
    return shipped_file(name) is not None


def data_given(context: typer.Context, name: str | None) -> str | None:
    """The value of `--data`: names of sets, or paths, joined by + where that is meant.

    Raises:
        InputError: there is no such file or folder, and no set of that name; the set is of another kind than the
            application takes.
    """
    if name and not _joined_special(name) and not Path(name).exists():
        from convmedia.data.sources.catalogue import SOURCES, require_kind

        app = context.parent.command.name if context.parent else None
        for part in name.split("+"):
            if app in KINDS and part in SOURCES and not Path(part).exists():
                require_kind(part, KINDS[app])
            if part in ("", *SOURCES) or Path(part).exists():
                continue
            if Path(part).suffix.lower() in TABLES:
                raise InputError(f"there is no table {shown(part)}; give a CSV file with the columns file and labels")
            if any(mark in part for mark in "/\\."):
                hint = "give a folder with one folder per label inside, a table of files, or a data set's name"
                raise InputError(f"--data {shown(part)} does not exist; {hint}")
            from convmedia.data.sources import fetch

            fetch.source(part)  # says which names there are
    return name


KINDS = {
    "mnist": "digits",
    "cats-vs-dogs": "photos",
    "transfer": "photos",
    "audio": "sounds",
    "super-resolution": "pictures",
    "style-transfer": "pictures",
}
"""Of the named sets that each application takes."""


def to_write_in(folder: Path | None) -> Path | None:
    """The value of an `--out` that is a folder.

    Raises:
        InputError: it is a file, or lies below one.
    """
    if folder is None or special(folder):  # that has a message of its own
        return folder
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(f"--out {shown(folder)}: {shown(place)} is a file; give a folder")
            break
    return folder


def group_given(pattern: str | None) -> str | None:
    """The value of `--group`. Raises InputError: no regular expression."""
    if pattern is not None:
        from convmedia.data.splits.groups import group_pattern

        group_pattern(pattern)
    return pattern


def engine_given(engine: str) -> str:
    """The value of `--engine`. Raises InputError: Ray is asked for and not installed."""
    if engine == "ray":
        extras.require("--engine ray", "ray", "ray")
    return engine


def to_begin(context: typer.Context, overwrite: bool) -> bool:
    """The value of `--overwrite`: without it and without `--resume`, an --out that is there is not begun.

    What is on the command line is parsed before what is not, so the other options are known.

    Raises:
        InputError: as `record.refuse_existing`.
    """
    out = Path(context.params["out"]) if context.params.get("out") else None
    begins = not overwrite and not context.params.get("resume")
    if out is not None and begins and out.exists() and not special(out):  # that has a message of its own
        from convmedia.apps.runs.record import refuse_existing

        refuse_existing(out)
    return overwrite
