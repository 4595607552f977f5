"""Average-link agglomeration over the candidate graph, with hard cannot-links."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from pipeline.identity.topology import Relation

Relate = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Relation of the items i (P,) and j (P,) as (P,) int8."""


def agglomerate(
    n_items: int,
    pairs: np.ndarray,
    similarity: np.ndarray,
    relate: Relate,
    *,
    stranger_similarity: float,
    min_similarity: float,
) -> np.ndarray:
    """Join items into clusters, most similar first, while the average similarity reaches `min_similarity`.

    pairs (P, 2) int64 candidates, i < j, every one POSSIBLE; similarity (P,). Returns (N,) int64, the lowest item of
    each item's cluster. The average runs over all POSSIBLE pairs between two clusters; one that is no candidate was
    nobody's neighbour and counts as `stranger_similarity`; UNTOLD pairs are no evidence and do not count. Two clusters
    with a NEVER pair between them, or with no candidate pair, are not joined. Ties: the lower first item, then the
    lower second. Source: UPGMA, Sokal and Michener 1958; constraints, Davidson and Ravi 2005.
    """
    graph = _ClusterGraph(n_items, pairs, similarity, relate, stranger_similarity)
    queue = [(-value, i, j, 0, 0) for (i, j), value in zip(pairs.tolist(), similarity.tolist())]
    queue = [entry for entry in queue if -entry[0] >= min_similarity]
    heapq.heapify(queue)
    while queue:
        _, i, j, version_i, version_j = heapq.heappop(queue)
        if graph.version[i] != version_i or graph.version[j] != version_j:
            continue  # one of the two has grown or gone since
        for other, average in graph.join(i, j):
            if average >= min_similarity:
                low, high = min(i, other), max(i, other)
                heapq.heappush(queue, (-average, low, high, graph.version[low], graph.version[high]))
    label = np.arange(n_items)
    for lowest, members in graph.members.items():
        label[members] = lowest
    return label


class _ClusterGraph:
    """Clusters by their lowest item, and between neighbours the sum of similarity over the pairs that count."""

    def __init__(
        self, n_items: int, pairs: np.ndarray, similarity: np.ndarray, relate: Relate, stranger_similarity: float
    ) -> None:
        self.members: dict[int, list[int]] = {item: [item] for item in range(n_items)}
        self.version = [0] * n_items
        self._relate = relate
        self._stranger_similarity = stranger_similarity
        self._edges: list[dict[int, tuple[float, int]]] = [{} for _ in range(n_items)]  # other -> (sum, pairs)
        for (i, j), value in zip(pairs.tolist(), similarity.tolist()):
            self._edges[i][j] = self._edges[j][i] = (value, 1)

    def join(self, i: int, j: int) -> list[tuple[int, float]]:
        """Merge cluster j into cluster i < j; return i's neighbours from now on, with the average similarity."""
        edges_i, edges_j = self._edges[i], self._edges[j]
        del edges_i[j], edges_j[i]
        unlisted = [(other, j) for other in edges_i if other not in edges_j]
        unlisted += [(other, i) for other in edges_j if other not in edges_i]
        n_strangers = self._strangers(unlisted)
        joined: dict[int, tuple[float, int]] = {}
        for other in sorted({*edges_i, *edges_j}):
            sum_i, count_i = edges_i.get(other, (0.0, 0))
            sum_j, count_j = edges_j.get(other, (0.0, 0))
            self._edges[other].pop(i, None)
            self._edges[other].pop(j, None)
            extra = n_strangers.get(other, 0)
            if extra < 0:
                continue
            total = sum_i + sum_j + extra * self._stranger_similarity
            joined[other] = (total, count_i + count_j + extra)
            self._edges[other][i] = joined[other]
        self._edges[i], self._edges[j] = joined, {}
        self.members[i] = self.members[i] + self.members.pop(j)
        self.version[i] += 1
        self.version[j] = -1
        return [(other, total / count) for other, (total, count) in joined.items()]

    def _strangers(self, unlisted: list[tuple[int, int]]) -> dict[int, int]:
        """Count, for each (other, part) without candidate pairs, the POSSIBLE pairs; -1 where one is NEVER."""
        if not unlisted:
            return {}
        left, right, owner = [], [], []
        for other, part in unlisted:
            for a in self.members[other]:
                for b in self.members[part]:
                    left.append(a)
                    right.append(b)
                    owner.append(other)
        relation = self._relate(np.array(left), np.array(right))
        count: dict[int, int] = {other: 0 for other, _ in unlisted}
        for other, value in zip(owner, relation.tolist()):
            if value == Relation.NEVER:
                count[other] = -1
            elif value == Relation.POSSIBLE and count[other] >= 0:
                count[other] += 1
        return count
