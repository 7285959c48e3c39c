"""A complete application: its face. What trains lies in `toy_training`."""

from dataclasses import dataclass
from importlib import import_module

from convmedia.apps.classification import photo_task as photos
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.options import Data, Json, Model
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import BatchSize, Epochs, PhotoOptions
from convmedia.apps.verbs import classifier

APP = "toy"
EXAMPLES = {
    "train": ("--data photos/ --out runs/toy", "--out runs/toy --resume"),
    "predict": ("photos/ --model runs/toy", "photos/ --model runs/toy --json"),
}
command = application(APP, "Tell dark pictures from light ones.", EXAMPLES)


@dataclass(frozen=True, kw_only=True)
class Options(PhotoOptions):
    """Train a network of one layer."""

    epochs: Epochs = 2
    batch_size: BatchSize = 8


def train_run(run):
    """From a run's arguments to its complete folder."""
    trained = import_module("toy_training").trained

    return trained(run)


@command.command()
def evaluate(data: Data, model: Model = None, as_json: Json = False) -> None:
    """Measure a saved file on the test pictures."""
    use_backend(None)
    from convmedia.apps.classification import photo_pipeline

    photo_pipeline.evaluate(APP, data, model, as_json, None, None)


TASK = Task(APP, Options, train_run, examples=photos.examples, trial=photos.trial, evaluate=photos.evaluated)
classifier.add(command, TASK, lambda predictor: None)
