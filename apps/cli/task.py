"""An application: what it adds to the verbs that all of them share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convmedia.apps.cli.train_options import TrainOptions

if TYPE_CHECKING:
    import numpy as np

    from convmedia.apps.runs.run_folder import Run
    from convmedia.models.export.quality_loss import Trial
    from convmedia.models.inference.predictor import Predictor

    Measure = Trial | Callable[[Sequence[np.ndarray]], Trial] | None


@dataclass(frozen=True)
class Task:
    """One application. Its functions import what they need when they are called, so that help pages come at once.

    Attributes:
        name: as its command has it.
        options: of `train`, with its help.
        train: makes a run complete and gives its record.
        examples: raw inputs to prove an export on: of the set that is named, or without one bundled ones; the last
            argument says whether quantised files are calibrated on them, too.
        trial: what quantised files are measured by: called with the predictor, --model, --data and the examples. A
            trial, or what makes one of examples that are held back from calibration; None measures likeness to Keras.
        evaluate: figures of a predictor on the test split of a set, by split; None where nothing can be measured.
        line: says the figures of one split of a complete run; None for those of a classifier.
        input: "image" or "sound".
        title: heading of its pages.
        teaches: whether there is a page of it that learns classes from examples in the browser.
        samples: names of bundled files that pages of shipped weights begin with; none for those of the input.
        tolerance: largest difference of an exported file, where it is not that of the kind of answer.
    """

    name: str
    options: type[TrainOptions]
    train: "Callable[[Run], dict[str, Any]]"
    examples: "Callable[[Predictor, str | None, bool], Sequence[np.ndarray]]"
    trial: "Callable[[Predictor, str | None, str | None, Sequence[np.ndarray]], Measure]"
    evaluate: "Callable[..., dict[str, Any]] | None" = None
    line: Callable[[str, dict[str, Any]], str] | None = None
    tolerance: float | None = None
    input: str = "image"
    title: str = ""
    samples: Sequence[str] = ()
    teaches: bool = False
