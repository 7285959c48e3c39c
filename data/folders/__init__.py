"""Folders and tables of files: scanned, checked, labelled."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convmedia.data.folders.flow import flow_from_directory as flow_from_directory

_PLACES = {
    "flow_from_directory": "convmedia.data.folders.flow",
}


def __getattr__(name: str) -> Any:
    """What is asked for is loaded then."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
