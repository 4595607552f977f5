"""Re-identification scores by the definition of Market-1501: mean average precision and CMC.

Source: Zheng et al. 2015, "Scalable Person Re-identification: A Benchmark", section 5. Every query asks for the other
sightings of its person. Gallery entries of the same person by the same camera are left out of its ranking, and so is
junk (person -1: boxes on parts of people), which is neither right nor wrong; distractors (person 0: boxes on nobody)
stay in as wrong answers. Average precision is the mean of the precision at each right answer, as the field has reported
it since torchreid and fast-reid; the paper's own MATLAB takes trapezoids, which is 1 to 1.5 points lower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

JUNK, DISTRACTOR = -1, 0
"""Market-1501's person numbers of what is nobody; people count from 1."""

RANKS = (1, 5, 10)


@dataclass(frozen=True, eq=False, slots=True)
class Pictured:
    """Who N crops show, and by which camera.

    person  (N,) int64, from 1; DISTRACTOR or JUNK for nobody
    camera  (N,) int64
    """

    person: np.ndarray
    camera: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: np.ndarray) -> Pictured:
        """Return the rows at `index`, in that order."""
        return Pictured(self.person[index], self.camera[index])


def evaluate(blocks: Iterator[tuple[np.ndarray, np.ndarray]], query: Pictured, gallery: Pictured) -> dict[str, Any]:
    """Score rankings; fractions 0 to 1.

    blocks yields (rows of the queries (R,), their similarity to the whole gallery (R, G)), each row at most once, so
    that the whole table need not be in memory. Ties rank in the order of the gallery. Queries that show nobody, or
    somebody whom no other camera of the gallery saw, ask for nothing and are counted in `unanswerable`.

    Returned: rank1, rank5, rank10 (share of queries with a right answer among the first 1, 5, 10), mAP, queries (those
    that count), unanswerable, gallery (entries), people (of the queries that count), cameras (of the gallery).
    """
    first, precision, people, n_asked = [], [], set(), 0
    for rows, similarity in blocks:
        for row, alike in zip(rows.tolist(), similarity):
            n_asked += 1
            right = _right_answers(alike, int(query.person[row]), int(query.camera[row]), gallery)
            if right.size:
                first.append(int(right[0]))
                precision.append(average_precision(right))
                people.add(int(query.person[row]))
    n_queries = len(first)
    place = np.array(first, np.int64)
    return {
        **{f"rank{k}": float(np.mean(place < k)) if n_queries else 0.0 for k in RANKS},
        "mAP": float(np.mean(precision)) if n_queries else 0.0,
        "queries": n_queries,
        "unanswerable": n_asked - n_queries,
        "gallery": len(gallery),
        "people": len(people),
        "cameras": len(np.unique(gallery.camera)),
    }


def average_precision(right: np.ndarray) -> float:
    """Return the mean precision at the right answers' places (R,), ascending from 0, in a ranking; 0 for none."""
    if right.size == 0:
        return 0.0
    return float(np.mean(np.arange(1, right.size + 1) / (right + 1)))


def _right_answers(similarity: np.ndarray, person: int, camera: int, gallery: Pictured) -> np.ndarray:
    """Return the places (R,), from 0, of the right answers in the ranking of the gallery (G,)."""
    if person <= DISTRACTOR:
        return np.zeros(0, np.int64)
    same = gallery.person == person
    if not (same & (gallery.camera != camera)).any():
        return np.zeros(0, np.int64)
    judged = np.flatnonzero(~(same & (gallery.camera == camera)) & (gallery.person != JUNK))
    order = judged[np.argsort(-similarity[judged], kind="stable")]
    return np.flatnonzero(same[order])
