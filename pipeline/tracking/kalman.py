"""The Kalman filter of Deep SORT: constant velocity in picture coordinates, batched over tracks, pure.

The state of a box is (cx, cy, aspect, height) and the change of each per frame; aspect is width / height, the rest is
pixels. Transition, process noise and measurement noise never couple two of the four quantities (Wojke, Bewley and
Paulus 2017, section 2.1, and its reference implementation), so the 8x8 covariance is exactly four 2x2 blocks. They are
kept as such, and every step has a closed form: no matrix is ever multiplied, inverted or factorised.

mean  (N, 8)     float64: cx, cy, aspect, height, then their velocities per frame
cov   (N, 4, 3)  float64: for each of the four quantities the variance of its value, the covariance of value and
                 velocity, the variance of its velocity
"""

from __future__ import annotations

import numpy as np

MEASURED_POSITION_STD = 1 / 20
_VELOCITY_STD = 1 / 160
"""Noise as a share of the box height: reference implementation, kalman_filter.py, `_std_weight_*`."""

_ASPECT_STD = 1e-2
_ASPECT_VELOCITY_STD = 1e-5
MEASURED_ASPECT_STD = 1e-1
"""Aspect has no unit, so its noise is absolute: same source, `predict` and `project`."""

_BIRTH_POSITION = 2
_BIRTH_VELOCITY = 10
"""How much wider the noise of a new track is: same source, `initiate`."""

_ASPECT, _HEIGHT = 2, 3


def from_xyxy(xyxy: np.ndarray) -> np.ndarray:
    """Turn corners (N, 4) into measurements (N, 4) float64: cx, cy, aspect, height. Heights must not be 0."""
    corners = xyxy.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    centre = corners[:, :2] + size / 2
    return np.column_stack([centre, size[:, 0] / size[:, 1], size[:, 1]])


def to_xyxy(mean: np.ndarray) -> np.ndarray:
    """Turn states (N, 8), or measurements (N, 4), into corners (N, 4)."""
    height = mean[:, 3:4]
    half = np.concatenate([mean[:, 2:3] * height, height], axis=1) / 2  # (N, 2)
    return np.concatenate([mean[:, :2] - half, mean[:, :2] + half], axis=1)


def initiate(measurement: np.ndarray, speed_noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Start N tracks at rest from measurements (N, 4). Returns mean (N, 8) and cov (N, 4, 3).

    `speed_noise` multiplies how fast they may be.
    """
    height = measurement[:, _HEIGHT]
    mean = np.concatenate([measurement, np.zeros_like(measurement)], axis=1)
    cov = np.zeros((len(measurement), 4, 3))
    cov[:, :, 0] = _variance(_BIRTH_POSITION * MEASURED_POSITION_STD * height, _ASPECT_STD)
    cov[:, :, 2] = _variance(_BIRTH_VELOCITY * _VELOCITY_STD * speed_noise * height, _ASPECT_VELOCITY_STD)
    return mean, cov


def predict(
    mean: np.ndarray,
    cov: np.ndarray,
    elapsed: float | np.ndarray = 1.0,
    *,
    speed_noise: float = 1.0,
    position_std: float = MEASURED_POSITION_STD,
) -> tuple[np.ndarray, np.ndarray]:
    """Advance N states by `elapsed` frames, above 0, not only whole ones. mean (N, 8), cov (N, 4, 3); same shapes out.

    `elapsed` is one number or (N, 1). `speed_noise` multiplies the random change of speed in a frame; `position_std` is
    the random motion of a place in a frame, a share of the height.
    For a whole number n this is n single steps in one: F^n P F^n' plus the sum of F^k Q F^k' for k < n, a polynomial
    in n that serves for any time between. The noise is that of the height before the step, as in the reference.
    """
    height = mean[:, _HEIGHT]
    ahead = mean.copy()
    ahead[:, :4] += elapsed * mean[:, 4:]
    value, mixed, velocity = cov[:, :, 0], cov[:, :, 1], cov[:, :, 2]
    noise = _variance(position_std * height, _ASPECT_STD)
    velocity_noise = _variance(_VELOCITY_STD * speed_noise * height, _ASPECT_VELOCITY_STD)
    once, twice = sums_of_steps(elapsed)
    spread = np.empty_like(cov)
    spread[:, :, 0] = (
        value + 2 * elapsed * mixed + elapsed * elapsed * velocity + elapsed * noise + twice * velocity_noise
    )
    spread[:, :, 1] = mixed + elapsed * velocity + once * velocity_noise
    spread[:, :, 2] = velocity + elapsed * velocity_noise
    return ahead, spread


def sums_of_steps(elapsed: float | np.ndarray) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Return the sums of k and of k^2 over k = 0 ... elapsed - 1, as polynomials in `elapsed`."""
    once = elapsed * (elapsed - 1) / 2
    return once, once * (2 * elapsed - 1) / 3


def warp(mean: np.ndarray, cov: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move N states into the picture of a camera that has moved itself. mean (N, 8), cov (N, 4, 3); same shapes out.

    affine (2, 3) float64 maps picture coordinates before to those after: p' = A p + t. Centres go along with all of it,
    their velocities with A, heights and their velocities with the mean scale sqrt(|det A|); aspects stay. Variances
    follow as A P A^T (Aharon, Orfaig and Bobrovsky 2022, BoT-SORT, section 3.2), of which the terms that would couple
    cx with cy are left out, since the blocks have no room for them. They are 0 for a translation and for any stretch
    along the axes, and for a rotation whenever cx and cy have equal variances, which all steps of this module keep: so
    nothing is lost for a shift, turn and zoom together, and only a shear is approximated.
    """
    linear, shift = affine[:, :2], affine[:, 2]
    scale = np.sqrt(abs(linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0]))
    moved = mean.copy()
    moved[:, :2] = mean[:, :1] * linear[:, 0] + mean[:, 1:2] * linear[:, 1] + shift
    moved[:, 4:6] = mean[:, 4:5] * linear[:, 0] + mean[:, 5:6] * linear[:, 1]
    moved[:, [_HEIGHT, 4 + _HEIGHT]] *= scale
    spread, share = cov.copy(), np.square(linear)[:, :, None]
    spread[:, :2] = share[:, 0] * cov[:, None, 0] + share[:, 1] * cov[:, None, 1]  # (N, 2, 3), diagonal of A P A^T
    spread[:, _HEIGHT] *= scale**2
    return moved, spread


def project(mean: np.ndarray, cov: np.ndarray, noise_share: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Say what N states expect to be measured: mean (N, 4) and variance (N, 4), measurement noise included."""
    noise = _variance(MEASURED_POSITION_STD * mean[:, _HEIGHT], MEASURED_ASPECT_STD)
    return mean[:, :4], cov[:, :, 0] + noise_share * noise


def update(
    mean: np.ndarray, cov: np.ndarray, measurement: np.ndarray, noise_share: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Correct N predicted states by their measurements (N, 4). mean (N, 8), cov (N, 4, 3); same shapes out.

    noise_share (N, 1), (4,) or one number multiplies the variance of the measurement noise.
    """
    expected, variance = project(mean, cov, noise_share)
    gain = cov[:, :, :2] / variance[:, :, None]  # (N, 4, 2): of the value, of the velocity
    innovation = measurement - expected
    corrected = mean + np.concatenate([gain[:, :, 0] * innovation, gain[:, :, 1] * innovation], axis=1)
    left = 1 - gain[:, :, 0]  # share of the predicted variance that remains
    shrunk = np.empty_like(cov)
    shrunk[:, :, 0] = cov[:, :, 0] * left
    shrunk[:, :, 1] = cov[:, :, 1] * left
    shrunk[:, :, 2] = cov[:, :, 2] - gain[:, :, 1] * cov[:, :, 1]
    return corrected, shrunk


def gating_distance_sq(mean: np.ndarray, cov: np.ndarray, measurement: np.ndarray) -> np.ndarray:
    """Return the squared Mahalanobis distance of N predicted states and M measurements (M, 4) as (N, M).

    Paper, equation 1. Under the filter's own assumptions it is chi-square distributed with 4 degrees of freedom.
    """
    expected, variance = project(mean, cov)
    precision = 1 / variance
    distance_sq = np.zeros((len(mean), len(measurement)))
    for axis in range(4):
        difference = measurement[None, :, axis] - expected[:, None, axis]  # (N, M)
        distance_sq += difference * difference * precision[:, None, axis]
    return distance_sq


def _variance(std_px: np.ndarray, aspect_std: float) -> np.ndarray:
    """Noise variances (N, 4): `std_px` (N,) squared for the three lengths, `aspect_std` squared for the aspect."""
    variance = np.repeat(np.square(std_px)[:, None], 4, axis=1)
    variance[:, _ASPECT] = aspect_std**2
    return variance
