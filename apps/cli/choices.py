"""Options whose value is the name of a row of a table."""

from collections.abc import Callable, Collection
from typing import Any

import typer

Names = Collection[str] | Callable[[], Collection[str]]


class Choice:
    """Takes one of the names that a table has when the option is given, and says them where it is another one."""

    __name__ = "choice"  # which Typer asks of it

    def __init__(self, names: Names, also: Collection[str] = ()):
        self.table, self.also = names, also

    @property
    def names(self) -> list[str]:
        return [*self.also, *(self.table() if callable(self.table) else self.table)]

    def __call__(self, value: str) -> str:
        if value not in self.names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, self.names))}.")
        return value

    def beginning(self, incomplete: str) -> list[str]:
        """What a shell completes to."""
        return [name for name in self.names if name.startswith(incomplete)]


def choice(names: Names, help: str, *flags: str, also: Collection[str] = ()) -> Any:
    """An option that takes one of some names, such as the keys of a table.

    Args:
        names: them, or a function that gives them.
        flags: how it is written, where that is not the parameter's name.
        also: further values, which are no rows.
    """
    taken = Choice(names, also)
    listed = "|".join(taken.names)
    return typer.Option(*flags, parser=taken, metavar=f"[{listed}]", autocompletion=taken.beginning, help=help)
