"""Asking what answers raw arrays, whatever it computes with: files in, rows out."""

import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data.images import decoding, pages
from convmedia.data.storage import memory
from convmedia.data.storage.errors import InputError, NoMemory
from convmedia.data.storage.files import digest, shown
from convmedia.data.storage.parallel import THREADS, in_order
from convmedia.data.transforms import resampling
from convmedia.models.description import Described
from convmedia.models.inference.batching import in_batches
from convmedia.models.kind import Kind, Outputs

MOST_PIXELS = 16_000_000
"""A larger picture is averaged over squares of pixels before a network that shrinks it to a small one anyway."""

ANSWERED_BYTES = 45
"""Of memory that a classifier takes for each pixel of a picture; the digits network and `resnet` take 37."""

PIXELS_AHEAD = 64_000_000
"""Of pictures that are decoded before they are needed, all together."""


def no_number(what: str) -> str:
    """The error of an answer that is NaN or infinite, as a network gives whose numbers overflow."""
    return f"the model answers {what} with NaN or infinity; give another --model"


def no_memory(what: str) -> str:
    """The error of what needs more memory than there is."""
    return f"{what} needs more memory than there is; make it smaller first"


@contextmanager
def within_memory(what: str) -> Iterator[None]:
    """Turns a lack of memory, in NumPy or in the backend, into a NoMemory about `what`."""
    try:
        yield
    except MemoryError as error:
        raise NoMemory(no_memory(what)) from error
    except _backend_error() as error:
        words = ("ResourceExhausted", "RESOURCE_EXHAUSTED", "OutOfMemory", "allocate memory")
        if any(word in f"{type(error).__name__} {error}"[:400] for word in words):
            raise NoMemory(no_memory(what)) from error
        raise


def _backend_error() -> type[Exception]:
    """What the backend raises where memory lacks, and PyTorch and JAX for other reasons, too."""
    keras = sys.modules.get("keras")
    if keras is None:
        return MemoryError
    if keras.backend.backend() != "tensorflow":
        return RuntimeError
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError


ROWS = {"sound": "convmedia.models.inference.sound_predictor"}
"""For each kind of input but pictures the module whose `rows` answers files, from (predictor, files, top)."""


class FilePredictor:
    """What answers arrays and files: what the commands use, and users from Python.

    Attributes:
        app, labels, input, details, kind: as its file's `Answer` layer has them.
        path: the file it came from, or None.
        runtime: what computes: "keras", "onnx" or "litert".
    """

    runtime: str

    def __init__(self, answer: Described, path: str | Path | None = None):
        self.path = None if path is None else Path(path)
        self.app, self.labels = answer.app, answer.labels
        self.input: dict[str, Any] = answer.input_description
        self.details: dict[str, Any] = answer.details
        self.kind: Kind = answer.kind

    @property
    def shrinks(self) -> bool:
        """Whether the model begins by shrinking pictures to a small size, so that fine detail does not matter."""
        raise NotImplementedError

    @property
    def resizes_to(self) -> tuple[int, int] | None:
        """Height and width, where the model does nothing to a picture before it resizes it to these and takes one that
        is not of whole numbers; else None."""
        raise NotImplementedError

    @property
    def finds_ink(self) -> bool:
        """Whether the model looks for a digit on a page."""
        raise NotImplementedError

    @property
    def beside(self) -> list[int]:
        """How many values each further input of the model takes."""
        raise NotImplementedError

    @property
    def most_filters(self) -> int | None:
        """Of its convolutions; None where it has none."""
        raise NotImplementedError

    @property
    def reach_px(self) -> int:
        """How far a network that answers pictures looks, as `receptive_field.reach_px` has it."""
        raise NotImplementedError

    @property
    def hop_samples(self) -> int:
        """Of a model of sounds: samples from one window of the answer to the next."""
        raise NotImplementedError

    def window_scores(self, windows: np.ndarray, heard: np.ndarray) -> np.ndarray:
        """Of a model of sounds: scores of windows, each by itself.

        Args:
            windows: float32 (n, size), -1..1. heard: int32 (n,), how many samples of each are sound.

        Returns:
            float32 (n, labels), bit for bit the same whatever windows come beside them.
        """
        raise NotImplementedError

    def tile_side(self, side: int) -> int:
        """Side of the tiles that large pictures are cut into, px, where `side` was asked for."""
        return side

    @property
    def one_shape(self) -> bool:
        """Whether tiles of one shape are answered faster than tiles of several."""
        return False

    def describe(self) -> dict[str, Any]:
        """What `convmedia inspect` shows: JSON values only.

        Returns:
            {"app", "kind", "input", "labels", "parameters", "details", "bytes", "sha256", "layers": [{"name", "type",
            "parameters"}, ...]}; bytes and sha256 are None without a file. Layers of nested models are listed one by
            one.
        """
        raise NotImplementedError

    def _answers(self, given: list[np.ndarray]) -> Outputs:
        """All tensors of the answer to a checked batch: an array for each of the model's inputs."""
        raise NotImplementedError

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the file, 64 hexadecimal digits; None without a file."""
        return None if self.path is None else digest(self.path)

    def __call__(self, batch: np.ndarray, *others: np.ndarray) -> np.ndarray:
        """Answer one batch.

        Args:
            batch: pictures (n, height, width, 3), or grey (n, height, width) or (n, height, width, 1), uint8 or
                float, 0..255; waveforms (n, samples), float, -1..1.
            others: what the model's further inputs take, float32 (n, values) each, in its order.

        Returns:
            float32; classifiers (n, labels) probabilities. The first tensor, where the kind of answer has several.

        Raises:
            ValueError: another shape.
        """
        return self.outputs(batch, *others)[0]

    def outputs(self, batch: np.ndarray, *others: np.ndarray) -> Outputs:
        """As calling it: all tensors of the answer."""
        batch = np.asarray(batch)
        if self.input["kind"] == "image":
            batch = _three_channels(batch)
        if batch.ndim != 1 + len(self.input["shape"]):
            raise ValueError(
                f"A batch of {self.input['kind']}s has shape (n, *{self.input['shape']}). Got {batch.shape}"
            )
        return self._answers([batch, *(np.asarray(other, np.float32) for other in others)])

    def finite(self, batch: np.ndarray, *others: np.ndarray, what: str = "a picture") -> np.ndarray:
        """As calling it, where an answer that is no number is of no use.

        Args:
            what: was given, for the error.

        Raises:
            InputError: the answer holds NaN or infinity.
        """
        answer = self(batch, *others)
        if not np.isfinite(answer).all():
            raise InputError(no_number(what))
        return answer

    def predict_rows(
        self, files: Iterable[str | Path], top: int | None = None, batch_size: int = 32
    ) -> Iterator[dict[str, Any]]:
        """Answer files one after the other, in the order given, holding one batch in memory at a time.

        Where the model looks for ink, what surrounds the page is cut off first, and a blank page is an error.

        Args:
            files: paths; consecutive pictures of one size are answered as a batch, of any sizes where the model begins
                by resizing them, sounds by their windows.
            top: how many labels a row names, best first; None means five, or all where there are fewer.

        Yields:
            {"file", "label", "score", "top": [{"label", "score"}, ...]}, or what else the kind of answer says of a
            file, or {"file", "error"} for a file that cannot be used; also "notes", lines on what was done to the file,
            where there are some. Scores are Python floats, 0..1.

        Raises:
            InputError: the model does not speak of labels.
        """
        if self.labels is None:
            raise InputError(f"The model of {self.app!r} does not label files; see its other commands.")
        if self.input["kind"] in ROWS:
            yield from import_module(ROWS[self.input["kind"]]).rows(self, files, top)
            return
        reduces = self.shrinks and not self.kind.located
        prepared = self.resizes_to if reduces else None
        read = partial(_decoded, most_pixels=MOST_PIXELS if reduces else None, page=self.finds_ink, prepared=prepared)
        decoded = enumerate(in_order(read, files, 2 * THREADS, decoding.pixels, PIXELS_AHEAD))
        # Batches end at multiples of their size, whatever pictures they hold: parts of a list are answered as the list.
        for _, part in groupby(decoded, lambda numbered: numbered[0] // batch_size):
            for batch in in_batches((item for _, item in part), lambda item: item[1], batch_size):
                yield from self._answered(batch, top)

    def on_page(self, picture: np.ndarray, name: str = "the picture") -> np.ndarray:
        """A picture, uint8 (height, width, 3), without what surrounds the page, where the model looks for ink.

        Raises:
            InputError: it looks for ink, and the page is blank.
        """
        return _on_page(picture, name) if self.finds_ink else picture

    def row_of(self, picture: np.ndarray, top: int | None = None, name: str = "the picture") -> dict[str, Any]:
        """What `predict_rows` says of a picture, uint8 (height, width, 3).

        Raises:
            InputError: it shows nothing that the model could label.
        """
        picture = self.on_page(picture, name)
        return self._row(name, picture, tuple(one[0] for one in self.outputs(picture[np.newaxis])), top)

    def predict_files(
        self, files: Iterable[str | Path], top: int | None = None, batch_size: int = 32
    ) -> list[dict[str, Any]]:
        """The rows of `predict_rows` as a list."""
        return list(self.predict_rows(files, top, batch_size))

    def _answered(
        self, batch: list[tuple[str, np.ndarray | None, str | None, list[str]]], top: int | None
    ) -> Iterator[dict[str, Any]]:
        pictures = [picture for _, picture, *_ in batch if picture is not None]
        try:
            with within_memory(f"{len(pictures)} pictures"):
                if pictures:  # TensorFlow ends the process where it gets none
                    pixels = len(pictures) * math.prod(pictures[0].shape[:2])
                    memory.require(ANSWERED_BYTES * pixels, f"{len(pictures)} pictures")
                answers = zip(*self.outputs(np.stack(pictures)), strict=True) if pictures else iter(())
        except InputError as error:
            if len(batch) > 1:
                for one in batch:
                    yield from self._answered([one], top)
            else:
                file = batch[0][0]
                reason = no_memory(shown(file)) if isinstance(error, NoMemory) else f"{shown(file)}: {error}"
                yield {"file": file, "error": reason}
            return
        for file, picture, wrong, notes in batch:
            row = {"file": file, "error": wrong} if picture is None else self._row(file, picture, next(answers), top)
            yield row | ({"notes": notes} if notes else {})

    def _row(self, file: str, picture: np.ndarray, answer: Outputs, top: int | None) -> dict[str, Any]:
        if not all(np.isfinite(tensor).all() for tensor in answer):
            return {"file": file, "error": no_number(shown(file))}
        height, width = picture.shape[:2]
        return {"file": file, **self.kind.row(answer, self.labels or [], (width, height), top)}


def _three_channels(pictures: np.ndarray) -> np.ndarray:
    if pictures.ndim == 3 and pictures.shape[-1] != 3:  # (height, width, 3) is one picture: no batch, so an error
        pictures = pictures[..., np.newaxis]
    if pictures.ndim != 4 or pictures.shape[-1] not in (1, 3):
        raise ValueError(
            "A batch of pictures has shape (n, height, width, 3), or (n, height, width) for grey. "
            f"Received: {pictures.shape}"
        )
    return np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures


def _on_page(picture: np.ndarray, name: str) -> np.ndarray:
    picture = pages.inside(picture)
    if pages.is_blank(picture):
        raise InputError(f"{name} shows no digit: the page is blank; give a picture of one")
    return picture


def _decoded(
    file: str | Path, most_pixels: int | None, page: bool, prepared: tuple[int, int] | None
) -> tuple[str, np.ndarray | None, str | None, list[str]]:
    notes: list[str] = []
    try:
        picture = decoding.decode(file, most_pixels=most_pixels, told=notes.append)
        if page:
            picture = _on_page(picture, shown(file))
        if prepared:  # pictures of all sizes are answered together
            picture = resampling.resized(picture, prepared)
        return str(file), picture, None, notes
    except InputError as error:
        return str(file), None, str(error), []
