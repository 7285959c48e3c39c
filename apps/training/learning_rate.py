"""Reading a learning rate off the curve of a range test (Smith 2017, "Cyclical learning rates", section 3.3)."""

import numpy as np
from scipy.ndimage import median_filter

STEPS_SMOOTHED = 7
"""Of the losses of so many steps the median is taken: a mean would see an explosion before it comes."""

CLEAR = 5.0
"""Standard errors of the smoothed loss beyond which it has fallen or risen."""

BELOW = 10.0
"""How far below the rate of the least loss, or of the rise, training begins: a factor, as is customary."""


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Medians of neighbouring losses, float (n,)."""
    return median_filter(np.asarray(losses, float), STEPS_SMOOTHED, mode="nearest")


def suggested_rate(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """A rate to begin with, or None where the curve shows none.

    The loss at the lowest rates, where nothing is learned yet, is what falling and rising are counted from, in standard
    errors that the scatter around the smoothed curve tells. Where the loss falls, a tenth of the rate at which it is
    least; where it only rises, a tenth of the rate at which it begins to. There is none where it does neither, where
    it rises from the beginning, and where a tenth lies outside of what was tried.

    Args:
        rates: (n,) of successive steps, growing.
        losses: (n,); one that is NaN or infinite ends the curve, which has risen there.
    """
    bad = np.flatnonzero(~np.isfinite(losses))
    end = int(bad[0]) if len(bad) else len(losses)
    level = max(len(rates) // 5, 3)
    if end <= level:
        return None
    losses, smooth = losses[:end], smoothed(losses[:end])
    # Of neighbours' differences, which a slope hardly changes; the factor makes it a standard deviation (normal noise).
    scatter = 1.4826 * float(np.median(np.abs(np.diff(losses)))) / np.sqrt(2.0)
    start = float(np.median(losses[:level]))
    error = CLEAR * 1.25 * scatter / np.sqrt(STEPS_SMOOTHED) + 1e-3 * abs(start)  # 1.25: a median's beside a mean's
    lowest = int(smooth.argmin())
    if smooth[lowest] < start - error:
        chosen = rates[lowest] / BELOW
    else:
        low = np.flatnonzero(smooth <= start + error)
        risen = int(low[-1]) + 1 if len(low) else 0
        if risen <= level or risen >= len(rates):
            return None
        chosen = rates[risen] / BELOW
    return float(chosen) if chosen >= rates[0] else None
