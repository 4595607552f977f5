"""Which scale a file's confidences are on, and the scores in [0, 1] that they stand for."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit

ScoreScale = Literal["as given", "percent", "log odds", "none given"]

NOT_GIVEN = -1
"""MOTChallenge's mark for a confidence that is not known."""

_STRAY_SHARE = 0.01
"""Fewer rows than this outside [0, 1] are strays on a scale of 0 to 1, such as a rounded 1.0001."""

_LEAST_BEST_PERCENT = 50.0
"""Percents have at least one box that is more likely there than not; log odds as great as that are not met with."""


def to_scores(confidence: np.ndarray) -> tuple[np.ndarray, ScoreScale]:
    """Bring the confidences of one file, (N,) finite, to scores (N,) float64 in [0, 1]; tell the scale they were on.

    none given   all are -1: every score is 1
    as given     at most 1 in 100 lies outside [0, 1]: 1 where above, 0 where below
    percent      none is negative and the greatest is above 50, at most 100: divided by 100
    log odds     all else, such as the margins of a DPM or SVM and KITTI's scores: the logistic function, 0.5 at 0

    -1 beside other confidences says nothing about a scale of 0 to 1 or of percents, and is a score of 0 there.
    """
    unknown = confidence == NOT_GIVEN
    if len(confidence) and unknown.all():
        return np.ones(len(confidence)), "none given"
    given = confidence[~unknown]
    if np.sum((given < 0) | (given > 1)) <= _STRAY_SHARE * len(given):
        return np.clip(confidence, 0, 1), "as given"
    if given.min() >= 0 and _LEAST_BEST_PERCENT < given.max() <= 100:
        return np.clip(confidence / 100, 0, 1), "percent"
    return expit(confidence), "log odds"
