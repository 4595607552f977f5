"""What is settled before looks are compared: identities of other nights, and what people decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.identity.linked import Fixed
from pipeline.identity.topology import Relation


@dataclass(frozen=True, eq=False, slots=True)
class Settled:
    """Fixed, by the rows of N tracklets.

    identity  (N,) int64, index into `names` of a fixed identity, -1 where none is
    names     fixed identity ids
    apart     (A, 2) int64 rows that are not one
    """

    identity: np.ndarray
    names: tuple[str, ...]
    apart: np.ndarray

    @staticmethod
    def lay_out(tracklet_id: np.ndarray, fixed: Fixed) -> Settled:
        """Find the rows of the tracklets (N,) sorted by id; what names others is passed over."""
        names = tuple(sorted(set(fixed.identity_of.values())))
        index_of = {name: index for index, name in enumerate(names)}
        wanted = {*fixed.identity_of, *(name for pair in fixed.apart for name in pair)}
        row_of = {name: row for row, name in enumerate(tracklet_id.tolist()) if name in wanted} if wanted else {}
        identity = np.full(len(tracklet_id), -1, np.int64)
        for name, own in fixed.identity_of.items():
            if name in row_of:
                identity[row_of[name]] = index_of[own]
        return Settled(identity, names, _pairs(fixed.apart, row_of))

    def take(self, index: np.ndarray) -> Settled:
        """Return what concerns the rows `index` (N',), ascending, alone."""
        kept = self.apart[np.isin(self.apart, index).all(axis=1)]
        return Settled(self.identity[index], self.names, np.searchsorted(index, kept))

    def start(self) -> np.ndarray | None:
        """Return (N,) the lowest row of what is one from the beginning, None where nothing is."""
        label = self.joined(np.arange(len(self.identity)))
        return None if (label == np.arange(len(label))).all() else label

    def joined(self, label: np.ndarray) -> np.ndarray:
        """Return labels (N,), each the lowest row of its cluster, with the clusters of one fixed identity joined.

        No cluster of `label` has two fixed identities.
        """
        known = np.flatnonzero(self.identity >= 0)
        cluster, own = label[known], self.identity[known]
        lowest = np.full(len(self.names), len(label), np.int64)
        np.minimum.at(lowest, own, cluster)
        renamed = np.arange(len(label))
        renamed[cluster] = lowest[own]
        return renamed[label]

    def free(self, pairs: np.ndarray) -> np.ndarray:
        """Tell (P,) which pairs of rows (P, 2) nobody has settled to be apart."""
        return self._refused(pairs[:, 0], pairs[:, 1]) == 0

    def obeyed_by(self, relate: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable:
        """Return `relate` with NEVER for all that was settled to be apart."""
        if len(self.apart) == 0 and (self.identity < 0).all():
            return relate
        return lambda i, j: np.where(self._refused(i, j), np.int8(Relation.NEVER), relate(i, j))

    def named(self, label: np.ndarray, identity_id: np.ndarray) -> np.ndarray:
        """Return identity ids (N,) with the fixed ones in place."""
        known = np.flatnonzero(self.identity >= 0)
        fixed = np.full(len(label), -1, np.int64)
        fixed[label[known]] = self.identity[known]
        result, own = identity_id.copy(), np.flatnonzero(fixed[label] >= 0)
        result[own] = np.array([*self.names, None], dtype=object)[fixed[label[own]]]
        return result

    def _refused(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        a, b = self.identity[i], self.identity[j]
        refused = (a >= 0) & (b >= 0) & (a != b)
        if len(self.apart):
            n_rows = len(self.identity)
            low, high = self.apart.min(axis=1), self.apart.max(axis=1)
            refused |= np.isin(np.minimum(i, j) * n_rows + np.maximum(i, j), low * n_rows + high)
        return refused


def _pairs(named: tuple[tuple[str, str], ...], row_of: dict[str, int]) -> np.ndarray:
    rows = [(row_of[a], row_of[b]) for a, b in named if a in row_of and b in row_of]
    return np.array(rows, np.int64).reshape(-1, 2)
