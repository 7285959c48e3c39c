"""From several channels to one: their mean, after those that run against the others are turned over.

Where one channel is the other one with its sign changed (a wire the wrong way round, a balanced signal as stereo), the
mean is silence. Channels that agree or have nothing to do with each other are averaged as they are.
"""

import numpy as np

OPPOSED = -0.6
"""A correlation below this means that a channel runs against another: their mean would lose 7 dB or more."""

LEAST_SECONDS = 0.1
"""Of less sound nothing is concluded."""


class Balance:
    """Which channels of a sound are turned over, from as much of it as was added.

    Args:
        channels: how many.
        sample_rate: Hz.
    """

    def __init__(self, channels: int, sample_rate: int):
        self.least = LEAST_SECONDS * sample_rate
        self.number = 0
        self.sums = np.zeros(channels)
        self.products = np.zeros((channels, channels))

    def add(self, piece: np.ndarray) -> None:
        """Count a piece in: float32 (samples, channels)."""
        self.number += len(piece)
        self.sums += piece.sum(axis=0, dtype=np.float64)
        self.products += piece.T @ piece

    def signs(self) -> np.ndarray:
        """float32 (channels,): -1 for those to be turned over, else 1.

        From the loudest channel down, each is compared with the one before it that it is most like.
        """
        signs = np.ones(len(self.sums), np.float32)
        if self.number < self.least:
            return signs
        covariance = self.products - np.outer(self.sums, self.sums) / self.number
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scale = np.outer(deviation, deviation)
        correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-9 * scale.max())
        order = np.argsort(-deviation, kind="stable")
        for place, channel in enumerate(order[1:], 1):
            likeness = correlation[channel, order[:place]] * signs[order[:place]]
            signs[channel] = -1.0 if likeness[np.abs(likeness).argmax()] < OPPOSED else 1.0
        return signs


def mixed(piece: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """float32 (samples, channels) to the mean (samples,) of the channels, each with its sign."""
    if piece.shape[1] == 1:
        return piece[:, 0]
    return (piece if (signs > 0).all() else piece * signs).mean(axis=1, dtype=np.float32)


def opposed(signs: np.ndarray) -> str:
    """What is said of a sound some of whose channels are turned over."""
    numbers = ", ".join(str(channel + 1) for channel in np.flatnonzero(signs < 0))
    return f"channel {numbers} of {len(signs)} has the opposite sign of another; it is turned over before averaging"
