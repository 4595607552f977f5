"""Average-link agglomeration over the candidate graph, with hard cannot-links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from pipeline.identity.kernels import cells as kernels
from pipeline.identity.kernels.cells import MAX_SCORE, SCORE_UNIT
from pipeline.identity.topology import Relation

Relate = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Relation of the items i (P,) and j (P,) as (P,) int8."""

PAIRS_ASKED = 2**18
"""Pairs related at once: tens of MiB inside `relate`."""


@dataclass(frozen=True, eq=False, slots=True)
class Clusters:
    """N items in clusters, and the M merges that led there, in their order.

    label    (N,) int64, the lowest item of each item's cluster
    i, j     (M,) int64, the candidate pair with the highest score between the two sides, i < j, ties: the lowest
    average  (M,) float64, average score between the two sides at the merge
    """

    label: np.ndarray
    i: np.ndarray
    j: np.ndarray
    average: np.ndarray


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
    """Join items into clusters, highest score first, while the average score reaches `least`.

    pairs (P, 2) int64 candidates, i < j, sorted, every one POSSIBLE; score (P,). The average runs over all POSSIBLE
    pairs between two clusters; one that is no candidate was nobody's neighbour and counts as `stranger_score`; UNTOLD
    pairs are no evidence and do not count. Two clusters with a NEVER pair between them, or with no candidate pair, are
    not joined. start (N,) holds what is one from the beginning, each item's the lowest item of its cluster. Ties: the
    lower first item, then the lower second. Source: UPGMA, Sokal and Michener 1958; constraints, Davidson and Ravi
    2005.

    Clusters that are each other's best are joined at the same time: joining others cannot come between them, since an
    average of averages is never above them all (Bruynooghe 1977). The order of the merges is then put right. Of
    neighbours that tie, only the first two are joined at a time.
    """
    graph = _Graph(n_items, pairs, score, relate, stranger_score, least)
    cells = graph.first_cells(start)
    rounds = []
    while True:
        cells = graph.worth_keeping(cells)
        chosen = graph.ready(cells)
        if len(chosen) == 0:
            break
        rounds.append(cells.take(chosen))
        cells = graph.join(cells, chosen)
    merges = _Cells.concatenate(rounds)
    order = _greedy_order(n_items, merges)
    tie = merges.tie[order]
    return Clusters(graph.labels(), pairs[tie, 0], pairs[tie, 1], merges.average[order])


@dataclass(frozen=True, eq=False, slots=True)
class _Cells:
    """L pairs of clusters, named by their lowest items a < b, with all that is known between them.

    total (L,) int64 sum of scores in SCORE_UNIT, count (L,) int64 pairs that count, tie (L,) int64 the candidate pair
    of highest score
    """

    a: np.ndarray
    b: np.ndarray
    total: np.ndarray
    count: np.ndarray
    tie: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    @property
    def average(self) -> np.ndarray:
        return self.total / self.count * SCORE_UNIT

    def take(self, index: np.ndarray) -> _Cells:
        return _Cells(*(getattr(self, field.name)[index] for field in fields(_Cells)))

    @staticmethod
    def concatenate(parts: list[_Cells]) -> _Cells:
        none = np.zeros(0, np.int64)
        return _Cells(*(np.concatenate([none, *(getattr(p, f.name) for p in parts)]) for f in fields(_Cells)))


class _Graph:
    """The candidate pairs and the clusters so far, each a chain of items that begins with its lowest."""

    def __init__(
        self, n_items: int, pairs: np.ndarray, score: np.ndarray, relate: Relate, stranger_score: float, least: float
    ) -> None:
        self._pairs, self._score = np.ascontiguousarray(pairs, dtype=np.int64), np.ascontiguousarray(score)
        self._relate, self._least, self._stranger_score = relate, least, stranger_score
        self._row_start = kernels.row_starts(self._pairs, n_items)
        self._following = np.full(n_items, -1, np.int64)
        self._tail = np.arange(n_items)
        self._floats = np.empty(n_items)
        self._whole = np.empty((2, n_items), np.int64)

    @property
    def _strangers_weigh_down(self) -> bool:
        """Tell whether strangers can only lower an average that is worth a merge: so it is but in odd settings."""
        return self._stranger_score <= self._least

    def first_cells(self, start: np.ndarray | None) -> _Cells:
        """Return the cells that can lead to a merge: those with a pair of at least `least`."""
        floor = self._least if self._strangers_weigh_down else -np.inf
        row = np.flatnonzero(self._score >= floor)
        if start is None:
            total = _in_units(self._score[row])
            return _Cells(self._pairs[row, 0], self._pairs[row, 1], total, np.ones(len(row), np.int64), row)
        grown = np.flatnonzero(start != np.arange(len(start)))
        kernels.chain(start[grown], grown, self._following, self._tail)
        a, b = np.sort(start[self._pairs[row]], axis=1).T
        key = np.unique(a[a != b] * len(start) + b[a != b])
        cells = _Cells(*np.divmod(key, max(1, len(start))), *np.zeros((2, len(key)), np.int64), np.full(len(key), -1))
        never = self._add_all_pairs(cells, cells.a, cells.b, np.arange(len(cells)))
        return cells.take(np.flatnonzero(~never))

    def worth_keeping(self, cells: _Cells) -> _Cells:
        """Leave out cells of clusters that have none worth a merge: nothing that others do can change that."""
        if not self._strangers_weigh_down:
            return cells
        good = cells.average >= self._least
        alive = np.zeros(len(self._tail), bool)
        alive[cells.a[good]] = alive[cells.b[good]] = True
        return cells.take(np.flatnonzero(alive[cells.a] & alive[cells.b]))

    def ready(self, cells: _Cells) -> np.ndarray:
        """Return cells whose clusters can be joined now, whatever happens to the others."""
        average = cells.average
        if self._strangers_weigh_down:
            chosen = kernels.summits(cells.a, cells.b, average, self._floats, *self._whole)
        else:
            chosen = kernels.best(cells.a, cells.b, average)
        return chosen[average[chosen] >= self._least]

    def join(self, cells: _Cells, chosen: np.ndarray) -> _Cells:
        """Join the clusters of the chosen cells, no two of which share one; return the cells from now on."""
        n_items = len(self._tail)
        kept, gone = cells.a[chosen], cells.b[chosen]
        part, into = self._whole
        part[cells.a] = part[cells.b] = -1
        part[kept] = gone
        into[cells.a], into[cells.b] = cells.a, cells.b
        into[gone] = kept
        a, b = np.minimum(into[cells.a], into[cells.b]), np.maximum(into[cells.a], into[cells.b])
        touched = ((part[a] >= 0) | (part[b] >= 0)) & (a != b)
        same = (part[a] < 0) & (part[b] < 0)
        key = a[touched] * n_items + b[touched]
        order = np.argsort(key, kind="stable")
        old = cells.take(np.flatnonzero(touched)[order])
        key, start = np.unique(key[order], return_index=True)
        start = np.append(start, len(old))
        joined = _Cells(*np.divmod(key, max(1, n_items)), *np.zeros((2, len(key)), np.int64), np.full(len(key), -1))
        kernels.add_up(start, old.total, old.count, old.tie, self._score, joined.total, joined.count, joined.tie)
        lacking = (start, old.a, old.b, joined.a, joined.b, part)
        none = np.zeros(0, np.int64)
        listed = np.empty((3, kernels.missing(*lacking, none, none, none)), np.int64)
        kernels.missing(*lacking, *listed)
        never = self._add_all_pairs(joined, *listed)
        kernels.chain(kept, gone, self._following, self._tail)
        return _Cells.concatenate([cells.take(np.flatnonzero(same)), joined.take(np.flatnonzero(~never))])

    def labels(self) -> np.ndarray:
        """Return the lowest item of each item's cluster, (N,)."""
        label = np.arange(len(self._tail))
        kernels.spread(self._following, label)
        return label

    def _add_all_pairs(self, cells: _Cells, low: np.ndarray, high: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """Add all pairs of items between clusters low[m] and high[m] to cell owner[m]; tell (L,) which hold a NEVER."""
        never = np.zeros(len(cells), bool)
        graph = (self._following, self._row_start, self._pairs, self._score, cells.total, cells.count, cells.tie)
        stranger = _in_units(np.array([self._stranger_score]))
        for begin in range(0, len(low), PAIRS_ASKED):
            part = slice(begin, begin + PAIRS_ASKED)
            none = np.zeros(0, np.int64)
            sides = (low[part], high[part], owner[part])
            asked = np.empty((3, 1 + kernels.look_up(*sides, *graph, none, none, none)), np.int64)
            kernels.look_up(*sides, *graph, *asked)
            for at in range(0, asked.shape[1] - 1, PAIRS_ASKED):
                i, j, of = asked[:, at : min(at + PAIRS_ASKED, asked.shape[1] - 1)]
                relation = self._relate(i, j)
                never[of[relation == Relation.NEVER]] = True
                n_strangers = np.bincount(of[relation == Relation.POSSIBLE], minlength=len(cells))
                cells.count[:] += n_strangers
                cells.total[:] += n_strangers * stranger
        return never


def _in_units(score: np.ndarray) -> np.ndarray:
    """Do what kernels.cells.in_units does for scores (P,)."""
    return np.rint(np.clip(score, -MAX_SCORE, MAX_SCORE, dtype=np.float64) / SCORE_UNIT).astype(np.int64)


def _greedy_order(n_items: int, merges: _Cells) -> np.ndarray:
    """Return the order in which the merges (M,) would have been made one at a time."""
    average = merges.average
    leader = np.empty(len(merges), np.int64)
    kernels.leaders(merges.a, merges.b, average, np.full(n_items, -1, np.int64), leader)
    return np.lexsort((np.arange(len(merges)), merges.b[leader], merges.a[leader], -average[leader]))
