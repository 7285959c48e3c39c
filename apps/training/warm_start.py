"""A network that starts from the weights of another one."""

from collections.abc import Sequence

import keras
import numpy as np

from convmedia.apps.console.terminal import say
from convmedia.apps.training.mixed_precision import scoring_layer
from convmedia.data.storage.errors import InputError
from convmedia.models.analysis.layer_tree import every_layer
from convmedia.models.inference.predictor import Predictor


def start_from(network: keras.Model, predictor: Predictor, labels: Sequence[str] | None = None) -> None:
    """Copy a trained model's weights into every layer of `network` that has its name and shapes.

    The layer that scores labels is copied where the labels are the same, in the order of `labels`; with other labels it
    keeps its random weights, and that is said.

    Args:
        labels: of `network`, None where it answers with no labels.

    Raises:
        InputError: no layer fits.
    """
    given = {layer.name: layer.get_weights() for layer in every_layer(predictor.model)}
    anew = ""
    scoring = scoring_layer(network)
    if labels is not None and scoring is not None and scoring.name in given:
        ordered = for_labels(given.pop(scoring.name), predictor.labels or [], labels)
        if ordered is None:
            anew = f"; its labels are {', '.join(predictor.labels or [])}, so the layer {scoring.name} starts anew"
        else:
            given[scoring.name] = ordered
    fitting = [
        layer
        for layer in network.layers
        if layer.weights and [w.shape for w in layer.get_weights()] == [w.shape for w in given.get(layer.name, [])]
    ]
    if not fitting:
        raise InputError(f"--weights: no layer of {predictor.path} fits {network.name}; choose its --network")
    for layer in fitting:
        layer.set_weights(given[layer.name])
    say(f"starting from {predictor.path}: {len(fitting)} layers{anew}")


def for_labels(weights: list[np.ndarray], before: Sequence[str], labels: Sequence[str]) -> list[np.ndarray] | None:
    """The weights of a layer that scores the labels `before`, (..., labels) each, in the order of `labels`; None where
    these are others.

    A single unit scores the second of two labels against the first one: where they are swapped, with the other sign.
    """
    if sorted(before) != sorted(labels):
        return None
    order = [list(before).index(label) for label in labels]
    if len(labels) == 2 and all(values.shape[-1] == 1 for values in weights):
        return weights if order == [0, 1] else [-values for values in weights]
    return [values[..., order] for values in weights]
