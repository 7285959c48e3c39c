"""Reading .npz archives that may have been cut or altered since they were written."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown

DAMAGED = (  # what zipfile, zlib and NumPy raise on files that were cut or altered
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    RuntimeError,  # encrypted
    NotImplementedError,  # an unknown method of compression
    SyntaxError,
    MemoryError,
    OSError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def undamaged(path: str | Path, advice: str) -> Iterator[None]:
    """Turns what readers of archives raise on a damaged file into an InputError that names it.

    Args:
        advice: what to do about it.
    """
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{shown(path)} cannot be read ({in_one_line(error, 100)}); {advice}") from error


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz, compared with the checksums that the archive has of them.

    Raises:
        DAMAGED: any of these.
    """
    with Path(path).open("rb") as content, np.load(content, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
