"""Holding back what mpg123, inside libsndfile, and libtiff, inside Pillow, write to standard error about damaged files
without naming them."""

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

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


@contextmanager
def silenced() -> Iterator[None]:
    """What converters of models print about their own insides, some from C++: standard output belongs to the answer of
    `--json`, standard error to people."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as held:
        try:
            for stream in (1, 2):
                os.dup2(held.fileno(), stream)
            with (
                open(held.fileno(), "w", closefd=False) as python,
                redirect_stdout(python),
                redirect_stderr(python),
            ):
                yield
        finally:
            for stream, before in zip((1, 2), kept, strict=True):
                os.dup2(before, stream)
                os.close(before)
