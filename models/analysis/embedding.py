"""Features of pictures and sounds: what a network has made of them before the layer that scores labels."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from convmedia.data.storage.errors import InputError
from convmedia.models.analysis.grad_cam import inner_network
from convmedia.models.keras_internals import calls


def embedder(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """From one raw input of a classifier, as its file takes it, to features.

    Returns:
        Function of a picture (height, width, 3), 0..255, or a sound (samples,), -1..1, to float32 (features,): of maps
        the mean over their places, of a sound the mean over its windows.

    Raises:
        InputError: the model scores no labels.
    """
    kind = model.layers[-1].kind
    if not kind.explained:
        raise InputError(f"features are what labels are scored from; the model answers with a {kind.name}")
    network, entering = inner_network(model)
    features = keras.Model(model.inputs[0], before_scores(network)(entering))

    def embedded(example: np.ndarray) -> np.ndarray:
        found = ops.convert_to_numpy(features(ops.convert_to_tensor(example[None].astype("float32")), training=False))
        return found.reshape(-1, found.shape[-1]).mean(axis=0)

    return embedded


def before_scores(network: keras.Model) -> keras.Model:
    """A network without its last layer that has weights, and without what follows that."""
    call = next(call for call in reversed(calls(network)) if getattr(call.operation, "weights", []))
    entering = call.input_tensors[0]
    if isinstance(call.operation, keras.Model):
        entering = before_scores(call.operation)(entering)
    return keras.Model(network.inputs, entering)
