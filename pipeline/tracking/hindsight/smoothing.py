"""The most likely way of a box, given where it was seen before and after: a Kalman filter on, a smoother back.

The model is the tracker's, constant velocity with random changes of it, with less random motion of the place itself:
the tracker needs that against being wrong about the speed, and a smoother, which knows what came after, does not. This
is the posterior of a Gaussian process whose prior is integrated Brownian motion, so boxes filled into a gap lie on the
cubic spline that fits both sides (Wahba 1978; Rauch, Tung and Striebel 1965; Hartikainen and Särkkä 2010).

Every array is (F, C, ...): F places in a row, one chain of boxes a column, each column left-aligned at its first box.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.tracking import compiled, kalman

POSITION_STD = 1 / 40
"""Random motion of the place itself in a frame, as a share of the height: half the tracker's."""

ASPECT_STD = 0.01
"""How wrong the aspect of a box may be: no more than it may change in a frame. The tracker says 0.1, so that a box that
is cut off still matches; a smoother that believed it would take a walker's stride, which widens the box by half twice a
second, for noise."""

ASPECT_SHARE = (ASPECT_STD / kalman.MEASURED_ASPECT_STD) ** 2

LEAST_NOISE_SHARE = 0.25
"""Of the variance: boxes are at least half as wrong as the tracker says, however evenly they follow each other. A
detector that is wrong in the same way in frames that look the same is wrong without jitter."""

_BELIEF_BOXES = 2
"""The tracker's word on how wrong places are counts as so many boxes."""
_EVEN_TIMES = 0.1
"""Frames whose distances differ by no more than this share follow each other evenly."""
_OF_A_THIRD_DIFFERENCE = 1 + 9 + 9 + 1
"""Squares of its coefficients: so many times the variance of a value has the third difference of unrelated ones."""
_ASPECT = 2
_PLACES = (0, 1, 3)
_AXIS_SHARES = np.array([1.0, 1.0, ASPECT_SHARE, 1.0])


def smooth(measurement: np.ndarray, elapsed: np.ndarray, seen: np.ndarray, speed_noise: float = 1.0) -> np.ndarray:
    """Return the smoothed boxes (F, C, 4) as (cx, cy, aspect, height) at every place, seen or not.

    measurement  (F, C, 4) float64, cx, cy, aspect, height; read where `seen`
    elapsed      (F, C)    float64, frames since the place before; row 0 is not read
    seen         (F, C)    bool, row 0 all true. Places after a column's last seen one are predictions: leave them out
    speed_noise            as in deep_sort.advance

    How wrong the places of a column are is `noise_share` of what the tracker says. Compiled where numba is installed
    (pipeline.tracking.compiled), otherwise `smooth_numpy`: equal bits.
    """
    if len(measurement) == 0:
        return np.empty_like(measurement)
    share = noise_share(measurement, elapsed, seen)
    return _quickest()[0](measurement, elapsed, seen, float(speed_noise), share)


def noise_share(measurement: np.ndarray, elapsed: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return how wrong the boxes of each column are, (C,), as a share of the variance the tracker expects.

    A smooth way leaves next to nothing of its third differences, and jitter leaves 20 times its variance (Rice 1984,
    "Bandwidth choice for nonparametric regression", after von Neumann 1941), so four boxes in a row tell. Between
    LEAST_NOISE_SHARE and 1: boxes as exact as a laser's are hardly touched, and jittery ones smoothed as the tracker
    would. Arguments as `smooth` takes them.
    """
    n_chains = seen.shape[1]
    if len(seen) < 4:
        return np.ones(n_chains)
    steps = np.stack([elapsed[1:-2], elapsed[2:-1], elapsed[3:]])
    told = seen[:-3] & seen[1:-2] & seen[2:-1] & seen[3:] & (np.ptp(steps, axis=0) <= _EVEN_TIMES * steps.max(axis=0))
    jitter = np.square(np.diff(measurement[:, :, _PLACES], 3, axis=0)).mean(axis=2) / _OF_A_THIRD_DIFFERENCE
    expected = np.square(kalman.MEASURED_POSITION_STD * measurement[1:-2, :, 3])
    count = told.sum(axis=0)
    share = _sum_of(jitter, told) / np.maximum(_sum_of(expected, told), 1e-12)
    return np.clip((count * share + _BELIEF_BOXES) / (count + _BELIEF_BOXES), LEAST_NOISE_SHARE, 1.0)


def _sum_of(values: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Sum the values (F, C) that are `told` down each column, one after the other: equal bits whatever is beside it."""
    return np.add.accumulate(np.where(told, values, 0), axis=0)[-1]


def last_state(
    measurement: np.ndarray, elapsed: np.ndarray, seen: np.ndarray, speed_noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (C, 8) and cov (C, 4, 3) of every column after its last seen place, for the tracker's noise."""
    mean, cov, _, _ = _quickest()[1](measurement, elapsed, seen, float(speed_noise), np.ones(seen.shape[1]))
    last = len(seen) - 1 - seen[::-1].argmax(axis=0)
    column = np.arange(seen.shape[1])
    return mean[last, column], cov[last, column]


def _quickest() -> tuple[Callable, Callable]:
    """Return the smoother and its way forwards, compiled where that can be had."""
    return compiled.smoother() or (smooth_numpy, forwards_numpy)


def smooth_numpy(
    measurement: np.ndarray, elapsed: np.ndarray, seen: np.ndarray, speed_noise: float, share: np.ndarray
) -> np.ndarray:
    """Smooth as `smooth` says, one place at least, by shares (C,) of noise: the twin that needs no compiler."""
    smoothed = np.empty_like(measurement)
    mean, cov, mean_ahead, cov_ahead = forwards_numpy(measurement, elapsed, seen, speed_noise, share)
    later = mean[-1]
    smoothed[-1] = later[:, :4]
    for place in range(len(measurement) - 2, -1, -1):
        later = mean[place] + _carried_back(
            later - mean_ahead[place + 1], cov[place], cov_ahead[place + 1], elapsed[place + 1][:, None]
        )
        smoothed[place] = later[:, :4]
    return smoothed


def forwards_numpy(
    measurement: np.ndarray, elapsed: np.ndarray, seen: np.ndarray, speed_noise: float, share: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Filter: mean (F, C, 8) and cov (F, C, 4, 3) after each place, and the same as predicted for it."""
    n_places, n_chains = seen.shape
    noise = share[:, None] * _AXIS_SHARES
    mean, cov = np.empty((n_places, n_chains, 8)), np.empty((n_places, n_chains, 4, 3))
    mean_ahead, cov_ahead = np.empty_like(mean), np.empty_like(cov)
    mean[0], cov[0] = kalman.initiate(measurement[0], speed_noise)
    cov[0, :, _ASPECT, 0] = ASPECT_STD**2
    mean_ahead[0], cov_ahead[0] = mean[0], cov[0]
    for place in range(1, n_places):
        ahead = kalman.predict(
            mean[place - 1],
            cov[place - 1],
            elapsed[place][:, None],
            speed_noise=speed_noise,
            position_std=POSITION_STD,
        )
        mean_ahead[place], cov_ahead[place] = mean[place], cov[place] = ahead
        here = np.flatnonzero(seen[place])
        mean[place, here], cov[place, here] = kalman.update(
            ahead[0][here], ahead[1][here], measurement[place, here], noise[here]
        )
    return mean, cov, mean_ahead, cov_ahead


def _carried_back(surprise: np.ndarray, cov: np.ndarray, cov_ahead: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """Return by how much what was learned later, `surprise` (C, 8), moves the state before it: (C, 8).

    The gain P F' (P ahead)^-1 in closed form, a 2x2 block for each of the four quantities.
    """
    value, mixed, velocity = cov[:, :, 0], cov[:, :, 1], cov[:, :, 2]
    across = value + elapsed * mixed  # P F': covariance of the value now with the value then
    down = mixed + elapsed * velocity
    ahead_value, ahead_mixed, ahead_velocity = cov_ahead[:, :, 0], cov_ahead[:, :, 1], cov_ahead[:, :, 2]
    determinant = ahead_value * ahead_velocity - ahead_mixed * ahead_mixed
    of_value = (ahead_velocity * surprise[:, :4] - ahead_mixed * surprise[:, 4:]) / determinant
    of_velocity = (ahead_value * surprise[:, 4:] - ahead_mixed * surprise[:, :4]) / determinant
    return np.concatenate([across * of_value + mixed * of_velocity, down * of_value + velocity * of_velocity], axis=1)
