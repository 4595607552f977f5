"""pipeline.tracking.kalman and pipeline.boxes.iou for compiled loops: one track, or one pair, at a time."""

from __future__ import annotations

from numba import njit

from pipeline.tracking import kalman

ASPECT, HEIGHT = 2, 3
POSITION_STD, VELOCITY_STD = kalman.MEASURED_POSITION_STD, kalman._VELOCITY_STD
ASPECT_VARIANCE = kalman._ASPECT_STD**2
ASPECT_VELOCITY_VARIANCE = kalman._ASPECT_VELOCITY_STD**2
MEASURED_ASPECT_VARIANCE = kalman.MEASURED_ASPECT_STD**2
BIRTH_POSITION_STD = kalman._BIRTH_POSITION * kalman.MEASURED_POSITION_STD
BIRTH_VELOCITY_STD = kalman._BIRTH_VELOCITY * kalman._VELOCITY_STD


@njit
def predict(mean, cov, track, elapsed, once, twice, speed_noise, position_share, ahead, spread):
    """Write one of the states mean (T, 8), cov (T, 4, 3) `elapsed` frames on into its row of `ahead` and `spread`.

    `once` and `twice` are kalman.sums_of_steps(elapsed), `position_share` is kalman.predict's `position_std`.
    """
    height = mean[track, HEIGHT]
    position_std, velocity_std = position_share * height, VELOCITY_STD * speed_noise * height
    for axis in range(4):
        noise, velocity_noise = position_std * position_std, velocity_std * velocity_std
        if axis == ASPECT:
            noise, velocity_noise = ASPECT_VARIANCE, ASPECT_VELOCITY_VARIANCE
        ahead[track, axis] = mean[track, axis] + elapsed * mean[track, 4 + axis]
        ahead[track, 4 + axis] = mean[track, 4 + axis]
        value, mixed, velocity = cov[track, axis, 0], cov[track, axis, 1], cov[track, axis, 2]
        spread[track, axis, 0] = (
            value + 2 * elapsed * mixed + elapsed * elapsed * velocity + elapsed * noise + twice * velocity_noise
        )
        spread[track, axis, 1] = mixed + elapsed * velocity + once * velocity_noise
        spread[track, axis, 2] = velocity + elapsed * velocity_noise


@njit
def measured_variance(mean, cov, track, axis, noise_share):
    """Return the variance with which one axis of a track is expected to be measured."""
    std = POSITION_STD * mean[track, HEIGHT]
    noise = MEASURED_ASPECT_VARIANCE if axis == ASPECT else std * std
    return cov[track, axis, 0] + noise_share * noise


@njit
def update(mean, cov, track, measurement, box, noise_share, aspect_share, corrected, shrunk, row):
    """Write track `track`, corrected by measurement `box`, into row `row` of `corrected` and `shrunk`.

    `noise_share` multiplies the variance of the measurement noise, `aspect_share` that of the aspect besides.
    """
    for axis in range(4):
        share = noise_share * aspect_share if axis == ASPECT else noise_share
        variance = measured_variance(mean, cov, track, axis, share)
        gain, velocity_gain = cov[track, axis, 0] / variance, cov[track, axis, 1] / variance
        innovation = measurement[box, axis] - mean[track, axis]
        corrected[row, axis] = mean[track, axis] + gain * innovation
        corrected[row, 4 + axis] = mean[track, 4 + axis] + velocity_gain * innovation
        left = 1 - gain
        shrunk[row, axis, 0] = cov[track, axis, 0] * left
        shrunk[row, axis, 1] = cov[track, axis, 1] * left
        shrunk[row, axis, 2] = cov[track, axis, 2] - velocity_gain * cov[track, axis, 1]


@njit
def initiate(measurement, box, speed_noise, mean, cov, row):
    """Write a track at rest at measurement `box` into row `row` of mean and cov."""
    position_std, velocity_std = (
        BIRTH_POSITION_STD * measurement[box, HEIGHT],
        BIRTH_VELOCITY_STD * speed_noise * measurement[box, HEIGHT],
    )
    for axis in range(4):
        mean[row, axis] = measurement[box, axis]
        mean[row, 4 + axis] = 0.0
        cov[row, axis, 0] = ASPECT_VARIANCE if axis == ASPECT else position_std * position_std
        cov[row, axis, 1] = 0.0
        cov[row, axis, 2] = ASPECT_VELOCITY_VARIANCE if axis == ASPECT else velocity_std * velocity_std


@njit
def measure(xyxy, measurement, box):
    """Write corners as cx, cy, aspect, height."""
    width, height = xyxy[box, 2] - xyxy[box, 0], xyxy[box, 3] - xyxy[box, 1]
    measurement[box, 0] = xyxy[box, 0] + width / 2
    measurement[box, 1] = xyxy[box, 1] + height / 2
    measurement[box, ASPECT] = width / height
    measurement[box, HEIGHT] = height


@njit
def corners(mean, track):
    """Return the corners of a track's box."""
    height = mean[track, HEIGHT]
    half_x, half_y = mean[track, ASPECT] * height / 2, height / 2
    cx, cy = mean[track, 0], mean[track, 1]
    return cx - half_x, cy - half_y, cx + half_x, cy + half_y


@njit
def iou(x1, y1, x2, y2, xyxy, box):
    """Return the intersection over union of one box and row `box` of xyxy; 0 where the union is empty."""
    width = min(x2, xyxy[box, 2]) - max(x1, xyxy[box, 0])
    height = min(y2, xyxy[box, 3]) - max(y1, xyxy[box, 1])
    intersection = max(width, 0.0) * max(height, 0.0)
    area = max(x2 - x1, 0.0) * max(y2 - y1, 0.0)
    other = max(xyxy[box, 2] - xyxy[box, 0], 0.0) * max(xyxy[box, 3] - xyxy[box, 1], 0.0)
    union = area + other - intersection
    return intersection / union if union > 0 else 0.0
