"""The augmentation recipe of super-resolution: windows are turned and shrunk, and only then degraded."""

import numpy as np

from convmedia.data.augmentation.stateless_random import generator, rows_of
from convmedia.data.transforms import bicubic


def patches(scale: int, size_px: int, enlarged: bool, context_px: int = 0, rounded: bool = True) -> "Degradation":
    """Recipe for super-resolution: the high-resolution window is turned and shrunk, and only then degraded.

    Flips and quarter turns, each of the eight alike often for each window; shrinking and degrading are MATLAB's bicubic
    (`resample.imresize`). Windows are wider than what comes out of them, so that no patch sees the edge of its window.

    Args:
        scale: integer of at least 2.
        size_px: side of the targets, a multiple of `scale`.
        enlarged: inputs are enlarged again by bicubic, unrounded, as for SRCNN and VDSR; else they are small.
        context_px: how much wider on each side enlarged inputs are than their targets, a multiple of `scale`.
        rounded: small inputs are whole numbers, as files on disk are.

    Returns:
        recipe(batch, seed): (n, side, side, channels) in [0, 255], uint8 or float32, with sides of at least its
        `window_px` (larger ones are shrunk to that), to inputs and targets, float32 in 0..1. NumPy only.

    Raises:
        ValueError: sizes that are no multiples of the scale; context for inputs that are not enlarged.
    """
    if size_px % scale or context_px % scale or (context_px and not enlarged):
        raise ValueError(
            "Sizes are multiples of the scale, and only enlarged inputs have context. "
            f"Received: scale {scale}, size_px {size_px}, context_px {context_px}"
        )
    return Degradation(scale, size_px, enlarged, context_px, rounded and not enlarged)


class Degradation:
    """What `patches` gives.

    Attributes:
        size_px: side of the targets.
        window_px: side of the windows that are not shrunk.
    """

    def __init__(self, scale: int, size_px: int, enlarged: bool, context_px: int, rounded: bool):
        # A small pixel is made of two more on each side (antialiasing), an enlarged one of two small ones more.
        margin_px = (4 if enlarged else 2) * scale
        self.size_px, self.rounded = size_px, rounded
        self.cut_px = margin_px + context_px
        self.window_px = size_px + 2 * self.cut_px
        small = self.window_px // scale
        down = bicubic.matrix(self.window_px, small, 1 / scale)
        up = bicubic.matrix(small, self.window_px, scale)
        self.degrade = (up @ down)[margin_px:-margin_px] if enlarged else down[2:-2]

    def __call__(self, batch, seed):
        rng = generator(seed)
        ways = rows_of(lambda size: rng.integers(8, size=size), len(batch))
        turned = [_turned(window, way) for window, way in zip(batch, ways, strict=True)]
        # In float64: what a matrix product rounds away depends on the number of threads, and is gone in float32.
        windows = np.moveaxis(np.stack(turned), 3, 1).astype(np.float64)
        side = windows.shape[-1]
        if side > self.window_px:
            shrink = bicubic.matrix(side, self.window_px, self.window_px / side)
            windows = shrink @ windows @ shrink.T
        inputs = self.degrade @ windows @ self.degrade.T
        if self.rounded:
            inputs = np.clip(np.round(inputs), 0, 255)
        targets = windows[..., self.cut_px : -self.cut_px, self.cut_px : -self.cut_px]
        return tuple(np.float32(np.moveaxis(pixels, 1, 3) / 255.0) for pixels in (inputs, targets))


def _turned(window, way: int):
    """One of the eight flips and quarter turns of (height, width, channels)."""
    quarter = np.rot90(window, way % 4)
    return quarter[:, ::-1] if way >= 4 else quarter
