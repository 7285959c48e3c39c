"""What every set of labelled pictures has in common: splits, labels, and what was left out of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.data import images
from convmedia.data.errors import InputError


class Files(Sequence):
    """Pictures in files, decoded completely when they are read: uint8 (height, width, 3) of any size."""

    def __init__(self, paths: Iterable[Path]):
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        return images.decode(self.paths[index])


@dataclass(frozen=True)
class Labelled:
    """A set of labelled pictures.

    Attributes:
        labels: names; the splits' `truth`, int64 (n,), counts in them.
        train, validation, test: each has `pictures`, a sequence of raw ones, `truth` and a length.
        digest: SHA-256 over labels, contents and splits.
        bad, duplicates, warnings: as of `folders.Scan`.
    """

    noun = "picture"

    name: str
    labels: tuple[str, ...]
    train: Any
    validation: Any
    test: Any
    digest: str
    bad: Sequence[tuple[Path, str]] = ()
    duplicates: Sequence[tuple[Path, Path]] = ()
    warnings: Sequence[str] = ()

    def required(self, *splits: str):
        """The same set, if none of `splits` is empty.

        Raises:
            InputError: one is; where to put pictures.
        """
        for split in splits:
            if not len(getattr(self, split)):
                raise InputError(
                    f"{self.name} has no {self.noun} for {split}: give every class at least three, or a folder {split}/"
                )
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        counts = {split: len(getattr(self, split)) for split in ("train", "validation", "test")}
        left_out = {"left_out": len(self.bad), "duplicates": len(self.duplicates)}
        return {"name": self.name, **counts, **left_out, "digest": self.digest}


def truth_in(labels: Sequence[str], data: Labelled) -> np.ndarray:
    """The truth of a set's test split, counted in a model's labels.

    Raises:
        InputError: the set has a label that the model does not know.
    """
    unknown = sorted(set(data.labels) - set(labels))
    if unknown:
        raise InputError(f"{data.name} has the label {unknown[0]!r}, the model knows {', '.join(labels)}")
    return np.array([labels.index(label) for label in data.labels])[data.test.truth]
