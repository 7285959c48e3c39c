"""What is wrong with a command line, in one line: what was wrong, what was received, what to do."""

import errno
import re

import typer

KINDS = {
    "a valid int": "give a whole number",
    "a valid float": "give a number",
    "a valid boolean": "give true or false",
}
REFUSED = re.compile(r"(?P<received>'.*'|\S+) is not (?P<what>.*?)\.?", re.DOTALL)  # what Typer says of a value


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
    """A refused option or argument in words."""
    param = getattr(error, "param", None)
    found = REFUSED.fullmatch(getattr(error, "message", ""))
    if found is None or param is None:
        return error.format_message()
    what = found["what"]
    received = found["received"].strip("'")
    name = param.opts[-1] if param.opts[-1].startswith("-") else param.human_readable_name
    advice = next((advice for kind, advice in KINDS.items() if what.startswith(kind)), None)
    if advice is None and what.startswith("in the range"):
        least, most = param.type.min, param.type.max
        advice = f"give {least} or more" if least is not None and float(received) < least else f"give {most} or less"
    return f"{name} {received}: {advice or f'is not {what}'}"
