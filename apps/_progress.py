"""Progress on standard error: bars with the time that is left."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import typer


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar with time left on standard error; give it (done, total). Silent where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with typer.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def update(done: int, total: int | None) -> None:
            bar.length = max(total or done + 1, 1)
            bar.update(done - bar.pos)

        yield update


def counted(items: Iterable, total: int, label: str) -> Iterator:
    """The same items, with a bar on standard error."""
    with progress(label) as update:
        for done, item in enumerate(items, start=1):
            yield item
            update(done, total)
