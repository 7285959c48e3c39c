"""What ends up inside a saved file: layers, networks, metrics, saving; and what answers in its place without Keras.

After importing this package Keras knows every layer that a saved file may hold, so that `keras.saving.load_model` finds
them. Keras itself takes seconds to load, and what is in `WITHOUT_KERAS` needs none: so the layers are registered when
Keras is loaded, or at once where it is.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convmedia.models.inference.predictor import Predictor
    from convmedia.models.saving.files import load, shipped

__all__ = ["Predictor", "load", "shipped"]

_PLACES = {
    "Predictor": "convmedia.models.inference.predictor",
    "load": "convmedia.models.saving.files",
    "shipped": "convmedia.models.saving.files",
}

WITHOUT_KERAS = {
    *("description", "box_overlap", "kind", "outputs", "weights"),
    *("backbones", "backbones.rows"),
    *("inference", "inference.batching", "inference.exported", "inference.features", "inference.file_predictor"),
    *("inference.sessions", "inference.sound_predictor", "inference.tiling"),
    *("losses", "losses.label_metrics", "losses.resampling"),
    *("networks", "networks.catalogue"),
    *("saving", "saving.alone", "saving.archive", "saving.engines", "saving.network_facts", "saving.places"),
    "saving.safe_archive",
    *("export", "export.examples", "export.open_head", "export.probes", "export.quality_loss"),
    *("formats", "formats.flatbuffer", "formats.formats", "formats.metadata", "formats.onnx_bytes"),
    *("formats.onnx_external", "formats.runtimes"),
    *("servers", "servers.protocol_text", "servers.servers"),
}
"""Modules of this package that load no Keras."""


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Registering(MetaPathFinder):
    """Registers the layers as soon as Keras, or a module of this package that needs it, is looked for. TensorFlow looks
    for Keras while it is not complete itself; so where it is looked for, it is completed first."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = name.startswith(f"{__name__}.") and name.removeprefix(f"{__name__}.") not in WITHOUT_KERAS
        if name not in ("keras", "tensorflow") and not ours:
            return None
        sys.meta_path.remove(self)
        if name == "tensorflow":
            import_module(name)
        import_module("convmedia.models.registered")
        return ModuleSpec(name, _Loaded(sys.modules[name])) if name in sys.modules else None


class _Loaded(Loader):
    """Gives a module that was loaded while it was looked for, as it is."""

    def __init__(self, module: ModuleType):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


if "keras" in sys.modules:
    import_module("convmedia.models.registered")
else:
    sys.meta_path.insert(0, _Registering())
