from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity import threads
from pipeline.identity.threads import deal, in_parts


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("n_rows", [0, 1, 10])
def test_parts_cover_every_row_once(count, n_rows, monkeypatch):
    monkeypatch.setattr(threads, "n_threads", lambda: count)
    seen = np.zeros(n_rows, int)

    def work(part):
        seen[part] += 1

    in_parts(work, n_rows, least=2)
    assert (seen == 1).all()


@pytest.mark.parametrize("n_workers", [1, 4])
def test_results_come_in_the_order_of_the_tasks(n_workers):
    assert deal(lambda _, task: task * 2, iter(range(20)), list(range(n_workers))) == list(range(0, 40, 2))
    assert deal(lambda _, task: task, [], list(range(n_workers))) == []


def test_what_goes_wrong_in_a_worker_is_raised():
    def work(_, task):
        if task == 3:
            raise ValueError("task 3")

    with pytest.raises(ValueError, match="task 3"):
        deal(work, range(10), [0, 1])


def test_openmp_s_setting_is_obeyed(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.n_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert threads.n_threads() >= 1
