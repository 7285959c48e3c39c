"""`export --format web`: a page around a model's proved ONNX file."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convmedia.apps.cli.task import Task
from convmedia.apps.console.progress import progress
from convmedia.apps.console.terminal import say
from convmedia.data import samples
from convmedia.models.formats.formats import FORMATS, WEB

if TYPE_CHECKING:
    import numpy as np

    from convmedia.models.inference.file_predictor import FilePredictor

DEFAULT_SAMPLES = {"image": ("cat.jpg",), "sound": ("seven.wav",)}
LISTED = 4  # labels that make a title


def add(
    task: Task, predictor: "FilePredictor", file: Path, model: str | None, folder: Path, eight_bits: bool = False
) -> dict[str, dict[str, Any]]:
    """Write a page into a folder of exports and put it on their record.

    Args:
        file: the proved ONNX file of the model.
        model: a run folder or a file; None for shipped weights.
        folder: of exports; the page goes into `web` below it.
        eight_bits: whether the file computes in 8 bits.

    Returns:
        The content of `parity.json`.
    """
    from convmedia.apps.web import runtime
    from convmedia.apps.web.page_folder import Page, write
    from convmedia.models.saving import engines

    folder.mkdir(parents=True, exist_ok=True)
    title, about = title_of(task, predictor), about_of(predictor)
    page = Page(title, about, predictor, file, inputs_of(task, predictor, model), eight_bits)
    with nullcontext() if runtime.place().is_dir() else progress("fetching onnxruntime-web") as update:
        entry = write(page, folder / WEB, update)
    if kept_by(model):
        what = {"image": "pictures", "sound": "sounds"}[task.input]
        say(f"whoever opens the page sees {entry['examples']} {what} that the model learned from")
    say(f"open it: python -m http.server --directory {folder / WEB}, then http://localhost:8000")
    return engines.record(folder, WEB, entry)


def teach(task: Task, folder: Path) -> tuple[dict[str, dict[str, Any]], Path]:
    """Write a page that learns classes from examples, pictures or sounds as the task takes them, into a folder of
    exports and put it on their record.

    Returns:
        The content of `parity.json`, and the folder.
    """
    from convmedia.apps.web import runtime, teaching_folder
    from convmedia.models.saving import engines

    folder.mkdir(parents=True, exist_ok=True)
    with nullcontext() if runtime.place().is_dir() else progress("fetching onnxruntime-web") as update:
        entry = teaching_folder.write(folder / WEB, task.input, update)
    say(f"open it: python -m http.server --directory {folder / WEB}, then http://localhost:8000")
    return engines.record(folder, WEB, entry), folder


def refused(folder: Path, reason: str) -> dict[str, dict[str, Any]]:
    """Put on the record of a folder of exports that there is no page, as its ONNX file was refused."""
    from convmedia.models.saving import engines

    return engines.record(folder, WEB, {"refused": f"its ONNX file was refused: {reason}"})


def inputs_of(task: Task, predictor: "FilePredictor", model: str | None) -> list["np.ndarray"]:
    """Raw inputs that a page's examples are chosen from: what a run has kept, or what is made of bundled files."""
    from convmedia.apps.web.examples import variants
    from convmedia.data.audio import decoding as sounds
    from convmedia.data.images import decoding as pictures
    from convmedia.models.export.examples import read_examples

    if kept := kept_by(model):
        return read_examples(kept)
    files = [samples.FOLDER / name for name in task.samples or DEFAULT_SAMPLES[task.input]]
    if task.input == "sound":
        return variants([sounds.read(file, predictor.input["sample_rate"]) for file in files])
    return variants([pictures.decode(file) for file in files])


def kept_by(model: str | None) -> Path | None:
    """The raw inputs of the training split that a run has kept, where a model is of one."""
    run = None if model is None else Path(model) if Path(model).is_dir() else Path(model).parent
    return run / "examples.npz" if run and (run / "examples.npz").exists() else None


def title_of(task: Task, predictor: "FilePredictor") -> str:
    """The heading of a page: what is asked, where there are few labels to choose from."""
    labels = predictor.labels or []
    if predictor.kind.name == "probabilities" and 2 <= len(labels) <= LISTED:
        asked = f"{', '.join(labels[:-1])} or {labels[-1]}?"
        return asked[:1].upper() + asked[1:]
    return task.title or task.name


def about_of(predictor: "FilePredictor") -> str:
    """What a page says under its heading, a sentence."""
    what = {"image": "a picture", "sound": "a sound"}[predictor.input["kind"]]
    if predictor.kind.name == "picture":
        scale, styles = predictor.details.get("scale"), predictor.details.get("styles") or ["a painting"]
        if scale:
            network = predictor.details.get("network")
            return f"Makes pictures {scale} times as large, by the network {network}, on this device."
        return f"Paints pictures in the style of {', '.join(styles).replace('_', ' ')}, on this device."
    names = predictor.labels or []
    if predictor.kind.name == "quantity":
        return f"Estimates a number from {what}: {names[0]}. Everything stays on this device."
    which = "any of" if predictor.details.get("thresholds") is not None else "one of"
    listed = ", ".join(names) if len(names) <= LISTED else f"{len(names)} labels"
    return f"Labels {what} with {which} {listed}. Everything stays on this device."


def file_in(folder: Path, eight_bits: bool) -> tuple[str, Path]:
    """The format that a page of a folder of exports is around, and its file."""
    name = "onnx-int8" if eight_bits else "onnx"
    return name, folder / FORMATS[name].file
