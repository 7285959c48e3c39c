"""What a trained file of `transfer` is worth, whatever it was trained for: a row of `OBJECTIVES` for each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.classification import evaluation, photo_pipeline
from convmedia.apps.cli.inputs import answering
from convmedia.apps.runs.record import fold_of, group_of, tested_on
from convmedia.apps.tasks.transfer.objective import Objective
from convmedia.apps.tasks.transfer.one_label import OneLabel
from convmedia.apps.tasks.transfer.quantity import Quantity
from convmedia.apps.tasks.transfer.several_labels import SeveralLabels
from convmedia.data.datasets.photos import Pictures
from convmedia.data.images.views import in_rgb
from convmedia.models.inference.file_predictor import FilePredictor

if TYPE_CHECKING:
    from convmedia.models.export.quality_loss import Trial

OBJECTIVES: tuple[type[Objective], ...] = (OneLabel, SeveralLabels, Quantity)


def trained_for(predictor: FilePredictor) -> type[Objective]:
    """What a model was trained for."""
    return next(one for one in OBJECTIVES if one.answered_by(predictor))


def of_run(data: Pictures, options: Mapping[str, Any]) -> Objective:
    """What a training is for."""
    if options.get("target") is not None:
        return Quantity(data, options)
    return SeveralLabels(data, options) if data.several else OneLabel(data, options)


def evaluate(
    app: str, data: str, model: str | None, as_json: bool, group: str | None, fold: str | None, runtime: str
) -> None:
    """The `evaluate` verb: figures of a saved file on the test pictures of a set."""
    predictor = answering(app, model, runtime)
    found, chosen = trained_for(predictor), (group or group_of(model, data), fold or fold_of(model, data))
    tested = photo_pipeline.loaded(data, *chosen, **found.reading(predictor)).required("test")
    metrics, _ = found.measure(predictor, tested)
    found.print_figures(predictor, tested, metrics, as_json)


def evaluated(predictor: FilePredictor, data: str, group: str | None, fold: str | None) -> dict[str, Any]:
    """Figures of a predictor on the test pictures of a set."""
    found = trained_for(predictor)
    return found.measure(
        predictor, photo_pipeline.loaded(data, group, fold, **found.reading(predictor)).required("test")
    )[0]


def examples(predictor: FilePredictor, data: str | None) -> list[np.ndarray]:
    """Raw pictures to verify an export with: of a set, or without one bundled ones."""
    if data is None:
        return photo_pipeline.sample_photos()
    read = photo_pipeline.loaded(data, **trained_for(predictor).reading(predictor))
    return evaluation.raw_examples(read.train.pictures)


def trial(predictor: FilePredictor, model: str | None, data: str | None) -> "Trial | None":
    """What quantised files are measured by: the truth of a set's test split; None without one."""
    found, tested = trained_for(predictor), tested_on(model, data)
    if tested is None:
        return None
    chosen = group_of(model, tested), fold_of(model, tested)
    read = photo_pipeline.loaded(tested, *chosen, **found.reading(predictor)).required("test")
    said = f"test split of {read.name}, {len(read.test):,} {read.noun}s"
    return found.trial(predictor, read, said, lambda: map(in_rgb, read.test.pictures))


def line(_: str, figures: dict[str, Any]) -> str:
    """The figures of one split, or of all folds together, for a person."""
    found = (objective.line(figures) for objective in OBJECTIVES)
    return next((one for one in found if one is not None), None) or evaluation.shares_line(figures)
