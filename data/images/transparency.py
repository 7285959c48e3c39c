"""Colour under transparency: what a network or a filter sees beyond the edge of what is visible.

Files hold any colour where nothing shows, often black, and enlarging or painting would mix it into the visible edge.
"""

import numpy as np

STRIP_PX = 1024
REACH_PX = 128
"""How far above and below a strip of rows visible colour is looked for: farther than networks look."""


def extended(colour: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Colour whose hidden pixels, of alpha 0, have the colour of the nearest visible one.

    Works on strips of rows, so that memory is bounded: a hidden pixel far from everything visible may keep its colour.

    Args:
        colour: (height, width, channels).
        alpha: (height, width), 0 is transparent; None is opaque.

    Returns:
        As `colour`, which is given back where nothing is hidden, or nothing visible.
    """
    if alpha is None or alpha.min() > 0 or alpha.max() == 0:
        return colour
    from scipy import ndimage

    filled = colour.copy()
    for top in range(0, len(colour), STRIP_PX):
        first, end = max(top - REACH_PX, 0), min(top + STRIP_PX, len(colour))
        hidden = alpha[first : end + REACH_PX] == 0
        if not hidden[top - first : end - first].any() or hidden.all():
            continue
        rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        inside = slice(top - first, end - first)
        filled[top:end] = colour[first + rows[inside], columns[inside]]
    return filled
