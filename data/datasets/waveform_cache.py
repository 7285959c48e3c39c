"""The sounds of a split at one sample rate, decoded and resampled once, read as windows by the training.

bank = Recordings(sounds.train, 8000)
windows, heard = bank.windows(indices, places, 8000)
"""

from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

from convmedia.data.audio import decoding
from convmedia.data.folders.labelled import Split
from convmedia.data.sources.download import Progress
from convmedia.data.storage import arrays, cache
from convmedia.data.storage.files import replacing
from convmedia.data.storage.parallel import in_order

MEMORY_BYTES = 2 << 30
"""Sounds that take more than this stay on disk and are read window by window."""

DISK_BYTES = 20 << 30
"""What the resampled sounds of all sets together may take on disk."""

EDITION = 2
"""To be raised when `clips.read` gives other samples: what was kept before is made anew."""


class Recordings:
    """The sounds of a split, in memory or in files in the user's cache, one per file and rate.

    Attributes:
        lengths: int64 (n,), samples of each.
    """

    def __init__(
        self, split: Split, sample_rate: int, progress: Progress | None = None, memory_bytes: int = MEMORY_BYTES
    ):
        """Decode in parallel what is not in the cache.

        Args:
            progress: called with (sounds read, sounds in all).

        Raises:
            InputError: a file changed since it was scanned.
        """
        self.split, self.sample_rate = split, sample_rate
        self.lengths = np.zeros(len(split), np.int64)
        self.kept: list[np.ndarray | None] = []
        room = memory_bytes
        for done, samples in enumerate(in_order(self._read, range(len(split))), 1):
            self.lengths[done - 1] = len(samples)
            room -= samples.nbytes
            self.kept.append(samples if room >= 0 else None)
            if progress:
                progress(done, len(split))
        place = self._place(0).parent
        with suppress(OSError):
            cache.trim(place, DISK_BYTES)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> np.ndarray:
        """One sound: float32 (samples,), -1..1."""
        kept = self.kept[index]
        return self._read(index) if kept is None else kept

    def windows(
        self, indices: Sequence[int] | np.ndarray, places: Sequence[float] | np.ndarray, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A window of each sound at `indices`.

        Args:
            places: 0..1, where the window lies in a sound that is longer: 0 at its start, 1 at its end.
            size: samples of a window.

        Returns:
            float32 (n, size), filled up with zeros at the end; int32 (n,), how many samples of each are sound.
        """
        windows, heard = np.zeros((len(indices), size), np.float32), np.zeros(len(indices), np.int32)
        for row, (index, place) in enumerate(zip(indices, places, strict=True)):
            start = round(float(place) * max(int(self.lengths[index]) - size, 0))
            part = self[index][start : start + size]
            windows[row, : len(part)], heard[row] = part, len(part)
        return windows, heard

    def gather(self, indices, places, size: int):
        """The same for tensors, to be used inside tf.data."""
        import tensorflow as tf

        def read(at, where):
            return self.windows(at, where, size)

        windows, heard = tf.numpy_function(read, [indices, places], [tf.float32, tf.int32], stateful=False)
        number = indices.shape[0]
        return tf.ensure_shape(windows, (number, size)), tf.ensure_shape(heard, (number,))

    def _read(self, index: int) -> np.ndarray:
        """From the cache, or decoded into it; where it may not be written only time is lost."""
        path = self._place(index)
        with suppress(*arrays.DAMAGED):
            samples = arrays.read(path)["samples"]
            if samples.dtype == np.float32 and samples.ndim == 1:
                return samples
        samples = decoding.read(self.split.paths[index], self.sample_rate)
        with suppress(OSError), replacing(path) as beside:
            np.savez(beside, samples=samples)
        return samples

    def _place(self, index: int) -> Path:
        key = (EDITION, metadata.version("soxr"), self.sample_rate, self.split.digests[index])
        return cache.place("clips", "\n".join(map(str, key)), ".npz")


def durations(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, float64 (n,), and sample rates in Hz, int64 (n,), of files as their headers tell."""

    def look(path: Path) -> tuple[float, int]:
        with decoding.opened(path) as file:
            return file.frames / file.samplerate, file.samplerate

    facts = list(in_order(look, paths))
    return np.array([seconds for seconds, _ in facts]), np.array([rate for _, rate in facts], np.int64)
