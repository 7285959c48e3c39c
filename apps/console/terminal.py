"""What is printed: in one place, so that no name, label or message reaches a terminal as a command to it."""

import os
import sys
import time
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from convmedia.data.storage.files import shown


def in_utf8() -> None:
    """Prepare this process to name and print every file.

    Where its locale cannot name every file it starts again in Python's UTF-8 mode: libraries, tables and records name
    files in UTF-8. What is printed keeps the locale's encoding, and what that cannot say is escaped.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1" and sys.executable:
        printed = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | printed)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """Text without control characters but line breaks and tabs: others are escaped, as those of a terminal."""
    return "\n".join("\t".join(map(shown, line.split("\t"))) for line in text.split("\n"))


def tell(text: str = "", flush: bool = False) -> None:
    """An answer, on standard output."""
    print(printable(text), flush=flush)


_said = [time.monotonic()]


def heard() -> None:
    """Something is written to standard error now."""
    _said[0] = time.monotonic()


def silent() -> float:
    """Seconds since anything was written there, or since the process began."""
    return time.monotonic() - _said[0]


def say(text: str) -> None:
    """A line for the person at the terminal, on standard error."""
    heard()
    print(printable(text), file=sys.stderr, flush=True)


def complain(message: str) -> int:
    """One line on standard error, exit code 2."""
    print("error: " + shown(" ".join(message.split())), file=sys.stderr)
    return 2


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Plain text in columns; numbers to the right."""
    cells = [[shown(str(cell)) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(header))]
    lines = [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def note(text: str) -> None:
    """A remark on what is done with what was given, on standard error."""
    say(f"note: {text}")


def say_left_out(bad: Sequence[tuple[Path, str]]) -> None:
    """Say which files cannot be used and why: the first five, and how many there are."""
    for path, reason in bad[:5]:
        say(f"left out: {shown(path)}: {reason.removeprefix(f'{shown(path)} ')}")
    if len(bad) > 5:
        say(f"left out: {len(bad)} files in all; `convmedia data check` with the same --data names each of them")


def percent(fraction: float) -> str:
    """0.9961 as "99.61 %"."""
    return f"{100 * fraction:.2f} %"
