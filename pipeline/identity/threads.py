"""The processors this process may use, and work spread over them: compiled loops and FAISS need no lock of Python's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock
from typing import TypeVar

Task = TypeVar("Task")
Worker = TypeVar("Worker")
Result = TypeVar("Result")


def n_threads() -> int:
    """Return how many threads to work with: the processors given to this process, or $OMP_NUM_THREADS if fewer."""
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return min(given, int(wished)) if wished.isdigit() and int(wished) > 0 else given


def in_parts(work: Callable[[slice], None], n_rows: int, *, least: int = 1) -> None:
    """Call `work` for consecutive slices that cover n_rows, at once where there are processors; `least` rows each."""
    parts = min(n_threads(), max(1, n_rows // least))
    bounds = [n_rows * part // parts for part in range(parts + 1)]
    slices = [slice(a, b) for a, b in pairwise(bounds)]
    if parts == 1:
        work(slices[0])
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, slices))


def deal(work: Callable[[Worker, Task], Result], tasks: Iterable[Task], workers: list[Worker]) -> list[Result]:
    """Let every worker, each in a thread of its own, take the next task until none is left; results in their order.

    Tasks are made one at a time, as they are taken, so that an iterator may hold what only a few of them need.
    """
    coming, lock = enumerate(tasks), Lock()
    results: dict[int, Result] = {}

    def taken() -> Iterator[tuple[int, Task]]:
        while True:
            with lock:
                following = next(coming, None)
            if following is None:
                return
            yield following

    def run(worker: Worker) -> None:
        for place, task in taken():
            results[place] = work(worker, task)

    with ThreadPoolExecutor(len(workers)) as pool:
        list(pool.map(run, workers))
    return [results[place] for place in sorted(results)]
