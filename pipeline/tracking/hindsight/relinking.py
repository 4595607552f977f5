"""Which broken-off track goes on as which later one: evidence from motion, time and looks on both sides, and a choice.

For every pair the log odds that the two are one object against that the later one is somebody new. Motion: where the
first would be by the time the second begins, and where the second would have been when the first ended, each by the
filter run towards the gap. Time: objects are hidden for short times mostly. Somebody new appears anywhere alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.tracking import kalman
from pipeline.tracking.hindsight import smoothing

NEW_PER_FRAME = 0.005
"""Objects that appear in a frame on an area of the square of a box's height: with people of 100 px in a picture of
640x480 one in every 7 frames. Over the MOT15 sequences HOTA stays within 0.02 from a fifth of this to four times it."""

MEAN_GAP_FRAMES = 20.0
"""Mean time that somebody lost stays hidden. Over the MOT15 sequences HOTA stays within 0.01 from 10 to 40."""

REACH = 6.0
"""A place six standard deviations off costs 18 of log odds, 9 after taking the mean with the way back: more than the
rest of motion and time makes up for."""

_PAIRS_AT_A_TIME = 100_000
"""Pairs looked at together: bounds memory at some hundred megabytes."""

_LENGTHS = [0, 1, 3]
"""cx, cy and height: an aspect says more about the pose than about who it is."""


@dataclass(frozen=True, eq=False, slots=True)
class Ends:
    """N ends of tracks that face a gap: the last ones of lost tracks, or the first ones of new tracks, seen backwards.

    at     (N,)           float64, the clock of that box, frames
    mean   (N, 8), cov (N, 4, 3)   the filter's state there, its velocity pointing into the gap
    group  (N,)           int16, coarse class group
    look   (N, 128)       float64, mean of the track's exemplars
    """

    at: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    group: np.ndarray
    look: np.ndarray

    def __len__(self) -> int:
        return len(self.at)


def candidates(lost: Ends, new: Ends, max_gap_frames: float, speed_noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (K,), (K,) of lost and new ends that could be one object at all, ordered by lost, then new.

    Of one class group, the gap within (0, max_gap_frames], and the new one no further from where the lost one was going
    than REACH standard deviations, beyond which the odds are hopeless. Worked out a part at a time, so that memory
    stays bounded in a crowd. `speed_noise` is as in deep_sort.advance.
    """
    by_time = np.argsort(new.at, kind="stable")
    at = new.at[by_time]
    first = np.searchsorted(at, lost.at, side="right")
    count = np.searchsorted(at, lost.at + max_gap_frames, side="right") - first
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for part in np.array_split(np.arange(len(lost)), max(1, int(count.sum()) // _PAIRS_AT_A_TIME)):
        row = np.repeat(part, count[part])
        within = np.arange(len(row)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        column = by_time[first[row] + within]
        row, column = (index[lost.group[row] == new.group[column]] for index in (row, column))
        near = _within_reach(lost, new, row, column, speed_noise)
        rows.append(row[near])
        columns.append(column[near])
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((column, row))
    return row[order], column[order]


def _within_reach(lost: Ends, new: Ends, row: np.ndarray, column: np.ndarray, speed_noise: float) -> np.ndarray:
    """Tell (K,) which pairs lie within REACH standard deviations in x and in y."""
    gap = (new.at[column] - lost.at[row])[:, None]
    ahead, spread = kalman.predict(
        lost.mean[row], lost.cov[row], gap, speed_noise=speed_noise, position_std=smoothing.POSITION_STD
    )
    expected, variance = kalman.project(ahead, spread)
    off = new.mean[column, :2] - expected[:, :2]
    return (off**2 <= REACH**2 * (variance[:, :2] + new.cov[column, :2, 0])).all(axis=1)


def motion_log_odds(lost: Ends, new: Ends, row: np.ndarray, column: np.ndarray, speed_noise: float = 1.0) -> np.ndarray:
    """Return (K,) the log odds of motion and time of the pairs that `candidates` gave."""
    gap = new.at[column] - lost.at[row]
    towards = _likelihood(lost.mean[row], lost.cov[row], new.mean[column], new.cov[column], gap, speed_noise)
    back = _likelihood(new.mean[column], new.cov[column], lost.mean[row], lost.cov[row], gap, speed_noise)
    time = -np.log(MEAN_GAP_FRAMES) - gap / MEAN_GAP_FRAMES
    return (towards + back) / 2 + time - np.log(NEW_PER_FRAME)


def look_similarity(lost: Ends, new: Ends, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return (K,) how alike the looks of those pairs are."""
    found = [np.zeros(0)]
    for start in range(0, len(row), _PAIRS_AT_A_TIME):
        part = slice(start, start + _PAIRS_AT_A_TIME)
        found.append((lost.look[row[part]] * new.look[column[part]]).sum(axis=1))
    return np.concatenate(found)


def choose(row: np.ndarray, column: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Match lost (rows) and new ones (columns) one to one at the greatest summed log odds, pairs above 0 only.

    Returns which of the K pairs were chosen, ascending. Pairs that hang together are solved at a time, each such block
    as a matrix; ties as scipy's linear_sum_assignment decides.
    """
    worth = np.flatnonzero(log_odds > 0)
    if len(worth) == 0:
        return worth
    lost, row = np.unique(row[worth], return_inverse=True)
    new, column = np.unique(column[worth], return_inverse=True)
    n_nodes = len(lost) + len(new)
    graph = coo_array((np.ones(len(worth)), (row, len(lost) + column)), shape=(n_nodes, n_nodes))
    block = connected_components(graph, directed=False)[1][row]
    chosen = [np.zeros(0, np.int64)]
    order = np.argsort(block, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        rows, at_row = np.unique(row[mine], return_inverse=True)
        columns, at_column = np.unique(column[mine], return_inverse=True)
        gain = np.zeros((len(rows), len(columns)))
        gain[at_row, at_column] = log_odds[worth[mine]]
        best = dict(zip(*(side.tolist() for side in linear_sum_assignment(gain, maximize=True))))
        taken = np.array([best.get(i) == j for i, j in zip(at_row.tolist(), at_column.tolist())])
        chosen.append(worth[mine[taken]])
    return np.sort(np.concatenate(chosen))


def _likelihood(
    mean: np.ndarray,
    cov: np.ndarray,
    other_mean: np.ndarray,
    other_cov: np.ndarray,
    gap: np.ndarray,
    speed_noise: float,
) -> np.ndarray:
    """Return (K,) the log density, in squared and cubed heights, of finding the others where these are carried to."""
    if len(gap) == 0:
        return np.zeros(0)
    ahead, spread = kalman.predict(
        mean, cov, gap[:, None], speed_noise=speed_noise, position_std=smoothing.POSITION_STD
    )
    expected, variance = kalman.project(ahead, spread)
    height = ((mean[:, 3] + other_mean[:, 3]) / 2)[:, None]
    variance = variance[:, _LENGTHS] + other_cov[:, _LENGTHS, 0]
    difference = (other_mean[:, :4] - expected)[:, _LENGTHS]
    return -0.5 * (difference**2 / variance + np.log(2 * np.pi * variance / height**2)).sum(axis=1)
