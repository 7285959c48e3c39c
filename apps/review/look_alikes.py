"""Altered copies in a set of pictures: cut, mirrored, turned a little, recoloured, resized or encoded anew.

What a network trained on ImageNet makes of pictures tells which pairs may be of one picture; these are laid on each
other and compared (`data.splits.registration`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from convmedia.data.images import decoding
from convmedia.data.splits import registration
from convmedia.data.splits.registration import Registered, Small
from convmedia.data.storage.parallel import in_order

NEAREST, FIRST, FURTHER = 4, 0.3, 0.6
"""Of each picture the nearest is compared from a similarity of 0.3 on, the next three from 0.6 on. Measured on altered
copies of photos, which are nearest from one side at least: 0.34 and more."""

FEW = 64
"""So few pictures say too little of what they have in common: their nearest are compared whatever the similarity."""

LIKENESS, LARGER_SHARE, SMALLER_SHARE = 0.75, 0.6, 0.2
"""From which correlation of detail, and which shares of the two pictures, they are of one picture. Measured: 0.85 and
more for copies, up to 0.66 for different photos where the shares are as large."""

_LOADED = 64  # pictures that are kept ready for the next pairs


@dataclass(frozen=True)
class LookAlike:
    """Two files of one picture.

    Attributes:
        first, second: indices of the files.
        likeness: correlation of their detail, 0..1; None for a pair that fingerprints tell and that was not laid on
            each other, such as of pictures without detail.
        how: what was done to one of them, in words.
    """

    first: int
    second: int
    likeness: float | None
    how: str


def found(
    files: Sequence[Path],
    vectors: np.ndarray,
    known: Iterable[tuple[int, int]] = (),
    update: Callable[[int, int], None] | None = None,
) -> list[LookAlike]:
    """Pairs of files of one picture, the most alike first.

    Args:
        vectors: features of the files, float32 (files, size), not negative.
        known: pairs that fingerprints tell.
        update: called with (pairs compared, pairs in all).
    """
    told = {(min(pair), max(pair)) for pair in known}
    pairs = sorted(told | set(candidates(vectors)))

    @lru_cache(_LOADED)
    def small(index: int) -> Small:
        return Small(decoding.decode(files[index], least=(registration.FINE_PX, registration.FINE_PX)))

    def compared(pair: tuple[int, int]) -> Registered | None:
        return registration.registered(small(pair[0]), small(pair[1]))

    rows = []
    for done, (pair, one) in enumerate(zip(pairs, in_order(compared, pairs), strict=True), start=1):
        if one is not None and same(one):
            rows.append(LookAlike(*pair, one.likeness, words(one)))
        elif pair in told:
            rows.append(LookAlike(*pair, None, "nearly the same fingerprint"))
        if update:
            update(done, len(pairs))
    return sorted(rows, key=lambda row: (-(row.likeness or 0.0), row.first, row.second))


def candidates(vectors: np.ndarray, rows: int = 1024) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of vectors (n, size) that are near each other and far from the rest.

    Compared are the roots of what exceeds the mean, so that no feature outweighs the others.
    """
    centred = np.sqrt(np.maximum(vectors, 0))
    centred = unit(centred - centred.mean(axis=0))
    number = len(centred)
    nearest, pairs = min(NEAREST, number - 1), set()
    for start in range(0, number, rows):
        products = centred[start : start + rows] @ centred.T
        products[np.arange(len(products)), start + np.arange(len(products))] = -np.inf
        best = np.argsort(-products, axis=1)[:, :nearest]
        for place, others in enumerate(best):
            for rank, other in enumerate(others.tolist()):
                if number <= FEW or products[place, other] >= (FURTHER if rank else FIRST):
                    pairs.add((min(start + place, other), max(start + place, other)))
    return sorted(pairs)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, size) of length 1; zeros stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def same(one: Registered) -> bool:
    """Whether what two pictures have in common makes them copies of one."""
    return one.likeness >= LIKENESS and max(one.shares) >= LARGER_SHARE and min(one.shares) >= SMALLER_SHARE


def words(one: Registered) -> str:
    """What was done to one of two pictures: "mirrored, turned by 6°, cut to 76 % of its area"."""
    parts = ["mirrored"] * one.mirrored
    if one.degrees >= 1:
        parts.append(f"turned by {one.degrees:.0f}°")
    if min(one.shares) < 0.97:
        parts.append(f"cut to {100 * min(one.shares):.0f} % of its area")
    return ", ".join(parts) or "the same view"
