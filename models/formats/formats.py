"""The kinds of exported files, a row each. A new one is a function and a row: `export` reads this table. What a row
names is loaded when it is called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convmedia.data.storage.deferred import Deferred

HERE = "convmedia.models.formats"
WEB = "web"  # the page around an ONNX file, which is no format of its own


class Refused(Exception):
    """An exported file that is not kept; the message is the reason, one line."""


@dataclass(frozen=True)
class Format:
    """One kind of exported file.

    Attributes:
        file: its name in the export folder.
        write: writes a model to a path (a folder, where the format is one); where it is `calibrated`, called with
            `weight_rounding.Batches` of examples, too.
        describe: puts a text into what was written.
        runtime: which of `runtimes.RUNTIMES` answers it.
        modules: what must be importable, all named by `extra`.
        extra: optional dependencies of this package that install them; None where nothing is optional.
        of: of a quantised file, the format that it is a smaller file of; its own name begins with that.
        numbers: of a quantised file, which of them are stored how.
        calibrated: whether it is made from examples.
    """

    file: str
    write: Callable[..., None]
    describe: Callable[[Path, str], None]
    runtime: str
    modules: tuple[str, ...] = ()
    extra: str | None = None
    of: str | None = None
    numbers: str | None = None
    calibrated: bool = False

    @property
    def quantised(self) -> bool:
        """Whether its answers may differ, and what they are worth decides."""
        return self.numbers is not None


INT8 = "learned kernels int8 for each output, maps between them int8 by ranges of the examples, the rest float32"


def _saved_model(file: str, writer: str) -> Format:
    return Format(file, _writer(writer), Deferred(f"{HERE}.metadata:write_saved_model"), "saved-model")


def _onnx(file: str, writer: str, **kinds: Any) -> Format:
    modules = ("tf2onnx", "onnx", "onnxruntime")
    return Format(file, _writer(writer), Deferred(f"{HERE}.metadata:write_onnx"), "onnx", modules, "onnx", **kinds)


def _litert(file: str, writer: str, **kinds: Any) -> Format:
    modules = ("ai_edge_litert", "flatbuffers")
    return Format(
        file, _writer(writer), Deferred(f"{HERE}.metadata:write_litert"), "litert", modules, "litert", **kinds
    )


def _writer(name: str) -> Deferred:
    return Deferred(f"{HERE}.writers:{name}")


FORMATS: dict[str, Format] = {
    "saved-model": _saved_model("saved_model", "write_saved_model"),
    "onnx": _onnx("model.onnx", "write_onnx"),
    "litert": _litert("model.tflite", "write_litert"),
    "onnx-int8": _onnx("model.int8.onnx", "write_onnx_int8", of="onnx", numbers=INT8, calibrated=True),
    "litert-float16": _litert(
        "model.float16.tflite",
        "write_litert_float16",
        of="litert",
        numbers="large constants float16, arithmetic float32",
    ),
    "litert-int8": _litert(
        "model.int8.tflite",
        "write_litert_int8",
        of="litert",
        numbers=f"{INT8} with large constants stored as float16",
        calibrated=True,
    ),
}


def shown_size(size: Sequence[int]) -> str:
    """A fixed size of raw inputs for people: "96x64" of (height, width), "8000 samples" of (samples,)."""
    return "x".join(map(str, size)) if len(size) > 1 else f"{size[0]} samples"


def plain() -> list[str]:
    """The formats that are not quantised files of others."""
    return [name for name, row in FORMATS.items() if row.of is None]


def exportable() -> list[str]:
    """What `--format` takes: the plain formats, and the page around an ONNX file."""
    return [*plain(), WEB]


def quantisations() -> list[str]:
    """What quantised files there are of any format."""
    return sorted({kind for name in plain() for kind in smaller(name)})


def smaller(name: str) -> list[str]:
    """What quantised files there are of a format: "int8" for `litert-int8`."""
    return [one.removeprefix(f"{name}-") for one, row in FORMATS.items() if row.of == name]
