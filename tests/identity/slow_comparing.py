"""What compiled code does to exemplar sets, written out in NumPy: the oracle of its tests."""

from __future__ import annotations

import numpy as np

from pipeline.identity.evidence import ExemplarSets

PAIR_BLOCK = 4096
"""Pairs compared at once: 8 exemplars of 128 floats on both sides make 32 MiB."""


def bias(sets: ExemplarSets, camera: np.ndarray, n_cameras: int) -> np.ndarray:
    """Return what identity.tint.bias does."""
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


def similarity(sets: ExemplarSets, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return what identity.comparing.similarity does."""
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


def _shrinkage(mean: np.ndarray, sample: np.ndarray) -> float:
    """Return the James-Stein weight of a mean (D,) taken from `sample` (N, D); 0 where N is 1."""
    length_sq = float(mean @ mean)
    if len(sample) < 2 or length_sq == 0.0:
        return 0.0
    noise_sq = float(sample.var(axis=0, ddof=1).sum()) / len(sample)
    return max(0.0, 1.0 - noise_sq / length_sq)
