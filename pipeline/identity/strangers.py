"""How alike two different objects are: a skew distribution, since some share a coat but none are opposites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.calibration import FALLBACK_SCALE, MIN_SD, MIN_STRANGERS, Calibration

TELLING = (0.05, 0.5, 0.95)
"""Quantiles that fix the distribution: far enough out to tell its skewness, not so far that a few objects which their
camera tracked twice at once would."""

MAX_SKEWNESS = 2.0
STEP = 0.01


@dataclass(frozen=True, slots=True)
class Strangers:
    """A Pearson type III distribution of similarities (Pearson 1895): a normal one's upper tail would be far too thin.

    middle is its median in standard units at `at`; see fit.
    """

    at: float
    middle: float
    spread: float
    skewness: float

    @staticmethod
    def fit(sample: np.ndarray) -> Strangers | None:
        """Fit it to similarities (R,) of known strangers by three quantiles; None for fewer than MIN_STRANGERS."""
        from scipy.stats import pearson3

        if len(sample) < MIN_STRANGERS:
            return None
        low, middle, high = np.quantile(sample.astype(np.float64), TELLING)
        skewness = np.linspace(0.0, MAX_SKEWNESS, 201)
        standard = np.array([pearson3.ppf(share, skewness) for share in TELLING])  # (3, 201)
        lopsided = (standard[2] - standard[1]) / (standard[1] - standard[0])
        own = float(np.interp((high - middle) / max(middle - low, 1e-9), lopsided, skewness))
        bounds = [float(np.interp(own, skewness, row)) for row in standard]
        return Strangers(float(middle), bounds[1], max(float(high - low) / (bounds[2] - bounds[0]), MIN_SD), own)

    def above(self, similarity: np.ndarray) -> np.ndarray:
        """Return the share of strangers more alike than each of these similarities (P,)."""
        from scipy.stats import pearson3

        return pearson3.sf(self._standard(similarity), self.skewness)

    def _standard(self, similarity: np.ndarray) -> np.ndarray:
        return (similarity - self.at) / self.spread + self.middle

    def slope(self, similarity: float) -> float:
        """Return by how much the log density changes for a similarity higher by 1; 0 where there are no strangers."""
        from scipy.stats import pearson3

        near = pearson3.logpdf(self._standard(np.array([similarity - STEP, similarity + STEP])), self.skewness)
        return float(near[1] - near[0]) / (2 * STEP) if np.isfinite(near).all() else 0.0


def steepness(calibration: Calibration, strangers: Strangers | None) -> float:
    """Return by how much the log odds of a pair near min_similarity grow for a similarity higher by 1; at least 1."""
    floor = calibration.min_similarity
    if strangers is None or calibration.match_mean is None or calibration.match_sd is None:
        return 1.0 / FALLBACK_SCALE
    if not np.isfinite(floor):
        return 1.0
    return max(1.0, (calibration.match_mean - floor) / calibration.match_sd**2 - strangers.slope(floor))
