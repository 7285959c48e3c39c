"""Tell cats from dogs, or any two or more kinds of photos, with a network trained from scratch.

convmedia cats-vs-dogs train --data my-photos/ --out runs/pets
convmedia cats-vs-dogs predict photo.jpg
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from convmedia.apps.classification import photo_task as photos
from convmedia.apps.cli import entry
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.choices import choice
from convmedia.apps.cli.options import Backend, Data, EngineRuntime, EngineRuntimeChoice, Fold, Group, Json, Model
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import Augment, BatchSize, Ema, Epochs, NoneOfThese, PhotoOptions
from convmedia.apps.tasks.cats_vs_dogs.train import train_run
from convmedia.apps.verbs import classifier
from convmedia.models.networks.catalogue import PHOTOS

APP = "cats-vs-dogs"
EXAMPLES = {
    "predict": ("samples/cat.jpg", "photos/ --model runs/pets --out answers.jsonl"),
    "train": ("--data photos/ --out runs/pets", "--data photos/ --network small --augment photos --out runs/small"),
    "evaluate": ("--data photos/", "--data photos/ --model runs/pets"),
    "export": ("--out exported/", "--model runs/pets --format litert --quantize int8 --data photos/"),
    "explain": ("samples/cat.jpg --out pictures/", "photos/ --model runs/pets --out pictures/"),
}
command = application(APP, "Tell cats from dogs, or other photos, with a network trained from scratch.", EXAMPLES)


@dataclass(frozen=True, kw_only=True)
class Options(PhotoOptions):
    """Train a network, measure its saved file on the test pictures, write the run folder."""

    data: Data = "dogs-vs-cats"
    network: Annotated[str, choice(PHOTOS, "The network to train.")] = "resnet"
    augment: Augment = "strong"
    mixup: Annotated[float, typer.Option(min=0, help="MixUp's alpha; 0 is off.")] = 0.0
    cutmix: Annotated[float, typer.Option(min=0, help="CutMix's alpha; 0 is off.")] = 0.0
    epochs: Epochs = 190
    ema: Ema = 0.998
    batch_size: BatchSize = 32
    none_of_these: NoneOfThese = "none"


@command.command()
def evaluate(
    data: Data = "dogs-vs-cats",
    model: Model = None,
    group: Group = None,
    fold: Fold = None,
    as_json: Json = False,
    backend: Backend = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
) -> None:
    """Measure a saved file on the test pictures."""
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.classification import photo_pipeline

    photo_pipeline.evaluate(APP, data, model, as_json, group, fold, str(engine_runtime))


TASK = Task(
    APP,
    Options,
    train_run,
    examples=photos.examples,
    trial=photos.trial,
    evaluate=photos.evaluated,
    title="Cat or dog?",
)
classifier.add(command, TASK)


if __name__ == "__main__":
    entry.run(command)
