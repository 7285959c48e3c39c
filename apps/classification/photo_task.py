"""What the applications that learn folders of photos give to the verbs; heavy parts are loaded when they are called."""

from typing import Any


def examples(_, data: str | None, __):
    """Raw pictures to prove an export on: of a set, or bundled ones."""
    from convmedia.apps.classification import photo_pipeline

    return photo_pipeline.examples(data)


def trial(predictor, model: str | None, data: str | None, _):
    """The right labels of a set's test split, to measure quantised files by."""
    from convmedia.apps.classification import photo_pipeline
    from convmedia.apps.classification.evaluation import trial
    from convmedia.apps.runs.record import fold_of, group_of, tested_on

    tested = tested_on(model, data)
    parts = (group_of(model, tested), fold_of(model, tested)) if tested else (None, None)
    return trial(predictor, photo_pipeline.loaded, tested, *parts)


def evaluated(predictor, data: str, group: str | None = None, fold: str | None = None) -> dict[str, Any]:
    """Figures of a predictor on the test pictures of a set."""
    from convmedia.apps.classification import photo_pipeline
    from convmedia.apps.classification.evaluation import measure

    return measure(predictor, photo_pipeline.loaded(data, group, fold).required("test"))[0]
