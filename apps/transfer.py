"""Learn any folder of photos with a network that was trained on ImageNet: EfficientNet-Lite0 by default, whose weights
come with the package.

convmedia transfer train --data my-photos/ --out runs/mine
convmedia transfer train --data my-photos/ --backbone vgg16 --epochs 4 --out runs/vgg
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from convmedia.apps.cli import entry
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import load_pipelines, use_backend
from convmedia.apps.cli.early_checks import required
from convmedia.apps.cli.inputs import given as named
from convmedia.apps.cli.options import (
    Backend,
    Data,
    EngineRuntime,
    EngineRuntimeChoice,
    FilesFrom,
    Fold,
    Group,
    InputsOrList,
    Json,
    Model,
    Target,
)
from convmedia.apps.cli.row_formats import features_file
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import (
    Augment,
    BatchSize,
    Calibrate,
    ClassWeights,
    LabelOptions,
    NoneOfThese,
    PictureMonitorOption,
)
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import note, say, tell
from convmedia.apps.runs.given import Given
from convmedia.apps.verbs import classifier
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.text import plural

APP = "transfer"
EXAMPLES = {
    "train": (
        "--data photos/ --out runs/mine",
        "--data photos.csv --target cells --out runs/counted",
        "--data photos/ --backbone mobilenet-v2 --epochs 0 --out runs/quick",
    ),
    "predict": ("samples/cat.jpg --model runs/mine", "photos/ --model runs/mine --out answers.jsonl"),
    "evaluate": ("--data photos/ --model runs/mine", "--data photos/ --model runs/mine --json"),
    "export": ("--model runs/mine", "--model runs/mine --format onnx --out exported/"),
    "embed": ("photos/ --out features.npz", "photos/ --model runs/mine --out features.parquet"),
    "explain": ("samples/cat.jpg --model runs/mine --out pictures/", "photos/ --model runs/mine --out pictures/"),
}
command = application(APP, "Learn any folder of photos with a network that was trained on ImageNet.", EXAMPLES)


@dataclass(frozen=True, kw_only=True)
class Options(LabelOptions):
    """Stage 1: a head on the frozen backbone's features. Stage 2: the backbone's upper blocks with it.

    A table may give a picture several labels, parted by ; or |, or with --target a number. Labels weigh the same by
    default where a picture has one; with --class-weights of several labels, too.
    """

    target: Target = None
    monitor: PictureMonitorOption = None
    class_weights: ClassWeights = None
    backbone: Annotated[
        str,
        typer.Option(
            help="efficientnet-lite0 or mobilenet-v2, whose weights come with the package; squeezenet, or a classifier "
            "of keras.applications (vgg16, resnet50 ...)."
        ),
    ] = "efficientnet-lite0"
    weights: Annotated[
        str,
        typer.Option(
            help="imagenet: those of the package, else from Keras's cache or downloaded. none: random. Or a file."
        ),
    ] = "imagenet"
    side: Annotated[int | None, typer.Option(min=32, help="px of the squares it sees; default the backbone's.")] = None
    mirror: Annotated[bool, typer.Option(help="Stage 1 also on the features of each picture's mirror image.")] = True
    blocks: Annotated[int, typer.Option(min=0, help="Stage 2 trains so many of the backbone's upper blocks.")] = 2
    flips: Annotated[
        bool,
        typer.Option(
            help="Answer with the mean of a picture and its mirror image, twice the work, where validation is better."
        ),
    ] = False
    epochs: Annotated[int, typer.Option(min=0, max=4096, help="Of stage 2; 0 leaves it out.")] = 2
    augment: Augment = "light"
    rate: Annotated[float, typer.Option(min=0, help="Stage 2's greatest learning rate; --find-lr helps.")] = 3e-5
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only draw the loss over learning rates, to OUT-learning-rate.png.")
    ] = False
    batch_size: BatchSize = 32
    none_of_these: NoneOfThese = "none"
    calibrate: Calibrate = True


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder."""
    from convmedia.apps.tasks.transfer import train

    return train.train_run(run)


def rates_drawn(given: Given) -> int | None:
    """With --find-lr: draw the loss over learning rates in place of a training."""
    if not given.values["find_lr"]:
        return None
    if given.values["distribute"]:
        raise InputError("--find-lr runs in one process: leave --distribute out")
    if given.values["folds"]:
        raise InputError("--find-lr looks at one training: leave --folds out, or give one --fold")
    load_pipelines()
    from convmedia.apps.runs.opening import open_run
    from convmedia.apps.tasks.transfer import train

    tell(train.rates_drawn(open_run(APP, given)))
    return 0


@command.command()
def evaluate(
    data: Data,
    model: Model = None,
    group: Group = None,
    fold: Fold = None,
    as_json: Json = False,
    backend: Backend = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
) -> None:
    """Measure a saved file on the test pictures."""
    required(APP, model)
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.tasks.transfer import evaluate as transfer_evaluate

    transfer_evaluate.evaluate(APP, data, model, as_json, group, fold, str(engine_runtime))


@command.command()
def embed(
    out: Annotated[
        Path,
        typer.Option("--out", callback=features_file, help="The file to write: .npz, or .parquet (extra parquet)."),
    ],
    inputs: InputsOrList = None,
    files_from: FilesFrom = None,
    backbone: Annotated[
        str | None, typer.Option(help="With its ImageNet weights, as of train; default efficientnet-lite0.")
    ] = None,
    model: Model = None,
    as_json: Json = False,
) -> int:
    """Write what a network makes of each picture, a vector of float32, for search, clustering and other learners.

    Without --model of a network trained on ImageNet, whose weights come with the package: no training is needed.
    """
    from convmedia.data.images.decoding import find

    if model is not None and backbone is not None:
        raise InputError("--model has a network of its own: give --model or --backbone")
    files = find(named(inputs, files_from), note)
    from convmedia.apps.tasks.transfer import embed as embedding

    network = embedding.network_of(backbone or Options.backbone, model)
    summary = embedding.embed(network, files, out)
    for row in summary["errors"]:
        say(f"left out: {row['error']}")
    written = f"{plural(summary['files'], 'vector')} of {summary['size']:,} numbers in {shown(out)}"
    tell(to_json(summary, indent=2) if as_json else f"{written}, {len(summary['errors'])} left out")
    return int(bool(summary["errors"]))


def evaluated(predictor, data: str, group: str | None = None, fold: str | None = None) -> dict[str, Any]:
    """Figures of a predictor on the test pictures of a set."""
    from convmedia.apps.tasks.transfer import evaluate as transfer_evaluate

    return transfer_evaluate.evaluated(predictor, data, group, fold)


def examples(predictor, data: str | None, _):
    """Raw pictures to prove an export on: of a set, or bundled ones."""
    from convmedia.apps.tasks.transfer import evaluate as transfer_evaluate

    return transfer_evaluate.examples(predictor, data)


def trial(predictor, model: str | None, data: str | None, _):
    """The truth of a set's test split, to measure quantised files by."""
    from convmedia.apps.tasks.transfer import evaluate as transfer_evaluate

    return transfer_evaluate.trial(predictor, model, data)


def line(split: str, figures: dict[str, Any]) -> str:
    """The figures of one split for a person."""
    from convmedia.apps.tasks.transfer import evaluate as transfer_evaluate

    return transfer_evaluate.line(split, figures)


TASK = Task(
    APP,
    Options,
    train_run,
    examples=examples,
    trial=trial,
    evaluate=evaluated,
    line=line,
    title="Photos",
    teaches=True,
)
classifier.add(command, TASK, lambda predictor: None, rates_drawn)


if __name__ == "__main__":
    entry.run(command)
