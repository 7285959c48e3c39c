"""Stratified folds for cross-validation: every label spread evenly over them, and a cluster never in two of them."""

from collections import Counter
from collections.abc import Sequence

from convmedia.data.storage.errors import InputError

FOLDS = ("1", "2", "3", "4", "5")
"""The folds of a set that has none of its own."""

VALIDATION_PARTS = 8
"""One of so many parts of what is not tested on is validation: a tenth of all examples."""

FEWEST = 3
"""Clusters that a label needs: one each for training, validation and test."""

Cluster = Sequence[Sequence[int]]
"""The labels of each example of a cluster, in which no example may be parted from the others."""


def splits(clusters: Sequence[Cluster], fold: str, labels: Sequence[str] = ()) -> list[str]:
    """The split of each cluster where a fold is tested on: "train", "validation" or "test".

    Every cluster is for test in exactly one of `FOLDS`. Where the examples of a cluster have one label, any two folds
    differ in no label by more than its largest cluster.

    Args:
        clusters: in an order that follows from their contents only, from which what is equal is taken in turn.
        fold: one of `FOLDS`.
        labels: names, for messages.

    Raises:
        InputError: a label has fewer than three clusters.
    """
    number = Counter(label for cluster in clusters for label in {label for example in cluster for label in example})
    few = [label for label in sorted(number) if number[label] < FEWEST]
    if few:
        name = labels[few[0]] if labels else str(few[0])
        raise InputError(
            f"{name} has {number[few[0]]} examples that are neither near duplicates nor of one group: folds need "
            f"{FEWEST} or more of each label; add some or remove the label"
        )
    tested = spread(clusters, len(FOLDS))
    at = FOLDS.index(fold)
    rest = [index for index, part in enumerate(tested) if part != at]
    found = ["test"] * len(clusters)
    held = validation([clusters[index] for index in rest])
    for index, is_held in zip(rest, held, strict=True):
        found[index] = "validation" if is_held else "train"
    return found


def spread(clusters: Sequence[Cluster], parts: int) -> list[int]:
    """The part, 0 to `parts` - 1, of each cluster.

    Clusters of several labels come first, those of the rarest label before others, then large ones before small ones.
    Each goes where there is least of its labels, among such parts where there are fewest examples.
    """
    counts = [Counter(label for example in cluster for label in example) for cluster in clusters]
    total = sum(counts, Counter())
    held: list[Counter[int]] = [Counter() for _ in range(parts)]
    sizes = [0] * parts
    found = [0] * len(clusters)

    def order(index: int) -> tuple[bool, int, int]:
        several = len(counts[index]) > 1
        return not several, min(total[label] for label in counts[index]) if several else 0, -len(clusters[index])

    def load(part: int, own: Counter[int]) -> float:
        return sum(number * held[part][label] / total[label] for label, number in own.items())

    for index in sorted(range(len(clusters)), key=order):
        own = counts[index]
        chosen = min(range(parts), key=lambda part: (load(part, own), sizes[part], part))
        found[index] = chosen
        held[chosen].update(own)
        sizes[chosen] += len(clusters[index])
    return found


def validation(clusters: Sequence[Cluster]) -> list[bool]:
    """Whether each cluster is for validation: one of eight parts, and of each label one cluster at least where another
    one is left for training."""
    held = [part == VALIDATION_PARTS - 1 for part in spread(clusters, VALIDATION_PARTS)]
    labels = [{label for example in cluster for label in example} for cluster in clusters]
    for label in sorted({label for found in labels for label in found}):
        own = [index for index, found in enumerate(labels) if label in found]
        of_split = {side: [index for index in own if held[index] is side] for side in (True, False)}
        for side in (True, False):
            others = of_split[not side]
            if not of_split[side] and len(others) > 1:
                held[min(others, key=lambda index: (len(labels[index]), len(clusters[index])))] = side
        if len(own) == 1:
            held[own[0]] = False
    return held
