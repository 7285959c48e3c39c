"""Labels of unequal frequency in training: weights for their examples, figures that choose the epoch."""

from collections.abc import Callable

import keras
import numpy as np

from convmedia.models.losses.metrics import BalancedAccuracy, MacroF1


def class_weights(truth: np.ndarray, labels: int, wanted: bool = True) -> np.ndarray | None:
    """The weight of each label's examples with which every label counts the same: n / (labels * examples of it), where
    labels without examples are none; their own weight is 1.

    Args:
        truth: int (n,), places of labels.
        wanted: what `--class-weights` says.

    Returns:
        float32 (labels,); None where they are not wanted, or all are equal.
    """
    counts = np.bincount(truth, minlength=labels)
    there = counts > 0
    if not wanted or len(set(counts[there])) == 1:
        return None
    return np.where(there, len(truth) / (there.sum() * np.maximum(counts, 1)), 1.0).astype("float32")


def weighted(example: Callable, weights: np.ndarray | None) -> Callable:
    """An `example` of tf.data, as `trainer.stream` takes it, that gives the weight of each example too.

    An example with targets in between, as mixing makes them, has a weight in between.

    Args:
        example: (indices, seed) to inputs and targets: float32 (n, labels), or (n, 1), the probability of the second
            of two labels.
        weights: of `class_weights`; with None the example is given back as it is.
    """
    if weights is None:
        return example
    import tensorflow as tf

    of_labels = tf.constant(weights)

    def with_weights(indices, seed):
        inputs, targets = example(indices, seed)
        shares = tf.concat([1.0 - targets, targets], axis=1) if targets.shape[-1] == 1 else targets
        return inputs, targets, tf.reduce_sum(shares * of_labels, axis=1)

    return with_weights


def watched(accuracy: type[keras.metrics.Metric], labels: int, monitor: str) -> list[keras.metrics.Metric]:
    """The metrics that a training follows: accuracy, and the one that `--monitor` names.

    Args:
        accuracy: Keras's class for the kind of answers.
    """
    further = {"balanced-accuracy": BalancedAccuracy, "macro-f1": MacroF1}
    return [accuracy(name="accuracy"), *([further[monitor](labels)] if monitor in further else [])]
