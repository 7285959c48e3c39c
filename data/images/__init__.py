"""Pictures in and out: whatever people keep in files becomes uint8 RGB, and back."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convmedia.data.images.decoding import decode as decode
    from convmedia.data.images.decoding import encode as encode
    from convmedia.data.images.decoding import find as find
    from convmedia.data.images.opening import MAX_PIXELS as MAX_PIXELS
    from convmedia.data.images.opening import size as size

_PLACES = {
    "decode": "convmedia.data.images.decoding",
    "encode": "convmedia.data.images.decoding",
    "find": "convmedia.data.images.decoding",
    "size": "convmedia.data.images.opening",
    "MAX_PIXELS": "convmedia.data.images.opening",
}


def __getattr__(name: str) -> Any:
    """What is asked for is loaded then."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
