"""Which detection continues which track: costs, the matching cascade, and IoU matching. Pure, on matrices.

A cost is better when lower, and infinite where a pair is not admissible. Rows are tracks ascending by id, columns are
detections in the detector's order.

Ties: where several assignments have the same least total cost, scipy's `linear_sum_assignment` decides, on the matrix
of those rows and columns, in that order, which admissible pairs connect. Its choice depends on nothing else, so equal
input gives equal tracks; pipeline.tracking.kernels.assignment chooses alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline import boxes
from pipeline.types import COCO_CLASSES, class_group

_BEYOND = 1e-5
"""A pair that is not admissible counts as this much worse than the worst admissible one (reference implementation,
linear_assignment.py): the solver then never gives up an admissible pair for it."""

_GROUPS = sorted({class_group(class_id) for class_id in range(len(COCO_CLASSES))})
GROUP_OF_CLASS = np.array([_GROUPS.index(class_group(class_id)) for class_id in range(len(COCO_CLASSES))], np.int16)
"""Coarse group (pipeline.types.class_group) of each COCO class, as a number: a track never changes it."""


def mix(
    gating_sq: np.ndarray, cosine: np.ndarray, *, gate_sq: float, max_cosine_distance: float, motion_weight: float
) -> tuple[np.ndarray, float]:
    """Mix motion and appearance into one cost (T, N). Returns it with the greatest cost an admissible pair can have.

    Paper, equation 5: c = lambda * d1 + (1 - lambda) * d2. The paper leaves the scale of d1, the squared Mahalanobis
    distance, open; here it is divided by its gate, so that it lies in [0, 1] as the cosine distance does for vectors
    less than a right angle apart. Admissible (equation 6) is what passes both gates, whatever lambda is. With lambda 0
    this is the reference implementation.
    """
    admissible = (gating_sq <= gate_sq) & (cosine <= max_cosine_distance)
    appearance = np.where(admissible, cosine, 0)  # an infinite distance times a weight of 0 would be no number
    cost = motion_weight * (gating_sq / gate_sq) + (1 - motion_weight) * appearance
    return np.where(admissible, cost, np.inf), motion_weight + (1 - motion_weight) * max_cosine_distance


def assign(cost: np.ndarray, max_cost: float) -> tuple[np.ndarray, np.ndarray]:
    """Match rows and columns of `cost` (T, N) one to one at least total cost, no pair above `max_cost`.

    Returns the matched rows, ascending, and their columns. Rows and columns that no chain of admissible pairs connects
    cannot matter to each other: each such block is solved by itself.
    """
    admissible = cost <= max_cost
    only = admissible & (admissible.sum(axis=1) == 1)[:, None] & (admissible.sum(axis=0) == 1)
    rows, columns = ([found] for found in np.nonzero(only))
    for row, column in _blocks(admissible & ~only):
        pairs = np.ix_(row, column)
        best_row, best_column = linear_sum_assignment(np.where(admissible[pairs], cost[pairs], max_cost + _BEYOND))
        rows.append(row[best_row])
        columns.append(column[best_column])
    row, column = np.concatenate(rows), np.concatenate(columns)
    keep = np.flatnonzero(admissible[row, column])
    order = keep[np.argsort(row[keep])]
    return row[order], column[order]


def _blocks(admissible: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows and the columns, ascending, of each block that pairs admissible (T, N) bool connect."""
    row, column = np.nonzero(admissible)
    if len(row) == 0:
        return
    n_rows, size = len(admissible), sum(admissible.shape)
    graph = coo_array((np.ones(len(row), bool), (row, n_rows + column)), shape=(size, size))
    _, block = connected_components(graph, directed=False)
    for number in np.unique(block[row]):
        mine = np.flatnonzero(block == number)
        yield mine[mine < n_rows], mine[mine >= n_rows] - n_rows


def cascade(
    cost: np.ndarray, max_cost: float, time_since_update: np.ndarray, max_age_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Match confirmed tracks, the most recently seen first (paper, listing 1). cost (T, N), time_since_update (T,).

    A track unseen for longer has a wider gate and would otherwise win by its own uncertainty. Tracks older than
    `max_age_frames` are left out. Returns the matched rows, ascending, and their columns.
    """
    free = np.ones(cost.shape[1], bool)
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for age in np.unique(time_since_update[time_since_update <= max_age_frames]):
        level, open_column = np.flatnonzero(time_since_update == age), np.flatnonzero(free)
        row, column = assign(cost[np.ix_(level, open_column)], max_cost)
        rows.append(level[row])
        columns.append(open_column[column])
        free[open_column[column]] = False
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.argsort(row)
    return row[order], column[order]


def centre_cost(track_state: np.ndarray, measurement: np.ndarray, admissible: np.ndarray) -> np.ndarray:
    """Return (T, N) how far predicted boxes and detections are apart, infinite where `admissible` (T, N) is false.

    Euclidean, between the middles, in heights of the predicted box; track_state (T, 8) and measurement (N, 4) begin
    with cx, cy, aspect, height.
    """
    across = measurement[None, :, 0] - track_state[:, None, 0]
    down = measurement[None, :, 1] - track_state[:, None, 1]
    distance = np.sqrt(across * across + down * down) / track_state[:, None, 3]
    return np.where(admissible, distance, np.inf)


def iou_cost(track_xyxy: np.ndarray, detection_xyxy: np.ndarray, admissible: np.ndarray) -> np.ndarray:
    """Return 1 - IoU (T, N) of predicted boxes and detections, infinite where `admissible` (T, N) is false."""
    return np.where(admissible, 1 - boxes.iou(track_xyxy, detection_xyxy), np.inf)
