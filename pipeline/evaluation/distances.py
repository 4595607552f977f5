"""How far apart an embedder puts pictures of one identity and of two: anchors, their positives and their negatives.

The distance of two unit vectors is one minus their cosine, 0 to 2. An anchor's positives are the pictures of its
identity that the rankings of `reid` count as right, its negatives those they count as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.evaluation.reid import DISTRACTOR, JUNK, Pictured

PERCENTILES = (5, 25, 50, 75, 95)

BINS = 4000
"""Steps in which distances are counted: percentiles are right to half of 0.0005."""

GREATEST = 2.0


@dataclass(frozen=True, slots=True)
class Distances:
    """How often each distance comes, and the mean of each anchor's own extremes.

    positive, negative                    (BINS,) int64, counts of pairs by distance, 0 to 2
    farthest_positive, nearest_negative   (A,) of each anchor that has both
    """

    positive: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    negative: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    farthest_positive: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nearest_negative: np.ndarray = field(default_factory=lambda: np.zeros(0))


def measure(blocks: Iterator[tuple[np.ndarray, np.ndarray]], query: Pictured, gallery: Pictured) -> Distances:
    """Count distances of anchors (the queries) to the gallery; blocks as `reid.evaluate` takes them.

    A similarity that is no number, or -inf, says that the two are not to be compared.
    """
    positive, negative = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    farthest, nearest = [], []
    for rows, similarity in blocks:
        person, camera = query.person[rows][:, None], query.camera[rows][:, None]
        same = person == gallery.person[None]
        compared = np.isfinite(similarity) & (person > DISTRACTOR) & (gallery.person[None] != JUNK)
        right, wrong = compared & same & (camera != gallery.camera[None]), compared & ~same
        distance = np.clip(1.0 - similarity, 0.0, GREATEST)
        positive += _counted(distance[right])
        negative += _counted(distance[wrong])
        asked = right.any(axis=1) & wrong.any(axis=1)
        farthest.append(np.where(right, distance, -1).max(axis=1)[asked])
        nearest.append(np.where(wrong, distance, 3).min(axis=1)[asked])
    extremes = (np.concatenate([np.zeros(0), *part]) for part in (farthest, nearest))
    return Distances(positive, negative, *extremes)


def summary(distances: Distances) -> dict[str, Any]:
    """Return the distances in numbers.

    positive, negative    pairs, mean and percentiles (p5 ... p95); None for both where there are no such pairs
    farthest_positive, nearest_negative   means over anchors
    hard_triplets         share of anchors whose nearest negative is no farther than their farthest positive
    separation            share of pairs of a positive and a negative in which the positive is nearer, ties half: the
                          area under the ROC curve, 0.5 for no separation and 1 for a perfect one
    """
    farthest, nearest = distances.farthest_positive, distances.nearest_negative
    return {
        "positive": _described(distances.positive),
        "negative": _described(distances.negative),
        "farthest_positive": float(farthest.mean()) if farthest.size else None,
        "nearest_negative": float(nearest.mean()) if nearest.size else None,
        "hard_triplets": float((nearest <= farthest).mean()) if farthest.size else None,
        "separation": separation(distances),
    }


def separation(distances: Distances) -> float | None:
    """Return how well distance alone parts positive from negative pairs, as `summary` says; None without either."""
    positive, negative = distances.positive, distances.negative
    if not positive.sum() or not negative.sum():
        return None
    beyond = negative.sum() - np.cumsum(negative)
    won = (positive * (beyond + negative / 2)).sum()
    return float(won / (float(positive.sum()) * float(negative.sum())))


def _counted(distance: np.ndarray) -> np.ndarray:
    places = np.minimum((distance * (BINS / GREATEST)).astype(np.int64), BINS - 1)
    return np.bincount(places, minlength=BINS)


def _described(counts: np.ndarray) -> dict[str, Any] | None:
    total = int(counts.sum())
    if not total:
        return None
    middles = (np.arange(BINS) + 0.5) * (GREATEST / BINS)
    reached = np.cumsum(counts)
    at = {f"p{p}": float(middles[np.searchsorted(reached, p / 100 * total)]) for p in PERCENTILES}
    return {"pairs": total, "mean": float((counts * middles).sum() / total), **at}
