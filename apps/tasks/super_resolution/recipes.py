"""How networks that enlarge pictures learn: patches, loss, validation. On every backend, from arrays in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from convmedia.data.augmentation import patch_recipe
from convmedia.data.augmentation.patch_recipe import Degradation
from convmedia.data.datasets import patches
from convmedia.data.transforms import bicubic
from convmedia.models.losses import metrics
from convmedia.models.losses.optimizers import ConvolutionMuon, Recipe

LEAST_ERROR = 1e-5  # 50 dB: flat patches, which have less, count no more than this
VALIDATION_PX = 144  # side of what is cut out of the middle of each held-out picture


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        size_px: side of the high-resolution patches, a multiple of 2, 3 and 4; times scale / 2 for networks that
            are given small ones.
        context_px: how much wider inputs are than targets, so that no padding is seen.
        loss: of pixels in 0..1, a name that Keras knows or a function.
        recipe: how the weights change.
    """

    size_px: int
    loss: str | Callable
    recipe: Recipe
    context_px: int = 0

    def compiling(self, epochs: int, steps: int) -> dict[str, Any]:
        """What `keras.Model.compile` takes, for a training of so many epochs of so many steps."""
        return {
            "optimizer": self.recipe.optimizer(epochs, steps),
            "loss": on_centre(keras.losses.get(self.loss)),
            "metrics": [keras.metrics.MeanMetricWrapper(on_centre(decibels), name="psnr")],
        }


def recipe(training: Training, kind: str, scale: int) -> Degradation:
    """The recipe of one scale. Networks that enlarge see as many small pixels at every scale."""
    if kind == "luma":
        return patch_recipe.patches(scale, training.size_px, enlarged=True, context_px=training.context_px)
    return patch_recipe.patches(scale, training.size_px // 2 * scale, enlarged=False, rounded=kind == "rgb")


def validation(data: patches.HighResolution, kind: str, scales: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The middle of each held-out picture as inputs and targets, float32 0..1, for each scale."""
    pairs = [pair(picture, kind, scale) for scale in scales for picture in data.validation]
    inputs, targets = (np.stack(part).astype(np.float32) / 255 for part in zip(*pairs, strict=True))
    return inputs, targets


def pair(picture: np.ndarray, kind: str, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """What a network gets and what it should answer, 0..255, of the middle of one picture."""
    picture = patches.at_least(picture, VALIDATION_PX + scale)
    picture = bicubic.modcrop(picture, scale)
    top, left = ((size - VALIDATION_PX) // 2 // scale * scale for size in picture.shape[:2])
    target = picture[top : top + VALIDATION_PX, left : left + VALIDATION_PX]
    exact = picture if kind == "rgb" else picture.astype(np.float64)  # which is not rounded
    small = bicubic.imresize(exact, 1 / scale, border="symmetric")
    if kind == "luma":
        enlarged = bicubic.imresize(small, scale, border="symmetric")
        return enlarged[top : top + VALIDATION_PX, left : left + VALIDATION_PX], target
    top, left, side = top // scale, left // scale, VALIDATION_PX // scale
    return small[top : top + side, left : left + side], target


def on_centre(measure):
    """A loss or metric between targets and the middle of wider answers."""

    def measured(truth, answer):
        cut = (ops.shape(answer)[1] - ops.shape(truth)[1]) // 2
        size = ops.shape(truth)
        return measure(truth, answer[:, cut : cut + size[1], cut : cut + size[2]])

    return measured


def log_error(truth, answer):
    """Logarithm of each example's mean squared error, (batch,): what the mean PSNR over pictures is made of.

    The mean squared error itself cares most for the greatest scale and the busiest patches, which have the most of it.
    """
    error = ops.mean(ops.square(truth - answer), axis=(1, 2, 3))
    return ops.log(error + LEAST_ERROR)


def decibels(truth, answer):
    """PSNR of the luma of each example, (batch,); for following a training: not rounded, at most 80 dB."""
    error = ops.square(metrics.luma(255.0 * truth) - metrics.luma(255.0 * answer)) / 255.0**2
    return -10.0 * ops.log10(ops.mean(error, axis=(1, 2, 3)) + 1e-8)


ADAM = Recipe(keras.optimizers.Adam, 1e-3, most_warmup=200)
MUON = Recipe(ConvolutionMuon, 2e-3, most_warmup=200)
TRAININGS = {
    "srcnn": Training(72, "mean_squared_error", ADAM, context_px=12),
    "srcnn-9-1-5": Training(72, "mean_squared_error", ADAM, context_px=12),
    "espcn": Training(96, "mean_absolute_error", replace(MUON, rate=5e-3)),
    # Clipping is what lets it learn fast (Kim et al. 2016, section 3.2).
    "vdsr": Training(48, log_error, replace(MUON, clip=1.0)),
    "carn": Training(96, "mean_absolute_error", MUON),
    "carn-m": Training(96, "mean_absolute_error", MUON),
}
