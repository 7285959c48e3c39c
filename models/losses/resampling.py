"""How far a figure may be off because the examples are few: the bootstrap, in NumPy."""

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
SEED = 0
MOST_VALUES = 1_000_000  # counts that are held at once


def percentile_interval(
    figure: Callable[[np.ndarray], np.ndarray], number: int, confidence: float = 0.95
) -> list[float]:
    """The percentile interval of a figure of examples (Efron and Tibshirani 1993, section 13.3): [low, high].

    Args:
        figure: of resampled examples: from how often each is drawn, int (resamples, n), to float (resamples,).
        number: of examples, n.
    """
    rng, shares = np.random.default_rng(SEED), np.full(number, 1.0 / number)
    at_once = max(1, min(RESAMPLES, MOST_VALUES // number))
    parts = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    found = np.concatenate([figure(rng.multinomial(number, shares, part)) for part in parts])
    tail = 50.0 * (1.0 - confidence)
    low, high = np.nanpercentile(found, [tail, 100.0 - tail])
    return [float(low), float(high)]
