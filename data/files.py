"""Writing files so that a kill at any moment leaves the last complete one."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it is renamed to `path`, on failure removed.

    The parent folder is made where it is missing. The temporary name keeps the suffix, because writers choose the
    format by it, and carries process and thread, so that two writers of one file never share it.

    Raises:
        OSError: as the writer or the rename raises it (no space left, no permission).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}-{threading.get_ident()}"
    beside = path.with_name(f".{path.stem}.{writer}.partial{path.suffix}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(path: str | Path) -> str:
    r"""A path as text for one line of a message: bytes that are not UTF-8 and line breaks appear as `\xe9`, `\n`.

    File names are bytes; without this a strange one splits an error message or stops its printing.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)
