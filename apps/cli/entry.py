"""Running a command: exit codes, and one line for what the user can mend."""

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import typer

from convmedia.apps.console.complaints import MACHINE, of_argument
from convmedia.apps.console.terminal import complain, in_utf8, say, tell
from convmedia.data.storage.errors import InputError

INTERRUPTED = 130


def run(command: typer.Typer, arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0, 1 partly failed, 2 the user's or machine's fault, 130.

    Anything else is a bug and shows its traceback.
    """
    in_utf8()
    sys.exit(exit_code(command, arguments))


def exit_code(command: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a command; what the user can mend becomes one line on standard error and 2."""
    try:
        code = command(arguments, standalone_mode=False) or 0
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        if error.format_message() == "Missing command." and context:
            tell(context.get_help())
            return 0
        return complain(of_argument(error))
    except InputError as error:
        return complain(str(error))
    except (typer.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # a file that ends too early, which Typer takes for Ctrl-D
            raise error.__cause__ from None
        code = INTERRUPTED
    except (ImportError, SystemError) as error:
        if not interrupted(error):
            raise
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads the rest: no second complaint
        return 0
    except OSError as error:
        if error.errno not in MACHINE:
            raise
        where = f": {error.filename}" if error.filename else ""
        return complain(f"{error.strerror}{where}; {MACHINE[error.errno]}")
    if code == INTERRUPTED:  # Typer itself turns Ctrl-C into this code
        say(f"\n{interruption(arguments)}")
    return code


def interrupted(error: BaseException | None) -> bool:
    """Whether an error goes back to Ctrl-C: modules turn it into others where it comes while they are loaded."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


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
