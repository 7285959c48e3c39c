""" "None of these" as one more label of a network: how unlike its features are those of what it learned from."""

import keras
import numpy as np
from keras import layers, ops

from convmedia.models.keras_internals import calls

NONE_OF_THESE = "none of these"
"""The label."""


@keras.saving.register_keras_serializable("convmedia")
class Abstain(layers.Layer):
    """Labels' probabilities p and the probability q that none of them is meant, to those of all: p * (1 - q), and q.

    Input: p, (batch, labels), or (batch, 1), the probability of the second of two labels; and q, (batch, 1); 0..1.
    Output: (batch, labels + 1), which add to 1 where p does.
    """

    def call(self, inputs):
        labels, none = inputs
        if labels.shape[-1] == 1:
            labels = ops.concatenate([1.0 - labels, labels], axis=-1)
        return ops.concatenate([labels * (1.0 - none), none], axis=-1)

    def compute_output_shape(self, input_shape):
        (*batch, number), _ = input_shape
        return (*batch, max(number, 2) + 1)


def features(network: keras.Model, scoring: keras.layers.Layer) -> keras.KerasTensor:
    """The symbolic tensor, (batch, size), that the layer which scores a network's labels takes.

    Raises:
        ValueError: it takes something else, such as maps.
    """
    call = next((call for call in calls(network) if call.operation is scoring), None)
    if call is None or len(call.input_tensors[0].shape) != 2:
        raise ValueError(f"layer {scoring.name!r} of {network.name!r} scores no vectors")
    return call.input_tensors[0]


def abstaining(network: keras.Model, scoring: keras.layers.Layer, kernel: np.ndarray, bias: float) -> keras.Model:
    """A network that shares the layers of another one and has one more answer, "none of these".

    Args:
        network: prepared input to probabilities of labels, as `Abstain` takes them.
        scoring: its layer that scores them, from features.
        kernel, bias: (size,) and a number: features times the one, plus the other, is the logit of "none of these".

    Returns:
        Prepared input to (batch, labels + 1) probabilities.
    """
    seen = features(network, scoring)
    none = layers.Dense(1, activation="sigmoid", name="none_of_these")
    answer = Abstain(name="abstain")([network.outputs[0], none(seen)])
    none.set_weights([np.reshape(kernel, (-1, 1)).astype("float32"), np.array([bias], "float32")])
    return keras.Model(network.inputs[0], answer, name=network.name)
