"""Examples into splits, the same for pictures, digits, sounds and tables: what belongs together stays on one side.

Files of one content count once. Files that nearly equal each other (`near_duplicates`) and files of one group (a
speaker, a patient, a recording) are a cluster, and a cluster goes into one split, by content, so that it stays there
whatever is added, renamed or moved.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from convmedia.data.splits import stratifying
from convmedia.data.splits.layouts import SPLITS
from convmedia.data.splits.near_duplicates import Likeness, candidates
from convmedia.data.storage.files import shown
from convmedia.data.storage.text import plural

TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1

FEW_FILES = 10  # fewer than this for training, and a class is warned of
MOST_UNEQUAL = 10  # more times as many files for training in one class than in another are warned of
NAMED = 5  # most pairs, and most groups, that warnings name one by one


@dataclass(frozen=True)
class Example:
    """One file that can be used.

    Attributes:
        labels: indices into the set's labels; more than one where a file may have several.
        digest: SHA-256 of its content.
        split: "train", "validation" or "test"; "" where it is not told.
        group: name of what its relatives share, "" for none.
        fingerprint: of `fingerprints`, b"" for none.
        place: SHA-256 that decides its split instead of `digest`.
        value: the number that is learned; then `labels` hold the range of numbers that it lies in.
    """

    path: Path
    labels: tuple[int, ...]
    digest: str
    split: str = ""
    group: str = ""
    fingerprint: bytes = b""
    place: str = ""
    value: float | None = None

    @property
    def label(self) -> int:
        return self.labels[0]

    @property
    def truth(self) -> tuple[tuple[int, ...], float | None]:
        """What is said of it: labels and number."""
        return self.labels, self.value

    @property
    def decides(self) -> str:
        """The SHA-256 that decides its split: of its group's name, or of its content."""
        return hashed(self.group) if self.group else self.place or self.digest


class NearDuplicate(NamedTuple):
    """A file and one that it nearly equals; `left_out` where splits are told and the other one is held out."""

    path: Path
    like: Path
    left_out: bool


class Divided(NamedTuple):
    """What became of examples: those that are used, sorted by path, and what was found on the way."""

    examples: list[Example]
    duplicates: list[tuple[Path, Path]]
    near: list[NearDuplicate]
    conflicting: list[tuple[Path, str]]
    warnings: list[str]


def divided(
    examples: Iterable[Example],
    *,
    given: bool,
    validation: bool,
    likeness: Likeness | None,
    test: bool | None = None,
    fold: str | None = None,
    labels: Sequence[str] = (),
) -> Divided:
    """Examples with their splits.

    Of one content one file is kept, test before validation before training; none where its labels differ.

    Where nothing tells the splits, every cluster has a number: the first 8 bytes of the SHA-256 of its group's name, or
    the smallest of its files' contents, as a fraction of 2^64. Below 0.1 it is test, below 0.2 validation, else
    training. In classes with few clusters the smallest numbers are taken instead: each class has one cluster in
    training, and of 3 or more one each in validation and test. Clusters of several labels are placed first.

    Where the splits are told, the test split stays whole; a file for training or validation that nearly equals one for
    test, and a file for training that nearly equals one for validation, is left out. Without told validation a tenth
    of the training clusters becomes it, and likewise without told test.

    Args:
        given: whether training and another split are told.
        validation: whether validation is told, too.
        likeness: how files are compared; None finds exact duplicates only.
        test: whether test is told; None where it is if training is.
        fold: of `stratifying.FOLDS`, which decide in place of the rules above: whatever splits are told, all examples
            are pooled, and this fold is for test.
        labels: names, for messages.

    Raises:
        InputError: a label is too rare for folds.
    """
    if fold is not None:
        examples, given, validation, test = [replace(example, split="") for example in examples], False, False, False
    told = {"test": given if test is None else test, "validation": validation}
    kept, duplicates, conflicting = _unique(examples)
    kept.sort(key=lambda example: example.path)
    pairs = _near_pairs(kept, likeness) if likeness else []
    leaks = {pair[0]: pair[1] for pair in (_weaker_first(kept, *pair) for pair in pairs) if _apart(kept, *pair)}
    near = [NearDuplicate(kept[i].path, kept[j].path, left_out=True) for i, j in leaks.items()]
    together = [(i, j) for i, j in pairs if not _apart(kept, i, j)]
    near += [NearDuplicate(kept[j].path, kept[i].path, left_out=False) for i, j in together if not {i, j} & {*leaks}]
    numbers = _clusters(kept, together)
    clusters: dict[int, list[Example]] = defaultdict(list)
    placed = []
    for i, example in enumerate(kept):
        if i not in leaks and (all(told.values()) or told.get(example.split, False)):
            placed.append(example)
        elif i not in leaks:
            clusters[int(numbers[i])].append(example)
    shares = (0.0 if told["test"] else TEST_SHARE, 0.0 if validation else VALIDATION_SHARE)
    together_placed = sorted(clusters.values(), key=_key)
    placed += _in_fold(together_placed, fold, labels) if fold else _placed(together_placed, *shares)
    placed.sort(key=lambda example: example.path)
    warnings = [*_other_labels(kept, pairs), *_near_lines(near), *_torn(placed)]
    return Divided(placed, sorted(duplicates), sorted(near), conflicting, warnings)


def held_out(examples: Iterable[Example], number: int, likeness: Likeness) -> tuple[list[Example], list[Example]]:
    """At least `number` examples without labels for validation, and the others; near duplicates stay together.

    The clusters with the smallest SHA-256 are held out; one at least is left for training. Both are sorted by content.
    """
    kept = sorted(examples, key=lambda example: example.digest)
    numbers = _clusters(kept, _near_pairs(kept, likeness))
    clusters: dict[int, list[Example]] = defaultdict(list)
    for cluster, example in zip(numbers.tolist(), kept, strict=True):
        clusters[cluster].append(example)
    validation: list[Example] = []
    *ahead, last = sorted(clusters.values(), key=_key)
    rest = list(last)
    for cluster in ahead:
        (validation if len(validation) < number else rest).extend(cluster)
    rest.sort(key=lambda example: example.digest)
    return sorted(validation, key=lambda example: example.digest), rest


def _unique(examples: Iterable[Example]) -> tuple[list[Example], list[tuple[Path, Path]], list[tuple[Path, str]]]:
    """One example per content; the duplicates with the one kept; and contents under several labels, with reasons."""
    same: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        same[example.digest].append(example)
    kept, duplicates, conflicting = [], [], []
    for copies in same.values():
        copies.sort(key=lambda example: (-_rank(example), example.path))
        if len({example.truth for example in copies}) == 1:
            kept.append(copies[0])
            duplicates += [(example.path, copies[0].path) for example in copies[1:]]
            continue
        for example in copies:
            other = next(member.path for member in copies if member.truth != example.truth)
            what = "another label" if example.value is None else "another number"
            conflicting.append((example.path, f"has the content of {shown(other)}, which has {what}"))
    return kept, duplicates, conflicting


def _rank(example: Example) -> int:
    """Test over validation over training."""
    return SPLITS.index(example.split) if example.split else 0


def _apart(examples: Sequence[Example], one: int, other: int) -> bool:
    return examples[one].split != examples[other].split


def _weaker_first(examples: Sequence[Example], one: int, other: int) -> tuple[int, int]:
    return (one, other) if _rank(examples[one]) < _rank(examples[other]) else (other, one)


def _near_pairs(examples: Sequence[Example], likeness: Likeness) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of examples that nearly equal each other: as many as tell the clusters and what leaks."""
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    pairs, leaking = [], set()
    for i, j in candidates(likeness, [example.fingerprint for example in examples]):
        apart, weaker = _apart(examples, i, j), _weaker_first(examples, i, j)[0]
        if weaker in leaking if apart else root(i) == root(j):
            continue
        if likeness.same(likeness.detail(examples[i].path), likeness.detail(examples[j].path)):
            pairs.append((i, j))
            if apart:
                leaking.add(weaker)
            else:
                parent[root(j)] = root(i)
    return pairs


def _clusters(examples: Sequence[Example], pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """The number of each example's cluster: int (n,)."""
    first: dict[str, int] = {}
    links = [*pairs, *((first.setdefault(e.group, i), i) for i, e in enumerate(examples) if e.group)]
    rows, columns = np.array(links, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(examples),) * 2)
    return connected_components(graph, directed=False)[1] if len(examples) else np.zeros(0, int)


def _in_fold(clusters: list[list[Example]], fold: str, labels: Sequence[str]) -> list[Example]:
    """The examples of sorted clusters with their splits, where a fold is tested on."""
    found = stratifying.splits([[example.labels for example in cluster] for cluster in clusters], fold, labels)
    return [
        replace(example, split=split) for cluster, split in zip(clusters, found, strict=True) for example in cluster
    ]


def _placed(clusters: list[list[Example]], test: float, validation: float) -> list[Example]:
    """The examples of sorted clusters with their splits, as `divided` tells."""
    labels = [{label for example in cluster for label in example.labels} for cluster in clusters]
    number = Counter(label for found in labels for label in found)
    held: dict[int, Counter[str]] = defaultdict(Counter)
    split_of: dict[int, str] = {}

    def put(at: int, split: str) -> None:
        split_of[at] = split
        for label in labels[at]:
            held[label][split] += 1

    mixed = [at for at, found in enumerate(labels) if len(found) > 1]
    own = {label: [at for at, found in enumerate(labels) if found == {label}] for label in number}
    needed = len(mixed) >= 3 and any(len(places) < 3 for places in own.values())
    least = [needed and test > 0, needed and validation > 0]
    tests, edge = _edges([_fraction(_key(clusters[at])) for at in mixed], test, validation, (least[0], least[1]), 1)
    for index, at in enumerate(mixed):
        rest = min(number[label] - held[label]["test"] - held[label]["validation"] for label in labels[at])
        put(at, "train" if rest < 2 or index >= edge else "test" if index < tests else "validation")
    for label, places in own.items():
        open_splits = {"test": test, "validation": validation}
        least = [number[label] >= 3 and share > 0 and not held[label][name] for name, share in open_splits.items()]
        fractions = [_fraction(_key(clusters[at])) for at in places]
        tests, edge = _edges(fractions, test, validation, (least[0], least[1]), 0 if held[label]["train"] else 1)
        for index, at in enumerate(places):
            put(at, "test" if index < tests else "validation" if index < edge else "train")
    return [replace(example, split=split_of[at]) for at, cluster in enumerate(clusters) for example in cluster]


def _key(cluster: list[Example]) -> str:
    """The SHA-256 that decides where a cluster goes: the smallest of its groups' names, or else of its contents."""
    grouped = [example for example in cluster if example.group]
    return min(example.decides for example in grouped or cluster)


def _edges(
    fractions: list[float], test: float, validation: float, least: tuple[bool, bool], training: int
) -> tuple[int, int]:
    """How many of the sorted fractions go to test, and how many to test and validation together.

    Args:
        least: whether test, and whether validation, needs one.
        training: how many must be left.
    """
    tests = 0
    if test:
        tests = max(int(least[0]), _below(fractions, test))
        tests = min(tests, max(len(fractions) - training - least[1], 0))
    edge = max(tests + least[1], _below(fractions, test + validation))
    return tests, max(min(edge, len(fractions) - training), 0)


def _below(fractions: Iterable[float], edge: float) -> int:
    return sum(fraction < edge for fraction in fractions)


def _fraction(content: str) -> float:
    """A SHA-256 as a number in 0..1, from its first 8 bytes."""
    return math.ldexp(int(content[:16], 16), -64)


def hashed(name: str) -> str:
    """SHA-256 of a name, as 64 hexadecimal digits."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def few(labels: Sequence[str], examples: Iterable[Example]) -> Iterator[str]:
    """Lines on classes that are small in all or beside others."""
    counts = Counter(labels[label] for e in examples if e.split == "train" for label in e.labels)
    (most, highest), *_, (least, lowest) = counts.most_common()
    for label in labels:
        if counts[label] < FEW_FILES:
            yield f"{label} has {plural(counts[label], 'file')} for training; give each class {FEW_FILES} or more"
    if highest > MOST_UNEQUAL * lowest:
        yield f"{most} has {highest:,} files for training, {least} {lowest:,}: more than {MOST_UNEQUAL} to 1"


def _near_lines(near: Sequence[NearDuplicate]) -> Iterator[str]:
    out = sum(one.left_out for one in near)
    if out:
        yield f"left out because they nearly equal a file that is held out for validation or test: {out:,}"
    if len(near) > out:
        yield f"files that nearly equal another one, and are in one split with it: {len(near) - out:,}"


def _other_labels(examples: Sequence[Example], pairs: Sequence[tuple[int, int]]) -> Iterator[str]:
    odd = [(examples[i], examples[j]) for i, j in pairs if examples[i].labels != examples[j].labels]
    for one, other in odd[:NAMED]:
        yield f"{shown(other.path)} nearly equals {shown(one.path)}, which has another label; look at both"
    if len(odd) > NAMED:
        yield f"{len(odd):,} pairs of files nearly equal each other under different labels"


def _torn(examples: Iterable[Example]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        if example.group:
            splits[example.group].add(example.split)
    torn = [name for name, found in sorted(splits.items()) if len(found) > 1]
    for name in torn[:NAMED]:
        where = " and ".join(split for split in SPLITS if split in splits[name])
        yield f"the group {shown(name)} is in {where}, as the splits are told; keep it in one"
    if len(torn) > NAMED:
        yield f"{len(torn):,} groups are in several splits, as the splits are told"
