"""The same work on many files, in several threads."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = min(8, os.cpu_count() or 1)
AHEAD = 64 * THREADS
"""Results of millions never pile up: more than so many wait for nobody."""


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], ahead: int = AHEAD
) -> Generator[Result, None, None]:
    """`work(item)` for each item, in order. Worth it where `work` reads files, or decodes with Pillow.

    Args:
        ahead: how many items are given to the threads before the first result is taken.

    An exception, and a reader that stops reading, ends the work within the items that are under way.
    """
    upcoming = iter(items)
    pool = ThreadPoolExecutor(THREADS)
    try:
        waiting = deque(pool.submit(work, item) for item in islice(upcoming, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(upcoming, 1))
    finally:
        pool.shutdown(cancel_futures=True)
