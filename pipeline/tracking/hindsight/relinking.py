"""Which broken-off track goes on as which later one: evidence from motion, time and looks on both sides, and a choice.

For every pair the log odds that the two are one object against that the later one is somebody new. Motion: where the
first would be by the time the second begins, and where the second would have been when the first ended, each by the
filter run towards the gap. Time: objects are hidden for short times mostly. Somebody new appears anywhere alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.tracking import kalman
from pipeline.tracking.hindsight import smoothing

NEW_PER_FRAME = 0.005
"""Objects that appear in a frame on an area of the square of a box's height: 1.5 in a frame of 640x480 and people of
100 px would be one every 1.5 s at 10 frames/s. Measured: scores are level from a fifth of this to four times it."""

MEAN_GAP_FRAMES = 20.0
"""Mean time that somebody lost stays hidden. Measured: scores are level from 10 to 40."""

_NEVER = -1e9
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


def motion_log_odds(lost: Ends, new: Ends, max_gap_frames: float, speed_noise: float = 1.0) -> np.ndarray:
    """Return (L, N) the log odds of motion and time; far below 0 where the gap is not within (0, max_gap_frames].

    `speed_noise` is as in deep_sort.advance.
    """
    gap = new.at[None, :] - lost.at[:, None]
    odds = np.full(gap.shape, _NEVER)
    row, column = np.nonzero((gap > 0) & (gap <= max_gap_frames) & (lost.group[:, None] == new.group[None, :]))
    gap = gap[row, column]
    towards = _likelihood(lost.mean[row], lost.cov[row], new.mean[column], new.cov[column], gap, speed_noise)
    back = _likelihood(new.mean[column], new.cov[column], lost.mean[row], lost.cov[row], gap, speed_noise)
    time = -np.log(MEAN_GAP_FRAMES) - gap / MEAN_GAP_FRAMES
    odds[row, column] = (towards + back) / 2 + time - np.log(NEW_PER_FRAME)
    return odds


def choose(log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match rows (lost) and columns (new) one to one at the greatest summed log odds, pairs above 0 only."""
    gain = np.maximum(log_odds, 0)
    row, column = linear_sum_assignment(gain, maximize=True)
    keep = gain[row, column] > 0
    return row[keep], column[keep]


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
