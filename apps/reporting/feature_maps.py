"""Pictures of what a network does, for a report: its filters, its activation maps, heat painted over a picture."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from convmedia.apps.reporting.charts import INK, bare_axes


def filter_sheet(filters: np.ndarray, before: np.ndarray | None = None) -> Figure:
    """A convolution's filters, with those from before training at the left, both on one scale.

    Args:
        filters: (n, kernel height, kernel width, input channels) as `models.explanation.filters` gives them. Three
            channels are drawn as a colour (grey is zero), any other number as the mean over the channels.
        before: the same layer's filters before training, of the same shape.
    """
    sheets = [("filters", filters)] if before is None else [("before training", before), ("after training", filters)]
    limit = max(float(np.abs(_drawn(values)).max()) for _, values in sheets) or 1.0
    grids = [(title, _montage(_drawn(values), _columns(len(values)))) for title, values in sheets]
    width = 4.5 * len(grids)
    height = 4.5 * grids[0][1].shape[0] / grids[0][1].shape[1]
    figure = Figure(figsize=(width + 0.6, height + 0.4), layout=ConstrainedLayoutEngine(wspace=0.08))
    for place, (title, grid) in enumerate(grids, start=1):
        axes = figure.add_subplot(1, len(grids), place)
        if grid.ndim == 3:
            _picture_axes(axes, title).imshow(_with_gaps(grid / (2 * limit) + 0.5), interpolation="none")
            continue
        image = _picture_axes(axes, title).imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit, interpolation="none")
    if grids[0][1].ndim == 2:
        bare_axes(figure.colorbar(image, ax=figure.axes, shrink=0.8).ax)
    return figure


def _drawn(filters: np.ndarray) -> np.ndarray:
    return filters if filters.shape[-1] == 3 else filters.mean(axis=-1)


def _columns(count: int) -> int:
    return max(1, math.ceil(math.sqrt(count)))


def _with_gaps(grid: np.ndarray) -> np.ndarray:
    opacity = np.isfinite(grid).all(axis=-1, keepdims=True).astype(float)
    return np.concatenate([np.clip(np.nan_to_num(grid), 0, 1), opacity], axis=-1)


def activation_sheet(maps: Sequence[tuple[str, np.ndarray]], maximum: int = 32, side_px: int = 48) -> Figure:
    """The activation maps of a network's layers for one picture, a block per layer.

    Args:
        maps: (layer name, (h, w, c) float) pairs as `models.explanation.activations` gives them; not empty.
        maximum: how many maps of a layer are drawn, those with the largest peaks, in the layer's order.
        side_px: larger maps are averaged down to at most this many pixels a side.
    """
    blocks = [(name, values, _strongest(values, maximum)) for name, values in maps]
    grids = [_montage(_shrunk(values[..., chosen], side_px), 16) for _, values, chosen in blocks]
    heights = [9.0 * grid.shape[0] / grid.shape[1] + 0.35 for grid in grids]
    figure = Figure(figsize=(9.0, sum(heights)), layout="constrained")
    spaces = figure.add_gridspec(len(grids), 1, height_ratios=heights)
    for place, ((name, values, chosen), grid) in enumerate(zip(blocks, grids, strict=True)):
        height, width, count = values.shape
        drawn = "" if len(chosen) == count else f", the {len(chosen)} strongest"
        title = f"{name}: {count} maps of {height} x {width}{drawn}"
        _picture_axes(figure.add_subplot(spaces[place]), title).imshow(grid, cmap="viridis", interpolation="none")
    return figure


def _strongest(values: np.ndarray, maximum: int) -> np.ndarray:
    peaks = np.abs(values).max(axis=(0, 1))
    return np.sort(np.argsort(-peaks, kind="stable")[:maximum])


def _shrunk(values: np.ndarray, side_px: int) -> np.ndarray:
    """(h, w, c) -> (c, h', w'), each pixel the mean of a block; what does not fill a block is cut off."""
    step_y, step_x = (math.ceil(side / side_px) for side in values.shape[:2])
    rows, columns = values.shape[0] // step_y, values.shape[1] // step_x
    blocks = values[: rows * step_y, : columns * step_x].reshape(rows, step_y, columns, step_x, -1)
    return np.moveaxis(blocks.mean(axis=(1, 3)), -1, 0)


def _montage(tiles: np.ndarray, columns: int) -> np.ndarray:
    """(n, h, w[, 3]) -> one grid of tiles, NaN between them and where a row is not full."""
    count, height, width = tiles.shape[:3]
    gap = max(1, width // 16)
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:])
    grid = np.full(shape, math.nan)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        grid[top : top + height, left : left + width] = tile
    return grid


def stretched(values: np.ndarray) -> np.ndarray:
    """A prepared picture (h, w, 1 or 3) of any range as one to look at: (h, w, 3) uint8, least value 0, largest 255."""
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / (high - low) if high > low else 0.0)
    return np.ascontiguousarray(np.broadcast_to(np.rint(scaled).astype(np.uint8), (*values.shape[:2], 3)))


def overlay(picture: np.ndarray, heat: np.ndarray, strength: float = 0.65) -> np.ndarray:
    """A picture with heat painted over it; where there is none the picture stays as it is.

    Args:
        picture: (h, w, 3) uint8. heat: (h, w) in 0..1. strength: opacity of the hottest place.

    Returns:
        (h, w, 3) uint8.

    Raises:
        ValueError: the two differ in size.
    """
    if picture.shape[:2] != heat.shape:
        raise ValueError(f"picture and heat must be of one size; received {picture.shape[:2]} and {heat.shape}")
    colour = 255.0 * matplotlib.colormaps["plasma"](heat.astype(float))[..., :3]
    opacity = strength * heat[..., None]
    return np.rint(picture * (1 - opacity) + colour * opacity).astype(np.uint8)


def _picture_axes(axes: Axes, title: str) -> Axes:
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    return axes
