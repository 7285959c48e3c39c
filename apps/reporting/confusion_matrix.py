"""A confusion matrix: drawn, and the mistakes made most often."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from convmedia.apps.reporting.charts import INK, bare_axes

if TYPE_CHECKING:
    from convmedia.apps.reporting.html import Report

RIGHT, WRONG = "#1f5fbf", "#b85c00"  # cells: white text is readable on them
COUNTED_LABELS = 50
LABEL_CHARACTERS = 24


def confusion(matrix: np.ndarray, labels: Sequence[str]) -> Figure:
    """A confusion matrix: counts in the cells, colour by the share of the row.

    Args:
        matrix: (k, k) counts; rows are the truth, columns the answers.
        labels: k names. Above 50 the counts are left out, they would not be legible.
    """
    matrix, count = np.asarray(matrix), len(labels)
    cell_inches = float(np.clip(13 / count, 0.27, 0.62))
    figure = Figure(figsize=(cell_inches * count + 1.6, cell_inches * count + 1.3), layout="constrained")
    axes = bare_axes(figure.add_subplot())
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    strength = np.sqrt(share)  # a single mistake among hundreds still shows
    axes.imshow(_cells(strength), interpolation="none")
    names = [_shortened(label) for label in labels]
    size = min(10.0, cell_inches * 36)
    axes.set_xticks(range(count), names, rotation=90 if max(map(len, names)) > 4 else 0, parse_math=False)
    axes.set_yticks(range(count), names, parse_math=False)
    axes.tick_params(labelsize=size, length=0)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=INK, alpha=0.12, linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    if count <= COUNTED_LABELS:
        _counts(axes, matrix, strength, cell_inches)
    return figure


def _cells(strength: np.ndarray) -> np.ndarray:
    """(k, k, 4): blue on the diagonal, orange beside it, the strength as opacity, so that any page shows through."""
    on_diagonal = np.eye(len(strength), dtype=bool)[..., None]
    colours = np.where(on_diagonal, to_rgb(RIGHT), to_rgb(WRONG))
    return np.concatenate([colours, strength[..., None]], axis=-1)


def _counts(axes: Axes, matrix: np.ndarray, strength: np.ndarray, cell_inches: float) -> None:
    for row, column in zip(*np.nonzero(matrix), strict=True):
        text = str(matrix[row, column])
        size = min(11.0, cell_inches * 72 / (0.75 * max(len(text), 2)))
        colour = "#ffffff" if strength[row, column] > 0.78 else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _shortened(label: str) -> str:
    return label if len(label) <= LABEL_CHARACTERS else label[: LABEL_CHARACTERS - 1] + "…"


def confused_pairs(report: "Report", matrix: np.ndarray, labels: Sequence[str], most: int = 10) -> None:
    """A table of the mistakes made most often, where there are more than two labels."""
    mistakes = np.where(np.eye(len(labels), dtype=bool), 0, matrix)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(labels)) for place in order if mistakes.flat[place] > 0]
    if len(labels) > 2 and places:
        rows = [(labels[row], labels[column], int(matrix[row, column])) for row, column in places]
        report.table("Most often confused", ("truth", "answer", "times"), rows)
