"""pipeline.identity.clustering the plain way: one merge after another, from a heap. Slow; the truth for the other."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from pipeline.identity.clustering import Clusters
from pipeline.identity.topology import Relation

Relate = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Relation of the items i (P,) and j (P,) as (P,) int8."""


def agglomerate(
    n_items: int,
    pairs: np.ndarray,
    score: np.ndarray,
    relate: Relate,
    *,
    stranger_score: float,
    least: float,
    start: np.ndarray | None = None,
) -> Clusters:
    """Do what clustering.agglomerate does."""
    graph = _ClusterGraph(n_items, pairs, score, relate, stranger_score)
    queue = [(-value, i, j, 0, 0) for (i, j), value in zip(pairs.tolist(), score.tolist())]
    if start is not None:
        for item in np.flatnonzero(start != np.arange(n_items)).tolist():
            graph.join(int(start[item]), item)
        queue = graph.queue()
    queue = [entry for entry in queue if -entry[0] >= least]
    heapq.heapify(queue)
    merges = []
    while queue:
        negative, i, j, version_i, version_j = heapq.heappop(queue)
        if graph.version[i] != version_i or graph.version[j] != version_j:
            continue  # one of the two has grown or gone since
        merges.append((*graph.tie(i, j), -negative))
        for other, average in graph.join(i, j):
            if average >= least:
                low, high = min(i, other), max(i, other)
                heapq.heappush(queue, (-average, low, high, graph.version[low], graph.version[high]))
    label = np.arange(n_items)
    for lowest, members in graph.members.items():
        label[members] = lowest
    tie_i, tie_j, average = zip(*merges) if merges else ((), (), ())
    return Clusters(label, np.array(tie_i, np.int64), np.array(tie_j, np.int64), np.array(average, np.float64))


class _ClusterGraph:
    """Clusters by their lowest item, and between neighbours the sum of similarity over the pairs that count."""

    def __init__(
        self, n_items: int, pairs: np.ndarray, score: np.ndarray, relate: Relate, stranger_score: float
    ) -> None:
        self.members: dict[int, list[int]] = {item: [item] for item in range(n_items)}
        self.version = [0] * n_items
        self._relate = relate
        self._stranger_score = stranger_score
        self._score: list[dict[int, float]] = [{} for _ in range(n_items)]  # of candidate pairs of items
        self._edges: list[dict[int, tuple[float, int]]] = [{} for _ in range(n_items)]  # other -> (sum, pairs)
        for (i, j), value in zip(pairs.tolist(), score.tolist()):
            self._edges[i][j] = self._edges[j][i] = (value, 1)
            self._score[i][j] = self._score[j][i] = value

    def queue(self) -> list[tuple[float, int, int, int, int]]:
        """Return every two neighbouring clusters as an entry of the queue."""
        return [
            (-total / count, i, j, self.version[i], self.version[j])
            for i, edges in enumerate(self._edges)
            for j, (total, count) in edges.items()
            if i < j
        ]

    def tie(self, i: int, j: int) -> tuple[int, int]:
        """Return the candidate pair of items with the highest score between two clusters."""
        theirs = set(self.members[j])
        tied = [
            (-value, min(a, b), max(a, b))
            for a in self.members[i]
            for b, value in self._score[a].items()
            if b in theirs
        ]
        return min(tied)[1:]

    def join(self, i: int, j: int) -> list[tuple[int, float]]:
        """Merge cluster j into cluster i < j; return i's neighbours from now on, with the average similarity."""
        edges_i, edges_j = self._edges[i], self._edges[j]
        edges_i.pop(j, None)
        edges_j.pop(i, None)
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
            total = sum_i + sum_j + extra * self._stranger_score
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
