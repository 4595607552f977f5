"""Where else was this one: tracklets of a saved partition ranked by likeness to a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity import exact
from pipeline.identity.index import LISTS_ROUNDING, Partition
from pipeline.types import EMBEDDING_DIM

FIRST_LISTED = 8
"""Vectors listed to begin with, for each query vector and hit asked for: as many as a tracklet has exemplars."""

MAX_LISTED = 16_384
"""Longest list of vectors looked up for one query vector: what it settles is found in a fraction of a second."""

MAX_QUERY = 64
"""Query vectors compared: those of an identity with more are thinned evenly."""

COMPARED_ANYWAY = 20_000
"""Tracklets compared one by one where so few are selected: quicker than FAISS, which passes over all others."""

_FLOAT32_SLACK = 1e-5
"""More than float32 rounding moves a set similarity."""


@dataclass(frozen=True, eq=False, slots=True)
class Hits:
    """K tracklets of a partition, best first, ties by tracklet_id.

    row         (K,) int64, in the partition
    similarity  (K,) float32, of the two exemplar sets (see evidence.similarity)
    settled     True where no tracklet that the search could see is better than the last of these
    recall      share of the true best that such a search finds, measured when the partition was written; 1 where every
                tracklet was compared
    """

    row: np.ndarray
    similarity: np.ndarray
    settled: bool
    recall: float

    def __len__(self) -> int:
        return len(self.row)


def search(
    query: np.ndarray,
    partition: Partition,
    top: int,
    *,
    selected: np.ndarray | None = None,
    nprobe: int | None = None,
    compared_anyway: int | None = None,
) -> Hits:
    """Return the `top` tracklets most like a query (Q, 128) of the same object, freed of its camera's tint.

    selected  (N,) bool, tracklets that may be returned, or None for all
    nprobe    lists looked into, instead of what the partition found enough
    compared_anyway  instead of COMPARED_ANYWAY

    Where a partition has no lists, or no more is selected than is compared one by one anyway, every tracklet is
    compared. Else FAISS lists the exemplars most like each query vector, their tracklets are compared exactly, and the
    lists grow until no tracklet outside them can be better than those returned, or until they are MAX_LISTED long.
    Raises ValueError for a query of another width.
    """
    if query.ndim != 2 or query.shape[1] != EMBEDDING_DIM:
        raise ValueError(f"query: expected shape (any, {EMBEDDING_DIM}), got {query.shape}")
    query = thinned(query)
    n_selected = len(partition) if selected is None else int(np.count_nonzero(selected))
    top = min(max(top, 0), n_selected)
    if top == 0 or len(query) == 0:
        return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32), True, 1.0)
    few = COMPARED_ANYWAY if compared_anyway is None else compared_anyway
    if partition.nprobe is None or n_selected <= few:
        return _one_by_one(query, partition, top, selected)
    return _by_lists(query, partition, top, selected, nprobe)


def thinned(query: np.ndarray) -> np.ndarray:
    """Return at most MAX_QUERY of the vectors (Q, 128), evenly spread."""
    return query[exact.evenly(len(query), MAX_QUERY)]


def _one_by_one(query: np.ndarray, partition: Partition, top: int, selected: np.ndarray | None) -> Hits:
    if selected is None:
        row = np.arange(len(partition))
        roughly = exact.scan([query], partition.vector, partition.first)[:, 0]
    else:
        row = np.flatnonzero(selected)
        roughly = _scan_rows(query, partition, row)
    last = np.partition(roughly, -top)[-top]
    return _best(query, partition, row[roughly >= last - _FLOAT32_SLACK], top, True, 1.0)


def _scan_rows(query: np.ndarray, partition: Partition, row: np.ndarray) -> np.ndarray:
    """Compare with tracklets (R,), a few thousand at a time: (R,) float32."""
    parts = [np.zeros(0, np.float32)]
    for start in range(0, len(row), 4096):
        parts.append(exact.scan([query], *partition.exemplars(row[start : start + 4096]))[:, 0])
    return np.concatenate(parts)


def _by_lists(
    query: np.ndarray, partition: Partition, top: int, selected: np.ndarray | None, nprobe: int | None
) -> Hits:
    n_listed = FIRST_LISTED * top
    while True:
        similarity, place = partition.nearest_vectors(query, n_listed, selected=selected, nprobe=nprobe)
        listed = np.unique(place[place >= 0])
        row = np.unique(np.searchsorted(partition.first, listed, side="right") - 1)
        n_best = min(top, len(row))
        hits = _best(query, partition, row, n_best, False, partition.recall)
        # A tracklet in no list is at most as like each query vector as that one's list ends, so at most this good.
        end = np.where(place[:, -1] < 0, -1.0, similarity[:, -1] + LISTS_ROUNDING)
        bound = (end.mean() + end.max()) / 2
        if (n_best == top and hits.similarity[-1] >= bound) or bound <= -1:
            return Hits(hits.row, hits.similarity, True, partition.recall)
        if n_listed >= MAX_LISTED:
            return hits
        n_listed = min(4 * n_listed, MAX_LISTED)


def _best(query: np.ndarray, partition: Partition, row: np.ndarray, top: int, settled: bool, recall: float) -> Hits:
    """Rank tracklets (R,), ascending, in double precision; rows ascend with ids, so ties by row are ties by id."""
    vector, first = partition.exemplars(row)
    similarity = exact.similarity(query, vector, first)
    order = np.lexsort((row, -similarity))[:top]
    return Hits(row[order], similarity[order], settled, recall)
