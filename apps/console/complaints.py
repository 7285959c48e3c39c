"""What is wrong with a command line, in one line: what was wrong, what was received, what to do."""

import errno
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

KINDS = {
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "int_type": "give a whole number",
    "float_parsing": "give a number",
    "float_type": "give a number",
    "finite_number": "give a finite number",
    "bool_parsing": "give true or false",
}
BOUNDS = {
    "greater_than_equal": "give {ge} or more",
    "greater_than": "give more than {gt}",
    "less_than_equal": "give {le} or less",
    "less_than": "give less than {lt}",
}


MACHINE = {
    errno.ENOSPC: "free some space, then run it again (with --resume where the command has it)",
    errno.EDQUOT: "free some of your quota, then run it again (with --resume where the command has it)",
    errno.EACCES: "choose a place that may be read and written",
    errno.EPERM: "choose a place that may be read and written",
    errno.EROFS: "choose a place that may be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file",
    errno.EEXIST: "give the name of a folder",
    errno.ELOOP: "remove the loop of symbolic links",
    errno.EFBIG: "raise the limit on file sizes, or write elsewhere",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "check the disk",
    errno.ENAMETOOLONG: "give a shorter name",
}


def of_argument(error: typer.TyperException) -> str:
    """A refused option or argument in words; the validator's own name what it is in its code."""
    message = error.format_message()
    found = _validated(error)
    param = getattr(error, "param", None)
    if found is None or param is None:
        return message
    name = param.opts[-1] if param.opts[-1].startswith("-") else param.human_readable_name
    received = f"{name} {found['input']}".rstrip()
    kind = found["type"]
    if kind in KINDS:
        return f"{received}: {KINDS[kind]}"
    if kind in BOUNDS:
        return f"{received}: {BOUNDS[kind].format(**found['ctx'])}"
    reason = found["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{received}: {reason.removeprefix(repr(found['input'])).strip()}"


def _validated(error: BaseException | None) -> dict[str, Any] | None:
    """What the validator said first, where an error goes back to it."""
    while error is not None:
        if hasattr(error, "errors") and callable(error.errors):
            return error.errors()[0]
        error = error.__cause__ or error.__context__
    return None


def interruption(arguments: Sequence[str] | None) -> str:
    """What is said after Ctrl-C: how the command goes on."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    out = next((Path(after) for option, after in pairwise(given) if option == "--out"), None)
    if out is not None and not out.exists():
        return "interrupted; nothing was written to --out"
    if "train" in given or "compare" in given:
        return "interrupted; complete epochs are kept: the same command with --resume goes on"
    if out is not None:
        return "interrupted; what was done is kept: the same command goes on"
    return "interrupted"
