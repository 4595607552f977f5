"""pipeline.tracking.gallery for compiled loops: looks are compared one pair at a time, and only as far as needed."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.types import EMBEDDING_DIM

_NO_LOOK_YET = np.float32(-np.inf)


@njit(fastmath={"reassoc", "contract"})
def similarity(a, b):
    """Return the dot product of two features (128,) float32, summed in any order: it decides, it is never stored."""
    total = np.float32(0)
    for number in range(EMBEDDING_DIM):
        total += a[number] * b[number]
    return total


@njit(fastmath={"reassoc", "contract"})
def magnitude(feature):
    """Return the sum of a feature's (128,) absolute values."""
    total = np.float32(0)
    for number in range(EMBEDDING_DIM):
        total += abs(feature[number])
    return total


@njit
def finite(feature):
    """Tell whether a feature (128,) has no NaN and no infinity."""
    whole = True
    for number in range(EMBEDDING_DIM):
        whole = whole and np.isfinite(feature[number])
    return whole


@njit
def nearest(features, slot, start, stop, feature, best, enough):
    """Return the greatest similarity of a slot's columns [start, stop) to a feature, and where the search ended.

    The newest column comes first. The search ends early once a cosine distance of at most `enough` is found; it can go
    on from the column returned, with the `best` returned.
    """
    column = stop
    while column > start:
        column -= 1
        best = max(best, similarity(features[slot, column], feature))
        if np.float64(np.float32(1) - best) <= enough:
            break
    return best, column


@njit
def mean_similarity(mean, feature):
    """Return the cosine of a running mean, of any length, and a feature of length 1; 0 where the mean is zeros."""
    length = np.sqrt(similarity(mean, mean))
    return similarity(mean, feature) / length if length > 0 else np.float32(0)


@njit
def close_pairs(first, column, gating_sq, track, features, slot, end, count, embedding, at_row, blank, options):
    """Keep the pairs whose looks are close enough, and find what they cost.

    first (R + 1,), column (E,), gating_sq (E,): the pairs that passed the gate, row by row; row r is track[r]. Returns
    first and column of those kept, their cost, and the greatest cost there can be. Of a pair that competes with no
    other, only whether it is close enough is found out, and its cost is not exact. Box b's look is
    embedding[at_row[b]], and blank[b] (N,) bool tells whether it is zeros.
    """
    n_rows, n_pairs = len(track), first[-1]
    limit, averaged = options.max_cosine_distance, options.feature_average >= 0
    exact = averaged or options.motion_weight != 0
    best, place = np.empty(n_pairs, np.float32), np.zeros(n_pairs, np.int64)
    kept = np.empty(n_rows + 1, np.int64)
    kept[0] = n_kept = 0
    rivals = np.zeros(len(at_row), np.int64)
    for row in range(n_rows):
        mine = track[row]
        start, stop = end[mine] - count[mine], end[mine]
        for pair in range(first[row], first[row + 1]):
            box = column[pair]
            if blank[box]:
                value, at = np.float32(0), start
            elif averaged:
                value, at = mean_similarity(features[slot[mine], stop - 1], embedding[at_row[box]]), start
            else:
                enough = -np.inf if exact else limit
                value, at = nearest(features, slot[mine], start, stop, embedding[at_row[box]], _NO_LOOK_YET, enough)
            if np.float64(np.float32(1) - value) <= limit:
                column[n_kept], gating_sq[n_kept], best[n_kept], place[n_kept] = box, gating_sq[pair], value, at
                rivals[box] += 1
                n_kept += 1
        kept[row + 1] = n_kept
    cost = np.empty(n_kept)
    admissible = np.empty(n_rows + 1, np.int64)
    admissible[0] = n_admissible = 0
    weight, gate_sq = options.motion_weight, options.gate_sq
    max_cost = weight + (1 - weight) * limit
    for row in range(n_rows):
        mine, alone = track[row], kept[row + 1] - kept[row] == 1
        for pair in range(kept[row], kept[row + 1]):
            box, value = column[pair], best[pair]
            if not (exact or (alone and rivals[box] == 1)):
                start = end[mine] - count[mine]
                value, _ = nearest(features, slot[mine], start, place[pair], embedding[at_row[box]], value, -np.inf)
            cosine = np.float64(np.float32(1) - value)
            mixed = weight * (gating_sq[pair] / gate_sq) + (1 - weight) * cosine
            if mixed <= max_cost:
                column[n_admissible], cost[n_admissible] = box, mixed
                n_admissible += 1
        admissible[row + 1] = n_admissible
    return admissible, column, cost, max_cost
