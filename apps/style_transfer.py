"""Paint a picture in the style of others: by descent for one picture, or by a network that learned the style.

convmedia style-transfer stylize photo.jpg painting.jpg --out painted.png
convmedia style-transfer apply photo.jpg --out painted/
convmedia style-transfer train painting.jpg --data photos/ --out runs/painting
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from convmedia.apps.cli import entry
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import load_pipelines, use_backend
from convmedia.apps.cli.early_checks import data_given, pictures_given
from convmedia.apps.cli.inputs import given
from convmedia.apps.cli.options import (
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
from convmedia.apps.cli.train_options import BatchSize, Epochs, Seed, TrainOptions
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import tell
from convmedia.apps.tasks.style_transfer import options
from convmedia.apps.verbs import train, transform
from convmedia.apps.verbs.export import add_export
from convmedia.data.storage.errors import InputError

APP = "style-transfer"
EXAMPLES = {
    "apply": ("samples/cat.jpg --out painted/", "photos/ --model runs/painter --out painted/"),
    "stylize": (
        "photo.jpg painting.jpg --out painted.png",
        "photo.jpg one.jpg other.jpg --blend 0.7,0.3 --colour luminance --out painted.png",
    ),
    "train": (
        "painting.jpg --data photos/ --out runs/painter",
        "one.jpg other.jpg --data photos/ --out runs/painters",
    ),
    "export": ("--out exported/", "--model runs/painter --format onnx"),
}
command = application(APP, "Paint pictures in the style of others.", EXAMPLES)


class NetworkName(StrEnum):
    vgg19 = "vgg19"
    vgg16 = "vgg16"


class Method(StrEnum):
    lbfgs = "lbfgs"
    adam = "adam"


class Pooling(StrEnum):
    average = "average"
    max = "max"


class Colour(StrEnum):
    style = "style"
    luminance = "luminance"
    covariance = "covariance"
    histogram = "histogram"


Extracting = Annotated[
    str, typer.Option("--weights", help="What to look with: imagenet, from Keras's cache or its download, or a file.")
]
FeatureNetwork = Annotated[NetworkName, typer.Option("--network", help="The network whose features are compared.")]
ContentLayers = Annotated[
    list[str], typer.Option("--content-layer", help="Repeat it for several; default conv4_2, or the last of a file.")
]
StyleLayers = Annotated[
    list[str], typer.Option("--style-layer", help="Repeat it for several; default the first of each block.")
]
ContentWeight = Annotated[float, typer.Option(min=0, help="More keeps more of the photo.")]
StyleWeight = Annotated[float, typer.Option(min=0, help="More paints more.")]
Smoothness = Annotated[float, typer.Option("--tv-weight", min=0, help="Total variation: more is smoother.")]
Blend = Annotated[
    str | None,
    typer.Option(
        callback=options.blend_given,
        help="How much of each style, such as 0.7,0.3; default the same of all.",
    ),
]


@command.command()
def stylize(
    context: typer.Context,
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    styles: Annotated[list[Path], typer.Argument(metavar="STYLE...", help="One painting or several.")],
    out: Annotated[Path, typer.Option(help="The picture to write; STEM_steps/ beside it holds steps and report.")],
    weights: Extracting = "imagenet",
    network: FeatureNetwork = NetworkName.vgg19,
    content_layer: ContentLayers = [],  # noqa: B006
    style_layer: StyleLayers = [],  # noqa: B006
    pooling: Annotated[Pooling, typer.Option(help="How the network shrinks its maps.")] = Pooling.max,
    content_weight: ContentWeight = 1.0,
    style_weight: StyleWeight = 500.0,
    tv_weight: Smoothness = 1e-3,
    blend: Blend = None,
    mask: Annotated[list[Path], typer.Option(help="White where the styles act; or one for each style.")] = [],  # noqa: B006
    colour: Annotated[
        Colour, typer.Option("--colour", "--color", help="Colours of the style, or kept: by luminance or matching.")
    ] = Colour.style,
    start: Annotated[str, typer.Option(help="Begin with content, noise or a picture's file.")] = "content",
    method: Annotated[Method, typer.Option(help="How to descend.")] = Method.lbfgs,
    steps: Annotated[int, typer.Option(min=1, help="Evaluations, over all scales.")] = 200,
    scales: Annotated[int, typer.Option(min=1, help="Coarse to fine: each is twice as large as the one before.")] = 3,
    size: Annotated[int, typer.Option(min=0, help="Longer side, px, at most; 0 for the content's own.")] = 512,
    style_scale: Annotated[float, typer.Option(min=0.05, help="Size of the paintings over the content's.")] = 1.0,
    tile: Annotated[int, typer.Option(min=64, help="Longer pictures, px, go in tiles of half of it.")] = 1024,
    every: Annotated[int, typer.Option(min=1, help="Evaluations between two pictures that are kept.")] = 50,
    animation: Annotated[
        Path | None,
        typer.Option(
            help="Also write the steps as an animated .gif or .webp; of fewer than --every, some are kept all the same."
        ),
    ] = None,
    seed: Seed = 1,
    as_json: Json = False,
    backend: Backend = None,
) -> int:
    """Paint one picture by descent, as Gatys, Ecker and Bethge did in 2016; 1 if it had to stop early."""
    options.checked(context.params)
    use_backend(backend)
    load_pipelines()
    from convmedia.apps.tasks.style_transfer import stylize as style_transfer_stylize

    row = style_transfer_stylize.painted(context.params)
    if as_json:
        tell(to_json(row, indent=2))
    else:
        loss = "none" if row["loss"] is None else f"{row['loss']:.4g}"
        tell(f"{row['out']}  {row['width']}x{row['height']}  loss {loss}  {row['seconds']:.1f} s")
    return int(row["stopped"] is not None)


@dataclass(frozen=True, kw_only=True)
class Options(TrainOptions):
    """Learn to paint in one pass; several styles share one network and can be blended."""

    styles: Annotated[list[Path], typer.Argument(metavar="STYLE...", help="One painting, or several in one network.")]
    data: Annotated[
        str,
        typer.Option(callback=data_given, help="A folder of photos, or a named set of pictures; several joined by +."),
    ]
    weights: Extracting = "imagenet"
    network: FeatureNetwork = NetworkName.vgg19
    content_layer: ContentLayers = field(default_factory=list)
    style_layer: StyleLayers = field(default_factory=list)
    content_weight: ContentWeight = 1.0
    style_weight: StyleWeight = 100.0
    tv_weight: Smoothness = 1e-4
    style_size: Annotated[int, typer.Option(min=32, help="Longer side of the paintings, px.")] = 384
    filters: Annotated[int | None, typer.Option(min=1, help="Of the outermost layers: more is slower, finer.")] = None
    side: Annotated[int, typer.Option(min=32, help="Side of the windows of photos, px.")] = 256
    epochs: Epochs = 10
    batch_size: BatchSize = 4
    limit: Annotated[int | None, typer.Option(min=1, help="Windows an epoch; default: what covers the photos.")] = None


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder."""
    from convmedia.apps.tasks.style_transfer import train as style_transfer_train

    return style_transfer_train.train_run(run)


def figures_line(_: str, figures: dict[str, Any]) -> str:
    """The figures of a run for a person."""
    return f"loss {figures['loss']:.4g}"


def examples(_, data: str | None, __):
    """Raw pictures to prove an export on."""
    from convmedia.apps.tasks.style_transfer.apply import examples

    return examples(data)


TASK = Task(
    APP,
    Options,
    train_run,
    examples=examples,
    trial=lambda *_: None,  # a painting has no original: it is compared with Keras's
    line=figures_line,
    title="Paint pictures",
    tolerance=1e-3,  # normalisation over the whole picture adds up roundings
)
train.add_train(command, TASK)


@command.command()
def apply(
    out: Folder,
    inputs: InputsOrList = None,
    files_from: FilesFrom = None,
    model: Model = None,
    blend: Blend = None,
    size: Annotated[int, typer.Option(min=0, help="Longer side, px, at most; 0 for the picture's own.")] = 0,
    smooth: Annotated[float, typer.Option(min=0, max=1, help="For frames of a video: how steady stills are.")] = 0.0,
    frames: Frames = False,
    engine: EngineChoice = Engine.local,
    workers: Workers = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
    as_json: Json = False,
    backend: Backend = None,
) -> int:
    """Paint pictures in one pass; alpha, 16 bits, colour profile and Exif are kept. 1 if a file failed; rows are in
    results.jsonl."""
    if engine == Engine.ray and smooth:
        raise InputError("--smooth takes one frame after the other: leave --engine ray out")
    files = given(inputs, files_from)
    pictures_given(files)
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.tasks.style_transfer.apply import Painting

    worker = Painting(model, blend, size, smooth, frames, str(engine_runtime))
    settings = {"model": worker.predictor.digest, "blend": blend, "size": size, "smooth": smooth}
    settings |= {"frames": True} if frames else {}
    return transform.make(worker, files, out, settings, engine, workers, as_json)


add_export(command, TASK)


if __name__ == "__main__":
    entry.run(command)
