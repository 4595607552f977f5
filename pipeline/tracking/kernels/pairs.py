"""Which tracks and boxes can belong together at all, compiled: only those are ever looked at closely.

Pairs are given row by row: row r, the track track[r], has the boxes column[first[r]:first[r + 1]], ascending, with a
number each. Where there are many, boxes are sorted by their centre, and a track looks only at those near enough.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.tracking.kernels import motion
from pipeline.tracking.kernels.sorting import sort

FEW_PAIRS = 2048
"""Up to so many pairs, looking at each is faster than sorting."""

SLACK = 1e-6
"""Share by which the search is wider than it need be, so that rounding cannot lose a pair; each is tested exactly."""


@njit
def by_centre(measurement, n_tracks):
    """Return the boxes in order of their cx; none where there are few pairs."""
    n_boxes = len(measurement) if len(measurement) * n_tracks > FEW_PAIRS else 0
    order, centre = np.empty(n_boxes, np.int64), np.empty(n_boxes)
    for box in range(n_boxes):
        order[box], centre[box] = box, measurement[box, 0]
    sort(centre, order, 0, n_boxes)
    return order


@njit
def _first_at(measurement, order, least):
    """Return the first place in `order` whose box has a cx of at least `least`."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if measurement[order[middle], 0] < least:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def _longer(values):
    """Return the array with as much room again."""
    more = np.empty(2 * len(values), values.dtype)
    for place in range(len(values)):
        more[place] = values[place]
    return more


@njit
def gated(track, mean, cov, group, measurement, box_group, high, track_of, order, gate_sq):
    """Return first, column and squared Mahalanobis distance of the pairs within the gate.

    Boxes of another group, of a low score, or already matched (track_of not -1) are left out.
    """
    first = np.zeros(len(track) + 1, np.int64)
    column, distance_sq = np.empty(4 * len(track) + 16, np.int64), np.empty(4 * len(track) + 16)
    n_pairs, n_boxes = 0, len(measurement)
    for row in range(len(track)):
        mine = track[row]
        precision_x = 1 / motion.measured_variance(mean, cov, mine, 0, 1.0)
        precision_y = 1 / motion.measured_variance(mean, cov, mine, 1, 1.0)
        precision_aspect = 1 / motion.measured_variance(mean, cov, mine, 2, 1.0)
        precision_height = 1 / motion.measured_variance(mean, cov, mine, 3, 1.0)
        place, stop, furthest = 0, n_boxes, np.inf
        if len(order):
            reach = np.sqrt(gate_sq / precision_x) * (1 + SLACK) + SLACK * abs(mean[mine, 0])
            place, furthest = _first_at(measurement, order, mean[mine, 0] - reach), mean[mine, 0] + reach
        while place < stop:
            box = order[place] if len(order) else place
            place += 1
            if measurement[box, 0] > furthest:
                break
            difference = measurement[box, 0] - mean[mine, 0]
            total = difference * difference * precision_x
            if total > gate_sq:
                continue
            difference = measurement[box, 1] - mean[mine, 1]
            total += difference * difference * precision_y
            difference = measurement[box, 2] - mean[mine, 2]
            total += difference * difference * precision_aspect
            difference = measurement[box, 3] - mean[mine, 3]
            total += difference * difference * precision_height
            if total <= gate_sq and box_group[box] == group[mine] and high[box] and track_of[box] < 0:
                if n_pairs == len(column):
                    column, distance_sq = _longer(column), _longer(distance_sq)
                column[n_pairs], distance_sq[n_pairs] = box, total
                n_pairs += 1
        if len(order):
            sort(column, distance_sq, first[row], n_pairs)
        first[row + 1] = n_pairs
    return first, column, distance_sq


@njit
def overlapping(track, mean, group, xyxy, measurement, box_group, high, wanted, track_of, order, max_distance):
    """Return first, column and 1 - IoU of the pairs not above `max_distance`.

    Boxes of another group, whose `high` is not as wanted, or already matched (track_of not -1) are left out.
    """
    first = np.zeros(len(track) + 1, np.int64)
    column, distance = np.empty(4 * len(track) + 16, np.int64), np.empty(4 * len(track) + 16)
    n_pairs, n_boxes = 0, len(xyxy)
    sorted_by_centre = len(order) > 0 and max_distance < 1  # at 1, boxes that do not meet are admissible too
    widest = 0.0
    if sorted_by_centre:
        for box in range(n_boxes):
            widest = max(widest, xyxy[box, 2] - xyxy[box, 0])
    for row in range(len(track)):
        mine = track[row]
        x1, y1, x2, y2 = motion.corners(mean, mine)
        place, furthest = 0, np.inf
        if sorted_by_centre:
            reach = widest / 2 + SLACK * (widest + abs(x1) + abs(x2))
            place, furthest = _first_at(measurement, order, x1 - reach), x2 + reach
        while place < n_boxes:
            box = order[place] if sorted_by_centre else place
            place += 1
            if measurement[box, 0] > furthest:
                break
            if track_of[box] >= 0 or high[box] != wanted or box_group[box] != group[mine]:
                continue
            cost = 1 - motion.iou(x1, y1, x2, y2, xyxy, box)
            if cost <= max_distance:
                if n_pairs == len(column):
                    column, distance = _longer(column), _longer(distance)
                column[n_pairs], distance[n_pairs] = box, cost
                n_pairs += 1
        if sorted_by_centre:
            sort(column, distance, first[row], n_pairs)
        first[row + 1] = n_pairs
    return first, column, distance


@njit
def near(track, mean, group, measurement, box_group, high, track_of, order, max_distance):
    """Return first, column and distance of the pairs whose middles are at most `max_distance` heights apart.

    Boxes of another group, of a low score, or already matched (track_of not -1) are left out.
    """
    first = np.zeros(len(track) + 1, np.int64)
    column, distance = np.empty(4 * len(track) + 16, np.int64), np.empty(4 * len(track) + 16)
    n_pairs, n_boxes = 0, len(measurement)
    for row in range(len(track)):
        mine = track[row]
        height = mean[mine, motion.HEIGHT]
        place, furthest = 0, np.inf
        if len(order):
            reach = max_distance * height * (1 + SLACK) + SLACK * abs(mean[mine, 0])
            place, furthest = _first_at(measurement, order, mean[mine, 0] - reach), mean[mine, 0] + reach
        while place < n_boxes:
            box = order[place] if len(order) else place
            place += 1
            if measurement[box, 0] > furthest:
                break
            if track_of[box] >= 0 or not high[box] or box_group[box] != group[mine]:
                continue
            across, down = measurement[box, 0] - mean[mine, 0], measurement[box, 1] - mean[mine, 1]
            cost = np.sqrt(across * across + down * down) / height
            if cost <= max_distance:
                if n_pairs == len(column):
                    column, distance = _longer(column), _longer(distance)
                column[n_pairs], distance[n_pairs] = box, cost
                n_pairs += 1
        if len(order):
            sort(column, distance, first[row], n_pairs)
        first[row + 1] = n_pairs
    return first, column, distance
