"""Which windows of a sound hold something to be heard, and how much each counts in the answer.

Windows count by the energy of their sound above a threshold. Those below have no say: silence and the noise of a room
are no evidence for any label, and a word is found in an hour of them. Windows of a sound that is as loud all the time
count alike.
"""

import math

import numpy as np

ABOVE_QUIETEST = 2.0
"""A window has a say whose energy is more than twice (3 dB above) the quietest one's, the noise of the room, ..."""

AT_MOST, AT_LEAST = 0.5, 0.01
"""... of which at most half of the loudest window's energy (-3 dB) is asked, and at least a hundredth (-20 dB)."""

LEAST_POWER = 1e-10
"""Mean power, -100 dB of full scale, of a window that has no say whatever the others hold."""

FAINT_DB = -45.0
"""Of full scale; what stays below it all the time and is steady is taken for the noise of a quiet room. Of ESC-10's
recordings 9 of 400 are steady, rain and engines, the quietest of them at -22 dB."""

STEADY_DB = 4.0
"""White, pink and brown noise and hum spread over less in frames of 25 ms, 98 of 100 spoken digits over 6 dB or more.
"""

FRAME_SECONDS = 0.025


def energy(samples: np.ndarray) -> float:
    """Of the samples that are sound, float32 (samples,), without their mean, which nobody hears."""
    return float(np.var(samples, dtype=np.float64)) * len(samples)


BY_LENGTH = 1e-3 * LEAST_POWER
"""What each sample counts in any case, as energy: next to nothing, but a sound without any energy has an answer, too,
the mean of its windows by their length."""


class MeanByEnergy:
    """A sound's scores from those of its windows, each counted by its energy above the threshold, in flat memory.

    What the threshold is turns out at the end, so sums are kept for each thousandth of a decibel that it may lie in.

    Args:
        size: samples of a window.
    """

    def __init__(self, size: int):
        self.size = size
        self.loudest, self.quietest = 0.0, math.inf
        self.levels: dict[int, list] = {}
        self.samples: int = 0
        self.by_length: np.ndarray | float = 0.0

    @property
    def threshold(self) -> float:
        """Energy that a window must exceed to have a say."""
        asked = min(ABOVE_QUIETEST * self.quietest, AT_MOST * self.loudest)
        return max(asked, self._lowest)

    @property
    def _lowest(self) -> float:
        return max(AT_LEAST * self.loudest, LEAST_POWER * self.size)

    def add(self, samples: np.ndarray, scores: np.ndarray) -> None:
        """Count a window in: its samples that are sound, float32 (n,), and its scores, float (labels,)."""
        scores = scores.astype(np.float64)
        self.samples, self.by_length = self.samples + len(samples), self.by_length + len(samples) * scores
        loudness = energy(samples)
        self.quietest = min(self.quietest, loudness / len(samples) * self.size)
        if loudness > self.loudest:
            self.loudest = loudness
            lowest = _level(self._lowest)
            self.levels = {level: sums for level, sums in self.levels.items() if level >= lowest}
        if loudness <= self._lowest:
            return
        sums = self.levels.setdefault(_level(loudness), [0, 0.0, 0.0, 0.0])
        for place, value in enumerate((1, loudness, scores, loudness * scores)):
            sums[place] = sums[place] + value

    def result(self) -> np.ndarray:
        """float64 (labels,), after one window or more."""
        threshold, total, weight = self.threshold, BY_LENGTH * self.by_length, BY_LENGTH * self.samples
        for number, energies, scores, weighted in self.levels.values():
            if energies > threshold * number:
                total, weight = total + weighted - threshold * scores, weight + energies - threshold * number
        return np.asarray(total / weight)


def _level(energy: float) -> int:
    return math.floor(1e4 * math.log10(energy))


def loudest_db(samples: np.ndarray, sample_rate: int) -> float:
    """Root mean square of the loudest 25 ms, without their mean, in dB of full scale; -200 of silence."""
    return _decibels(_frames(samples, sample_rate).var(axis=1)).max()


def steady(samples: np.ndarray, sample_rate: int) -> bool:
    """Whether a sound is as loud all the time, as noise is. Low tones, which fluctuate in noise too, count little."""
    levels = _decibels((_frames(np.diff(samples, prepend=samples[:1]), sample_rate) ** 2).mean(axis=1))
    return bool(levels.max() - np.percentile(levels, 10) < STEADY_DB)


def audible(samples: np.ndarray, sample_rate: int) -> bool:
    """Whether something other than silence and faint, steady noise is in a sound: float32 (samples,), one or more."""
    loudest = loudest_db(samples, sample_rate)
    return loudest >= FAINT_DB or (loudest > 10 * math.log10(LEAST_POWER) and not steady(samples, sample_rate))


def _frames(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Whole frames of 25 ms, float64 (frames, samples), at least one; what is left over at the end is left out."""
    size = min(max(round(FRAME_SECONDS * sample_rate), 1), len(samples))
    return samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-20))
