"""Going down a loss of a picture: SciPy's L-BFGS-B, and Adam. Each keeps the best picture that it has seen."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

Goal = Callable[[np.ndarray], tuple[Any, np.ndarray]]
"""float (height, width, channels) to losses, whose first is their sum, and the gradient of that sum."""

ADAM_RATE = 5.0  # of 255, at the start
FIRST_STEP = 2.0  # of 255, root mean square
MEMORY_VALUES = 40_000_000  # of float64 in the memory of L-BFGS, twice: 640 MB


class NotANumber(Exception):
    """The loss became NaN or infinite; what was good before is the picture that `Seen` has kept."""


class Seen:
    """Counts evaluations, keeps the best picture and stops at the last one that was allowed.

    Args:
        goal: what is evaluated.
        steps: most evaluations.
        after: told (losses, best picture so far) after each.

    Attributes:
        picture: the best so far; None before the first evaluation.
    """

    def __init__(self, goal: Goal, steps: int, after: Callable[[Any, np.ndarray], None]):
        self.goal, self.left, self.after = goal, steps, after
        self.picture: np.ndarray | None = None
        self.least = math.inf

    def __call__(self, picture: np.ndarray) -> tuple[float, np.ndarray]:
        """Raises NotANumber, and StopIteration where no evaluation is left."""
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        losses, gradient = self.goal(picture)
        if not (math.isfinite(losses[0]) and np.isfinite(gradient).all()):
            raise NotANumber
        if losses[0] < self.least or self.picture is None:
            self.least, self.picture = losses[0], picture.astype(np.float32)
        self.after(losses, self.picture)
        return losses[0], gradient


def lbfgs(seen: Seen, start: np.ndarray) -> None:
    """Limited-memory BFGS (SciPy's, without its bounds) until `seen` stops it or nothing gets less.

    What is evaluated is the picture within 0..255; values that left it are drawn back. SciPy's own bounds lead to the
    same losses, at four times the cost beside the evaluations.

    Raises:
        NotANumber: as `seen` raises it.
    """
    # Its sums of products are bound by memory: with threads they took six times as long on two busy cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from scipy.optimize import minimize

    unit = FIRST_STEP * start.size**0.5  # the first step of SciPy's has length 1
    scales: list[tuple[float, float]] = []

    def scaled(values: np.ndarray) -> tuple[float, np.ndarray]:
        outside = (unit * values).astype(np.float32).reshape(start.shape)
        picture = np.clip(outside, 0.0, 255.0)
        outside -= picture
        loss, gradient = seen(picture)
        if not scales:
            scales.append((1.0 / max(abs(loss), 1e-30), 0.1 * loss / (255.0 * start.size)))
        scale, pull = scales[0]
        gradient = np.where(outside == 0.0, gradient, np.float32(2.0 * pull) * outside)
        gradient = gradient.ravel().astype(np.float64)
        gradient *= scale * unit
        return scale * (loss + pull * float(np.vdot(outside, outside))), gradient

    memory = max(3, min(10, MEMORY_VALUES // start.size))
    limits = {"maxcor": memory, "maxfun": 10**9, "maxiter": 10**9, "ftol": 0.0, "gtol": 0.0}
    try:
        minimize(scaled, start.ravel().astype(np.float64) / unit, method="L-BFGS-B", jac=True, options=limits)
    except StopIteration:
        return


def adam(seen: Seen, start: np.ndarray) -> None:
    """Adam (Kingma and Ba 2015) within 0..255, its rate falling along a cosine, until `seen` stops it.

    Raises:
        NotANumber: as `seen` raises it.
    """
    picture = np.clip(start, 0, 255).astype(np.float32)
    mean, square = np.zeros_like(picture), np.zeros_like(picture)
    steps = seen.left
    for step in range(1, steps + 1):
        _, gradient = seen(picture)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        rate = ADAM_RATE * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))
        move = rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-12)
        picture = np.clip(picture - move, 0, 255).astype(np.float32)


METHODS = {"lbfgs": lbfgs, "adam": adam}
