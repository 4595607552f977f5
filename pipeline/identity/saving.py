"""Save a partition, looking into as many lists as a sample shows to be needed for the recall asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.identity import exact, index
from pipeline.identity.index import Partition
from pipeline.identity.search import search

SAMPLE = 24
"""Tracklets looked for to measure recall: 480 hits in all, so a recall of 0.98 is known to 0.007 (one sd)."""

SAMPLE_TOP = 20
SAMPLE_EXEMPLARS = 8


def save(
    folder: Path,
    tracklet_id: np.ndarray,
    size: np.ndarray,
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    exact_vectors: int,
    recall: float,
    about: dict[str, Any],
) -> Partition:
    """Write a partition (see index.write) whose searches find the share `recall` of the true best tracklets."""
    partition = index.write(folder, tracklet_id, size, blocks, exact_vectors=exact_vectors, about=about)
    return partition if partition.nprobe is None else index.settle(partition, *tuned(partition, recall))


def tuned(partition: Partition, wanted: float) -> tuple[int, float]:
    """Return the least number of lists (a power of two, or all) to look into for a recall, and the recall it gives.

    Looks for SAMPLE tracklets spread over the partition, by lists and by comparing with every one.
    """
    chosen = exact.evenly(len(partition), SAMPLE)
    queries = [_looks(partition, row) for row in chosen]
    top = min(SAMPLE_TOP, len(partition))
    truth = [
        set(np.argsort(-similarity, kind="stable")[:top])
        for similarity in exact.scan(queries, partition.vector, partition.first).T
    ]
    nprobe = 1
    while True:
        found = [search(query, partition, top, nprobe=nprobe, compared_anyway=0).row for query in queries]
        reached = float(np.mean([len(right.intersection(got)) / top for right, got in zip(truth, found)]))
        if reached >= wanted or nprobe == partition.nprobe:
            return nprobe, reached
        nprobe = min(2 * nprobe, partition.nprobe)


def _looks(partition: Partition, row: int) -> np.ndarray:
    vector, _ = partition.exemplars(np.array([row]))
    return vector[exact.evenly(len(vector), SAMPLE_EXEMPLARS)]
