"""Which runtime answers for a model: Keras, or a proved export of the very same file in its own runtime."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from convmedia.data.storage import extras
from convmedia.data.storage.cache import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest, shown
from convmedia.models.inference.exported import ExportedPredictor
from convmedia.models.inference.sessions import FILES, MODULES, RUNTIMES, installed
from convmedia.models.saving.archive import Archive
from convmedia.models.saving.places import WEIGHTS, place, require_application, require_shipped

AUTO, KERAS = "auto", "keras"
PREFERRED = ("litert", "onnx")
"""What `auto` takes first: of every application LiteRT began sooner than ONNX Runtime and took less time of the
processors on many files; `benchmarks/cold_answers.py` measures both."""

PARITY_FILE = "parity.json"  # of a folder of exports, which says what was proved
EXPORTS = "exports"  # folder of the cache


class Export(NamedTuple):
    """A proved export of a model."""

    runtime: str
    file: Path


def kept(model_sha256: str) -> Path:
    """The folder of the cache in which exports of a model are kept."""
    return cache() / EXPORTS / model_sha256[:32]


def exports(model: Path, model_sha256: str, order: Sequence[str] = PREFERRED) -> Iterator[Export]:
    """Proved exports of a model that are at hand, and whose runtime is installed: beside shipped weights, in the run's
    `export`, in the cache. Of each its record says that it was proved, and it names the model's digest itself.

    Args:
        model: the `.keras` file.
        order: names of runtimes, the preferred first.
    """
    for runtime in order:
        if not installed(runtime):
            continue
        if model.parent == WEIGHTS:
            beside = model.with_suffix(Path(FILES[runtime]).suffix)
            found = [(WEIGHTS, f"{model.stem}/{runtime}", beside)]
        else:
            folders = (model.parent / "export", kept(model_sha256))
            found = [(folder, runtime, folder / FILES[runtime]) for folder in folders]
        for folder, name, file in found:
            if file.is_file() and _proved(folder, name, model_sha256) and model_sha256.encode() in file.read_bytes():
                yield Export(runtime, file)


def _proved(folder: Path, name: str, model_sha256: str) -> bool:
    """Whether the record of a folder says that a file was proved to answer as a model."""
    try:
        entry = json.loads((folder / PARITY_FILE).read_text(encoding="utf-8"))[name]
        return "refused" not in entry and entry["model_sha256"] == model_sha256
    except (OSError, ValueError, KeyError, TypeError):
        return False


def exported(source: str | Path, app: str | None = None, runtime: str = AUTO) -> ExportedPredictor | None:
    """What answers for a model without Keras; None where Keras is to answer.

    Args:
        source, app: as of `files.load`.
        runtime: "auto" takes a proved export that is at hand, "litert" or "onnx" asks for one, "keras" for none.

    Raises:
        InputError: as `files.load`; no such runtime, it is not installed, or it is asked for and no export is at hand.
    """
    if runtime == KERAS:
        return None
    if runtime not in (AUTO, *RUNTIMES):
        raise InputError(f"there is no runtime {runtime!r}: give one of {', '.join((AUTO, KERAS, *RUNTIMES))}")
    if runtime != AUTO:
        extras.require(f"--engine-runtime {runtime}", runtime, MODULES[runtime])
    path = place(source)
    archive = Archive(path)
    if not Path(source).exists():
        require_shipped(archive.answer.app, str(source))
    require_application(archive.answer.app, source, app)
    found = next(exports(path, digest(path), PREFERRED if runtime == AUTO else (runtime,)), None)
    if found is not None:
        return ExportedPredictor(archive, *found)
    if runtime == AUTO:
        return None
    raise InputError(
        f"no proved {runtime} file of {shown(path)} is at hand; make one: convmedia {archive.answer.app} export "
        f"--format {runtime}, with the same --model"
    )
