"""Saved partitions for the tests: made of tracklets whose objects are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.identity.index import Partition
from pipeline.identity.saving import save
from tests.identity.nights import Seen


def saved(
    folder: Path, seen: list[Seen], *, exact_vectors: int = 200_000, recall: float = 0.98, **about: object
) -> Partition:
    """Save tracklets as a partition; their rows are in the order of their names."""
    seen = sorted(seen, key=lambda one: one.name)
    size = np.array([len(one.looks) for one in seen], int)
    first = np.concatenate([[0], np.cumsum(size)]).astype(int)
    blocks = [(np.arange(first[n], first[n + 1]), one.looks) for n, one in enumerate(seen)]
    names = np.array([one.name for one in seen], str)
    return save(folder, names, size, blocks, exact_vectors=exact_vectors, recall=recall, about=about)
