"""The options of trainings: fields with their defaults. An application adds its own ones in a subclass."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from convmedia.apps.cli.choices import choice
from convmedia.apps.cli.early_checks import (
    layers_given,
    others_given,
    to_begin,
    weights_given,
)
from convmedia.apps.cli.options import Arithmetic, Backend, Data, Fold, Group
from convmedia.data.augmentation.catalogue import PHOTOS


class Monitor(StrEnum):
    accuracy = "accuracy"
    balanced_accuracy = "balanced-accuracy"
    macro_f1 = "macro-f1"
    loss = "loss"


class SoundMonitor(StrEnum):
    accuracy = "accuracy"
    balanced_accuracy = "balanced-accuracy"
    macro_f1 = "macro-f1"
    loss = "loss"
    certainty = "certainty"
    average_precision = "average-precision"


class PictureMonitor(StrEnum):
    accuracy = "accuracy"
    balanced_accuracy = "balanced-accuracy"
    macro_f1 = "macro-f1"
    loss = "loss"
    average_precision = "average-precision"
    mean_absolute_error = "mean-absolute-error"


Out = Annotated[Path, typer.Option(help="The run folder to write.")]


Folds = Annotated[
    bool,
    typer.Option(
        "--folds",
        help="Train once for each fold: the set's own folds where it has some, else five stratified ones; mean and "
        "spread.",
    ),
]


Epochs = Annotated[int, typer.Option(min=1, max=4096, help="Passes over the training examples.")]


BatchSize = Annotated[int, typer.Option(min=1, help="Examples a step.")]


Limit = Annotated[int | None, typer.Option(min=1, help="Train on at most this many examples.")]


Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Everything random follows from it.")]


Seeds = Annotated[
    int, typer.Option(min=1, max=100, help="Train from so many seeds, --seed and those after it: mean and interval.")
]


Ema = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=0.99999,
        help="Validate and keep an exponential moving average of the weights with this decay a step; 0: the last ones.",
    ),
]


Weights = Annotated[
    str,
    typer.Option(
        callback=weights_given, help="Start from a run folder, a .keras file or shipped weights by name: fine-tuning."
    ),
]


TeacherOption = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        callback=layers_given,
        help="Distillation: learn from the answers of another model of the same labels, too. A run folder, a .keras "
        "file or a shipped name.",
    ),
]


Patience = Annotated[
    int | None, typer.Option(min=1, help="Stop early after this many epochs without a better validation figure.")
]


Augment = Annotated[
    str,
    choice(
        PHOTOS,
        "photos: rotation 40, shifts, shear and zoom 0.2, flip. strong: crops and colours. randaugment: crops and two "
        "of its operations. light: flips, small turns and zooms.",
    ),
]


MonitorOption = Annotated[
    Monitor, typer.Option("--monitor", help="The validation figure that chooses the epoch that is kept.")
]


SoundMonitorOption = Annotated[
    SoundMonitor | None,
    typer.Option(
        "--monitor",
        help="The validation figure that chooses the epoch that is kept; default certainty, the mean probability of "
        "the right label, or average-precision where a sound may have several labels.",
    ),
]


PictureMonitorOption = Annotated[
    PictureMonitor | None,
    typer.Option(
        "--monitor",
        help="The validation figure that chooses the epoch that is kept; default balanced-accuracy, or "
        "average-precision where a picture may have several labels, or with --target mean-absolute-error.",
    ),
]


ClassWeights = Annotated[
    bool | None,
    typer.Option("--class-weights/--no-class-weights", help="Rare labels count as much as frequent ones."),
]


Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="Fit on the validation pictures how sure the answers are: a temperature, in the file.",
    ),
]


NoneOfThese = Annotated[
    str,
    typer.Option(
        callback=others_given,
        help="Learn one more label, 'none of these', from pictures of other things: bundled, or a folder of yours. "
        "none: no such label.",
    ),
]


Precision = Annotated[
    Arithmetic,
    typer.Option(help="What the training multiplies in; auto: bfloat16 where the hardware does. Files use float32."),
]


Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out, with its recorded arguments.")]


Overwrite = Annotated[bool, typer.Option("--overwrite", callback=to_begin, help="Replace the run in --out.")]


Distribute = Annotated[
    bool,
    typer.Option("--distribute", help="Train with JAX on all devices, and on the machines that the environment names."),
]

FIRST = ("styles", "out", "data", "target", "group", "folds", "fold")  # on a help page: what is learned from
HOW = ("resume", "overwrite", "backend", "distribute")  # a run is made, not what is made


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What every training takes."""

    out: Out
    epochs: Epochs
    batch_size: BatchSize
    seed: Seed = 1
    seeds: Seeds = 1
    ema: Ema = 0.0
    precision: Precision = Arithmetic.auto
    resume: Resume = False
    overwrite: Overwrite = False
    backend: Backend = None
    distribute: Distribute = False


@dataclass(frozen=True, kw_only=True)
class LabelOptions(TrainOptions):
    """What trainings on labelled examples take."""

    data: Data
    group: Group = None
    folds: Folds = False
    fold: Fold = None
    weights: Weights = "none"
    teacher: TeacherOption = None
    limit: Limit = None
    class_weights: ClassWeights = True
    patience: Patience = None


@dataclass(frozen=True, kw_only=True)
class PhotoOptions(LabelOptions):
    """What trainings on labelled pictures take."""

    monitor: MonitorOption = Monitor.balanced_accuracy
    calibrate: Calibrate = True


def verb(options: type[TrainOptions], body: Callable[[typer.Context], int | None]) -> Callable[..., int | None]:
    """A command that takes the fields of `options` and calls `body` with its context; the class's docstring is its
    help."""

    def command(context: typer.Context, **_: Any) -> int | None:
        return body(context)

    hints = get_type_hints(options, include_extras=True)
    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for field in in_order(options):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        parameters.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = options.__doc__
    return command


def in_order(options: type[TrainOptions]) -> Sequence[Field]:
    """The fields as a help page has them: what is learned from, the application's own, what trainings share."""
    shared = {field.name for base in (TrainOptions, PhotoOptions) for field in fields(base)}

    def place(field: Field) -> tuple[int, int]:
        if field.name in FIRST:
            return 0, FIRST.index(field.name)
        if field.name in HOW:
            return 3, HOW.index(field.name)
        return (2 if field.name in shared else 1), 0

    return sorted(fields(options), key=place)
