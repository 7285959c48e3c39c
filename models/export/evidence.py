"""What exported files of a model are tried on, and Keras's answers to it: written once, read again for each file."""

import contextlib
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convmedia.models.analysis.layer_tree import every_layer
from convmedia.models.export import probes
from convmedia.models.export.parity import first_line
from convmedia.models.export.quality_loss import Trial
from convmedia.models.formats import serving
from convmedia.models.formats.formats import Refused
from convmedia.models.formats.runtimes import packed, read_arrays, unpacked, write_arrays
from convmedia.models.inference.batching import in_batches
from convmedia.models.inference.predictor import Predictor
from convmedia.models.kind import Outputs
from convmedia.models.networks.stylization import StyleNormalization

EXAMPLE_BATCH = 32  # of a fixed size, which may be large, `probes.EIGHT`
FIXED_VALUES = 40_000_000  # of all examples that are brought to a fixed size
ENCODED_EXAMPLES = 4
MISTAKEN_EXAMPLES = 8
ENCODED_VALUES = 600_000  # of a picture or sound: larger examples are cut
NUDGE, MOST_GAIN = 1e-3, 100.0  # levels of 255 that a pixel is moved by; most times as far that an answer may move
Batch = tuple[np.ndarray, ...]


class Part(NamedTuple):
    """Batches and Keras's answers to them.

    Attributes:
        batches, expected: files, as `runtimes.write_arrays` writes them.
    """

    batches: Path
    expected: Path


@dataclass(frozen=True)
class Measured:
    """What quantised files are measured by.

    Attributes:
        trial: the measurement.
        before: the figure of Keras's answers.
        may_lose: points or dB, in the trial's unit.
        calibrating: raw examples that quantised files are calibrated on.
    """

    trial: Trial
    before: float
    may_lose: float
    calibrating: Sequence[np.ndarray]


class Evidence:
    """Inputs of a model and its answers, in a folder.

    Attributes:
        predictor: the model.
        size: of raw inputs, (height, width) or (samples,), where the files are to take no other; else None.
        examples, batches: how many examples there are, and how many batches they make; `plain` holds just these.
        varied: how many batches of `probes` are cut and enlarged examples; they come first.
        inputs: how many arrays a batch has.
        takes_files: whether its SavedModel has `serve_bytes`; then there is `encoded`.
    """

    def __init__(
        self,
        predictor: Predictor,
        examples: Sequence[np.ndarray],
        folder: Path,
        size: tuple[int, ...] | None = None,
    ):
        """Answer examples, probes and encoded files.

        Raises:
            Refused: the model fails on an example, or answers NaN or infinity.
        """
        self.predictor, self.folder, self.size = predictor, folder, size
        given, examples = examples, at_size(examples, size)
        self.examples, self.inputs = len(examples), len(predictor.model.inputs)
        self._sizes = [tensor.shape[1] for tensor in predictor.model.inputs[1:]]
        self._some = spread(examples, MISTAKEN_EXAMPLES)
        self.batches = self._write_plain(examples)
        self.varied = self._write_probes(examples)
        self.takes_files = serving.takes_files(predictor.model)
        if self.takes_files:
            self._write_encoded(given)

    @property
    def many(self) -> int:
        """How many examples a full batch has."""
        return EXAMPLE_BATCH if self.size is None else probes.EIGHT

    @property
    def least_scale(self) -> float:
        """The smallest of what differences of the model's answers are divided by before they are compared."""
        return float(min(np.min(output.scale) for output in self.predictor.kind.outputs))

    def answers_in(self, part: Part) -> Iterator[Outputs]:
        """Keras's answers to the batches of a part."""
        return grouped(read_arrays(part.expected), len(self.predictor.kind.outputs))

    @property
    def plain(self) -> Part:
        """The examples."""
        return self._part("plain")

    @property
    def probes(self) -> Part:
        """Cut and enlarged examples, then what `probes` draws."""
        return self._part("probes")

    @property
    def encoded(self) -> Part:
        """Encoded files, several in a batch; an answer for each file."""
        return self._part("encoded")

    @property
    def tried(self) -> Part:
        """The inputs of a trial."""
        return self._part("tried")

    @cached_property
    def mistaken(self) -> Part:
        """Coloured inputs; the answers to each are those to it and to what `probes.mistaken` makes of it."""
        part = self._part("mistaken")
        kind = self.predictor.input["kind"]
        raw = [*(example[np.newaxis] for example in self._some), *self._fitted(self._drawn[:3])]
        batches = list(map(self._with_others, raw))
        write_arrays(part.batches, itertools.chain.from_iterable(batches))
        changes = [lambda batch: batch, *probes.mistaken(kind).values()]
        with full_precision():
            answers = (self.predictor.outputs(change(one), *others) for one, *others in batches for change in changes)
            write_arrays(part.expected, itertools.chain.from_iterable(answers))
        return part

    def measured(self, trial: Trial, may_lose: float, calibrating: Sequence[np.ndarray]) -> Measured:
        """Answer a trial's inputs."""
        batches = map(self._with_others, trial.batches(self.many))
        write_arrays(self.tried.batches, itertools.chain.from_iterable(batches))
        self._write_answers(self.tried)
        before = trial.score(*(self.answers_in(self.tried) for _ in range(2)))
        return Measured(trial, before, may_lose, calibrating)

    def batched(self, examples: Sequence[np.ndarray]) -> Iterator[Batch]:
        """Examples as batches of the model."""
        cut = in_batches(at_size(examples, self.size), lambda example: example, self.many)
        return (self._with_others(np.stack(batch)) for batch in cut)

    def _part(self, name: str) -> Part:
        return Part(self.folder / f"{name}.npz", self.folder / f"{name}-expected.npz")

    def _with_others(self, batch: np.ndarray) -> Batch:
        """A batch and, for each further input of the model, weights that add to 1, as float32 (batch, values)."""
        rng = np.random.default_rng(batch.size)
        return batch, *(rng.dirichlet(np.ones(n), len(batch)).astype(np.float32) for n in self._sizes)

    def _write_plain(self, examples: Sequence[np.ndarray]) -> int:
        import tensorflow as tf

        write_arrays(self.plain.batches, itertools.chain.from_iterable(self.batched(examples)))
        try:
            self._write_answers(self.plain)
        except (ValueError, tf.errors.OpError) as error:
            raise Refused(f"the model itself fails on an example: {first_line(str(error))}") from error
        answers = list(map(_is_finite, self.answers_in(self.plain)))
        if not all(answers):
            raise Refused("the model itself answers NaN or infinity")
        return len(answers)

    def _write_answers(self, part: Part) -> None:
        with full_precision():
            answers = (self.predictor.outputs(*batch) for batch in grouped(read_arrays(part.batches), self.inputs))
            write_arrays(part.expected, itertools.chain.from_iterable(answers))

    def _write_probes(self, examples: Sequence[np.ndarray]) -> int:
        """Probes that the model itself has no answer to, such as one of fewer pixels than it needs, are left out."""
        kept: list[tuple[Batch, Outputs]] = []
        with full_precision():
            kept += self._answered(probes.varied(examples) if self.size is None else [])
            number = len(kept)
            drawn = list(self._answered(probes.drawn(self.predictor.input)))
            self._drawn = [batch[0] for batch, _ in drawn]
            if self.size is not None:
                fitted = self._fitted(self._drawn)
                # One after another and eight at once by turns: what an interpreter kept of one must not show.
                kept += self._answered([probes.eight([*fitted, *(one[np.newaxis] for one in self._some)]), *fitted])
                kept += self._answered([probes.eight(fitted[:2])])
            else:
                kept += drawn
            if self.predictor.input["kind"] == "image" and self.size is None:
                kept += self._answered([probes.large(self._seconds_per_pixel([batch for batch, _ in kept]))])
        write_arrays(self.probes.batches, (array for batch, _ in kept for array in batch))
        write_arrays(self.probes.expected, (tensor for _, answer in kept for tensor in answer))
        return number

    def _fitted(self, batches: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Batches brought to the fixed size, where there is one."""
        return list(batches) if self.size is None else [np.stack(at_size(batch, self.size)) for batch in batches]

    def _answered(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Batch, Outputs]]:
        import tensorflow as tf

        for batch in map(self._with_others, batches):
            with contextlib.suppress(ValueError, tf.errors.OpError):
                answer = self.predictor.outputs(*batch)
                if _is_finite(answer) and self._steady(batch, answer):
                    yield batch, answer

    def _steady(self, batch: Batch, answer: Outputs) -> bool:
        """Whether rounding alone cannot tell runtimes apart, as it does where the maps of a picture are normalised by
        a deviation of nearly 0, those of a single pixel or of equal ones."""
        if not self.predictor.kind.amplifies:
            return True
        if batch[0].shape[1:3] == (1, 1) and any(
            isinstance(layer, StyleNormalization) for layer in every_layer(self.predictor.model)
        ):
            return False
        nudges = NUDGE * np.random.default_rng(0).choice([-1.0, 1.0], batch[0].shape)
        nudged = self.predictor((batch[0] + nudges).astype(np.float32), *batch[1:])
        return float(np.abs(nudged - answer[0]).max()) <= MOST_GAIN * NUDGE

    def _seconds_per_pixel(self, batches: Sequence[Batch]) -> float:
        if not batches:
            return float("inf")
        most = max(batches, key=lambda batch: batch[0].size)
        start = time.perf_counter()
        self.predictor(*most)
        return (time.perf_counter() - start) / (most[0].size / 3)

    def _write_encoded(self, examples: Sequence[np.ndarray]) -> None:
        """Two inputs in every kind of file, others and examples in one kind each; the answers are those to what Pillow
        and the standard library read in them."""
        kinds, rate = serving.FILES[self.predictor.input["kind"]], self.predictor.input.get("sample_rate")
        small = [batch[-1] for batch in self._drawn[:4]]
        some = [cut(example) for example in spread(examples, ENCODED_EXAMPLES)]
        chosen = [(one, kind) for one in small[:2] for kind in kinds] + [(one, kinds[0]) for one in small[2:]]
        chosen += list(zip(some, itertools.cycle(kinds), strict=False))
        files = [serving.encoded(one, rate, kind) for one, kind in chosen]
        half = 1 + len(files) // 2
        groups = [group for group in (files[:1], files[1:half], files[half:]) if group]
        batches = [self._with_others(packed([content for content, _ in group])) for group in groups]
        write_arrays(self.encoded.batches, itertools.chain.from_iterable(batches))
        with full_precision():
            answers = (
                self.predictor.outputs(raw[np.newaxis], *(other[place : place + 1] for other in others))
                for group, (_, *others) in zip(groups, batches, strict=True)
                for place, (_, raw) in enumerate(group)
            )
            write_arrays(self.encoded.expected, itertools.chain.from_iterable(answers))

    def encoded_batches(self) -> Iterator[int]:
        """How many files each batch of `encoded` has."""
        every = read_arrays(self.encoded.batches)
        return (len(unpacked(contents)) for contents in itertools.islice(every, 0, None, self.inputs))


def grouped(arrays: Iterable[np.ndarray], number: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Consecutive arrays, so many together: the inputs or the outputs of a batch."""
    return zip(*[iter(arrays)] * number, strict=True)


def at_size(examples: Iterable[np.ndarray], size: tuple[int, ...] | None) -> list[np.ndarray]:
    """Examples brought to a fixed size, of many large ones some; as they are where there is none."""
    every = list(examples)
    if size is None:
        return every
    most = FIXED_VALUES // math.prod((*size, *every[0].shape[len(size) :]))
    return [probes.fitted(one, size) for one in spread(every, max(most, probes.EIGHT))]


def spread(examples: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """Up to `most` of them, from first to last."""
    return list(examples[:: -(-len(examples) // most)])


def cut(example: np.ndarray) -> np.ndarray:
    """The middle of a picture, or the beginning of a sound, where it is large."""
    if example.ndim == 1:
        return example[:ENCODED_VALUES]
    side = int((ENCODED_VALUES / 3) ** 0.5)
    height, width = example.shape[:2]
    top, left = max(height - side, 0) // 2, max(width - side, 0) // 2
    return example[top : top + side, left : left + side]


def _is_finite(answer: Outputs) -> bool:
    return all(np.isfinite(tensor).all() for tensor in answer)


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Keras answers without TensorFloat-32: it rounds to 10 bits on recent GPUs, and that would be the difference."""
    from tensorflow.config import experimental

    before = experimental.tensor_float_32_execution_enabled()
    experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        experimental.enable_tensor_float_32_execution(before)
