"""The options of trainings: fields with their defaults. An application adds its own ones in a subclass."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, get_type_hints

import typer

from convmedia.apps.cli.options import (
    Arithmetic,
    Backend,
    BatchSize,
    ClassWeights,
    Data,
    Distribute,
    Epochs,
    Fold,
    Folds,
    Group,
    Limit,
    Monitor,
    MonitorOption,
    Out,
    Overwrite,
    Patience,
    Precision,
    Resume,
    Seed,
    Weights,
)

FIRST = ("styles", "out", "data", "group", "folds", "fold")  # on a help page: what is learned from
HOW = ("resume", "overwrite", "backend", "distribute")  # a run is made, not what is made


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What every training takes."""

    out: Out
    epochs: Epochs
    batch_size: BatchSize
    seed: Seed = 1
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
    limit: Limit = None
    class_weights: ClassWeights = True
    patience: Patience = None


@dataclass(frozen=True, kw_only=True)
class PhotoOptions(LabelOptions):
    """What trainings on labelled pictures take."""

    monitor: MonitorOption = Monitor.balanced_accuracy


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
