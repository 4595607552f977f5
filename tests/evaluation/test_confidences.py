"""Confidences on the scales that detectors write, and the scores they become."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.confidences import to_scores

MANY = [0.5] * 200


@pytest.mark.parametrize(
    ("confidence", "score", "scale"),
    [
        ([], [], "as given"),
        ([0, 0.3, 1], [0, 0.3, 1], "as given"),
        ([-1, 0.5], [0, 0.5], "as given"),  # -1 is no sign of another scale
        ([*MANY, 1.01, -0.2], [*MANY, 1, 0], "as given"),  # nor are strays
        ([-1, -1], [1, 1], "none given"),
        ([99.5, 20, 0.5], [0.995, 0.2, 0.005], "percent"),
        ([-1, 80], [0, 0.8], "percent"),
        ([-1.0, 0, np.log(3), 3], [0.26894142, 0.5, 0.75, 0.95257413], "log odds"),  # DPM
        ([2.5, 0.1], [0.92414182, 0.52497919], "log odds"),  # margins cut at 0: as percents all would be doubtful
        ([250, 20], [1, 1], "log odds"),
        ([55.2, -3.0], [1, 0.04742587], "log odds"),
        ([1e300, -1e300], [1, 0], "log odds"),
    ],
)
def test_scores_by_scale(confidence, score, scale):
    given = np.array(confidence, np.float64)
    found, told = to_scores(given)
    assert told == scale
    assert found.tolist() == pytest.approx(score, abs=1e-8)
    assert given.tolist() == confidence  # not written into


@pytest.mark.parametrize(("least", "greatest"), [(0, 1), (0, 100), (-5, 5)])
def test_order_is_kept(least, greatest):
    confidence = np.random.default_rng(1).uniform(least, greatest, 300)
    found, _ = to_scores(confidence)
    assert (np.argsort(found) == np.argsort(confidence)).all()
    assert found.min() >= 0 and found.max() <= 1
