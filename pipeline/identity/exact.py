"""Set similarity of a few queries with all tracklets, one by one: the truth that quicker searches are held to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_VECTORS_AT_ONCE = 65_536
"""32 MiB as float32."""


def similarity(query: np.ndarray, vector: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Compare a query's set (Q, D) with N sets, set n being vector[first[n]:first[n + 1]], none empty: (N,) float32.

    The average Hausdorff similarity, as evidence.similarity says, summed in double precision and rounded once, so that
    equal sets tie.
    """
    if len(first) == 1 or len(query) == 0:
        return np.zeros(len(first) - 1, np.float32)
    return _compared([query.astype(np.float64)], vector.astype(np.float64), first)[:, 0].astype(np.float32)


def scan(queries: Sequence[np.ndarray], vector: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Compare S queries (Q, D), none empty, with N sets, mapped or in memory: (N, S) float32, to within float32
    rounding. Memory holds a block of them at a time."""
    result = np.zeros((len(first) - 1, len(queries)), np.float32)
    start = 0
    while start < len(result):
        stop = max(start + 1, int(np.searchsorted(first, first[start] + _VECTORS_AT_ONCE, side="right")) - 1)
        part = vector[first[start] : first[stop]].astype(np.float32)
        result[start:stop] = _compared(queries, part, first[start : stop + 1] - first[start])
        start = stop
    return result


def _compared(queries: Sequence[np.ndarray], vector: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return (N, S), in the precision of `vector`."""
    size = np.diff(first)
    n_query = np.array([len(query) for query in queries])
    begin = np.concatenate([[0], np.cumsum(n_query)[:-1]])
    alike = vector @ np.concatenate(queries).T.astype(vector.dtype)  # (E, all of Q)
    best_exemplar = np.maximum.reduceat(alike, first[:-1], axis=0)  # (N, all of Q)
    best_look = np.maximum.reduceat(alike, begin, axis=1)  # (E, S)
    from_query = np.add.reduceat(best_exemplar, begin, axis=1) / n_query.astype(vector.dtype)
    from_set = np.add.reduceat(best_look, first[:-1], axis=0) / size[:, None].astype(vector.dtype)
    return np.clip((from_query + from_set) / 2, -1, 1)


def evenly(n: int, most: int) -> np.ndarray:
    """Return at most `most` of the numbers 0 to n - 1, evenly spread, (M,) int64."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(np.int64)
