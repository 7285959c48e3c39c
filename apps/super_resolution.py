"""Enlarge pictures two, three or four times with SRCNN, ESPCN, VDSR, CARN or CARN-M.

convmedia super-resolution upscale photo.jpg --scale 2 --out enlarged/
convmedia super-resolution train --network vdsr --scale 2 --scale 3 --scale 4 --out runs/vdsr
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import typer

from convmedia.apps.cli import entry
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import load_pipelines, use_backend
from convmedia.apps.cli.choices import choice
from convmedia.apps.cli.early_checks import data_given, pictures_given, pictures_of, required
from convmedia.apps.cli.inputs import given
from convmedia.apps.cli.options import (
    Arithmetic,
    Backend,
    Engine,
    EngineChoice,
    EngineRuntime,
    EngineRuntimeChoice,
    FilesFrom,
    Folder,
    Frames,
    InputsOrList,
    Json,
    Model,
    Workers,
)
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import BatchSize, Epochs, Limit, Patience, TrainOptions, Weights
from convmedia.apps.verbs import train, transform
from convmedia.apps.verbs.export import add_export
from convmedia.models.networks.catalogue import SUPER_RESOLUTION

APP = "super-resolution"
EXAMPLES = {
    "upscale": ("samples/cat.jpg --scale 2 --out enlarged/", "photos/ --scale 3 --out enlarged/ --compare"),
    "evaluate": ("--data Set5+Set14 --network srcnn --scale 2", "--data photos/ --model runs/carn"),
    "train": (
        "--data photos/ --network carn --scale 2 --out runs/carn",
        "--data T91+BSD200 --network vdsr --out runs/vdsr",
    ),
    "export": ("--network vdsr --out exported/", "--model runs/carn --format onnx"),
}
command = application(APP, "Enlarge pictures two, three or four times.", EXAMPLES)


class Scale(StrEnum):
    two = "2"
    three = "3"
    four = "4"


NetworkOption = Annotated[str, choice(SUPER_RESOLUTION, "The network to train.")]
NetworkChoice = Annotated[str | None, choice(SUPER_RESOLUTION, "Whose shipped weights; default carn-m.")]
ComputedIn = Annotated[
    Arithmetic,
    typer.Option(
        help="What the network computes 8-bit pictures in: float32, as files are measured and exported; auto: bfloat16 "
        "where the hardware multiplies it, faster and less exact. Pictures of 16 bits: always float32."
    ),
]
ScaleChoice = Annotated[Scale | None, typer.Option(help="Default: the model's, or 2 with the shipped weights.")]


@dataclass(frozen=True, kw_only=True)
class Options(TrainOptions):
    """Learn to undo bicubic shrinking from patches of pictures; some pictures are held out for validation."""

    data: Annotated[
        str,
        typer.Option(
            callback=data_given, help="A named set (T91, BSD200), a folder of pictures, or several names joined by +."
        ),
    ] = "T91+BSD200"
    network: NetworkOption = "vdsr"
    scale: Annotated[list[Scale], typer.Option(help="Repeat it for several.")] = field(
        default_factory=lambda: [Scale.two]
    )
    weights: Weights = "none"
    epochs: Epochs = 20
    batch_size: BatchSize = 16
    limit: Limit = None
    patience: Patience = None


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder."""
    from convmedia.apps.tasks.super_resolution import train as super_resolution_train

    return super_resolution_train.train_run(run)


def figures_line(_: str, figures: dict[str, Any]) -> str:
    """The figures of one scale for a person."""
    return f"PSNR {figures['psnr']:.2f} dB, bicubic {figures['bicubic_psnr']:.2f} dB (held-out pictures)"


@command.command()
def evaluate(
    data: Annotated[
        str,
        typer.Option(callback=pictures_of, help="Set5, Set14, B100, Urban100, a folder, or several joined by +."),
    ],
    model: Model = None,
    network: NetworkChoice = None,
    scale: ScaleChoice = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Average the eight flips and quarter turns.")] = False,
    precision: ComputedIn = Arithmetic.float32,
    as_json: Json = False,
    backend: Backend = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
) -> int:
    """Measure PSNR and SSIM as the papers do, beside bicubic; 1 if a picture could not be measured."""
    shipped_given(model, network, scale)
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.tasks.super_resolution import model_choice

    asked = model_choice.runtime_for(str(engine_runtime), str(precision))
    predictor, factor = model_choice.chosen(model, *named(network, scale), asked)
    load_pipelines()  # what measures pictures computes with Keras
    from convmedia.apps.tasks.super_resolution import evaluate as super_resolution_evaluate

    return super_resolution_evaluate.evaluate(predictor, factor, data, ensemble, str(precision), as_json)


@command.command()
def upscale(
    out: Folder,
    inputs: InputsOrList = None,
    files_from: FilesFrom = None,
    scale: ScaleChoice = None,
    network: NetworkChoice = None,
    model: Model = None,
    tile: Annotated[
        int, typer.Option(min=16, help="Side of the tiles, px of the result; memory grows with it.")
    ] = 1024,
    compare: Annotated[bool, typer.Option("--compare", help="Write bicubic and ours side by side, too.")] = False,
    precision: ComputedIn = Arithmetic.float32,
    frames: Frames = False,
    engine: EngineChoice = Engine.local,
    workers: Workers = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
    as_json: Json = False,
    backend: Backend = None,
) -> int:
    """Enlarge pictures; alpha, 16 bits, colour profile and Exif are kept. 1 if a file failed; rows: results.jsonl."""
    files = given(inputs, files_from)
    pictures_given(files)
    shipped_given(model, network, scale)
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.tasks.super_resolution.upscale import Enlarging

    worker = Enlarging(model, *named(network, scale), tile, compare, str(precision), frames, str(engine_runtime))
    predictor, factor = worker.chosen
    settings = {"model": predictor.digest, "scale": factor, "compare": compare, "precision": str(precision)}
    settings |= {"frames": True} if frames else {}
    return transform.make(worker, files, out, settings, engine, workers, as_json)


def chosen(model: str | None, network: str | None, scale: Scale | None):
    """The predictor that the options name, and its scale; without --model the shipped weights.

    Raises:
        InputError: no such model; it is of another scale or network.
    """
    from convmedia.apps.tasks.super_resolution import model_choice

    return model_choice.chosen(model, *named(network, scale))


def chosen_in_keras(model: str | None, network: str | None, scale: Scale | None):
    """As `chosen`, the predictor alone."""
    return chosen(model, network, scale)[0]


def chosen_exported(model: str | None, runtime: str, network: str | None, scale: Scale | None):
    """As `chosen`, the predictor alone, in a runtime."""
    from convmedia.apps.tasks.super_resolution import model_choice

    return model_choice.chosen(model, *named(network, scale), runtime)[0]


def shipped_given(model: str | None, network: str | None, scale: Scale | None) -> None:
    """Raises InputError: without --model, no weights are shipped for the network."""
    if network is not None:
        required(f"{network}_x{scale or Scale.two}", model)


def named(network: str | None, scale: Scale | None) -> tuple[str | None, int | None]:
    """Network and scale as their options give them."""
    return None if network is None else str(network), None if scale is None else int(scale)


def examples(_, data: str | None, quantised: bool):
    """Raw pictures to prove an export on: cuts of a set, or bundled ones. Quantised files are calibrated on pictures to
    learn from, and measured on those that --data names."""
    from convmedia.apps.tasks.super_resolution import train as super_resolution_train

    return super_resolution_train.examples(super_resolution_train.at_hand() if quantised else data)


def trial(predictor, _: str | None, data: str | None, examples):
    """What quantised files are measured by: the pictures that --data names, without those that calibrate them."""
    from convmedia.apps.tasks.super_resolution import evaluate as super_resolution_evaluate

    return super_resolution_evaluate.trial(predictor, predictor.details["scale"], data, examples)


def evaluated(predictor, data: str, ensemble: bool = False, precision: str = "float32") -> dict[str, Any]:
    """PSNR and SSIM of a predictor on sets of pictures, beside bicubic's."""
    load_pipelines()
    from convmedia.apps.tasks.super_resolution import evaluate as super_resolution_evaluate

    return super_resolution_evaluate.evaluated(predictor, predictor.details["scale"], data, ensemble, precision)[0]


TASK = Task(
    APP,
    Options,
    train_run,
    examples=examples,
    trial=trial,
    evaluate=evaluated,
    line=figures_line,
    title="Enlarge pictures",
)
train.add_train(command, TASK)
CHOICE = {"network": (NetworkChoice, None), "scale": (ScaleChoice, None)}
add_export(command, TASK, CHOICE, shipped_given, chosen_in_keras, chosen_exported)


if __name__ == "__main__":
    entry.run(command)
