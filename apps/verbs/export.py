"""The `export` verb that all applications share: which files, what they are measured by, what is said of them."""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.early_checks import required
from convmedia.apps.cli.fixed_sizes import Fixed, require_memory
from convmedia.apps.cli.inputs import answering, model_of
from convmedia.apps.cli.options import (
    Examples,
    ExportOut,
    FixedSeconds,
    FixedSize,
    Formats,
    Json,
    MayLose,
    Model,
    Quantize,
    Servers,
    Teach,
)
from convmedia.apps.cli.task import Task
from convmedia.apps.console.progress import clock
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import say, tell
from convmedia.apps.reporting.export_figures import print_parity
from convmedia.apps.web import pages
from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.model_files import require_layers
from convmedia.data.storage.text import plural
from convmedia.models.formats.formats import FORMATS, WEB, plain, smaller
from convmedia.models.saving.places import shipped_file
from convmedia.models.servers.servers import SERVERS

if TYPE_CHECKING:
    from convmedia.models.inference.exported import ExportedPredictor
    from convmedia.models.inference.file_predictor import FilePredictor
    from convmedia.models.inference.predictor import Predictor


EXPORT_HELP = (
    "Write SavedModel, ONNX and LiteRT files, each proved in its own runtime to answer as the model does; a page."
)


def with_smaller(formats: Sequence[str], quantize: Sequence[str]) -> list[str]:
    """Names of `FORMATS`: each format, and after it the quantised files that there are of it. Told without loading
    Keras.

    Args:
        formats: none for all that can be written here; which are left out is said.

    Raises:
        InputError: one of `quantize` is of none of the formats, or what writes a format is not installed.
    """
    for kind in quantize:
        if formats and not any(kind in smaller(one) for one in formats):
            having = " and ".join(f"--format {one}" for one in plain() if kind in smaller(one))
            raise InputError(f"--quantize {kind} is for {having}; received {', '.join(formats)}")
    if not formats:
        lacking = {one: extras.missing(FORMATS[one].modules) for one in plain()}
        for one in (one for one in plain() if lacking[one]):
            say(f"left out: {one} needs {', '.join(lacking[one])}; run: {extras.command(FORMATS[one].extra or one)}")
        return with_smaller([one for one in plain() if not lacking[one]], quantize)
    names = [*formats, *(f"{one}-{kind}" for one in formats for kind in quantize if kind in smaller(one))]
    for name in names:
        extras.require(f"export to {name}", FORMATS[name].extra or name, *FORMATS[name].modules)
    return names


def add_export(
    command: typer.Typer,
    task: Task,
    choice: Mapping[str, tuple[Any, Any]] | None = None,
    refuse: Callable[..., None] | None = None,
    choose: Callable[..., "Predictor"] | None = None,
    choose_exported: Callable[..., "FilePredictor"] | None = None,
) -> None:
    """Add `export`.

    Args:
        choice: further options that name the model: annotation and default.
        refuse: called with --model and the options of `choice` before Keras is loaded; None for `required`.
        choose: gives their predictor; None for the model that --model names, or that is shipped for the application.
        choose_exported: gives what answers for them in a runtime: called with that, too.
    """
    refused = refuse or partial(required, task.name)
    chosen = choose or partial(model_of, task.name)
    chosen_exported = choose_exported or partial(answering, task.name)

    def body(
        model: str | None,
        format: Sequence[str],
        quantize: Sequence[str],
        tolerance: float | None,
        out: Path | None,
        data: str | None,
        servers: Sequence[str],
        as_json: bool,
        size: str | None = None,
        seconds: float | None = None,
        teach: bool = False,
        **choice: Any,
    ) -> int:
        alone = task.teaches and model is None and list(format) == [WEB]
        if teach and not alone:
            raise InputError("--teach is for --format web alone, without --model")
        if alone and (teach or shipped_file(task.name) is None):
            parity, folder = pages.teach(task, out or Path(f"{task.name}-export"))
            print_parity(parity, folder) if not as_json else tell(to_json(parity, indent=2))
            return 0
        refused(model, **choice)
        fixed = Fixed(size if seconds is None else seconds)
        plainly = list(format) == [WEB] and not (quantize or servers or data or fixed.given)
        at_hand = proved_onnx(partial(chosen_exported, model=model, runtime="onnx", **choice)) if plainly else None
        if at_hand:
            folder = folder_of(at_hand, model, out, fixed)
            parity = pages.add(task, at_hand, at_hand.file, model, folder)
        else:
            require_layers(model)
            needed = [SERVERS[one].format for one in servers] + ["onnx"] * (WEB in format)
            wanted = dict.fromkeys([*(one for one in format if one != WEB), *needed])
            names = [*with_smaller(list(wanted), quantize), *(one for one in format if one == WEB)]
            use_backend(None)
            predictor = chosen(model, **choice)
            parity, folder = exported(task, predictor, model, names, out, data, tolerance, fixed, servers)
        if as_json:
            tell(to_json(parity, indent=2))
        else:
            print_parity(parity, folder)
            for one in servers:
                if "refused" not in parity[SERVERS[one].format]:
                    tell(f"{one}: {SERVERS[one].start(folder / one)}")
        return int(any("refused" in figures for figures in parity.values()))

    model_option = {"model": (Model, None)}
    others: dict[str, tuple[Any, Any]] = {
        "format": (Formats, []),
        "quantize": (Quantize, []),
        "tolerance": (MayLose, None),
        "out": (ExportOut, None),
        "data": (Examples, None),
        **({"seconds": (FixedSeconds, None)} if task.input == "sound" else {"size": (FixedSize, None)}),
        "servers": (Servers, []),
        **({"teach": (Teach, False)} if task.teaches else {}),
        "as_json": (Json, False),
    }
    taken = {**model_option, **(choice or {}), **others}
    body.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in taken.items()
        ]
    )
    body.__doc__ = EXPORT_HELP
    command.command("export")(body)


def proved_onnx(choose: Callable[[], "FilePredictor"]) -> "ExportedPredictor | None":
    """What answers by a proved ONNX file that is at hand; None where there is none, or something is wrong with the
    model, which is said when it is exported."""
    from convmedia.models.inference.exported import ExportedPredictor

    try:
        found = choose()
    except InputError:
        return None
    return found if isinstance(found, ExportedPredictor) else None


def with_page(
    task: Task, predictor: "Predictor", model: str | None, parity: dict[str, Any], folder: Path, eight_bits: bool
) -> dict[str, dict[str, Any]]:
    """The record of a folder of exports with a page more, around the ONNX file in it."""
    name, file = pages.file_in(folder, eight_bits)
    if "refused" in parity[name]:
        return pages.refused(folder, parity[name]["refused"])
    return pages.add(task, predictor, file, model, folder, eight_bits)


def folder_of(predictor: "FilePredictor", model: str | None, out: Path | None, fixed: Fixed) -> Path:
    """Where exports go: the folder that was given, in the run folder, or one named for the application."""
    run = run_of(model)
    name = f"export{fixed.suffix}"
    return out or (run / name if run and (run / "run.json").exists() else Path(f"{predictor.app}-{name}"))


def run_of(model: str | None) -> Path | None:
    """The folder that a model came from; None for shipped weights."""
    return None if model is None else Path(model) if Path(model).is_dir() else Path(model).parent


def exported(
    task: Task,
    predictor: "Predictor",
    model: str | None,
    formats: list[str],
    out: Path | None = None,
    data: str | None = None,
    loss_tolerance: float | None = None,
    fixed: Fixed = Fixed(),
    servers: Sequence[str] = (),
) -> tuple[dict[str, dict[str, Any]], Path]:
    """Write files of a model and prove each in a child process, as `exporter.export` does.

    Args:
        model: where the model came from: a run folder or a file; None for shipped weights.
        formats: names of `formats.FORMATS`, and "web": a page around the ONNX file, the one in 8 bits where that is
            among them.
        out: the folder; None for `export` in the run folder, or `APPLICATION-export`, of a fixed size with that in its
            name.
        data: the set that gives examples where the model has none beside it, and on whose test split quantised files
            are measured.
        loss_tolerance: what a quantised file may lose; None for what is usual of the trial's unit.
        fixed: the size of what the files take.
        servers: names of `SERVERS`, whose folders are written beside the files; `formats` holds theirs.

    Returns:
        The content of `parity.json`, and the folder.
    """
    from convmedia.models.export.examples import read_examples
    from convmedia.models.export.exporter import export
    from convmedia.models.saving import engines
    from convmedia.models.servers import servers as folders

    names = list(dict.fromkeys([*(one for one in formats if one != WEB), *["onnx"] * (WEB in formats)]))
    size = fixed.of(predictor.input)
    require_memory(predictor, size)
    run = run_of(model)
    kept = run / "examples.npz" if run else None
    quantised = any(name in FORMATS and FORMATS[name].quantised for name in names)
    examples = read_examples(kept) if kept and kept.exists() else task.examples(predictor, data, quantised)
    trial = task.trial(predictor, model, data, examples) if quantised else None
    folder = folder_of(predictor, model, out, fixed)
    for one in servers:
        folders.require_ours(one, folder)
    say(f"exporting {', '.join(names)} and verifying each on {plural(len(examples), 'example')} ...")
    how: dict[str, Any] = {"trial": trial, "loss_tolerance": loss_tolerance, "told": steps_said(names)}
    parity = export(predictor, names, folder, examples, tolerance=task.tolerance, size=size, **how)
    for one in servers:
        folders.write(one, folder, predictor, examples, size)
    if predictor.digest is not None and not (run and folder == run / "export"):
        engines.keep(folder, predictor.digest)  # so that they answer for the model, as those of a run's own folder do
    if WEB in formats:
        parity = with_page(task, predictor, model, parity, folder, "onnx-int8" in names)
    return parity, folder


def steps_said(formats: Sequence[str]) -> Callable[[str], None]:
    """Says each step of an export as it is begun, and after the first format how long the others may take."""
    began: list[float] = []

    def told(step: str) -> None:
        if step not in formats:
            what = {"answers": "answers of the model itself", "measure": "what quantised files are measured by"}
            say(f"  {what[step]}")
            return
        done = len(began)
        began.append(time.perf_counter())
        left = (began[-1] - began[0]) / done * (len(formats) - done) if done else 0.0
        say(f"  {step}, {done + 1} of {len(formats)}" + (f", about {clock(left)} left" if done else ""))

    return told
