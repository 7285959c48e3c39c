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


MOST_WEIGHT = 10.0  # of what few examples say of a label: a single one must not lead


def label_weights(truth: np.ndarray) -> np.ndarray:
    """The weights of labels of which an example may have several, with which each label's absence counts as much as its
    presence: n / (2 examples with it), and n / (2 examples without it), at most `MOST_WEIGHT`.

    Args:
        truth: (n, labels), 1 for each label that an example has.

    Returns:
        float32 (2, labels): of absence and presence.
    """
    present = np.asarray(truth, np.float64).sum(0)
    counts = np.maximum([len(truth) - present, present], 1.0)
    return np.minimum(len(truth) / (2.0 * counts), MOST_WEIGHT).astype(np.float32)


def weighted_crossentropy(weights: np.ndarray) -> Callable:
    """Binary cross-entropy in nats whose labels have weights: (n, labels) truth and scores in 0..1 to (n,).

    Args:
        weights: of `label_weights`.
    """
    absent, present = weights

    def loss(truth, scores):
        scores = keras.ops.clip(scores, keras.config.epsilon(), 1.0 - keras.config.epsilon())
        of_labels = present * truth * keras.ops.log(scores) + absent * (1.0 - truth) * keras.ops.log(1.0 - scores)
        return -keras.ops.mean(of_labels, axis=-1)

    return loss


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
