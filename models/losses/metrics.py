"""PSNR and SSIM of super-resolution as the papers compute them: on MATLAB's luma, rounded, without the border; and
what tells during a training how well labels are told apart where some are rare.

    psnr(reference, answer, border_px=3)    # (batch,) decibels
    ssim(reference, answer, border_px=3)    # (batch,) up to 1

PSNR and SSIM are of each picture: a benchmark's figure is the mean over its pictures, never over pooled pixels.
"""

import math
from typing import Any

import keras
from keras import ops

PEAK = 255.0
LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # MATLAB's rgb2ycbcr (ITU-R BT.601, studio range 16..235)
LUMA_OFFSET = 16.0

# Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment", section III-C.
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def psnr(reference, answer, border_px=0, *, rounded=True):
    """Peak signal-to-noise ratio of each picture, 20 log10(255 / root mean squared error of Y).

    Args:
        reference: (batch, height, width, 3) RGB, or (batch, height, width, 1) which is Y itself; 0..255, any dtype.
        answer: the same shape and range; values outside 0..255 are clipped where `rounded`.
        border_px: pixels left out on each side; the benchmarks leave out as many as the scale.
        rounded: round both Y to whole numbers first (halves up), as files on disk have been.

    Returns:
        (batch,) float32 decibels; infinite where nothing differs.

    Raises:
        ValueError: other shapes, or nothing left inside the border.
    """
    reference, answer = _compared(reference, answer, border_px, rounded, smallest=1)
    error = ops.mean(ops.square(reference - answer), axis=(1, 2, 3))
    return 10.0 * ops.log10(PEAK**2 / error)


def ssim(reference, answer, border_px=0, *, rounded=True):
    """Structural similarity of each picture: mean over all places of an 11x11 Gaussian window wholly inside Y.

    Window of sigma 1.5, K1 = 0.01, K2 = 0.03, peak 255 (Wang et al. 2004), as the authors' `ssim_index.m` without its
    automatic reduction of large pictures.

    Args:
        reference: (batch, height, width, 3) RGB, or (batch, height, width, 1) which is Y itself; 0..255, any dtype.
        answer: the same shape and range; values outside 0..255 are clipped where `rounded`.
        border_px: pixels left out on each side; the benchmarks leave out as many as the scale.
        rounded: round both Y to whole numbers first (halves up), as files on disk have been.

    Returns:
        (batch,) float32, at most 1, which identical pictures reach.

    Raises:
        ValueError: other shapes, or less than 11x11 pixels left inside the border.
    """
    pair = _compared(reference, answer, border_px, rounded, smallest=WINDOW)
    # Variances are small differences of large squares, in float32: taken around each picture's level they lose less.
    levels = [ops.mean(picture, axis=(1, 2, 3), keepdims=True) for picture in pair]
    x, y = (picture - level for picture, level in zip(pair, levels, strict=True))
    means = _window_mean(ops.concatenate([x, y, x * x, y * y, x * y], axis=-1))
    mean_x, mean_y, square_x, square_y, product = ops.split(means, 5, axis=-1)
    covariance = product - mean_x * mean_y
    variances = square_x - mean_x * mean_x + square_y - mean_y * mean_y
    mean_x, mean_y = mean_x + levels[0], mean_y + levels[1]
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    return ops.mean(luminance * (2.0 * covariance + c2) / (variances + c2), axis=(1, 2, 3))


def luma(pictures):
    """MATLAB's Y of RGB pictures, unrounded; one channel is Y already.

    Args:
        pictures: (batch, height, width, 3 or 1) in 0..255, any dtype.

    Returns:
        (batch, height, width, 1) float32; 16..235 where it was RGB.
    """
    pictures = ops.cast(pictures, "float32")
    if pictures.shape[-1] == 1:
        return pictures
    # A sum and no matrix product: GPUs round the factors of products to 10 bits (TensorFloat-32).
    parts = [weight * pictures[..., channel : channel + 1] for channel, weight in enumerate(LUMA)]
    return sum(parts, LUMA_OFFSET)


def _compared(reference, answer, border_px, rounded, smallest):
    """Both as Y inside the border, (batch, height, width, 1) float32."""
    shapes = tuple(reference.shape), tuple(answer.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) != 4 or shapes[0][-1] not in (1, 3):
        raise ValueError(f"Two batches (batch, height, width, 3 or 1) of one shape are compared. Received: {shapes}")
    inside = [size - 2 * border_px for size in shapes[0][1:3] if size is not None]
    if border_px < 0 or min(inside, default=smallest) < smallest:
        raise ValueError(
            f"At least {smallest}x{smallest} pixels are needed inside the border. "
            f"Received: shape {shapes[0]}, border_px {border_px}"
        )
    cut = slice(border_px, -border_px or None)
    pair = [luma(picture)[:, cut, cut] for picture in (reference, answer)]
    return [ops.clip(ops.floor(picture + 0.5), 0.0, PEAK) for picture in pair] if rounded else pair


def _window_mean(maps):
    """Gaussian-weighted mean at every place of the window: (batch, h, w, c) to (batch, h - 10, w - 10, c)."""
    bell = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * SIGMA**2)) for i in range(WINDOW)]
    weights = [value / sum(bell) for value in bell]
    # Shifted slices for the same reason as in `luma`; their ends count from behind, so sizes may be unknown.
    slices = [slice(i, i - WINDOW + 1 or None) for i in range(WINDOW)]
    rows = sum(weight * maps[:, part] for weight, part in zip(weights, slices, strict=True))
    return sum(weight * rows[:, :, part] for weight, part in zip(weights, slices, strict=True))


class ConfusionMetric(keras.metrics.Metric):
    """A figure of a confusion matrix that is gathered over batches: rows are the truth, columns the answers.

    Targets and answers are (n, labels), of which the greatest counts, or (n, 1): the probability of the second of two
    labels.

    Args:
        labels: how many there are.
    """

    def __init__(self, labels: int, name: str, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.labels = labels
        self.matrix = self.add_variable((labels, labels), initializer="zeros", name="matrix")

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth, answers = (ops.one_hot(self.chosen(values), self.labels, dtype="float32") for values in (y_true, y_pred))
        self.matrix.assign(self.matrix + ops.matmul(ops.transpose(truth), answers))

    def chosen(self, values):
        """The place of the label that each row says: int (n,)."""
        if values.shape[-1] == 1:
            return ops.cast(values[:, 0] > 0.5, "int32")
        return ops.argmax(values, axis=-1)

    def result(self):
        right, examples = ops.diagonal(self.matrix), ops.sum(self.matrix, axis=1)
        there = ops.cast(examples > 0, "float32")
        figures = self.of_labels(right, examples, ops.sum(self.matrix, axis=0))
        return ops.sum(there * figures) / ops.maximum(ops.sum(there), 1.0)

    def get_config(self):
        return {**super().get_config(), "labels": self.labels}


class BalancedAccuracy(ConfusionMetric):
    """The mean recall over the labels that have examples."""

    def __init__(self, labels: int, name: str = "balanced_accuracy", **kwargs: Any):
        super().__init__(labels, name, **kwargs)

    def of_labels(self, right, examples, answered):
        return right / ops.maximum(examples, 1.0)


class MacroF1(ConfusionMetric):
    """The mean F1 over the labels that have examples."""

    def __init__(self, labels: int, name: str = "macro_f1", **kwargs: Any):
        super().__init__(labels, name, **kwargs)

    def of_labels(self, right, examples, answered):
        return 2.0 * right / ops.maximum(examples + answered, 1.0)
