"""What every set of labelled pictures has in common: splits, labels, and what was left out of it."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from convmedia.data.folders.scan import Scan
from convmedia.data.images import decoding
from convmedia.data.splits.layouts import SPLITS
from convmedia.data.splits.splitting import NearDuplicate
from convmedia.data.storage.errors import InputError


class Files(Sequence):
    """Pictures in files, decoded completely when they are read: uint8 (height, width, 3) of any size."""

    def __init__(self, paths: Iterable[Path]):
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        return decoding.decode(self.paths[index])


@dataclass(frozen=True)
class Split:
    """Files of one split with the SHA-256 of each content, and their truth: int64 (n,), uint8 (n, labels) where a file
    may have several, or of numbers float64 (n,)."""

    paths: tuple[Path, ...]
    truth: np.ndarray
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def pictures(self) -> Files:
        """The raw pictures, decoded completely when they are read."""
        return Files(self.paths)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Split":
        """The files at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        return Split(tuple(self.paths[i] for i in chosen), self.truth[chosen], tuple(self.digests[i] for i in chosen))


@dataclass(frozen=True)
class Labelled:
    """A set of labelled pictures.

    Attributes:
        labels: names; the splits' `truth`, int64 (n,), counts in them.
        train, validation, test: each has `pictures`, a sequence of raw ones, `truth` and a length.
        digest: SHA-256 over labels, contents and splits.
        bad, duplicates, warnings, near, given, groups: as of `folders.Scan`.
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
    near: Sequence[NearDuplicate] = ()
    given: bool = True
    groups: Mapping[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, scan: Scan) -> Self:
        """The set that a scan found."""
        train, validation, test = (
            Split(tuple(scan.files(split)), scan.labels_of(split), tuple(scan.digests(split))) for split in SPLITS
        )
        return cls(
            name=name,
            labels=scan.labels,
            train=train,
            validation=validation,
            test=test,
            digest=scan.digest,
            bad=scan.bad,
            duplicates=scan.duplicates,
            warnings=scan.warnings,
            near=scan.near,
            given=scan.given,
            groups=scan.groups,
        )

    @property
    def several(self) -> bool:
        """Whether a file may have several labels."""
        return bool(self.train.truth.ndim == 2)

    def limited(self, limit: int | None, seed: int) -> Self:
        """The same set with at most `limit` training examples, drawn with `seed`; labels keep their shares, and every
        label keeps one example at least, where `limit` allows."""
        if limit is None or limit >= len(self.train):
            return self
        return replace(self, train=self.train.take(stratified(self.train.truth, limit, seed)))

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
    def counts(self) -> dict[str, int]:
        """Number of examples of each split, of bad files, duplicates and near duplicates; number of groups."""
        sizes = {split: len(getattr(self, split)) for split in SPLITS}
        others = {"bad": self.bad, "duplicates": self.duplicates, "near_duplicates": self.near, "groups": self.groups}
        return sizes | {name: len(found) for name, found in others.items()}

    @property
    def classes(self) -> dict[str, dict[str, int]]:
        """Number of examples of each label in each split."""
        found = {split: getattr(self, split).truth for split in SPLITS}
        counts = {
            split: truth.sum(0) if truth.ndim == 2 else np.bincount(truth, minlength=len(self.labels))
            for split, truth in found.items()
        }
        return {label: {split: int(counts[split][i]) for split in SPLITS} for i, label in enumerate(self.labels)}

    @property
    def copies(self) -> list[tuple[Path, str]]:
        """Files that are left out because of others, with the reason in words."""
        same = [(path, f"the same content as {kept}") for path, kept in self.duplicates]
        return same + [(one.path, f"nearly the same content as {one.like}") for one in self.near if one.left_out]

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        counts = {split: len(getattr(self, split)) for split in SPLITS}
        left_out = {"left_out": len(self.bad), "duplicates": len(self.duplicates)}
        left_out["near_duplicates"] = sum(one.left_out for one in self.near)
        return {"name": self.name, **counts, **left_out, "digest": self.digest}


def stratified(truth: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Indices of `limit` examples, sorted, drawn so that labels keep their shares.

    Args:
        truth: int64 (n,), or uint8 (n, labels); of several labels the first one counts, then labels that would be left
            without an example get one.
    """
    rng = np.random.default_rng(seed)
    first = truth.argmax(1) if truth.ndim == 2 else truth
    place = np.empty(len(truth))
    for label in np.unique(first):
        members = rng.permutation(np.flatnonzero(first == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[0]] = 0
    chosen = np.argsort(place, kind="stable")[:limit]
    if truth.ndim == 2 and (truth.any(0) & ~truth[chosen].any(0)).any():
        chosen = _covering(truth, place)[:limit]
    return np.sort(chosen)


def _covering(truth: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Indices of all examples in the order of `place`, those first that bring the rarest labels."""
    kept: list[int] = []
    for label in np.argsort(truth.sum(0), kind="stable"):
        members = np.flatnonzero(truth[:, label])
        if len(members) and not truth[kept, label].any():
            kept.append(int(members[place[members].argmin()]))
    return np.concatenate([np.array(kept, int), [i for i in np.argsort(place, kind="stable") if i not in kept]])


def truth_in(labels: Sequence[str], data: Labelled) -> np.ndarray:
    """The truth of a set's test split, counted in a model's labels, however Unicode composes their letters.

    Raises:
        InputError: the set has a label that the model does not know.
    """
    place = {unicodedata.normalize("NFC", label): index for index, label in enumerate(labels)}
    composed = [unicodedata.normalize("NFC", label) for label in data.labels]
    unknown = sorted(set(composed) - set(place))
    if unknown:
        raise InputError(f"{data.name} has the label {unknown[0]!r}, the model knows {', '.join(labels)}")
    return np.array([place[label] for label in composed])[data.test.truth]
