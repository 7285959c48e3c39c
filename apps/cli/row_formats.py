"""The formats that rows of many files are written in, by the suffix of the file."""

from pathlib import Path

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown, special

CSV, PARQUET, JSON_LINES = ".csv", ".parquet", (".jsonl", ".ndjson", ".json")
ARRAYS = ".npz"
"""Suffixes of files of rows."""


def rows_file(path: Path | None) -> Path | None:
    """The file that `predict --out` names.

    Raises:
        InputError: its suffix is of no format that rows are written in, or what writes it is not installed.
    """
    formats = "JSON Lines (.jsonl), .csv and .parquet"
    return checked(path, (CSV, PARQUET, *JSON_LINES), f"rows are written as {formats}; give one of these suffixes")


def features_file(path: Path | None) -> Path | None:
    """The file that `embed --out` names.

    Raises:
        InputError: its suffix is of no format that features are written in, or what writes it is not installed.
    """
    advice = "features are written as .npz or .parquet; give a file of that suffix"
    if path is not None and path.is_dir():
        raise InputError(f"--out {shown(path)}: {advice}")
    return checked(path, (ARRAYS, PARQUET), advice)


def checked(path: Path | None, suffixes: tuple[str, ...], advice: str) -> Path | None:
    """A file to be written, of one of the suffixes. What is no file is left to the message that every option has.

    Raises:
        InputError: another suffix, with the advice; or what writes it is not installed.
    """
    if path is None or is_special(path):
        return path
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise InputError(f"--out {shown(path)}: {advice}")
    if suffix == PARQUET:
        extras.require(shown(path), "parquet", "pyarrow")
    return path


def is_special(path: Path) -> bool:
    """Whether a path, or one of several joined by +, is a device, a pipe or a socket."""
    return any(special(part) for part in (str(path), *str(path).split("+")))
