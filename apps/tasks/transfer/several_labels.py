"""Pictures of which one may have several labels."""

import numpy as np

from convmedia.apps.classification import evaluation, tagging
from convmedia.apps.console.terminal import percent
from convmedia.apps.tasks.transfer.objective import Objective
from convmedia.models.export.quality_loss import average_precision


class SeveralLabels(Objective):
    """Several labels a picture: a sigmoid and binary cross-entropy for each, whose thresholds are tuned at the end."""

    activation = "sigmoid"
    monitors = ("average-precision", "loss")
    what = "several labels for a picture"

    print_figures = staticmethod(tagging.print_figures)

    def targets(self, truth):
        return truth.astype(np.float32)

    def read(self, truth):
        from convmedia.apps.training.class_balance import label_weights

        self.weights = label_weights(truth) if self.class_weights else None

    def compiling(self):
        import keras

        from convmedia.apps.training.class_balance import weighted_crossentropy

        several = {"multi_label": True, "num_labels": len(self.labels), "name": "average_precision"}
        loss = keras.losses.BinaryCrossentropy() if self.weights is None else weighted_crossentropy(self.weights)
        return {"loss": loss, "metrics": [keras.metrics.AUC(curve="PR", **several)]}

    def shown(self, number):
        return {"val_average_precision": percent}

    def settle(self, run, data, network, assembled):
        from convmedia.models import load

        predictor = load(run.folder, app=run.record["app"])
        if predictor.details.get("thresholds") is None:
            pictures = data.validation.pictures
            scores = evaluation.answers(predictor, pictures, len(pictures), "thresholds")
            tagging.with_thresholds(run, predictor, scores, data.validation.truth)

    @staticmethod
    def answered_by(predictor):
        return predictor.kind.name == "probabilities" and predictor.details.get("thresholds") is not None

    @staticmethod
    def reading(predictor):
        return {"several": True}

    @staticmethod
    def measure(predictor, data):
        truth = tagging.several_in(predictor, data)
        scores = evaluation.answers(predictor, data.test.pictures, len(data.test), "testing")
        return {"test": tagging.tagging(scores, truth, predictor.details["thresholds"], predictor.labels or [])}, scores

    @staticmethod
    def line(figures):
        if "exact_interval" not in figures:
            return None
        return ", ".join(f"{name} {said}" for name, said in tagging.shares_said(figures).items())

    @staticmethod
    def headline(metrics):
        return tagging.shares_said(metrics["test"])

    @staticmethod
    def drawn(report, predictor, data, metrics, answers):
        tagging.tags(report, metrics["test"], data.noun)

    @staticmethod
    def trial(predictor, data, said, inputs):
        return average_precision(said, inputs, tagging.several_in(predictor, data))
