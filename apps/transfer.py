"""Learn any folder of photos with a network that was trained on ImageNet: VGG16 by default.

convmedia transfer train --data my-photos/ --out runs/mine
convmedia transfer train --data my-photos/ --backbone squeezenet --side 256 --out runs/quick
"""

from enum import StrEnum
from typing import Annotated

import typer

from convmedia.apps import _commands, _verbs
from convmedia.apps._commands import (
    Arithmetic,
    Backend,
    BatchSize,
    ClassWeights,
    Data,
    Distribute,
    Fold,
    Folds,
    Group,
    Json,
    Limit,
    Model,
    Monitor,
    MonitorOption,
    Out,
    Overwrite,
    Patience,
    Precision,
    Resume,
    Seed,
    application,
    load_pipelines,
    tell,
    use_backend,
)
from convmedia.apps._early import required
from convmedia.data.errors import InputError

APP = "transfer"
EXAMPLES = {
    "train": ("--data photos/ --out runs/mine", "--data photos/ --backbone squeezenet --side 256 --out runs/quick"),
    "predict": ("samples/cat.jpg --model runs/mine", "photos/ --model runs/mine --out answers.jsonl"),
    "evaluate": ("--data photos/ --model runs/mine", "--data photos/ --model runs/mine --json"),
    "export": ("--model runs/mine", "--model runs/mine --format onnx --out exported/"),
    "explain": ("samples/cat.jpg --model runs/mine --out pictures/", "photos/ --model runs/mine --out pictures/"),
}
command = application(APP, "Learn any folder of photos with a network that was trained on ImageNet.", EXAMPLES)


class Augment(StrEnum):
    light = "light"
    photos = "photos"
    none = "none"


@command.command()
def train(
    context: typer.Context,
    out: Out,
    data: Data,
    group: Group = None,
    folds: Folds = False,
    fold: Fold = None,
    backbone: Annotated[
        str, typer.Option(help="A classifier of keras.applications (vgg16, resnet50, mobilenet-v2 ...) or squeezenet.")
    ] = "vgg16",
    weights: Annotated[
        str, typer.Option(help="imagenet: from Keras's cache, else downloaded. none: random. Or a weights file.")
    ] = "imagenet",
    side: Annotated[int | None, typer.Option(min=32, help="px of the squares it sees; default the backbone's.")] = None,
    mirror: Annotated[bool, typer.Option(help="Stage 1 also on the features of each picture's mirror image.")] = True,
    blocks: Annotated[int, typer.Option(min=0, help="Stage 2 trains so many of the backbone's upper blocks.")] = 2,
    epochs: Annotated[int, typer.Option(min=0, max=4096, help="Of stage 2; 0 leaves it out.")] = 4,
    augment: Annotated[
        Augment, typer.Option(help="Stage 2. light: flips, small turns and zooms. photos: as in cats-vs-dogs.")
    ] = Augment.light,
    rate: Annotated[float, typer.Option(min=0, help="Stage 2's greatest learning rate; --find-lr helps.")] = 3e-5,
    class_weights: ClassWeights = True,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only draw the loss over learning rates, to OUT-learning-rate.png.")
    ] = False,
    batch_size: BatchSize = 32,
    limit: Limit = None,
    seed: Seed = 1,
    precision: Precision = Arithmetic.auto,
    monitor: MonitorOption = Monitor.balanced_accuracy,
    patience: Patience = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    backend: Backend = None,
    distribute: Distribute = False,
) -> None:
    """Stage 1: a head on the frozen backbone's features. Stage 2: the backbone's upper blocks with it."""
    use_backend(backend, distribute)
    load_pipelines()
    from convmedia.apps import _transfer
    from convmedia.apps._runs import open_run

    if find_lr:
        if distribute:
            raise InputError("--find-lr runs in one process: leave --distribute out")
        if folds:
            raise InputError("--find-lr looks at one training: leave --folds out, or give one --fold")
        tell(_transfer.rates_drawn(open_run(APP, context, out, resume, overwrite)))
        return
    _verbs.train(APP, context, out, resume, overwrite, _transfer.train_run, distribute=distribute)


@command.command()
def evaluate(
    data: Data,
    model: Model = None,
    group: Group = None,
    fold: Fold = None,
    as_json: Json = False,
    backend: Backend = None,
) -> None:
    """Measure a saved file on the test pictures."""
    required(APP, model)
    use_backend(backend)
    from convmedia.apps import _pictures

    _pictures.evaluate(APP, data, model, as_json, group, fold)


def examples(data: str | None):
    """Raw pictures to verify an export with, of a set or bundled ones."""
    from convmedia.apps import _pictures

    return _pictures.examples(data)


def labelled(data: str, group: str | None, fold: str | None):
    """The set that `--data` names, with the groups of `--group` and the fold of `--fold`."""
    from convmedia.apps import _pictures

    return _pictures.loaded(data, group, fold)


_verbs.add(command, APP, examples, labelled, lambda predictor: None)


if __name__ == "__main__":
    _commands.run(command)
