"""Asking an exported file in its own runtime, in place of the model that it was proved to answer as."""

from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convmedia.data.storage.errors import InputError
from convmedia.models.description import Described
from convmedia.models.inference.file_predictor import FilePredictor
from convmedia.models.inference.sessions import RUNTIMES, Session
from convmedia.models.kind import Outputs


class Facts(Protocol):
    """What is asked of the archive of the model, as `saving.archive.Archive` has it."""

    path: Path
    answer: Any

    @property
    def classes(self) -> set[str]: ...

    @property
    def resizes_to(self) -> tuple[int, int] | None: ...

    @property
    def beside(self) -> list[int]: ...

    @property
    def most_filters(self) -> int | None: ...

    @property
    def reach_px(self) -> int: ...

    @property
    def hop_samples(self) -> int: ...

    def describe(self, digest: str) -> dict[str, Any]: ...


class ExportedPredictor(FilePredictor):
    """A proved export of a model; it answers what the model answers, within the tolerance of its kind.

    Args:
        facts: of the model.
        runtime: a name of `RUNTIMES`.
        session: of the file, where it is open.

    Attributes:
        file: the exported file.
    """

    def __init__(self, facts: Facts, runtime: str, file: Path, session: Session | None = None):
        answer: Described = facts.answer
        super().__init__(answer, facts.path)
        self.facts, self.runtime, self.file = facts, runtime, file
        self._ready = session

    @cached_property
    def _session(self) -> Session:
        return self._ready or RUNTIMES[self.runtime](self.file)

    @property
    def shrinks(self) -> bool:
        return not self.facts.classes.isdisjoint({"Resize", "FindInk"})

    @property
    def resizes_to(self) -> tuple[int, int] | None:
        return self.facts.resizes_to if self._session.takes == np.float32 else None

    @property
    def finds_ink(self) -> bool:
        return "FindInk" in self.facts.classes

    @property
    def beside(self) -> list[int]:
        return self.facts.beside

    @property
    def most_filters(self) -> int | None:
        return self.facts.most_filters

    @property
    def reach_px(self) -> int:
        return self.facts.reach_px

    @property
    def hop_samples(self) -> int:
        return self.facts.hop_samples

    def window_scores(self, windows: np.ndarray, heard: np.ndarray) -> np.ndarray:
        # A sound that is no longer than a window has that window's scores; each by itself, so that none depends on
        # what comes beside it.
        found = [self._answers([one[np.newaxis, :samples]])[0] for one, samples in zip(windows, heard, strict=True)]
        return np.concatenate(found)

    def _answers(self, given: list[np.ndarray]) -> Outputs:
        raw, *others = given
        require_size(raw, self._session.size, self.file)
        wanted = self._session.takes
        taken = raw.astype(wanted, copy=False) if wanted == np.float32 else whole_numbers(raw, self.file)
        return self._session.run([np.ascontiguousarray(taken), *others])

    def describe(self) -> dict[str, Any]:
        assert self.digest is not None
        return self.facts.describe(self.digest)


def require_size(batch: np.ndarray, size: tuple[int | None, ...], file: Path) -> None:
    """Refuse what an exported file of a fixed size does not take: brought to its size, it would be another input.

    Args:
        batch: (n, ...). size: of what goes into the file, without the batch; free sizes are None.

    Raises:
        InputError: the batch is of another size.
    """
    if any(fixed not in (None, found) for fixed, found in zip(size, batch.shape[1:], strict=True)):
        shapes = [", ".join(map(str, shape)) for shape in (size, batch.shape[1:])]
        raise InputError(f"{file.name} was exported for inputs ({shapes[0]}) alone; received ({shapes[1]})")


def whole_numbers(pictures: np.ndarray, file: Path) -> np.ndarray:
    """Pictures as uint8, which most exported files take.

    Raises:
        InputError: they hold other numbers, such as those of 16 bits.
    """
    if pictures.dtype == np.uint8:
        return pictures
    whole = np.clip(np.round(pictures), 0, 255).astype(np.uint8)
    if not np.array_equal(whole, pictures):
        raise InputError(f"{file.name} takes pictures of 8 bits, and this one has more; give --engine-runtime keras")
    return whole
