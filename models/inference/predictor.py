"""Asking a saved model with Keras."""

import math
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from convmedia.models.analysis.layer_tree import every_layer
from convmedia.models.analysis.receptive_field import reach_px
from convmedia.models.inference.compiled import rounded_down, with_jax
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.kind import Outputs
from convmedia.models.preprocessing.digit_localization import MANY, FindInk
from convmedia.models.preprocessing.resize import Resize

WINDOWS = 24
"""Of sounds that go through the network together: always so many, since with their number the last bits would change.
Of 24, a multiple of the rows that matrix products take at once, none is a rest that is computed in another order: of 32
the last bits of some rows depended on their places (TensorFlow 2.21, AVX-512)."""


def in_inference(network: keras.Model) -> Callable[..., Any]:
    """`network(batch, *others)` for many batches of any sizes, outside of a training."""

    def call(batch, *others):
        return network([batch, *others] if others else batch, training=False)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def traced(number: int | None):
            signature = [tf.TensorSpec((number, *tensor.shape[1:]), tensor.dtype) for tensor in network.inputs]
            # TensorFlow counts traces by the code that is traced and warns of five, which so many models would have. A
            # partial is counted by itself.
            return tf.function(partial(call), input_signature=signature, autograph=False, jit_compile=False)

        # One trace for every size. XLA would compile anew for each: seconds per size, memory that only grows.
        of_any = traced(None)
        if not any(isinstance(layer, FindInk) for layer in every_layer(network)):
            return of_any
        of_many = lru_cache(1)(traced)  # by their number: the ink of many is found faster where that is known

        def answer(batch, *others):
            return (of_many(len(batch)) if len(batch) >= MANY else of_any)(batch, *others)

        return answer
    if keras.backend.backend() == "torch":
        import torch

        return torch.no_grad()(call)
    return with_jax(network)


class Predictor(FilePredictor):
    """A loaded model that answers arrays and files, with Keras.

    Attributes:
        model: the `keras.Model`, raw input to answer.
    """

    runtime = "keras"

    def __init__(self, model: keras.Model, path: str | Path | None = None):
        super().__init__(model.layers[-1], path)
        self.model = model

    @cached_property
    def shrinks(self) -> bool:
        return any(isinstance(layer, Resize | FindInk) for layer in every_layer(self.model))

    @cached_property
    def resizes_to(self) -> tuple[int, int] | None:
        first = self.model.layers[1]
        return (first.height, first.width) if isinstance(first, Resize) and not self.beside else None

    @cached_property
    def finds_ink(self) -> bool:
        return any(isinstance(layer, FindInk) for layer in every_layer(self.model))

    @property
    def beside(self) -> list[int]:
        return [tensor.shape[1] for tensor in self.model.inputs[1:]]

    @property
    def most_filters(self) -> int | None:
        layers = every_layer(self.model)
        return max((layer.filters for layer in layers if isinstance(layer, keras.layers.Conv2D)), default=None)

    @cached_property
    def reach_px(self) -> int:
        return reach_px(self.model)

    @property
    def one_shape(self) -> bool:
        return keras.backend.backend() == "jax"  # which compiles a program for each

    def tile_side(self, side: int) -> int:
        if not self.one_shape:
            return side
        inside = rounded_down(side) - 2 * self.reach_px  # with its surroundings it needs no padding
        return inside if 2 * inside >= side else side

    @property
    def hop_samples(self) -> int:
        return self.model.get_layer("windows").hop_samples

    @cached_property
    def _call(self) -> Callable[..., Any]:
        return in_inference(self.model)

    def _answers(self, given: list[np.ndarray]) -> Outputs:
        given = [given[0].astype(self.input["dtype"]), *given[1:]]
        # Converted here: TensorFlow would wrap a lack of memory in an error about the signature. JAX converts what
        # was padded, as it compiles a program for each size that it converts.
        convert = np.asarray if keras.backend.backend() == "jax" else ops.convert_to_tensor
        return tuple(map(ops.convert_to_numpy, keras.tree.flatten(self._call(*map(convert, given)))))

    @cached_property
    def _of_windows(self) -> Callable[[np.ndarray, np.ndarray], Any]:
        """(n, size) windows and (n,) samples of sound in each to (n, labels) scores: the middle of the saved model."""
        entering = self.model.get_layer("windows").output
        leaving = self.model.get_layer("mean_of_windows").input[0]
        return in_inference(keras.Model(entering, leaving))

    def window_scores(self, windows: np.ndarray, heard: np.ndarray) -> np.ndarray:
        number = len(windows)
        missing = -number % WINDOWS
        windows = np.concatenate([windows, np.zeros((missing, windows.shape[1]), np.float32)])
        heard = np.concatenate([heard, np.ones(missing, np.int32)])
        parts = (slice(start, start + WINDOWS) for start in range(0, len(windows), WINDOWS))
        found = [ops.convert_to_numpy(self._of_windows(windows[part], heard[part])) for part in parts]
        return np.concatenate(found)[:number]

    def describe(self) -> dict[str, Any]:
        layers = [part for part in every_layer(self.model) if not isinstance(part, keras.Model)]
        return {
            "app": self.app,
            "kind": self.kind.name,
            "input": self.input,
            "labels": self.labels,
            "parameters": _parameters(self.model),
            "details": self.details,
            "bytes": None if self.path is None else self.path.stat().st_size,
            "sha256": self.digest,
            "layers": [
                {"name": layer.name, "type": type(layer).__name__, "parameters": _parameters(layer)} for layer in layers
            ],
        }


def _parameters(layer: keras.layers.Layer) -> int:
    return sum(math.prod(weight.shape) for weight in layer.weights)
