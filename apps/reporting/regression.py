"""The figures of a report on numbers: answers against the truth, and how far they are off."""

import numpy as np
from matplotlib.figure import Figure

from convmedia.apps.reporting.charts import BLUE, INK, ORANGE, bare_axes

BINS = 30


def scatter(truth: np.ndarray, answers: np.ndarray, name: str) -> Figure:
    """Answers over the truth, (n,) both, with the line on which they are equal.

    Args:
        name: of the numbers, for the axes.
    """
    figure = Figure(figsize=(5.6, 5.4), layout="constrained")
    axes = bare_axes(figure.add_subplot(), grid=True)
    ends = min(truth.min(), answers.min()), max(truth.max(), answers.max())
    axes.plot(ends, ends, color=INK, alpha=0.6, linestyle="--", linewidth=1)
    axes.plot(truth, answers, "o", color=BLUE, alpha=0.6, markersize=4)
    axes.set_xlabel(f"true {name}", parse_math=False)
    axes.set_ylabel(f"answered {name}", parse_math=False)
    return figure


def residuals(truth: np.ndarray, answers: np.ndarray, name: str) -> Figure:
    """Answer less truth over the truth, (n,) both, and beside it how often each occurs.

    Args:
        name: of the numbers, for the axes.
    """
    off = answers - truth
    figure = Figure(figsize=(7.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    bare_axes(left, grid=True).axhline(0.0, color=INK, alpha=0.6, linestyle="--", linewidth=1)
    left.plot(truth, off, "o", color=BLUE, alpha=0.6, markersize=4)
    left.set_xlabel(f"true {name}", parse_math=False)
    left.set_ylabel("answer less truth")
    bare_axes(right, grid=True).hist(off, BINS, orientation="horizontal", color=ORANGE)
    right.set_xlabel("pictures")
    return figure
