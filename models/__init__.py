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
from importlib.util import find_spec
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
    """Registers the layers as soon as Keras, or a module of this package that needs it, is looked for; where TensorFlow
    is loaded, when that is complete, as it looks for Keras before."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "tensorflow":
            return self._tensorflow()
        ours = name.startswith(f"{__name__}.") and name.removeprefix(f"{__name__}.") not in WITHOUT_KERAS
        if name != "keras" and not ours:
            return None
        sys.meta_path.remove(self)
        import_module("convmedia.models.registered")
        return ModuleSpec(name, _Loaded(sys.modules[name])) if name in sys.modules else None

    def _tensorflow(self) -> ModuleSpec | None:
        sys.meta_path.remove(self)
        try:
            spec = find_spec("tensorflow")
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _Completed(spec.loader, self)
        return spec


class _Completed(Loader):
    """Registers the layers when a module is complete, and not meanwhile."""

    def __init__(self, loader: Loader, finder: MetaPathFinder):
        self.loader, self.finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        sys.meta_path.remove(self.finder)
        self.loader.exec_module(module)
        import_module("convmedia.models.registered")


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
