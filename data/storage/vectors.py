"""Vectors that a network made of contents, kept in the user's cache: a file for each network, which grows."""

import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress

import numpy as np

from convmedia.data.storage import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import locked

KEPT_BYTES = 2 << 30
"""What the vectors of all networks together may take on disk."""

_ROWS = 4096  # that are read at a time


class Kept:
    """Vectors of one size by the SHA-256 of what they are of.

    Args:
        key: all that a vector depends on beside the content.
        size: numbers of a vector.
    """

    def __init__(self, key: str, size: int):
        self.path = cache.place("vectors", f"{key}\n{size}", ".bin")
        self.row = np.dtype([("digest", "V32"), ("sum", "<u4"), ("vector", "<f4", (size,))])

    def read(self, digests: Collection[str]) -> dict[str, np.ndarray]:
        """Those of `digests` that are there and whole: float32 (size,) each."""
        wanted, found = set(digests), {}
        with suppress(OSError), self.path.open("rb") as file:
            cache.used(self.path)
            while content := file.read(_ROWS * self.row.itemsize):
                whole = len(content) // self.row.itemsize * self.row.itemsize
                for row in np.frombuffer(content[:whole], self.row):
                    digest = row["digest"].tobytes().hex()
                    if digest in wanted and zlib.crc32(row["vector"].tobytes()) == row["sum"]:
                        found[digest] = row["vector"].astype(np.float32)
        return found

    def add(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Keep vectors by their digests; where there is no room, or another process writes, only time is lost."""
        rows = np.zeros(len(vectors), self.row)
        for row, (digest, vector) in zip(rows, vectors.items(), strict=True):
            row["digest"], row["vector"] = np.void(bytes.fromhex(digest)), vector
            row["sum"] = zlib.crc32(row["vector"].tobytes())
        with suppress(OSError, InputError), locked(self.path, "in use"), self.path.open("ab") as file:
            file.truncate(file.tell() // self.row.itemsize * self.row.itemsize)  # half a row, left by a kill
            file.write(rows.tobytes())
            file.flush()
            cache.trim(self.path.parent, KEPT_BYTES)
