"""Options whose value is the name of a row of a table."""

from collections.abc import Collection
from typing import Any

import typer


class Choice:
    """Takes one of the names that a table has when the option is given, and says them where it is another one."""

    __name__ = "choice"  # which Typer asks of it

    def __init__(self, names: Collection[str], also: Collection[str] = ()):
        self.table, self.also = names, also

    @property
    def names(self) -> list[str]:
        return [*self.also, *self.table]

    def __call__(self, value: str) -> str:
        if value not in self.names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, self.names))}.")
        return value

    def beginning(self, incomplete: str) -> list[str]:
        """What a shell completes to."""
        return [name for name in self.names if name.startswith(incomplete)]


def choice(names: Collection[str], help: str, *flags: str, also: Collection[str] = ()) -> Any:
    """An option that takes one of some names, such as the keys of a table.

    Args:
        flags: how it is written, where that is not the parameter's name.
        also: further values, which are no rows.
    """
    taken = Choice(names, also)
    listed = "|".join(taken.names)
    return typer.Option(*flags, parser=taken, metavar=f"[{listed}]", autocompletion=taken.beginning, help=help)
