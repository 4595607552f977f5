from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from pipeline.footage.prefetch import Prefetch


class Item:
    """Something whose life can be watched."""


def counting(n: int, made: list[int]):
    for i in range(n):
        made.append(i)
        yield i


def settle(made: list[int]) -> int:
    """Wait until the producer makes nothing more."""
    before = -1
    while before != len(made):
        before = len(made)
        time.sleep(0.05)
    return before


def test_nothing_gives_nothing():
    prefetch = Prefetch(counting(0, []), 2, "test")
    assert list(prefetch) == []
    assert list(prefetch) == []
    prefetch.close()


def test_order_is_kept():
    prefetch = Prefetch(counting(50, []), 3, "test")
    assert list(prefetch) == list(range(50))
    assert prefetch.most_waiting <= 3
    prefetch.close()


@pytest.mark.parametrize("depth", [1, 3])
def test_producer_stays_within_its_bound(depth):
    made: list[int] = []
    prefetch = Prefetch(counting(100, made), depth, "test")
    assert settle(made) == depth + 1  # those waiting, and one in its hands
    next(prefetch)
    assert settle(made) == depth + 2
    assert prefetch.most_waiting == depth
    prefetch.close()


def test_items_die_with_their_consumer():
    alive: list[weakref.ref] = []

    def source():
        for _ in range(20):
            item = Item()
            alive.append(weakref.ref(item))
            yield item
            del item

    prefetch = Prefetch(source(), 2, "test")
    most = 0
    for item in prefetch:  # noqa: B007
        gc.collect()
        most = max(most, sum(each() is not None for each in list(alive)))
    assert most <= 2 + 2
    prefetch.close()


def test_error_comes_after_the_items_before_it():
    def source():
        yield 1
        raise ValueError("broken")

    prefetch, seen = Prefetch(source(), 2, "test"), []
    with pytest.raises(ValueError, match="broken"):
        seen.extend(prefetch)  # extend keeps what came before the error
    assert seen == [1]
    assert list(prefetch) == []
    prefetch.close()


def test_close_ends_thread_and_source_midway():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    threads = threading.active_count()
    prefetch = Prefetch(source(), 1, "test")
    next(prefetch)
    prefetch.close()
    assert closed.is_set()
    assert threading.active_count() == threads
    assert list(prefetch) == []


def test_depth_has_to_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        Prefetch(counting(1, []), 0, "test")
