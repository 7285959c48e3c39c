"""Kernels rounded to 8 bits so that what a layer answers, and not each of its numbers, stays closest to what it was.

    with on_grid(model, batches, kernels(model)):
        ...     # every kernel is whole numbers of -127..127 times a factor for each output

Rounding each number for itself moves a layer's answers by more than the numbers: inputs that rise and fall together, as
those of neighbouring pixels do, add the errors up. Here the error of each input is made up for by those that are
rounded after it (Frantar et al. 2022, "GPTQ", section 3). A converter that quantises per output finds nothing left to
round.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from convmedia.models.analysis.layer_tree import every_layer
from convmedia.models.keras_internals import watched_inputs

GREATEST = 127
MOST_INPUTS = 4608  # of one output, as of a 3x3 convolution of 512 channels; larger ones are rounded to the nearest
PLACES = 6000  # at which a layer is watched, over all examples
DAMPING = 0.01  # of the mean square of an input, as in Frantar et al. 2022, section 3

Batches = Callable[[], Iterable[tuple[np.ndarray, ...]]]
"""Gives the batches that a model is calibrated on, anew at each call: an array for each of the model's inputs."""


@dataclass(frozen=True)
class Kernel:
    """What one layer has learned to multiply with.

    Attributes:
        layer: a convolution or a dense layer.
        variable: of `layer`, (..., outputs), or where it is `depthwise` (height, width, channels, outputs of each).
    """

    layer: keras.layers.Layer
    variable: Any
    depthwise: bool

    @property
    def rows(self) -> np.ndarray:
        """float32 (outputs, inputs of one)."""
        values = keras.ops.convert_to_numpy(self.variable)
        kept = values.ndim - 1 - self.depthwise
        return values.reshape(int(np.prod(values.shape[:kept])), -1).T

    def assign(self, rows: np.ndarray) -> None:
        """Set the kernel from what `rows` gives."""
        self.variable.assign(rows.T.reshape(self.variable.shape))

    @property
    def watched(self) -> bool:
        """Whether its inputs can be told apart, and are not too many."""
        plain = isinstance(self.layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Dense)
        return plain and getattr(self.layer, "groups", 1) == 1 and self.rows.shape[1] <= MOST_INPUTS


def kernels(model: keras.Model) -> list[Kernel]:
    """The kernels of a model's convolutions and dense layers, each once, in the order of its layers."""
    found: dict[int, Kernel] = {}
    for layer in every_layer(model):
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            variable = getattr(layer, name, None)
            if isinstance(variable, keras.Variable) and len(variable.shape) > 1:
                depthwise = name == "depthwise_kernel" or isinstance(layer, keras.layers.DepthwiseConv2D)
                found.setdefault(id(variable), Kernel(layer, variable, depthwise))
    return list(found.values())


@contextlib.contextmanager
def on_grid(model: keras.Model, batches: Batches, chosen: list[Kernel]) -> Iterator[None]:
    """Round kernels within the block; afterwards they are what they were."""
    before = [np.array(keras.ops.convert_to_numpy(kernel.variable)) for kernel in chosen]
    try:
        seen = products(model, batches, [kernel for kernel in chosen if kernel.watched])
        for kernel in chosen:
            kernel.assign(rounded(kernel.rows, seen.get(id(kernel.layer))))
        yield
    finally:
        for kernel, values in zip(chosen, before, strict=True):
            kernel.variable.assign(values)


def rounded(rows: np.ndarray, products: np.ndarray | None = None) -> np.ndarray:
    """Rows of whole numbers of -127..127 times a factor of each; the greatest of a row stays what it is.

    Args:
        rows: float (outputs, inputs).
        products: float64 (inputs, inputs), the mean of what pairs of inputs multiply to; None rounds to the nearest.

    Returns:
        float32 (outputs, inputs).
    """
    greatest = np.abs(rows).max(axis=1, keepdims=True)
    factor = np.where(greatest > 0, greatest, 1.0).astype(np.float64) / GREATEST
    left = rows / factor
    if products is None:
        return (np.round(left) * factor).astype(np.float32)
    top = np.abs(rows).argmax(axis=1)
    damped = products + np.eye(len(products)) * (DAMPING * np.diag(products).mean() + np.finfo(np.float32).tiny)
    made_up = np.linalg.cholesky(np.linalg.inv(damped)).T  # upper: row k says how later inputs make up for input k
    whole = np.empty_like(left)
    for k in range(left.shape[1]):
        nearest = np.clip(np.round(left[:, k]), -GREATEST, GREATEST)
        whole[:, k] = np.where(top == k, np.round(rows[:, k] / factor[:, 0]), nearest)
        error = (left[:, k] - whole[:, k]) / made_up[k, k]
        left[:, k + 1 :] -= error[:, None] * made_up[k, k + 1 :]
    return (whole * factor).astype(np.float32)


def products(model: keras.Model, batches: Batches, chosen: list[Kernel]) -> dict[int, np.ndarray]:
    """What the inputs of each kernel multiply to on average: {id of its layer: float64 (inputs, inputs)}."""
    rng = np.random.default_rng(0)
    each = -(-PLACES // sum(len(batch[0]) for batch in batches()))
    sums: dict[int, np.ndarray] = {}
    counts: dict[int, int] = {}

    def look(layer: keras.layers.Layer, inputs: Any) -> None:
        seen = places(layer, keras.ops.convert_to_numpy(inputs), each, rng)
        sums[id(layer)] = sums.get(id(layer), 0.0) + (seen.T @ seen).astype(np.float64)
        counts[id(layer)] = counts.get(id(layer), 0) + len(seen)

    with watched_inputs([kernel.layer for kernel in chosen], look):
        for batch in batches():
            given = [batch[0].astype(np.float32), *batch[1:]]
            model(given if len(given) > 1 else given[0], training=False)
    return {key: total / counts[key] for key, total in sums.items()}


def places(layer: keras.layers.Layer, inputs: np.ndarray, each: int, rng: np.random.Generator) -> np.ndarray:
    """What a layer multiplies its kernel with at random places, ordered as its kernel.

    Args:
        layer: a dense layer, or a convolution along one or two axes.
        inputs: its input (n, ..., channels).
        each: places of each of the n.

    Returns:
        (n * each, inputs of one output).
    """
    number = len(inputs) * each
    if isinstance(layer, keras.layers.Dense):
        flat = inputs.reshape(-1, inputs.shape[-1])
        return flat[rng.integers(0, len(flat), number)]
    if inputs.ndim == 3:
        inputs = inputs[:, None]
    size, rates = ((1,) * (2 - len(given)) + tuple(given) for given in (layer.kernel_size, layer.dilation_rate))
    spans = [(side - 1) * rate + 1 for side, rate in zip(size, rates, strict=True)]
    if layer.padding != "valid":
        around = [((span - 1) // 2, span // 2) for span in spans]
        inputs = np.pad(inputs, [(0, 0), *around, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(inputs, spans, (1, 2))[..., :: rates[0], :: rates[1]]
    at = [rng.integers(0, side, number) for side in windows.shape[:3]]
    return windows[tuple(at)].transpose(0, 2, 3, 1).reshape(number, -1)
