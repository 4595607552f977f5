"""Tracklets as paths: where each was at any instant of its life, and with what velocity it came and went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.ground import GroundTracks

STEP_US = 200_000
"""Paths are kept at 5 places a second: a walker moves 0.3 m between two."""

END_US = 2_000_000
"""Velocity at either end is that over 2 s: two strides, so that the sway of a step and of a box average out."""


@dataclass(frozen=True, eq=False, slots=True)
class Ends:
    """Position and velocity of N tracklets at one end of their paths.

    at_us   (N,)      int64, the instant
    xy_m    (N, 2)    float64; cov_m2 (N, 2, 2) its covariance
    v_mps   (N, 2)    float64; v_cov (N, 2, 2) its covariance, (m/s)^2, infinite for a single place
    """

    at_us: np.ndarray
    xy_m: np.ndarray
    cov_m2: np.ndarray
    v_mps: np.ndarray
    v_cov: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class Paths:
    """The paths of N tracklets, one after another, at whole multiples of STEP_US.

    known   (N,)      bool, False where a tracklet has no place on the ground; its other values mean nothing
    start   (N,)      int64, first multiple of STEP_US of each; size (N,) int64, number of places, 0 where not known
    first   (N,)      int64, row of its first place
    xy_m    (R, 2)    float64; cov_m2 (R, 2, 2) float64
    entry, exit       Ends
    """

    known: np.ndarray
    start: np.ndarray
    size: np.ndarray
    first: np.ndarray
    xy_m: np.ndarray
    cov_m2: np.ndarray
    entry: Ends
    exit: Ends

    def __len__(self) -> int:
        return len(self.known)

    def at(self, tracklet: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return place (..., 2) and covariance (..., 2, 2) of tracklets at steps within their lives."""
        row = self.first[tracklet] + step - self.start[tracklet]
        return self.xy_m[row], self.cov_m2[row]


def lay_paths(tracklet_id: np.ndarray, tracks: GroundTracks) -> Paths:
    """Build the paths of the tracklets (N,) sorted by id; places of other tracklets are passed over.

    Between two places a path is straight. A tracklet that lives between two multiples of STEP_US gets the nearest.
    """
    names = tracks.tracklet_id.astype(str)
    low = (
        np.searchsorted(names, tracklet_id.astype(str), side="left") if len(names) else np.zeros(len(tracklet_id), int)
    )
    high = np.searchsorted(names, tracklet_id.astype(str), side="right") if len(names) else low
    start, size = np.zeros(len(tracklet_id), np.int64), np.zeros(len(tracklet_id), np.int64)
    places, covs = [np.zeros((0, 2))], [np.zeros((0, 2, 2))]
    ends = [[], []]
    for n, (a, b) in enumerate(zip(low.tolist(), high.tolist())):
        if a == b:
            for side in ends:
                side.append((0, np.zeros(2), np.eye(2), np.zeros(2), np.full((2, 2), np.inf)))
            continue
        at_us, xy, cov = tracks.captured_at_us[a:b], tracks.xy_m[a:b], tracks.cov_m2[a:b]
        start[n], last = -(-at_us[0] // STEP_US), at_us[-1] // STEP_US
        if last < start[n]:
            start[n] = last = round(int(at_us[0] + at_us[-1]) / 2 / STEP_US)
        steps = np.arange(start[n], last + 1)
        size[n] = len(steps)
        places.append(np.stack([np.interp(steps * STEP_US, at_us, xy[:, axis]) for axis in (0, 1)], axis=1))
        covs.append(cov[np.clip(np.searchsorted(at_us, steps * STEP_US), 0, len(at_us) - 1)])
        ends[0].append(_end(at_us, xy, cov, int(at_us[0]), at_us <= at_us[0] + END_US))
        ends[1].append(_end(at_us, xy, cov, int(at_us[-1]), at_us >= at_us[-1] - END_US))
    first = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64) if len(size) else size
    entry, exit_ = (_stacked(side) for side in ends)
    return Paths(high > low, start, size, first, np.concatenate(places), np.concatenate(covs), entry, exit_)


def _end(at_us: np.ndarray, xy: np.ndarray, cov: np.ndarray, end_us: int, near: np.ndarray) -> tuple:
    """Fit a line to the places near an end: (instant, place, its covariance, velocity, its covariance).

    The errors of neighbouring boxes go together, so the places count as two looks, one at each end of the stretch.
    """
    t_s = (at_us[near] - end_us) / 1e6
    mean_cov = cov[near].mean(axis=0)
    span_s = float(np.ptp(t_s))
    if span_s == 0.0:
        return end_us, xy[near].mean(axis=0), mean_cov, np.zeros(2), np.full((2, 2), np.inf)
    slope, offset = np.polyfit(t_s, xy[near], 1)
    return end_us, offset, mean_cov, slope, 2 * mean_cov / span_s**2


def _stacked(side: list[tuple]) -> Ends:
    n = len(side)
    at_us, xy, cov, v, v_cov = zip(*side) if side else ((), (), (), (), ())
    return Ends(
        np.array(at_us, np.int64),
        np.array(xy, np.float64).reshape(n, 2),
        np.array(cov, np.float64).reshape(n, 2, 2),
        np.array(v, np.float64).reshape(n, 2),
        np.array(v_cov, np.float64).reshape(n, 2, 2),
    )
