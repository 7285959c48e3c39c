"""Which runtime answers for a model: Keras, or a proved export of the very same file in its own runtime."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from convmedia.data.storage import extras
from convmedia.data.storage.cache import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest, replacing, shown
from convmedia.data.storage.model_files import is_exported
from convmedia.models.inference.exported import ExportedPredictor
from convmedia.models.inference.sessions import FILES, MODULES, RUNTIMES, installed
from convmedia.models.kind import TOLERANCE
from convmedia.models.saving.alone import alone
from convmedia.models.saving.archive import Archive
from convmedia.models.saving.places import WEIGHTS, place, require_application, require_shipped

AUTO, KERAS = "auto", "keras"
PREFERRED: dict[str, tuple[str, ...]] = {"picture": ("onnx", "litert")}
LITERT_FIRST = ("litert", "onnx")
"""What `auto` takes first, by the kind of answer (`benchmarks/cold_answers.py`). LiteRT is ready at once and takes less
time of the processors, but prepares anew for each size: of pictures that are answered with pictures that takes as long
as an answer, and twice the memory of ONNX Runtime."""

PARITY_FILE = "parity.json"  # of a folder of exports, which says what was proved
EXPORTS, MOST_KEPT = "exports", 20  # folder of the cache, and of how many models it has exports


class Export(NamedTuple):
    """A proved export of a model."""

    runtime: str
    file: Path


def kept(model_sha256: str) -> Path:
    """The folder of the cache in which exports of a model are kept."""
    return cache() / EXPORTS / model_sha256[:32]


def preferred(kind: str) -> tuple[str, ...]:
    """The runtimes in the order in which `auto` takes them, of a kind of answer by its name."""
    return PREFERRED.get(kind, LITERT_FIRST)


def exports(model: Path, model_sha256: str, order: Sequence[str]) -> Iterator[Export]:
    """Proved exports of a model that are at hand, and whose runtime is installed: beside shipped weights, in the run's
    `export`, in the cache. Of each its record says that it was proved, and it names the model's digest itself.

    Args:
        model: the `.keras` file.
        order: names of runtimes, the preferred first.
    """
    for runtime in order:
        if not installed(runtime):
            continue
        folders = (model.parent / "export", kept(model_sha256))
        found = [(folder, runtime, folder / FILES[runtime]) for folder in folders]
        if model.parent == WEIGHTS:
            beside = model.with_suffix(Path(FILES[runtime]).suffix)
            found.insert(0, (WEIGHTS, f"{model.stem}/{runtime}", beside))
        for folder, name, file in found:
            if file.is_file() and _proved(folder, name, model_sha256) and model_sha256.encode() in file.read_bytes():
                yield Export(runtime, file)


def keep(folder: Path, model_sha256: str) -> None:
    """Copy the proved exports of a model to the cache, where `exports` finds them wherever they were written."""
    found = [runtime for runtime in RUNTIMES if _proved(folder, runtime, model_sha256)]
    target = kept(model_sha256)
    if not found or folder.resolve() == target.resolve():
        return
    target.mkdir(parents=True, exist_ok=True)
    entries = {**_record(target), **{runtime: _record(folder)[runtime] for runtime in found}}
    for runtime in found:
        with replacing(target / FILES[runtime]) as beside:
            shutil.copyfile(folder / FILES[runtime], beside)
    with replacing(target / PARITY_FILE) as beside:
        beside.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    _trim(target.parent, target)


def record(folder: Path, name: str, entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Put an entry into the record of a folder of exports; gives all of it."""
    entries = {**_record(folder), name: entry}
    with replacing(folder / PARITY_FILE) as beside:
        beside.write_text(json.dumps(entries, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return entries


def _trim(folder: Path, newest: Path) -> None:
    """Remove the oldest folders of exports, so that `MOST_KEPT` stay."""
    others = sorted((one for one in folder.iterdir() if one != newest), key=lambda one: one.stat().st_mtime_ns)
    for one in others[: max(len(others) + 1 - MOST_KEPT, 0)]:
        shutil.rmtree(one, ignore_errors=True)


def _record(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / PARITY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _proved(folder: Path, name: str, model_sha256: str) -> bool:
    """Whether the record of a folder says that a file was proved to answer as a model, as closely as is usual, at all
    sizes."""
    entry = _record(folder).get(name)
    if not isinstance(entry, dict) or entry.get("model_sha256") != model_sha256 or "input_shape" in entry:
        return False
    apart = entry.get("max_abs_diff")
    return isinstance(apart, float | int) and apart <= TOLERANCE


def exported(source: str | Path, app: str | None = None, runtime: str = AUTO) -> ExportedPredictor | None:
    """What answers for a model without Keras; None where Keras is to answer.

    Args:
        source, app: as of `files.load`; or an exported file, which answers for itself.
        runtime: "auto" takes a proved export that is at hand, "litert" or "onnx" asks for one, "keras" for none.

    Raises:
        InputError: as `files.load`; no such runtime, it is not installed, or it is asked for and no export is at hand.
    """
    if is_exported(source):
        return alone(Path(source), app, None if runtime == AUTO else runtime)
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
    kind = archive.answer.kind.name
    if runtime == AUTO and kind == "picture" and path.parent != WEIGHTS:
        return None  # what `export` writes takes 8 bits, and pictures may have 16
    order = preferred(kind) if runtime == AUTO else (runtime,)
    model_sha256 = digest(path)
    found = next(exports(path, model_sha256, order), None)
    if found is not None:
        predictor = ExportedPredictor(archive, *found)
        predictor.digest = model_sha256
        return predictor
    if runtime == AUTO:
        return None
    raise InputError(
        f"no proved {runtime} file of {shown(path)} is at hand; make one: convmedia {archive.answer.app} export "
        f"--format {runtime}, with the same --model"
    )
