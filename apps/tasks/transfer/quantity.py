"""Pictures that have a number each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from convmedia.apps.classification import evaluation
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import table, tell
from convmedia.apps.reporting.shares import doubts
from convmedia.apps.runs.device import device_of
from convmedia.apps.tasks.transfer import ridge
from convmedia.apps.tasks.transfer.objective import Objective
from convmedia.data.storage.errors import InputError
from convmedia.models.export.quality_loss import absolute_error
from convmedia.models.losses.resampling import percentile_interval

WORST = 12  # pictures that a report shows


class Quantity(Objective):
    """A number a picture: the network is trained on standardised numbers, the saved file answers in their unit.

    Stage 1 is a ridge regression. The loss of stage 2 is Huber's (1964) at one deviation: squared near the truth, so
    that it is smooth there, and absolute beyond, so that a few far numbers do not lead.
    """

    kind = "quantity"
    activation = "linear"
    monitors = ("mean-absolute-error", "loss")
    what = "a number for each picture"

    def __init__(self, data, options):
        super().__init__(data, options)
        if self.class_weights:
            raise InputError(f"--class-weights: {data.name} has numbers and no labels; leave it out")
        truth = data.train.truth
        mean, deviation = float(truth.mean()), float(truth.std())
        if not deviation > 0:
            raise InputError(f"{data.name} has {mean:g} for every training picture: there is nothing to learn")
        self.scale = {"mean": mean, "deviation": deviation, "median": float(np.median(truth))}

    def details(self):
        return {"scale": self.scale}

    def closing(self):
        import keras

        return [keras.layers.Rescaling(self.scale["deviation"], self.scale["mean"], name="unit")]

    def targets(self, truth):
        return ((truth - self.scale["mean"]) / self.scale["deviation"]).astype(np.float32)[:, np.newaxis]

    def solved(self, head, features, targets, seed):
        import keras

        standardised = keras.Sequential(head.layers[:-1])(features, training=False)
        pictures = np.arange(len(features)) % self.pictures
        kernel, offset = ridge.fitted(keras.ops.convert_to_numpy(standardised), targets[:, 0], pictures, seed)
        head.layers[-1].set_weights([kernel[:, np.newaxis], np.array([offset])])
        return True

    def read(self, truth):
        self.pictures = len(truth)

    def compiling(self):
        import keras

        error = keras.metrics.MeanMetricWrapper(self._apart, name="mean_absolute_error")
        return {"loss": keras.losses.Huber(), "metrics": [error]}

    def _apart(self, truth: Any, answers: Any) -> Any:
        """Absolute errors in the unit of the numbers: (n, 1) both, to (n,)."""
        from keras import ops

        return self.scale["deviation"] * ops.abs(truth - answers)[:, 0]

    def shown(self, number):
        return {"val_mean_absolute_error": "{:.4g}".format}

    @staticmethod
    def answered_by(predictor):
        return bool(predictor.kind.name == "quantity")

    @staticmethod
    def reading(predictor):
        return {"target": (predictor.labels or [])[0]}

    @staticmethod
    def measure(predictor, data):
        found = evaluation.answers(predictor, data.test.pictures, len(data.test), "testing")
        return {"test": figures(found[:, 0], data.test.truth, predictor.details["scale"]["median"])}, found

    @staticmethod
    def print_figures(predictor, data, metrics, as_json):
        if as_json:
            document = {"metrics": metrics, "data": data.facts, "model": predictor.digest}
            tell(to_json({**document, "runtime": predictor.runtime, "device": device_of(predictor.runtime)}, indent=2))
            return
        of_test = metrics["test"]
        numbers = said(of_test)
        tell(table(["split", *numbers, "pictures"], [["test", *numbers.values(), of_test["examples"]]]))
        for line in doubts(metrics):
            tell(f"\n{line}")

    @staticmethod
    def line(figures):
        if "mean_absolute_error_interval" not in figures:
            return None
        return ", ".join(f"{name} {number}" for name, number in said(figures).items())

    @staticmethod
    def headline(metrics):
        return said(metrics["test"])

    @staticmethod
    def drawn(report, predictor, data, metrics, answers):
        from convmedia.apps.classification.report import tested_picture
        from convmedia.apps.reporting.regression import residuals, scatter

        name, truth, answered = (predictor.labels or [])[0], data.test.truth, answers[:, 0].astype(np.float64)
        report.figure("Answered and true", scatter(truth, answered, name), "On the dashed line the answer is right.")
        report.figure("Residuals", residuals(truth, answered, name), "Answer less truth; a slope is a bias.")
        worst = np.argsort(-np.abs(answered - truth), kind="stable")[:WORST]
        items = []
        for index in worst.tolist():
            picture, file = tested_picture(data, index)
            items.append((picture, f"{truth[index]:.4g}, answered {answered[index]:.4g}\n{file}"))
        report.pictures("Greatest errors", items)

    @staticmethod
    def trial(predictor, data, said, inputs: Callable):
        return absolute_error(said, inputs, data.test.truth, predictor.details["scale"]["deviation"])


def figures(answers: np.ndarray, truth: np.ndarray, median: float) -> dict[str, Any]:
    """What answers are worth, in the unit of the truth.

    Args:
        answers, truth: float (n,).
        median: of the numbers that were trained on.

    Returns:
        {"mean_absolute_error", "mean_absolute_error_interval" (a bootstrap over the pictures), "baseline_error" (that
        of always answering `median`), "r2" (the share of the truth's variance that the answers explain; None where it
        has none), "examples"}.
    """
    errors = np.abs(answers.astype(np.float64) - truth)
    variance = float(np.square(truth - truth.mean()).sum())
    return {
        "mean_absolute_error": float(errors.mean()),
        "mean_absolute_error_interval": percentile_interval(lambda counts: counts @ errors / len(errors), len(errors)),
        "baseline_error": float(np.abs(truth - median).mean()),
        "r2": 1.0 - float(np.square(errors).sum()) / variance if variance else None,
        "examples": len(truth),
    }


def said(figures: dict[str, Any]) -> dict[str, str]:
    """The figures of numbers in words."""
    low, high = figures["mean_absolute_error_interval"]
    return {
        "mean absolute error": f"{figures['mean_absolute_error']:.4g} (95 % interval {low:.4g} to {high:.4g})",
        "always the median": f"{figures['baseline_error']:.4g}",
        "R2": "-" if figures["r2"] is None else f"{figures['r2']:.3f}",
    }
