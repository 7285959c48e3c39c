"""Labelled pictures for training: a folder or a named set, its splits, and its pictures decoded at one size.

    pictures = load("photos").required("train", "test")
    train = Decoded(pictures.train, (150, 150), fast=True)
    train.gather(indices)       # inside tf.data: uint8 (n, 150, 150, 3)

A network is measured on fully decoded pictures, as its saved file gets them.
"""

import errno
import os
import shutil
import weakref
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from pathlib import Path

import numpy as np

from convmedia.data.folders import tabled
from convmedia.data.folders.labelled import Labelled, Split
from convmedia.data.folders.scan import Scan
from convmedia.data.images import decoding
from convmedia.data.sources import fetch
from convmedia.data.sources.catalogue import require_kind
from convmedia.data.sources.download import Progress
from convmedia.data.splits import stratifying
from convmedia.data.splits.layouts import SPLITS
from convmedia.data.storage import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing
from convmedia.data.storage.parallel import THREADS, in_order

MEMORY_BYTES = 1 << 30
"""Decoded pictures that take more than this are kept on disk."""

DISK_BYTES = 20 << 30
"""What the decoded pictures of all sets together may take on disk."""

SPARE_BYTES = 1 << 30
"""What a cache leaves free on the disk."""

SUM = np.dtype("<u4")
"""Of the checksum of a kept picture."""

EDITION = 2
"""To be raised when `read` gives other pixels: what was decoded before is made anew."""


def read(path: Path, size: tuple[int, int], fast: bool = False) -> np.ndarray:
    """Decode a picture and resize it with Pillow's antialiased bilinear filter, which `models.layers.Resize` repeats.

    Args:
        size: height and width of the result, px; the sides' ratio is not kept.
        fast: decode a JPEG at a half, a quarter or an eighth of its size where that is still as large as the result.
            For training only: it differs from full decoding by 0.9 of 255 on average for photos of 256 px at 96x96, by
            1.5 at 64x64, and by 1.7 for photos enlarged to 500x375 at 150x150, which it reads more than twice as fast.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        InputError: as `images.decode`.
    """
    return decoding.resized(path, size, least=size if fast else None)


class Pictures(Labelled):
    """A set of labelled pictures in files."""


class Measured(Pictures):
    """A set of pictures with a number each: `labels` is the name of what they are numbers of, alone, and the splits'
    `truth` is float64 (n,)."""

    @classmethod
    def of_target(cls, name: str, target: str, scan: Scan) -> "Measured":
        """The set that a scan of numbers found."""
        found = cls.of(name, scan)
        splits = {split: replace(getattr(found, split), truth=scan.values_of(split)) for split in SPLITS}
        return replace(found, labels=(target,), **splits)

    def limited(self, limit: int | None, seed: int) -> "Measured":
        """The same set with at most `limit` training pictures, drawn with `seed` evenly over their numbers."""
        if limit is None or limit >= len(self.train):
            return self
        order = np.argsort(self.train.truth, kind="stable")
        first, step = np.random.default_rng(seed).uniform(), len(order) / limit
        chosen = order[((first + np.arange(limit)) * step).astype(int)]
        return replace(self, train=self.train.take(np.sort(chosen)))


def load(
    data: str,
    progress: Progress | None = None,
    group: str | None = None,
    fold: str | None = None,
    *,
    several: bool = False,
    target: str | None = None,
) -> Pictures:
    """The named set `dogs-vs-cats`, or a folder or table as `tabled.pictures` reads it.

    Args:
        data: the name, or else a path; a folder that is called like a set is given as ./NAME.
        progress: called with (done, total) while files are scanned or downloaded.
        group: as of `folders.scan`.
        fold: tests on this fold of `folds`, trains on the others; None takes the splits that are told or that contents
            decide, of a table with folds the first one.
        several, target: as of `tabled.pictures`.

    Raises:
        InputError: unknown name, missing folder, set that cannot be had, fewer than two classes, a pattern for groups
            that matches nothing, no such fold; a picture with several labels, or no numbers, where these are wanted.
    """
    if not data.strip():
        raise InputError("--data is empty: give dogs-vs-cats or a folder of class folders, or a CSV file")
    require_kind(data, "photos")
    if data not in fetch.SOURCES and (Path(data).exists() or any(mark in data for mark in "/\\.")):
        return from_folder(Path(data), progress, group, fold, several=several, target=target)
    folder = fetch.fetch(data, progress)  # no such name: says what there is
    return replace(from_folder(folder, progress, group, fold, target=target), name=data)


def folds(data: str, target: str | None = None) -> list[str]:
    """The folds of a named set, a folder or a table: its own where it has some, else five stratified ones.

    Args:
        target: as of `load`.
    """
    return [*stratifying.FOLDS] if data in fetch.SOURCES else tabled.picture_folds(Path(data), target)


def from_folder(
    folder: Path,
    progress: Progress | None = None,
    group: str | None = None,
    fold: str | None = None,
    *,
    several: bool = False,
    target: str | None = None,
) -> Pictures:
    """The pictures of a folder or table; those that cannot be used are left out, named."""
    found = tabled.pictures(folder, progress, group, fold, several=several, target=target)
    if target is not None:
        return Measured.of_target(str(folder), target, found)
    return Pictures.of(str(folder), found)


class Decoded:
    """The pictures of a split, decoded once and kept as uint8 at one size.

    Up to `memory_bytes` they are in memory; more are in a file in the user's cache, which later runs use again, and
    which is read picture by picture, so that memory stays what it is however many epochs there are. Where the disk has
    no room the pictures are decoded anew for each batch.

    Attributes:
        size: height and width, px.
        place: "memory", "disk" or "files".
    """

    def __init__(
        self,
        split: Split,
        size: tuple[int, int],
        *,
        fast: bool = False,
        progress: Progress | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ):
        """Decode in parallel, where it is not done yet.

        Args:
            fast: as of `read`.
            progress: called with (pictures decoded, pictures in all).

        Raises:
            InputError: a file changed since it was scanned.
        """
        self.split, self.size, self.fast = split, size, fast
        self.shape = (len(split), *size, 3)
        self.bytes = int(np.prod(self.shape))
        if self.bytes <= memory_bytes:
            self.place = "memory"
            self.bank = np.empty(self.shape, np.uint8)
            self._decode_all(self.bank.__setitem__, progress)
            return
        digests = np.array(split.digests)
        self.row = np.argsort(np.argsort(digests, kind="stable"), kind="stable")  # the file is sorted by content
        found = self._kept(progress)
        self.place = "disk" if found else "files"
        if found:
            self.file, self.start, self.sums = found
            weakref.finalize(self, os.close, self.file)
        else:
            self.pool = ThreadPoolExecutor(THREADS)

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The pictures at `indices`, n integers: uint8 (n, height, width, 3)."""
        if self.place == "memory":
            return self.bank[indices]
        pictures = np.empty((len(indices), *self.shape[1:]), np.uint8)
        one = self._from_file if self.place == "disk" else self._from_picture
        every = map(one, indices) if self.place == "disk" else self.pool.map(one, indices)
        for number, picture in enumerate(every):
            pictures[number] = picture
        return pictures

    def gather(self, indices):
        """The same for tensors, to be used inside tf.data: integers (n,) to uint8 (n, height, width, 3)."""
        import tensorflow as tf

        if self.place == "memory":
            return tf.gather(self._constant, indices)
        pictures = tf.numpy_function(self.batch, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(pictures, (indices.shape[0], *self.shape[1:]))

    @cached_property
    def _constant(self):
        import tensorflow as tf

        with tf.init_scope(), tf.device("CPU"):  # a captured tensor: a graph's own constants end at 2 GiB
            constant = tf.constant(self.bank)
        self.bank = np.asarray(memoryview(constant))  # the same memory, not a second copy
        return constant

    def _decode_all(self, keep: Callable[[int, np.ndarray], None], progress: Progress | None) -> None:
        def work(index: int) -> None:
            keep(index, self._from_picture(index))

        for done, _ in enumerate(in_order(work, range(len(self))), 1):
            if progress:
                progress(done, len(self))

    def _from_picture(self, index: int) -> np.ndarray:
        return read(self.split.paths[index], self.size, self.fast)

    def _from_file(self, index: int) -> np.ndarray:
        length = self.bytes // len(self)
        # Not a memory map: its pages would count as this process's memory, up to the whole file.
        content = os.pread(self.file, length, self.start + int(self.row[index]) * length)
        if zlib.crc32(content) != self.sums[self.row[index]]:
            self.path.unlink(missing_ok=True)  # altered: the next run makes another one
            return self._from_picture(index)
        return np.frombuffer(content, np.uint8).reshape(self.shape[1:])

    def _kept(self, progress: Progress | None) -> tuple[int, int, np.ndarray] | None:
        """An open file with the pictures, where in it they begin, and the CRC-32 of each; made if need be, None where
        there is no room."""
        key = (EDITION, metadata.version("pillow"), self.size, self.fast, *sorted(self.split.digests))
        path = self.path = cache.place("decoded", "\n".join(map(str, key)), ".npy")
        try:
            if _start(path, self.shape) is None:
                if self.bytes > DISK_BYTES:
                    return None
                path.parent.mkdir(parents=True, exist_ok=True)
                cache.trim(path.parent, DISK_BYTES - self.bytes)
                if shutil.disk_usage(path.parent).free < self.bytes + SPARE_BYTES:
                    return None
                self._write(path, progress)
            start = _start(path, self.shape)
            cache.used(path)
            if start is None:
                return None
            file = os.open(path, os.O_RDONLY)
            sums = os.pread(file, len(self) * SUM.itemsize, start + self.bytes)
            return file, start, np.frombuffer(sums, SUM)
        except OSError:  # full, not ours to write, gone: without a cache only time is lost
            return None

    def _write(self, path: Path, progress: Progress | None) -> None:
        """Decode everything into an .npy file, written beside and renamed; after the array the pictures' CRC-32."""
        header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
        with replacing(path) as beside, beside.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
            start, length = file.tell(), self.bytes // len(self)
            sums = np.zeros(len(self), SUM)

            def keep(index: int, picture: np.ndarray) -> None:
                content = picture.tobytes()
                sums[self.row[index]] = zlib.crc32(content)
                write(content, start + int(self.row[index]) * length)

            def write(content: bytes, place: int) -> None:
                if os.pwrite(file.fileno(), content, place) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(beside))

            self._decode_all(keep, progress)
            write(sums.tobytes(), start + self.bytes)


def _start(path: Path, shape: tuple[int, ...]) -> int | None:
    """Where the values begin in an .npy file of uint8 of this shape; None where there is none, or half of one."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
    except (FileNotFoundError, ValueError):
        return None
    size = start + np.prod(shape) + shape[0] * SUM.itemsize
    right = header == (shape, False, np.dtype(np.uint8)) and path.stat().st_size == size
    return start if right else None
