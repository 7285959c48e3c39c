"""Convolutional media applications on Keras 3: raw input in, a verified file out.

    import convmedia

    run = convmedia.train("transfer", data="photos/", out="runs/mine", epochs=4)
    model = convmedia.load("runs/mine")
    model.predict("photo.jpg")
    model.export("onnx", out="exported/")
    convmedia.evaluate(model, data="photos/")

The commands do the same with the same options. What is wrong with what was given is an `InputError` of one line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convmedia.apps.api.model import Model, load
    from convmedia.apps.api.training import Progress, Trained, evaluate, train
    from convmedia.data.storage.errors import InputError

    __version__: str

__all__ = ["InputError", "Model", "Progress", "Trained", "__version__", "evaluate", "load", "train"]

_PLACES = {
    "InputError": "convmedia.data.storage.errors",
    "Model": "convmedia.apps.api.model",
    "Progress": "convmedia.apps.api.training",
    "Trained": "convmedia.apps.api.training",
    "evaluate": "convmedia.apps.api.training",
    "load": "convmedia.apps.api.model",
    "train": "convmedia.apps.api.training",
}


def __getattr__(name: str) -> Any:
    """What is used is loaded then: Keras takes seconds."""
    if name == "__version__":
        return import_module("importlib.metadata").version("convmedia")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'convmedia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
