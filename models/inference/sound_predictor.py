"""Asking a model of sounds: files of any length and streams, window by window in flat memory.

The answer to a sound is the mean over its windows, each counted by its energy, as the saved file computes it
(`data.silence`); here windows of several sounds go through the network together, and of a long one no more than a batch
is held. A sound without anything to be heard gets no label.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convmedia.data.audio import decoding, silence
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.models.inference.file_predictor import FilePredictor, no_number

BATCH = 24  # windows that are held


class Window(NamedTuple):
    """A cut of a sound: from `start` on, float32 (size,), of which `heard` samples are sound and the rest 0.

    `listed` ones are what `--every` asks for, the others make the answer.
    """

    start: int
    samples: np.ndarray
    heard: int
    listed: bool


@dataclass
class Sound:
    """One sound under way: what its windows add up to.

    Attributes:
        name: the file, as it is named in the row.
        mean: of the scores of its windows.
        samples: how many came.
        audible: whether something is to be heard in a window of the answer.
        loudest_db: root mean square of the loudest 25 ms of it, dB of full scale.
        loudest: energy of the loudest window so far.
        windows: rows of `--every`.
        faint: energy of each of their windows where it is as loud all the time, else infinity.
    """

    name: str
    mean: silence.MeanByEnergy
    samples: int = 0
    audible: bool = False
    loudest_db: float = -200.0
    loudest: float = 0.0
    windows: list[dict[str, Any]] = field(default_factory=list)
    faint: list[float] = field(default_factory=list)
    error: str | None = None

    @property
    def silent(self) -> str:
        """What is said of a sound in which nothing is to be heard."""
        level = f"its loudest 25 ms are at {self.loudest_db:.0f} dB of full scale, the rest is hardly quieter"
        found = level if self.loudest_db > 10 * np.log10(silence.LEAST_POWER) else "all its samples are as good as 0"
        return f"{shown(self.name)} is silent ({found}); record it at a higher level"


def cut(
    blocks: Iterable[np.ndarray], size: int, every: int | None = None, live: bool = False, hop: int | None = None
) -> Iterator[Window | None]:
    """Windows of a sound that comes in blocks, as soon as each is complete; the last ones are filled up with zeros.

    Args:
        size: samples of a window.
        every: samples from one listed window's start to the next, until one reaches the end; None lists none.
        live: give None after the windows of each block, before the next one is waited for.
        hop: the same for windows of the answer; None lets them lie one after the other.
    """
    steps = [hop or size] if every is None else [hop or size, every]
    ahead = [0] * len(steps)
    buffer, origin = np.zeros(0, np.float32), 0

    def ready(complete: bool) -> Iterator[Window]:
        nonlocal buffer, origin
        end = origin + len(buffer)
        while True:
            which = min(range(len(steps)), key=lambda one: ahead[one])
            start = ahead[which]
            if start >= end if complete else start + size > end:
                break
            if complete and start > 0 and start - steps[which] + size >= end:
                ahead[which] = end  # the window before reaches the end
                continue
            part = buffer[start - origin : start - origin + size]
            samples = np.pad(part, (0, size - len(part)))
            yield Window(start, samples, len(part), listed=which == 1)
            ahead[which] += steps[which]
        passed = min(min(ahead) - origin, len(buffer))
        buffer, origin = buffer[passed:], origin + passed

    for block in blocks:
        buffer = np.concatenate([buffer, block])
        yield from ready(complete=False)
        if live:
            yield None
    yield from ready(complete=True)


class Listener:
    """Answers sounds with a loaded model.

    Attributes:
        predictor: the model.
        sample_rate: Hz, that it takes.
        size: samples of one of its windows.
        hop: samples from one window of the answer to the next.
    """

    def __init__(self, predictor: FilePredictor):
        self.predictor = predictor
        self.sample_rate = int(predictor.input["sample_rate"])
        self.size = round(predictor.input["window_seconds"] * self.sample_rate)
        self.hop = predictor.hop_samples

    def scores(self, windows: np.ndarray, heard: np.ndarray) -> np.ndarray:
        """As `FilePredictor.window_scores`."""
        return self.predictor.window_scores(windows, heard)

    def rows(
        self,
        files: Iterable[str | Path],
        top: int | None = None,
        every_seconds: float | None = None,
        told: Callable[[str, int | str], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Answer files one after the other, in the order given.

        Args:
            top: how many labels a row names; None means five, or all where there are fewer.
            every_seconds: adds a row for each window that starts at a multiple of this.
            told: called with each file and its own sample rate, Hz, or a remark about what is done to it.

        Yields:
            {"file", "label", "score", "top": [{"label", "score"}, ...]}; of a model for several labels {"file",
            "labels": [{"label", "score"}, ...], "top"}; with `every_seconds` also "windows": [{"start", "end", "label",
            "score"}] in seconds ("labels" there too; label and score are None where nothing is to be heard); or
            {"file", "error"}, also of a sound that is silent throughout.

        Raises:
            InputError: `every_seconds` is shorter than a sample.
        """

        def blocks(file: str | Path) -> Iterator[np.ndarray]:
            name = str(file)
            return decoding.blocks(file, self.sample_rate, (lambda fact: told(name, fact)) if told else None)

        for sound, _ in self.heard(((str(file), blocks(file)) for file in files), self.step(every_seconds)):
            if sound is not None:
                yield self.row(sound, top, every_seconds is not None)

    def step(self, every_seconds: float | None) -> int | None:
        """Samples between the starts of listed windows."""
        if every_seconds is None:
            return None
        step = round(every_seconds * self.sample_rate)
        if step < 1:
            raise InputError(f"--every {every_seconds:g} is shorter than a sample; give seconds, as in --every 0.5")
        return step

    def heard(
        self,
        sounds: Iterable[tuple[str, Iterable[np.ndarray]]],
        every: int | None = None,
        live: bool = False,
        keep: bool = True,
    ) -> Iterator[tuple[Sound | None, dict[str, Any] | None]]:
        """Sounds as they are complete, and before them the rows of their listed windows: (sound, None), (None, row).

        Args:
            sounds: (name, blocks at the model's rate) each.
            live: score the windows of each block at once, in place of whole batches.
            keep: keep the rows with the sound, too.
        """
        waiting: list[tuple[Sound, Window]] = []
        begun: list[Sound] = []
        for name, blocks in sounds:
            sound = Sound(name, silence.MeanByEnergy(self.size))
            begun.append(sound)
            for window in self._cut(sound, blocks, every, live):
                if window is not None:
                    waiting.append((sound, window))
                if len(waiting) == BATCH or (live and window is None):
                    yield from ((None, row) for row in self._add(waiting, keep))
                    waiting = []
                    yield from ((begun.pop(0), None) for _ in begun[:-1])
        yield from ((None, row) for row in self._add(waiting, keep))
        yield from ((sound, None) for sound in begun)

    def _cut(
        self, sound: Sound, blocks: Iterable[np.ndarray], every: int | None, live: bool
    ) -> Iterator[Window | None]:
        """As `cut`; what is wrong with the sound ends it and becomes its error."""
        try:
            yield from cut(blocks, self.size, every, live, self.hop)
        except InputError as error:
            sound.error = str(error)

    def _add(self, waiting: list[tuple[Sound, Window]], keep: bool) -> Iterator[dict[str, Any]]:
        """Score windows, add them to their sounds; gives the rows of listed ones."""
        if not waiting:
            return
        windows = np.stack([window.samples for _, window in waiting])
        heard = np.array([window.heard for _, window in waiting], np.int32)
        for (sound, window), scores in zip(waiting, self.scores(windows, heard), strict=True):
            if not np.isfinite(scores).all():
                sound.error = no_number(shown(sound.name))
                continue
            self._take_note(sound, window)
            sounding = window.samples[: window.heard]
            if not window.listed:
                sound.mean.add(sounding, scores)
                continue
            ends = (window.start + window.heard) / self.sample_rate
            steady = silence.steady(sounding, self.sample_rate)
            faint = silence.energy(sounding) if steady else math.inf
            told = silence.audible(sounding, self.sample_rate) and not _quiet(faint, sound)
            row = {
                "start": window.start / self.sample_rate,
                "end": ends,
                **(self.named(scores) if told else self._nothing),
            }
            if keep:
                sound.windows.append(row)
                sound.faint.append(faint)
            yield row

    def _take_note(self, sound: Sound, window: Window) -> None:
        """Count a window in, but for its scores."""
        sounding = window.samples[: window.heard]
        sound.loudest = max(sound.loudest, silence.energy(sounding))
        if not window.listed:
            sound.samples = window.start + window.heard
            sound.loudest_db = max(sound.loudest_db, silence.loudest_db(sounding, self.sample_rate))
            sound.audible = sound.audible or silence.audible(sounding, self.sample_rate)

    def row(self, sound: Sound, top: int | None, windows: bool) -> dict[str, Any]:
        """What `predict` says of a complete sound."""
        if sound.error is not None:
            return {"file": sound.name, "error": sound.error}
        if not sound.audible:
            return {"file": sound.name, "error": sound.silent}
        labels, scores = self.predictor.labels or [], sound.mean.result()
        order = np.argsort(-scores, kind="stable")[: 5 if top is None else top]
        best = [{"label": labels[index], "score": float(scores[index])} for index in order]
        row = {"file": sound.name, **self.named(scores), "top": best}
        if not windows:
            return row
        # Only now it is known how loud the loudest window is.
        pairs = zip(sound.windows, sound.faint, strict=True)
        told = [{**window, **self._nothing} if _quiet(faint, sound) else window for window, faint in pairs]
        return {**row, "windows": told}

    @property
    def _nothing(self) -> dict[str, Any]:
        """What `named` gives where nothing is to be heard."""
        several = self.predictor.details.get("thresholds") is not None
        return {"labels": []} if several else {"label": None, "score": None}

    def named(self, scores: np.ndarray) -> dict[str, Any]:
        """{"label", "score"} of the best label, or {"labels": [...]} of those above their thresholds, best first."""
        labels, thresholds = self.predictor.labels or [], self.predictor.details.get("thresholds")
        order = np.argsort(-scores, kind="stable")
        if thresholds is None:
            return {"label": labels[order[0]], "score": float(scores[order[0]])}
        chosen = [index for index in order if scores[index] >= thresholds[index]]
        return {"labels": [{"label": labels[index], "score": float(scores[index])} for index in chosen]}


def _quiet(faint: float, sound: Sound) -> bool:
    """Whether a window, by its energy where it is as loud all the time, is noise beside what was heard elsewhere."""
    return faint <= silence.AT_LEAST * sound.loudest


def rows(predictor: FilePredictor, files: Iterable[str | Path], top: int | None) -> Iterator[dict[str, Any]]:
    """The rows of `Predictor.predict_rows` for a model of sounds."""
    return Listener(predictor).rows(files, top)


def scores_of(predictor: FilePredictor, files: Iterable[str | Path], progress: Callable | None = None) -> np.ndarray:
    """Scores of files, float64 (n, labels).

    Args:
        progress: called with files done.

    Raises:
        InputError: a file cannot be used.
    """
    listener = Listener(predictor)
    found = []
    sounds = ((str(file), decoding.blocks(file, listener.sample_rate)) for file in files)
    for sound, _ in listener.heard(sounds):
        assert sound is not None
        if sound.error is not None:
            raise InputError(sound.error)
        found.append(sound.mean.result())
        if progress:
            progress(len(found))
    return np.stack(found)
