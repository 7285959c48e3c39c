"""Progress on standard error: one line that is written over at a terminal, a line a minute where it is none."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TextIO

from convmedia.apps.console.terminal import heard, silent

LIVE_SECONDS, LASTING_SECONDS = 0.2, 60.0
"""From one line to the next at a terminal, and in a pipe or file."""

FIRST_SECONDS = 2.0
"""What takes longer says what it is."""

BAR = 20


@dataclass(frozen=True)
class Progress:
    """How far something is.

    Attributes:
        what: the step, such as "reading pictures" or "epoch 2/8".
        done, total: of its parts; total is None where it is not known.
        figures: of a training so far, such as {"loss": 0.31}.
    """

    what: str
    done: int
    total: int | None
    figures: dict[str, float] = field(default_factory=dict)


_listener: ContextVar[Callable[[Progress], None] | None] = ContextVar("listener", default=None)


@contextmanager
def told_to(listener: Callable[[Progress], None] | None) -> Iterator[None]:
    """Within the block progress is given to a function, in place of lines on standard error; None changes nothing."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def listening() -> bool:
    """Whether somebody is told of progress in place of lines."""
    return _listener.get() is not None


def tell_listener(what: str, done: int, total: int | None, figures: dict[str, float] | None = None) -> bool:
    """Give progress to whoever listens; False where nobody does."""
    listener = _listener.get()
    if listener is not None:
        listener(Progress(what, done, total, dict(figures or {})))
    return listener is not None


def columns() -> int:
    """Width of the terminal that standard error is, now."""
    if os.environ.get("COLUMNS", "").isdecimal():
        return int(os.environ["COLUMNS"])
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # none
        return shutil.get_terminal_size().columns


def fitted(first: str, figures: Sequence[str], last: str, width: int) -> str:
    """The first and the last part of a line, and between them as many figures as there is room for; cut at `width`."""
    chosen = list(figures)
    while chosen and len("  ".join([first, *chosen, last])) > width:
        chosen.pop()
    return "  ".join(filter(None, [first, *chosen, last]))[:width]


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Line:
    """A line of progress.

    Args:
        stream: where it goes; standard error.

    Attributes:
        live: whether that is a terminal, where the line is written over.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty() and _listener.get() is None
        self.began = time.perf_counter()
        self.shown = self.began

    def due(self) -> bool:
        """Whether it is time for the next line."""
        now = time.perf_counter()
        if now - self.shown < (LIVE_SECONDS if self.live else LASTING_SECONDS):
            return False
        self.shown = now
        return True

    def show(self, first: str, figures: Sequence[str] = (), last: str = "") -> None:
        """Write the line; at a terminal the next one takes its place."""
        heard()
        if self.live:
            print(f"\r{fitted(first, figures, last, columns() - 1)}\x1b[K", end="", file=self.stream, flush=True)
        else:
            self.keep(first, figures, last)

    def keep(self, first: str, figures: Sequence[str] = (), last: str = "") -> None:
        """Write a line that stays."""
        heard()
        if self.live:
            print(f"\r{fitted(first, figures, last, columns() - 1)}\x1b[K", file=self.stream, flush=True)
        else:
            print("  ".join(filter(None, [first, *figures, last])), file=self.stream, flush=True)

    def clear(self) -> None:
        """Leave nothing of what is not to stay."""
        if self.live:
            print("\r\x1b[K", end="", file=self.stream, flush=True)


def tell_while(wait: Callable[[float], bool], tell: Callable[[], None], silent: Callable[[], float]) -> None:
    """Tell after two seconds in which nothing was said, then after a minute.

    Args:
        wait: called with seconds; says whether there is no more to tell of.
        silent: gives the seconds since anything was said.
    """
    least = FIRST_SECONDS
    while not wait(max(least - silent(), LIVE_SECONDS)):
        if silent() >= least:
            tell()
            least = LASTING_SECONDS


class Long:
    """Says what goes on where nothing is said for two seconds, and after a minute; of a short step nothing.

    Args:
        label: of the step.
        stream: as of `Line`.
    """

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self.line, self.label, self.told = Line(stream), label, False
        self.over = threading.Event()
        self.thread = threading.Thread(target=tell_while, args=(self.over.wait, self.tell, silent), daemon=True)
        if not listening():  # who listens hears of what is done, and no lines are printed
            self.thread.start()

    def tell(self) -> None:
        """Write the line."""
        self.told = True
        self.line.show(f"{self.label} ...")

    def end(self) -> None:
        """The step is over, or has a line of its own."""
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()
        if self.told:
            self.line.clear()
            self.told = False


@contextmanager
def said_if_long(label: str, stream: TextIO | None = None) -> Iterator[None]:
    """A step within which nothing else is said: as `Long`."""
    step = Long(label, stream)
    try:
        yield
    finally:
        step.end()


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A line with the share that is done and the time left; give it (done, total), total None where it is not known."""
    line = Line()
    step = None if line.live else Long(label)

    def update(done: int, total: int | None) -> None:
        if tell_listener(label, done, total) or not line.due():
            return
        if step:
            step.end()
        if not total:
            line.show(label, [f"{done:,}"])
            return
        left = (time.perf_counter() - line.began) * (total - done) / max(done, 1)
        bar = "#" * (BAR * done // total)
        figures = [f"{100 * done // total} %", *([f"[{bar:<{BAR}}]"] if line.live else [])]
        line.show(label, figures, f"{clock(left)} left")

    if line.live:
        line.show(f"{label} ...")
    try:
        yield update
    finally:
        if step:
            step.end()
        line.clear()


def counted(items: Iterable, total: int, label: str) -> Iterator:
    """The same items, with a line of progress."""
    with progress(label) as update:
        for done, item in enumerate(items, start=1):
            yield item
            update(done, total)
