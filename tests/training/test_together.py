"""Processes that train as one: they take the same mean, and end together."""

import multiprocessing

import pytest
import torch

from pipeline.training import together
from pipeline.training.together import Share


def contribute(share: Share, scale: float) -> None:
    together.average(share, values(share, scale))


def values(share: Share, scale: float) -> list[torch.Tensor]:
    return [torch.full((2, 3), scale * (share.rank + 1)), torch.arange(4.0) * share.rank]


def test_the_mean_over_all_processes_reaches_each():
    with together.helpers(3, contribute, 0.5) as share:
        mine = values(share, 0.5)
        together.average(share, mine)
    assert torch.equal(mine[0], torch.full((2, 3), 1.0))
    assert torch.equal(mine[1], torch.arange(4.0))
    assert not multiprocessing.active_children()


def test_alone_nothing_is_started_and_nothing_changes():
    with together.helpers(1, contribute, 0.5) as share:
        mine = values(share, 0.5)
        together.average(share, mine)
        together.meet(share)
        assert not multiprocessing.active_children()
    assert torch.equal(mine[0], torch.full((2, 3), 0.5))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_batch_is_divided_without_remainder(count):
    parts = [list(range(12))[Share(rank, count).part(12)] for rank in range(count)]
    assert [n for part in parts for n in part] == list(range(12)) and {len(part) for part in parts} == {12 // count}
