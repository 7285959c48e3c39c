"""Weights averaged over the last steps of a training, which are validated and kept in place of the last ones."""

from typing import Any

import keras
import numpy as np

EVERY = 4  # steps between two looks at the weights: neighbouring ones hardly differ


class Averages(keras.callbacks.Callback):
    """An exponential moving average of a network's weights, the statistics of batch normalisation among them
    (Polyak and Juditsky 1992; as in Szegedy et al. 2016, "Rethinking the Inception architecture", section 8).

    While a network is validated, and until `put_back`, it holds the averages. Early in a training they forget faster,
    so that they do not remember the random weights it began with.

    Args:
        network: built.
        decay: of each step: 0.998 averages over about 500.
    """

    def __init__(self, network: keras.Model, decay: float):
        super().__init__()
        self.decay, self.network = decay, network
        self.weights = [weight for weight in network.weights if keras.backend.is_float_dtype(weight.dtype)]
        values = map(keras.ops.convert_to_numpy, self.weights)
        self.values = [keras.Variable(value, trainable=False, name=f"average_{i}") for i, value in enumerate(values)]
        self.steps = keras.Variable(0, dtype="int32", trainable=False, name="averaged_steps")
        self.own: list[np.ndarray] | None = None
        self.seen = 0

    def variables(self) -> dict[str, Any]:
        """What a checkpoint keeps of them."""
        return {"averaged_steps": self.steps, **{f"average{i}": value for i, value in enumerate(self.values)}}

    def on_train_begin(self, logs=None):
        self.seen = int(self.steps)

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen % EVERY == 0:
            self.look()

    def look(self) -> None:
        """Move each average towards its weight."""
        _ = self.model  # with JAX: gives the network its variables back
        share = 1.0 - min(self.decay**EVERY, self.seen / (9 * EVERY + self.seen))
        for value, weight in zip(self.values, self.weights, strict=True):
            value.assign_add((weight - value) * share)

    def on_test_begin(self, logs=None):
        _ = self.model
        self.put_in()

    def put_in(self) -> None:
        """The network holds the averages, until `put_back`."""
        if self.own is None:
            self.own = [keras.ops.convert_to_numpy(weight) for weight in self.weights]
            for weight, value in zip(self.weights, self.values, strict=True):
                weight.assign(value)

    def put_back(self) -> None:
        """The network goes on with its own weights."""
        for weight, value in zip(self.weights, self.own or [], strict=False):
            weight.assign(value)
        self.own = None
        self.steps.assign(self.seen)
