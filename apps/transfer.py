"""Learn any folder of photos with a network that was trained on ImageNet: EfficientNet-Lite0 by default, whose weights
come with the package.

convmedia transfer train --data my-photos/ --out runs/mine
convmedia transfer train --data my-photos/ --backbone vgg16 --epochs 4 --out runs/vgg
"""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from convmedia.apps.classification import photo_task as photos
from convmedia.apps.cli import entry
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import load_pipelines, use_backend
from convmedia.apps.cli.early_checks import required
from convmedia.apps.cli.options import Backend, Data, EngineRuntime, EngineRuntimeChoice, Fold, Group, Json, Model
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import Augment, BatchSize, NoneOfThese, PhotoOptions
from convmedia.apps.console.terminal import tell
from convmedia.apps.runs.given import Given
from convmedia.apps.verbs import classifier
from convmedia.data.storage.errors import InputError

APP = "transfer"
EXAMPLES = {
    "train": ("--data photos/ --out runs/mine", "--data photos/ --backbone mobilenet-v2 --epochs 0 --out runs/quick"),
    "predict": ("samples/cat.jpg --model runs/mine", "photos/ --model runs/mine --out answers.jsonl"),
    "evaluate": ("--data photos/ --model runs/mine", "--data photos/ --model runs/mine --json"),
    "export": ("--model runs/mine", "--model runs/mine --format onnx --out exported/"),
    "explain": ("samples/cat.jpg --model runs/mine --out pictures/", "photos/ --model runs/mine --out pictures/"),
}
command = application(APP, "Learn any folder of photos with a network that was trained on ImageNet.", EXAMPLES)


@dataclass(frozen=True, kw_only=True)
class Options(PhotoOptions):
    """Stage 1: a head on the frozen backbone's features. Stage 2: the backbone's upper blocks with it."""

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
    epochs: Annotated[int, typer.Option(min=0, max=4096, help="Of stage 2; 0 leaves it out.")] = 4
    augment: Augment = "light"
    rate: Annotated[float, typer.Option(min=0, help="Stage 2's greatest learning rate; --find-lr helps.")] = 3e-5
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only draw the loss over learning rates, to OUT-learning-rate.png.")
    ] = False
    batch_size: BatchSize = 32
    none_of_these: NoneOfThese = "none"


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
    from convmedia.apps.classification import photo_pipeline

    photo_pipeline.evaluate(APP, data, model, as_json, group, fold, str(engine_runtime))


TASK = Task(APP, Options, train_run, examples=photos.examples, trial=photos.trial, evaluate=photos.evaluated)
classifier.add(command, TASK, lambda predictor: None, rates_drawn)


if __name__ == "__main__":
    entry.run(command)
