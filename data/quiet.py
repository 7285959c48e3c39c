"""Holding back what mpg123, inside libsndfile, and libtiff, inside Pillow, write to standard error about damaged files
without naming them."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = "__stderrp" if sys.platform == "darwin" else "stderr"


class Mute:
    """Points C's `stderr` elsewhere while any thread asks for it.

    File descriptor 2 stays as it is, so what Python prints meanwhile, in any thread, is shown. Where the C library has
    no such variable nothing is held back.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked = 0
        self.kept: int | None = None
        self.nowhere: int | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold back within the block."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        with self.lock:
            before, self.asked = self.asked, self.asked + by
            if bool(before) == bool(self.asked):
                return
            variable = _variable()
            if variable is None:
                return
            if self.asked:
                self.kept, variable.value = variable.value, self._nowhere() or variable.value
            else:
                variable.value = self.kept

    def _nowhere(self) -> int | None:
        """A C stream that nobody reads, opened once."""
        if self.nowhere is None:
            opening = ctypes.CDLL(None).fopen
            opening.restype, opening.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_char_p)
            self.nowhere = opening(os.devnull.encode(), b"w")
        return self.nowhere


def _variable() -> ctypes.c_void_p | None:
    """The variable `stderr` of the C library."""
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), STDERR)
    except (TypeError, ValueError, OSError):  # Windows has no library of all symbols
        return None


mute = Mute()
