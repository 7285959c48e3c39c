"""The figures of a report: curves over epochs, confusion matrix, calibration.

Matplotlib through its objects only: no pyplot, no global state. Text and lines are drawn in `INK`, the backgrounds
left transparent, so that a page can set both for light and dark. User-given labels are never read as mathematics.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convmedia.apps.training.learning_rate import smoothed
from convmedia.data.storage.files import replacing

INK = "#1b1f24"
BLUE, ORANGE = "#3b7dd8", "#d9730d"  # at least 3:1 on the light and on the dark page
SPLITS = (("training", ""), ("validation", "val_"))
LINES: dict[str, dict[str, Any]] = {
    "training": {"color": BLUE, "marker": "o"},
    "validation": {"color": ORANGE, "marker": "s"},
}
LOWER_IS_BETTER = ("loss", "error", "mae", "mse")


def curves(history: Mapping[str, Sequence[float | None]], best_epoch: int | None = None) -> Figure:
    """One subplot per metric, training and validation together, against epochs counted from 1.

    Args:
        history: values per epoch; validation under `val_` and the metric's name. None, NaN and infinity are gaps.
            A column `epoch` is passed over.
        best_epoch: the epoch to mark, counted from 1; 0 marks none, None each metric's own best validation value.
    """
    names = list(dict.fromkeys(name.removeprefix("val_") for name in history if name != "epoch"))
    columns = min(2, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(9.0 if columns == 2 else 6.0, 3.1 * rows), layout="constrained")
    for place, name in enumerate(names, start=1):
        axes = bare_axes(figure.add_subplot(rows, columns, place), grid=True)
        values = {split: _numbers(history[prefix + name]) for split, prefix in SPLITS if prefix + name in history}
        for split, line in values.items():
            axes.plot(range(1, len(line) + 1), line, label=split, markersize=4, **LINES[split])
        axes.set(xlabel="epoch", xlim=(0.5, max(map(len, values.values())) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(values) > 1:
            axes.legend(frameon=False, labelcolor=INK)
        _mark_best(axes, name, values.get("validation"), best_epoch)
    return figure


def rate_curve(rates: np.ndarray, losses: np.ndarray, chosen: float | None) -> Figure:
    """The loss over the learning rates of a range test, and the rate that was read off it.

    Args:
        rates, losses: (n,) of successive steps, rates growing; a loss that is no number ends the curve.
        chosen: as of `_learning_rate.suggested_rate`.
    """
    good = np.isfinite(losses)
    rates, losses = rates[good], losses[good]
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = bare_axes(figure.add_subplot(), grid=True)
    axes.semilogx(rates, losses, ".", color=BLUE, alpha=0.5, markersize=4)
    axes.semilogx(rates, smoothed(losses), color=BLUE)
    if chosen is not None:
        axes.axvline(chosen, color=ORANGE, linewidth=1, linestyle=":")
    axes.set(xlabel="learning rate", ylabel="loss")
    title = "no clear rate" if chosen is None else f"a good rate is about {chosen:.0e}"
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    numbers = np.array([math.nan if value is None else value for value in values], dtype=float)
    return np.where(np.isfinite(numbers), numbers, math.nan)


def _mark_best(axes: Axes, name: str, values: np.ndarray | None, best_epoch: int | None) -> None:
    title = name.replace("_", " ")
    if best_epoch != 0 and values is not None and np.isfinite(values).any():
        lower = any(word in name for word in LOWER_IS_BETTER)
        best = best_epoch or int(np.nanargmin(values) if lower else np.nanargmax(values)) + 1
        axes.axvline(best, color=INK, alpha=0.45, linewidth=1, linestyle=":")
        if best <= len(values) and math.isfinite(values[best - 1]):
            axes.plot(best, values[best - 1], "o", markersize=10, markerfacecolor="none", markeredgecolor=INK)
            title += f": {values[best - 1]:.4g} at epoch {best}"
    axes.set_title(title, loc="left", fontsize=11, color=INK, parse_math=False)


BINS = 15  # of equal width over 0..1, of calibration errors, as Guo et al. 2017 have them


def calibration(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, ...]:
    """Mean confidence, accuracy and count of each confidence bin; the confidence is the largest probability.

    Args:
        probabilities: (n, k), 0..1. truth: (n,) label indices. bins: of equal width over 0..1.

    Returns:
        Three (bins,) arrays; confidence and accuracy are NaN where a bin is empty.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    known = np.where(count > 0, count, math.nan)
    return np.bincount(place, confidence, bins) / known, np.bincount(place, right, bins) / known, count


def calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error, 0..1 (Guo et al. 2017, section 2): the mean gap, weighted by the bins' counts."""
    confidence, accuracy, count = calibration(probabilities, truth, bins)
    return float(np.nansum(count * np.abs(accuracy - confidence)) / count.sum())


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> Figure:
    """How often the answer is right against how sure it was, and below how many answers each bar rests on.

    Args:
        probabilities: (n, k), 0..1. truth: (n,) label indices.
    """
    _, accuracy, count = calibration(probabilities, truth)
    centres = (np.arange(len(count)) + 0.5) / len(count)
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bare_axes(top, grid=True).bar(centres, np.nan_to_num(accuracy), width=0.092, color=BLUE)
    top.plot((0, 1), (0, 1), color=INK, alpha=0.6, linestyle="--", linewidth=1)
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
    error = calibration_error(probabilities, truth)
    top.set_title(f"expected calibration error {100 * error:.2g} %", loc="left", fontsize=11, color=INK)
    bare_axes(bottom, grid=True).bar(centres, count, width=0.092, color=ORANGE)
    bottom.set(xlabel="confidence of the answer", ylabel="answers")
    bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def bare_axes(axes: Axes, grid: bool = False) -> Axes:
    """Style axes for a page of any colour: no background, two faint spines, `INK` text; gives the same axes."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=INK, alpha=0.4)
    if grid:
        axes.grid(color=INK, alpha=0.12, linewidth=0.8)
        axes.set_axisbelow(True)
    return axes


def save_figure(figure, path: Path) -> Path:
    """Write a Matplotlib figure as PNG, beside and renamed."""
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)
    return path
