"""How people and vehicles move while nobody sees them: a velocity that keeps, and slowly forgets, its direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.paths import Ends

DEGREES_OF_FREEDOM = 4.0
"""Tails of the Student distribution that stands for every error: a box on a shadow or half hidden is further off than
a normal error would ever be. Source: Lange, Little and Taylor 1989; 4 is their choice where none is fitted."""


@dataclass(frozen=True, slots=True)
class Mobility:
    """How a class group moves.

    speed_mps    usual speed
    keeps_s      time over which it forgets its velocity
    top_mps      nobody is faster, averaged from one sighting to the next
    extent_m     standard deviation of the place of a box's foot within the object itself
    """

    speed_mps: float
    keeps_s: float
    top_mps: float
    extent_m: float

    @property
    def v_sd_mps(self) -> float:
        """Standard deviation of the velocity along each axis."""
        return self.speed_mps / np.sqrt(2)


PERSON = Mobility(speed_mps=1.34, keeps_s=20.0, top_mps=6.0, extent_m=0.3)
"""Walking speed: Weidmann 1993, mean 1.34 m/s. A way turns about every 25 m: at a door, a kerb, a corner. 6 m/s is
somebody running for a bus. Half a shoulder's width of extent."""

VEHICLE = Mobility(speed_mps=10.0, keeps_s=10.0, top_mps=50.0, extent_m=2.0)
"""36 km/h, the urban mean; a junction every 100 m; 180 km/h. The near edge of a car 4.5 m by 1.8 m, which is where the
foot of its box lies, is 0.9 to 2.25 m from its middle, to the side of each camera."""


def mobility(group: str) -> Mobility:
    """Return how a class group moves; what is not a person drives."""
    return PERSON if group == "person" else VEHICLE


def log_meeting(gap_m: np.ndarray, cov_m2: np.ndarray, how: Mobility) -> tuple[np.ndarray, np.ndarray]:
    """Judge two places of one instant, `gap_m` (..., 2) apart, as one object's.

    cov_m2 (..., 2, 2) is the sum of both covariances. Returns the log density of the gap (per square metre) and its
    squared Mahalanobis length, both (...).
    """
    return _log_student(gap_m, cov_m2 + 2 * how.extent_m**2 * np.eye(2))


def log_passage(gone: Ends, came: Ends, how: Mobility) -> np.ndarray:
    """Return (P,) the log density, per m^2 and (m/s)^2, of coming as `came` if it is what left as `gone` before.

    Velocity is an Ornstein-Uhlenbeck process (Uhlenbeck and Ornstein 1930): it keeps for `keeps_s` and is spread by
    `v_sd_mps` in the long run. So a moment later somebody is where his way leads, a minute later anywhere near.
    """
    dt_s = np.maximum(came.at_us - gone.at_us, 0) / 1e6
    keeps_s, v_var = how.keeps_s, how.v_sd_mps**2
    ratio = dt_s / keeps_s
    kept = np.exp(-ratio)
    reach_s = keeps_s * (1 - kept)  # an initial velocity of 1 m/s carries so many metres
    xx = v_var * keeps_s**2 * (2 * ratio - 3 + 4 * kept - kept**2)
    xv = v_var * keeps_s * (1 - kept) ** 2
    vv = v_var * (1 - kept**2)
    v_gone, cov_gone = _believed(gone, v_var)
    v_came, cov_came = _believed(came, v_var)
    gap = np.concatenate([came.xy_m - gone.xy_m - reach_s[:, None] * v_gone, v_came - kept[:, None] * v_gone], axis=1)
    eye = np.eye(2)
    cov = np.zeros((len(dt_s), 4, 4))
    by = (slice(None), None, None)
    cov[:, :2, :2] = gone.cov_m2 + came.cov_m2 + reach_s[by] ** 2 * cov_gone + (xx[by] + 2 * how.extent_m**2) * eye
    cov[:, :2, 2:] = reach_s[by] * kept[by] * cov_gone + xv[by] * eye
    cov[:, 2:, :2] = cov[:, :2, 2:].transpose(0, 2, 1)
    cov[:, 2:, 2:] = kept[by] ** 2 * cov_gone + cov_came + vv[by] * eye
    return _log_student(gap, cov)[0]


def too_fast(gone: Ends, came: Ends, how: Mobility) -> np.ndarray:
    """Tell (P,) where nobody could have come so far in the time, even with both places two deviations off."""
    way_m = np.linalg.norm(came.xy_m - gone.xy_m, axis=1)
    sd_m = np.sqrt(np.trace(gone.cov_m2 + came.cov_m2, axis1=1, axis2=2) + 4 * how.extent_m**2)
    dt_s = np.maximum(came.at_us - gone.at_us, 0) / 1e6
    return way_m - 2 * sd_m > how.top_mps * dt_s


def _believed(end: Ends, v_var: float) -> tuple[np.ndarray, np.ndarray]:
    """Weigh measured velocities (P, 2) against what is usual: posterior mean and covariance (P, 2, 2)."""
    v, v_cov = np.zeros_like(end.v_mps), np.zeros_like(end.v_cov)
    v_cov[:] = v_var * np.eye(2)
    measured = np.isfinite(end.v_cov).all(axis=(1, 2))
    gain = v_var * np.linalg.inv(v_var * np.eye(2) + end.v_cov[measured])
    v[measured] = np.einsum("pij,pj->pi", gain, end.v_mps[measured])
    v_cov[measured] = v_var * (np.eye(2) - gain)
    return v, v_cov


def _log_student(gap: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log density of the multivariate Student distribution with scale `cov`, and the squared length."""
    from scipy.special import gammaln

    dim, nu = gap.shape[-1], DEGREES_OF_FREEDOM
    length_sq = np.einsum("...i,...i->...", gap, np.linalg.solve(cov, gap[..., None])[..., 0])
    constant = gammaln((nu + dim) / 2) - gammaln(nu / 2) - dim / 2 * np.log(nu * np.pi)
    log_density = constant - 0.5 * np.linalg.slogdet(cov)[1] - (nu + dim) / 2 * np.log1p(length_sq / nu)
    return log_density, length_sq
