"""pipeline.tracking.hindsight.smoothing for compiled loops: one chain at one place at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.tracking.hindsight import smoothing
from pipeline.tracking.kernels import motion

ASPECT = motion.ASPECT
POSITION_STD = smoothing.POSITION_STD
ASPECT_SHARE = smoothing.ASPECT_SHARE
FIRST_ASPECT_VARIANCE = smoothing.ASPECT_STD**2


@njit
def forwards(measurement, elapsed, seen, speed_noise, share):
    """Filter F places of C chains. Arguments as in smoothing.smooth_numpy; F must not be 0.

    Returns mean (F, C, 8) and cov (F, C, 4, 3) after each place, and the same as predicted for it.
    """
    n_places, n_chains = seen.shape
    mean, cov = np.empty((n_places, n_chains, 8)), np.empty((n_places, n_chains, 4, 3))
    mean_ahead, cov_ahead = np.empty((n_places, n_chains, 8)), np.empty((n_places, n_chains, 4, 3))
    for chain in range(n_chains):
        motion.initiate(measurement[0], chain, speed_noise, mean[0], cov[0], chain)
        cov[0, chain, ASPECT, 0] = FIRST_ASPECT_VARIANCE
        _copy(mean[0], cov[0], chain, mean_ahead[0], cov_ahead[0])
    for place in range(1, n_places):
        expected, spread = mean_ahead[place], cov_ahead[place]
        for chain in range(n_chains):
            time = elapsed[place, chain]
            once = time * (time - 1) / 2
            twice = once * (2 * time - 1) / 3
            motion.predict(
                mean[place - 1], cov[place - 1], chain, time, once, twice, speed_noise, POSITION_STD, expected, spread
            )
            if seen[place, chain]:
                motion.update(
                    expected,
                    spread,
                    chain,
                    measurement[place],
                    chain,
                    share[chain],
                    ASPECT_SHARE,
                    mean[place],
                    cov[place],
                    chain,
                )
            else:
                _copy(expected, spread, chain, mean[place], cov[place])
    return mean, cov, mean_ahead, cov_ahead


@njit
def smooth(measurement, elapsed, seen, speed_noise, share):
    """Return the smoothed boxes (F, C, 4). Arguments as in smoothing.smooth_numpy; F must not be 0."""
    mean, cov, mean_ahead, cov_ahead = forwards(measurement, elapsed, seen, speed_noise, share)
    n_places, n_chains = seen.shape
    way = np.empty((n_places, n_chains, 4))
    for place in range(n_places - 1, -1, -1):
        for chain in range(n_chains):
            for axis in range(4):
                if place < n_places - 1:
                    _carry_back(mean, cov, mean_ahead, cov_ahead, place, chain, axis, elapsed[place + 1, chain])
                way[place, chain, axis] = mean[place, chain, axis]
    return way


@njit
def _carry_back(mean, cov, mean_ahead, cov_ahead, place, chain, axis, elapsed):
    """Correct one quantity of one state by what was learned later, which `mean` has: smoothing._carried_back."""
    value, mixed, velocity = cov[place, chain, axis, 0], cov[place, chain, axis, 1], cov[place, chain, axis, 2]
    across = value + elapsed * mixed
    down = mixed + elapsed * velocity
    later = place + 1
    ahead_value, ahead_mixed = cov_ahead[later, chain, axis, 0], cov_ahead[later, chain, axis, 1]
    ahead_velocity = cov_ahead[later, chain, axis, 2]
    determinant = ahead_value * ahead_velocity - ahead_mixed * ahead_mixed
    surprise = mean[later, chain, axis] - mean_ahead[later, chain, axis]
    of_speed = mean[later, chain, 4 + axis] - mean_ahead[later, chain, 4 + axis]
    of_value = (ahead_velocity * surprise - ahead_mixed * of_speed) / determinant
    of_velocity = (ahead_value * of_speed - ahead_mixed * surprise) / determinant
    mean[place, chain, axis] += across * of_value + mixed * of_velocity
    mean[place, chain, 4 + axis] += down * of_value + velocity * of_velocity


@njit
def _copy(mean, cov, chain, to_mean, to_cov):
    """Write one state of a place to another place."""
    for axis in range(4):
        to_mean[chain, axis], to_mean[chain, 4 + axis] = mean[chain, axis], mean[chain, 4 + axis]
        for number in range(3):
            to_cov[chain, axis, number] = cov[chain, axis, number]
