"""How alike two tracklets look: exemplar sets, freed of what the camera adds, compared set against set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VECTOR_BLOCK = 16384
"""Exemplars freed of their tint at once: 128 doubles each make 16 MiB."""

LEAST_LEFT = 1e-6
"""Length under which what is left of an exemplar is rounding."""

PAIR_BLOCK = 4096
"""Pairs compared at once: 8 exemplars of 128 floats on both sides make 32 MiB."""


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


def bias(sets: ExemplarSets, camera: np.ndarray, n_cameras: int) -> np.ndarray:
    """Return what each camera adds to what it sees, (C, D) float64: the mean of all it saw.

    camera (N,) int, camera of each tracklet. The mean of few tracklets is mostly those tracklets themselves, so both
    the mean of the whole and each camera's departure from it are shrunk by the positive-part James-Stein rule: weight
    max(0, 1 - noise / length**2), noise being the squared standard error of the mean. A lone tracklet stays as it is.
    A camera that saw nothing has the mean of the whole.
    Source: James and Stein 1961; Efron and Morris 1973. Removing camera means: Gu et al. 2020, "1st place solution to
    VisDA-2020", section 2.4.
    """
    mean = sets.means()  # (N, D), one tracklet one vote
    tint = np.zeros((n_cameras, mean.shape[1]))
    if len(sets) == 0:
        return tint
    centre = mean.mean(axis=0)
    order = np.argsort(camera, kind="stable")
    first = np.searchsorted(camera[order], np.arange(n_cameras + 1))
    for index in range(n_cameras):
        own = mean[order[first[index] : first[index + 1]]]
        if len(own):
            departure = own.mean(axis=0) - centre
            tint[index] = departure * _shrinkage(departure, own)
    return tint + centre * _shrinkage(centre, mean)


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


def _shrinkage(mean: np.ndarray, sample: np.ndarray) -> float:
    """Return the James-Stein weight of a mean (D,) taken from `sample` (N, D); 0 where N is 1."""
    length_sq = float(mean @ mean)
    if len(sample) < 2 or length_sq == 0.0:
        return 0.0
    noise_sq = float(sample.var(axis=0, ddof=1).sum()) / len(sample)
    return max(0.0, 1.0 - noise_sq / length_sq)


def similarity(sets: ExemplarSets, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Compare the sets i (P,) with the sets j (P,): (P,) float32 in [-1, 1], symmetric.

    Every exemplar is matched with the one most like it on the other side; the matches are averaged over each set, and
    the two averages over both (the average Hausdorff similarity; Dubuisson and Jain 1994). One bad exemplar or a turned
    back costs little, and a long tracklet does not outvote a short one.
    """
    result = np.zeros(len(i), np.float32)
    for start in range(0, len(i), PAIR_BLOCK):
        part = slice(start, start + PAIR_BLOCK)
        a, has_a = _padded(sets, i[part])
        b, has_b = _padded(sets, j[part])
        alike = a @ b.transpose(0, 2, 1)  # (R, K, L)
        alike = np.where(has_a[:, :, None] & has_b[:, None, :], alike, -2.0)  # below any cosine
        from_a = np.where(has_a, alike.max(axis=2), 0).sum(axis=1) / has_a.sum(axis=1)
        from_b = np.where(has_b, alike.max(axis=1), 0).sum(axis=1) / has_b.sum(axis=1)
        result[part] = np.clip((from_a + from_b) / 2, -1, 1)
    return result


def _padded(sets: ExemplarSets, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gather sets as (R, K, D) with a mask (R, K) of the real ones, K being the largest of them."""
    size = sets.size[index]
    slot = np.arange(size.max())
    real = slot < size[:, None]
    row = sets.first[index][:, None] + np.where(real, slot, 0)
    return sets.vector[row], real


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
