"""Read handwritten digits, whether ink is dark or light.

convmedia mnist train --data mnist --out runs/digits
convmedia mnist predict photo.jpg
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from convmedia.apps.cli import entry
from convmedia.apps.cli import inputs as cli_inputs
from convmedia.apps.cli.application import application
from convmedia.apps.cli.backend import use_backend
from convmedia.apps.cli.choices import choice
from convmedia.apps.cli.options import (
    Backend,
    Data,
    EngineRuntime,
    EngineRuntimeChoice,
    Fold,
    Group,
    Inputs,
    Json,
    Model,
)
from convmedia.apps.cli.task import Task
from convmedia.apps.cli.train_options import BatchSize, Epochs, Out, Overwrite, PhotoOptions, Resume, Seed
from convmedia.apps.console.progress import progress
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import note, say, tell
from convmedia.apps.runs.given import given_in
from convmedia.apps.tasks.mnist.train import train_run
from convmedia.apps.verbs import classifier
from convmedia.models.networks.catalogue import DIGITS

APP = "mnist"
EXAMPLES = {
    "predict": ("samples/seven.jpg", "photos/ --top 3 --json", "photos/ --out answers.jsonl"),
    "train": ("--data mnist --out runs/mnist", "--data my-digits/ --out runs/mine", "--out runs/mnist --resume"),
    "evaluate": ("--data mnist", "--data my-digits/ --model runs/mine"),
    "export": ("--out exported/", "--model runs/mnist --format onnx --quantize int8"),
    "explain": ("samples/seven.jpg --out pictures/", "photos/ --model runs/mnist --out pictures/"),
    "compare": ("my-pictures/ --out runs/inversion", "my-pictures/ --data digits --epochs 3 --out runs/quick"),
}
command = application(APP, "Read handwritten digits, whether ink is dark or light.", EXAMPLES)


class Preparation(StrEnum):
    ink = "ink"
    resize = "resize"


NetworkOption = Annotated[str, choice(DIGITS, "The network to train.")]


@dataclass(frozen=True, kw_only=True)
class Options(PhotoOptions):
    """Train a network, measure it on the test pictures and their inversions, write the run folder."""

    data: Data = "mnist"
    network: NetworkOption = "convnet"
    preparation: Annotated[
        Preparation, typer.Option(help="ink: find the ink and centre it. resize: grey, 28x28, polarity kept.")
    ] = Preparation.ink
    invert: Annotated[
        bool, typer.Option(help="Train on each picture and its inversion. With ink both are the same picture.")
    ] = True
    augment: Annotated[bool, typer.Option(help="Turn, shift, bend; with ink also pictures as a phone takes them.")] = (
        True
    )
    epochs: Epochs = 24
    batch_size: BatchSize = 128


@command.command()
def evaluate(
    data: Data = "mnist",
    model: Model = None,
    group: Group = None,
    fold: Fold = None,
    as_json: Json = False,
    backend: Backend = None,
    engine_runtime: EngineRuntimeChoice = EngineRuntime.auto,
) -> None:
    """Measure a saved file on the test pictures and on their inversions."""
    if backend is not None:
        use_backend(backend)
    from convmedia.apps.classification.evaluation import print_figures, say_problems
    from convmedia.apps.runs.record import fold_of, group_of
    from convmedia.apps.tasks.mnist import pipeline
    from convmedia.data.datasets import digits

    predictor = cli_inputs.answering(APP, model, str(engine_runtime))
    with progress("reading examples") as update:
        chosen = digits.load(data, update, group or group_of(model, data), fold or fold_of(model, data))
    chosen = chosen.required("test")
    say_problems(chosen)
    say(f"measuring the {len(chosen.test)} test pictures of {chosen.name}, {len(chosen.bad)} files left out")
    metrics, _ = pipeline.measure(predictor, chosen)
    print_figures(predictor, chosen, metrics, as_json)


def evaluated(predictor, data: str, group: str | None = None, fold: str | None = None) -> dict[str, Any]:
    """Figures of a predictor on the test pictures of a set and on their inversions."""
    from convmedia.apps.tasks.mnist import pipeline
    from convmedia.data.datasets import digits

    return pipeline.measure(predictor, digits.load(data, group=group, fold=fold).required("test"))[0]


def examples(_, data: str | None, __):
    """Raw pictures to prove an export on, of a set or of the bundled one."""
    from convmedia.apps.classification.evaluation import raw_examples
    from convmedia.data.datasets import digits

    return raw_examples(digits.load(data or "digits").train.pictures)


def trial(predictor, model: str | None, data: str | None, _):
    """The right labels of a set's test split, to measure quantised files by; of the bundled one for shipped weights."""
    from convmedia.apps.classification.evaluation import trial
    from convmedia.apps.runs.record import fold_of, group_of, tested_on
    from convmedia.data.datasets import digits

    def labelled(data: str, group: str | None, fold: str | None):
        return digits.load(data, group=group, fold=fold)

    tested = tested_on(model, data, "digits")
    parts = (group_of(model, tested), fold_of(model, tested)) if tested else (None, None)
    return trial(predictor, labelled, tested, *parts)


SAMPLES = ("seven.jpg", "five.jpg", "two.jpg", "four.png")
TASK = Task(
    APP,
    Options,
    train_run,
    examples=examples,
    trial=trial,
    evaluate=evaluated,
    title="Handwritten digits",
    samples=SAMPLES,
)
classifier.add(command, TASK)


@command.command()
def compare(
    context: typer.Context,
    inputs: Inputs,  # with --resume: None where it is left out
    out: Out,
    data: Data = "mnist",
    small: Annotated[int, typer.Option(min=1, help="Examples of the small set.")] = 15_000,
    network: NetworkOption = "lenet5",
    epochs: Epochs = 10,
    seed: Seed = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """The inversion experiment: the same pictures read after four trainings.

    Trained on a small set, on the full set, and on the full set with each picture also inverted, all with
    `--preparation resize`; then with the default preparation. Prints what each answers to your own pictures.
    """
    use_backend(None)
    from convmedia.apps.runs.opening import open_run
    from convmedia.apps.tasks.mnist import compare as mnist_compare
    from convmedia.data.images.decoding import find
    from convmedia.data.storage.errors import InputError

    run = open_run(APP, given_in(context))
    chosen = inputs or run.record.get("inputs")
    if not chosen:
        raise InputError("no file is named and none is recorded: give files or folders")
    files = find(chosen, note)
    run.record["inputs"] = list(map(str, chosen))
    with run.begin():
        result = mnist_compare.compared(run, list(trainings(run)), files)
    if as_json:
        tell(to_json(result, indent=2))
        return
    tell(mnist_compare.comparison_table(result))
    tell(f"report {out / 'report.html'}")


def trainings(run) -> Iterator[tuple[str, Any]]:
    """Name and complete run of each training of the inversion experiment, in folders below the run's."""
    from convmedia.apps.runs.opening import open_part
    from convmedia.data.datasets import digits

    options = run.arguments
    shared = {name: options[name] for name in ("data", "network", "epochs", "seed")}
    shared |= {"batch_size": 64, "limit": None, "patience": None, "weights": "none", "augment": False, "invert": False}
    shared |= {"precision": "auto"}
    resize = {**shared, "preparation": "resize"}
    variants = {
        "small set": {**resize, "limit": options["small"]},
        "full set": resize,
        "full set, inverted too": {**resize, "invert": True},
        "default preparation": {**shared, "preparation": "ink", "augment": True},
    }
    number = len(digits.load(options["data"]).train)
    if options["small"] >= number and not (run.folder / "small-set").exists():
        say(f"note: --small {options['small']} is all of the {number:,} training pictures: they are trained on once")
        del variants["small set"]
    for name, arguments in variants.items():
        part = open_part(run, name.replace(",", "").replace(" ", "-"), arguments)
        if not part.complete:
            say(f"training: {name}")
            train_run(part)
        yield name, part


if __name__ == "__main__":
    entry.run(command)
