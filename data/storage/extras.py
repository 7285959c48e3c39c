"""Optional dependencies: which are missing, and how they are installed, wherever this package itself came from."""

import shlex
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec

from convmedia.data.storage.errors import InputError


def missing(modules: Iterable[str]) -> list[str]:
    """Those of some modules, by their import names, that are not installed."""
    return [module for module in modules if find_spec(module) is None]


def require(what: str, extra: str, *modules: str) -> None:
    """
    Args:
        what: needs the modules; the message begins with it.
        extra: the optional dependency of this package that they belong to.

    Raises:
        InputError: a module is not installed.
    """
    absent = missing(modules)
    if absent:
        raise InputError(f"{what} needs {', '.join(absent)}, not installed here; run: {command(extra)}")


def command(extra: str) -> str:
    """What installs an extra: its packages by their own names, which every package index has."""
    return f"pip install {shlex.join(_packages(extra)) or shlex.quote(f'convmedia[{extra}]')}"


@cache
def _packages(extra: str) -> list[str]:
    from importlib import metadata  # takes a tenth of what a help page may take

    try:
        declared = metadata.requires("convmedia") or []
    except metadata.PackageNotFoundError:  # not installed, only on the path
        declared = []
    found: list[str] = []
    for line in declared:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        if f"extra == '{extra}'" in marker.replace('"', "'"):
            inner = requirement.removeprefix("convmedia[").removesuffix("]")
            found += [requirement] if inner == requirement else _packages(inner)
    return found
