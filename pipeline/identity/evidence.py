"""The exemplars of tracklets as sets, and how to free them of what the camera adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VECTOR_BLOCK = 16384
"""Exemplars freed of their tint at once: 128 doubles each make 16 MiB."""

LEAST_LEFT = 1e-6
"""Length under which what is left of an exemplar is rounding."""


@dataclass(frozen=True, eq=False, slots=True)
class ExemplarSets:
    """The exemplars of N tracklets, one set after another.

    vector  (E, D)   float32, unit length
    first   (N + 1,) int64, set n is vector[first[n]:first[n + 1]]; no set is empty
    """

    vector: np.ndarray
    first: np.ndarray

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def size(self) -> np.ndarray:
        """Number of exemplars of each tracklet, (N,) int64."""
        return np.diff(self.first)

    @property
    def owner(self) -> np.ndarray:
        """Tracklet of each vector, (E,) int64."""
        return np.repeat(np.arange(len(self)), self.size)

    def take(self, index: np.ndarray) -> ExemplarSets:
        """Return the sets at `index` (N',), in that order."""
        size = self.size[index]
        first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        row = np.repeat(self.first[index] - first[:-1], size) + np.arange(first[-1])
        return ExemplarSets(self.vector[row], first)

    def means(self) -> np.ndarray:
        """Return the mean vector of each set, (N, D) float64, not normalised."""
        if len(self) == 0:
            return np.zeros(self.vector.shape, np.float64)
        return np.add.reduceat(self.vector.astype(np.float64), self.first[:-1], axis=0) / self.size[:, None]


def without_bias(sets: ExemplarSets, camera: np.ndarray, tint: np.ndarray) -> ExemplarSets:
    """Take each camera's tint (C, D) out of the exemplars: subtract it, make the rest unit length again.

    camera (N,) int, camera of each tracklet. What the tint explains wholly has nothing of its own left: it keeps its
    vector rather than turn into noise.
    """
    owner, result = sets.owner, np.empty_like(sets.vector, dtype=np.float32)
    for start in range(0, len(owner), VECTOR_BLOCK):
        part = slice(start, start + VECTOR_BLOCK)
        whole = sets.vector[part].astype(np.float64)
        vector = whole - tint[camera[owner[part]]]
        length = np.linalg.norm(vector, axis=1, keepdims=True)
        known = np.linalg.norm(whole, axis=1, keepdims=True) > LEAST_LEFT  # a look of zeros is unknown, and stays so
        result[part] = np.divide(vector, length, out=whole, where=(length > LEAST_LEFT) & known)
    return ExemplarSets(result, sets.first)


def halves(sets: ExemplarSets) -> tuple[ExemplarSets, np.ndarray, np.ndarray]:
    """Split every tracklet of two or more exemplars into two: the even ones and the odd ones in time.

    Returns the halves as sets, and the index of each pair's two halves in them: matches whose truth is known.
    """
    size = sets.size
    index = np.flatnonzero(size >= 2)
    whole = sets.take(index)
    position = np.arange(len(whole.vector)) - np.repeat(whole.first[:-1], whole.size)
    order = np.lexsort((position, position % 2, whole.owner))
    n_even, n_odd = (whole.size + 1) // 2, whole.size // 2
    first = np.concatenate([[0], np.cumsum(np.stack([n_even, n_odd], axis=1).ravel())]).astype(np.int64)
    left = np.arange(0, 2 * len(index), 2)
    return ExemplarSets(whole.vector[order], first), left, left + 1
