"""How much two looks alike say: learned from the camera's own tracks, which are labels for free.

The two halves of one track show one object; two tracks seen at the same time show two. Whatever the embedder, the
similarities of the two kinds tell how far to trust a third.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.tracking.exemplars import Candidates

ENOUGH = 20
"""Pairs of each kind from which looks count: a mean of 20 is known to a quarter of a standard deviation."""

MAX_LOG_ODDS = 6.0
"""However alike two looks are, they say no more than 400 to 1: two people in one uniform are that common."""

_LEAST_STD = 0.02
"""Cosine similarities closer than this are not told apart: about the rounding of embeddings kept in half precision."""


@dataclass(frozen=True, slots=True)
class LookStatistics:
    """Similarities seen so far: for pairs of one object and of two, their number, mean and summed squared deviation."""

    n_same: int = 0
    mean_same: float = 0.0
    spread_same: float = 0.0
    n_other: int = 0
    mean_other: float = 0.0
    spread_other: float = 0.0

    def with_pairs(self, same: np.ndarray, other: np.ndarray) -> LookStatistics:
        """Add similarities (N,) of pairs of one object and (M,) of two (Chan, Golub and LeVeque 1983)."""
        return LookStatistics(
            *_merged(self.n_same, self.mean_same, self.spread_same, same),
            *_merged(self.n_other, self.mean_other, self.spread_other, other),
        )

    def log_odds(self, similarity: np.ndarray) -> np.ndarray:
        """Say what similarities (any shape) are worth as evidence for one object: log odds, 0 while little is known.

        Linear discriminant of two normal distributions with one standard deviation.
        """
        if min(self.n_same, self.n_other) < ENOUGH or self.mean_same <= self.mean_other:
            return np.zeros_like(similarity)
        variance = (self.spread_same + self.spread_other) / (self.n_same + self.n_other - 2)
        slope = (self.mean_same - self.mean_other) / max(variance, _LEAST_STD**2)
        middle = (self.mean_same + self.mean_other) / 2
        return np.clip(slope * (similarity - middle), -MAX_LOG_ODDS, MAX_LOG_ODDS)


def mean_look(candidates: Candidates) -> np.ndarray:
    """Return (T, 128) float64 the mean of each track's exemplars, not of unit length.

    The product of two such means is the mean similarity over all pairs of exemplars, so it means the same for many
    exemplars and for few.
    """
    held = candidates.quality >= 0
    total = np.where(held[:, :, None], candidates.embedding, 0).sum(axis=1, dtype=np.float64)
    return total / np.maximum(held.sum(axis=1), 1)[:, None]


def halves(candidates: Candidates) -> np.ndarray:
    """Return (K,) the similarity of the earlier to the later exemplars, of the tracks that have four or more."""
    found = []
    for track in np.flatnonzero((candidates.quality >= 0).sum(axis=1) >= 4):
        embedding = candidates.embedding[track][candidates.quality[track] >= 0].astype(np.float64)
        middle = len(embedding) // 2
        found.append(embedding[:middle].mean(axis=0) @ embedding[middle:].mean(axis=0))
    return np.array(found)


def _merged(count: int, mean: float, spread: float, values: np.ndarray) -> tuple[int, float, float]:
    n_new = len(values)
    if n_new == 0:
        return count, mean, spread
    new_mean = float(values.mean())
    new_spread = float(((values - new_mean) ** 2).sum())
    total = count + n_new
    gap = new_mean - mean
    return total, mean + gap * n_new / total, spread + new_spread + gap * gap * count * n_new / total
