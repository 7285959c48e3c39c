"""Functions that a table names and that are loaded when they are called: reading the table loads nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any


@dataclass(frozen=True)
class Deferred:
    """A function of a module that is imported when it is called.

    Attributes:
        function: "package.module:function".
        options: keyword arguments that it is always called with.
    """

    function: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return resolve_name(self.function)(*arguments, **self.options, **options)
