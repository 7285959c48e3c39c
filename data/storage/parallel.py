"""The same work on many files, in several threads."""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from convmedia.data.storage import memory

Item = TypeVar("Item")
Result = TypeVar("Result")

CGROUP = Path("/sys/fs/cgroup")


def processors(cgroup: Path = CGROUP) -> int:
    """How many processors this process may use: those that it is bound to, within its group's quota."""
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return number
    return number if quota == "max" else max(1, min(number, math.ceil(int(quota) / int(period))))


THREADS = min(8, processors())
AHEAD = 64 * THREADS
"""Results of millions never pile up: more than so many wait for nobody."""


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int = AHEAD,
    weigh: Callable[[Item], int] | None = None,
    most: int = 0,
) -> Generator[Result, None, None]:
    """`work(item)` for each item, in order. Worth it where `work` reads files, or decodes with Pillow.

    Args:
        ahead: how many items are given to the threads before the first result is taken.
        weigh: what an item takes, such as pixels; called in the threads.
        most: what items that are worked on, and results that wait, may take together; the one that is asked for is
            worked on whatever it takes.

    An exception, and a reader that stops reading, ends the work within the items that are under way.
    """
    upcoming, scales = enumerate(items), _Scales(most)

    def weighed(number: int, item: Item) -> tuple[Result, int]:
        weight = weigh(item) if weigh else 0
        scales.put(number, weight)
        return work(item), weight

    memory.reused_by_malloc()
    pool = ThreadPoolExecutor(THREADS)
    waiting: deque[Future[tuple[Result, int]]] = deque()
    try:
        waiting.extend(pool.submit(weighed, number, item) for number, item in islice(upcoming, ahead))
        while waiting:
            result, weight = waiting.popleft().result()
            scales.take(weight)
            yield result
            del result  # the reader's alone, while the next one is waited for
            waiting.extend(pool.submit(weighed, number, item) for number, item in islice(upcoming, 1))
    finally:
        scales.over()
        pool.shutdown(cancel_futures=True)


class _Scales:
    """Holds items back while those before them take too much. Threads come to it in the order of the items."""

    def __init__(self, most: int):
        self.most, self.held, self.asked, self.ended = most, 0, 0, False
        self.changed = threading.Condition()

    def put(self, number: int, weight: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.ended or number <= self.asked or self.held + weight <= self.most)
            if self.ended:
                raise CancelledError
            self.held += weight

    def take(self, weight: int) -> None:
        with self.changed:
            self.held -= weight
            self.asked += 1
            self.changed.notify_all()

    def over(self) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()
