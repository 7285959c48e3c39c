"""Pictures that have one label each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convmedia.apps.classification import evaluation, photo_pipeline
from convmedia.apps.console.terminal import percent
from convmedia.apps.reporting.shares import counted
from convmedia.apps.tasks.transfer.objective import Objective
from convmedia.data.folders.labelled import truth_in
from convmedia.models.export.quality_loss import accuracy


class OneLabel(Objective):
    """One label a picture: cross-entropy, accuracy, labels that count the same however frequent they are."""

    monitors = ("balanced-accuracy", "accuracy", "macro-f1", "loss")
    what = "one label for each picture"
    taught = abstains = True

    measure = staticmethod(evaluation.measure)
    print_figures = staticmethod(evaluation.print_figures)
    headline = staticmethod(evaluation.headline)

    def targets(self, truth):
        return photo_pipeline.targets(truth, len(self.labels))

    def read(self, truth):
        from convmedia.apps.training.class_balance import class_weights

        self.weights = class_weights(truth, len(self.labels), self.class_weights in (None, True))

    def example_weights(self, truth):
        return None if self.weights is None else self.weights[truth]

    def weighted(self, example):
        from convmedia.apps.training.class_balance import weighted

        return weighted(example, self.weights)

    def compiling(self):
        import keras

        from convmedia.apps.training.class_balance import watched

        two = len(self.labels) == 2
        accuracy = keras.metrics.BinaryAccuracy if two else keras.metrics.CategoricalAccuracy
        loss = keras.losses.BinaryCrossentropy() if two else keras.losses.CategoricalCrossentropy()
        return {"loss": loss, "metrics": watched(accuracy, len(self.labels), self.monitor)}

    def shown(self, number):
        found: dict[str, Callable[[float], str]] = {"val_accuracy": partial(counted, number=number)}
        found.setdefault("val_" + self.monitor.replace("-", "_"), percent)
        return found

    def saved_labels(self, options):
        from convmedia.apps.classification import sureness

        return sureness.labels_of(options, self.labels)

    def settle(self, run, data, network, assembled):
        from convmedia.apps.classification import sureness

        sureness.settle(run, data, network, assembled)

    @staticmethod
    def answered_by(predictor):
        return predictor.kind.name == "probabilities" and predictor.details.get("thresholds") is None

    @staticmethod
    def line(figures):
        return evaluation.accuracy_line("", figures) if "accuracy_interval" in figures else None

    @staticmethod
    def drawn(report: Any, predictor: Any, data: Any, metrics: dict[str, Any], answers: np.ndarray) -> None:
        from convmedia.apps.classification.report import classified

        classified(report, predictor, data, metrics, answers)

    @staticmethod
    def trial(predictor, data, said, inputs):
        return accuracy(said, inputs, truth_in(predictor.labels or [], data))
