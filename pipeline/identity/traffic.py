"""How busy the ground is: the density of others, against which every coincidence in place and time is weighed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.motion import Mobility
from pipeline.identity.paths import STEP_US, Paths

MAX_SAMPLES = 250
"""Places of the night's traffic that are kept: with 1000 WILDTRACK's identities are as good, and take four times as
long."""

ELSEWHERE = 0.1
"""Share of the traffic taken to be anywhere on the ground seen, for a night is too short to have shown every way."""

NEARBY_US = 300_000_000
"""The traffic of an instant is that within 5 minutes of it: nights have rush hours."""

BLOCK = 1024
"""Places asked about at once: with all samples 32 MiB of doubles."""


@dataclass(frozen=True, eq=False, slots=True)
class Traffic:
    """S samples of who was where with what velocity, and when how many were about.

    owner   (S,) int64, the tracklet each sample is of; xy_m (S, 2), v_mps (S, 2) float64
    mean_m  (2,) and cov_m2 (2, 2) of the places; n_tracks how many tracklets they are of
    bin_us  (B,) int64, ascending start of bins of NEARBY_US; present (B,) float64, mean number of objects in view
    """

    owner: np.ndarray
    xy_m: np.ndarray
    v_mps: np.ndarray
    mean_m: np.ndarray
    cov_m2: np.ndarray
    n_tracks: int
    bin_us: np.ndarray
    present: np.ndarray
    how: Mobility

    def log_density(
        self, but: tuple[np.ndarray, np.ndarray], at_us: np.ndarray, xy_m: np.ndarray, v_mps: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (P,) the log of how many objects are there at an instant: per m^2, or per m^2 and (m/s)^2.

        Each is asked of the others: `but` (P,) and (P,) are the two tracklets left out.
        """
        result = np.zeros(len(at_us))
        for start in range(0, len(at_us), BLOCK):
            part = slice(start, start + BLOCK)
            others = (self.owner != but[0][part, None]) & (self.owner != but[1][part, None])
            result[part] = np.log(self._shape(others, xy_m[part], None if v_mps is None else v_mps[part]))
        nearest = np.clip(np.searchsorted(self.bin_us, at_us, side="right") - 1, 0, len(self.bin_us) - 1)
        return result + np.log(self.present[nearest])

    def _shape(self, others: np.ndarray, xy_m: np.ndarray, v_mps: np.ndarray | None) -> np.ndarray:
        """Return (P,) the density of one object: the kernel estimate and the share that may be anywhere."""
        point, sample, cov = xy_m, self.xy_m, self.cov_m2
        if v_mps is not None:
            point, sample = np.concatenate([xy_m, v_mps], axis=1), np.concatenate([self.xy_m, self.v_mps], axis=1)
            cov = np.zeros((4, 4))
            cov[:2, :2], cov[2:, 2:] = self.cov_m2, self.how.v_sd_mps**2 * np.eye(2)
        mean = np.zeros(len(cov))
        mean[:2] = self.mean_m
        anywhere = _normal(point - mean, cov)
        near = _normal(point[:, None] - sample[None], cov * self.n_tracks ** (-2 / (len(cov) + 4)))
        here = (near * others).sum(axis=1) / np.maximum(others.sum(axis=1), 1)
        return np.maximum((1 - ELSEWHERE) * here + ELSEWHERE * anywhere, np.finfo(np.float64).tiny)


def observe(paths: Paths, how: Mobility) -> Traffic | None:
    """Sum up the traffic of paths; None where there is none."""
    if len(paths.xy_m) == 0:
        return None
    owner = np.repeat(np.arange(len(paths)), paths.size)
    step = np.arange(len(owner)) - paths.first[owner] + paths.start[owner]
    chosen = np.unique(np.linspace(0, len(owner) - 1, min(len(owner), MAX_SAMPLES)).round().astype(np.int64))
    # Velocity over up to a second to either side, within the path.
    low = np.maximum(chosen - 5, paths.first[owner[chosen]])
    high = np.minimum(chosen + 5, paths.first[owner[chosen]] + paths.size[owner[chosen]] - 1)
    dt_s = (high - low) * STEP_US / 1e6
    v_mps = (paths.xy_m[high] - paths.xy_m[low]) / np.where(dt_s > 0, dt_s, np.inf)[:, None]
    xy_m = paths.xy_m[chosen]
    gap = xy_m - xy_m.mean(axis=0)
    cov_m2 = gap.T @ gap / len(gap) + how.extent_m**2 * np.eye(2)
    bins, present = _present(step * STEP_US)
    n_tracks = int(np.count_nonzero(paths.known))
    return Traffic(owner[chosen], xy_m, v_mps, xy_m.mean(axis=0), cov_m2, n_tracks, bins, present, how)


def _present(at_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts of bins and the mean number of objects in view in each, from one instant a place."""
    begin, end = int(at_us.min()), int(at_us.max()) + STEP_US
    bins = begin + NEARBY_US * np.arange(-(-(end - begin) // NEARBY_US))
    places = np.bincount((at_us - begin) // NEARBY_US, minlength=len(bins))
    length_us = np.minimum(bins + NEARBY_US, end) - bins
    return bins, np.maximum(places, 1) * STEP_US / length_us


def _normal(gap: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return the normal density at gaps (..., D) from its mean."""
    length_sq = ((gap @ np.linalg.inv(np.linalg.cholesky(cov)).T) ** 2).sum(axis=-1)
    return np.exp(-0.5 * length_sq) / np.sqrt(np.linalg.det(2 * np.pi * cov))
