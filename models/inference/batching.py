"""Streams of examples in batches of one size."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

BATCH_VALUES = 12_000_000  # most input values of one batch, 48 MB as float32: bounds memory on large pictures


def in_batches(items: Iterable[Any], array: Callable[[Any], np.ndarray | None], batch_size: int) -> Iterator[list[Any]]:
    """Cut a stream into lists of consecutive items whose arrays have one shape, bounded in number and in values.

    Args:
        items: anything, taken one by one.
        array: gives an item's array, or None for an item that fits into any batch.
        batch_size: most items of a list; large arrays come in fewer, at least one (`BATCH_VALUES`).
    """
    batch: list[Any] = []
    shape: tuple[int, ...] | None = None
    values = 0
    for item in items:
        example = array(item)
        size = 0 if example is None else example.size
        other = example is not None and shape not in (None, example.shape)
        large = values > 0 and size > 0 and values + size > BATCH_VALUES
        if batch and (other or large or len(batch) == batch_size):
            yield batch
            batch, shape, values = [], None, 0
        batch.append(item)
        values += size
        shape = shape if example is None else example.shape
    if batch:
        yield batch
