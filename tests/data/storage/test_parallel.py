"""Work in threads: in order, bounded, and over when the reader stops."""

import threading
import time

import pytest

from convmedia.data.storage import parallel


def test_results_are_in_order_whatever_ends_first() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    assert list(parallel.in_order(work, range(300))) == [item * item for item in range(300)]
    assert list(parallel.in_order(work, [])) == []


def test_work_runs_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "THREADS", 3)
    together = threading.Barrier(3, timeout=10)
    assert len(list(parallel.in_order(lambda _: together.wait(), range(9)))) == 9


def test_it_never_runs_far_ahead_of_its_reader() -> None:
    begun: list[int] = []
    results = parallel.in_order(begun.append, range(1000), ahead=10)
    next(results)
    time.sleep(0.05)
    assert 1 <= len(begun) <= 11
    results.close()
    time.sleep(0.02)
    assert len(begun) <= 11


def test_an_error_comes_out_and_ends_the_work() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 5:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(parallel.in_order(work, range(100_000)))
    assert len(begun) < 10_000


def test_items_and_results_together_stay_below_what_they_may_weigh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "THREADS", 4)
    weights = [3, 4, 9, 1, 1, 30, 2, 8, 1, 5] * 3
    lock, taken, most = threading.Lock(), set(), []

    def work(number: int) -> int:
        with lock:
            taken.add(number)
            most.append([weights[one] for one in taken])
        time.sleep(0.002)
        return number

    got = []
    for number in parallel.in_order(work, range(30), 8, weights.__getitem__, 10):
        with lock:
            taken.discard(number)
        got.append(number)
    assert got == list(range(30))
    # One more than the limit may be there: the one that is asked for, beside what was let in before it.
    assert max(map(sum, most)) <= 10 + 30
    assert any(len(held) > 1 for held in most)
    assert all(sum(held) <= 10 or max(held) > 10 - sum(sorted(held)[:-1]) for held in most)


def test_what_waits_for_room_ends_with_its_reader() -> None:
    begun: list[int] = []
    results = parallel.in_order(begun.append, range(100), 8, lambda _: 7, 10)
    next(results)
    results.close()
    assert len(begun) <= 2
