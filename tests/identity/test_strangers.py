from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearson3

from pipeline.identity.calibration import MIN_STRANGERS, calibrate
from pipeline.identity.strangers import Strangers, steepness


def skewed(n, *, skewness=0.8, seed=0):
    """Similarities of n strangers with mean 0.05 and deviation 0.15."""
    return pearson3.rvs(skewness, loc=0.05, scale=0.15, size=n, random_state=seed)


def test_too_few_strangers_say_nothing():
    assert Strangers.fit(skewed(MIN_STRANGERS - 1)) is None


@pytest.mark.parametrize("skewness", [0.0, 0.5, 1.0])
def test_the_tail_is_that_of_the_distribution_behind_the_sample(skewness):
    fitted = Strangers.fit(skewed(20_000, skewness=skewness))
    for similarity in (0.3, 0.5, 0.7):
        true = pearson3.sf(similarity, skewness, loc=0.05, scale=0.15)
        assert fitted.above(np.array([similarity]))[0] == pytest.approx(true, rel=0.5)


def test_a_few_objects_tracked_twice_do_not_fatten_the_tail():
    alone = Strangers.fit(skewed(2000))
    with_twins = Strangers.fit(np.concatenate([skewed(2000), np.full(20, 0.95)]))
    at = np.array([0.6])
    assert with_twins.above(at)[0] < 2 * alone.above(at)[0]


def test_the_slope_is_that_of_the_log_density():
    fitted = Strangers.fit(skewed(5000))
    high, low = (np.log(-np.diff(fitted.above(np.array([x, x + 1e-3])))[0]) for x in (0.45, 0.35))
    assert fitted.slope(0.4) == pytest.approx((high - low) / 0.1, rel=0.1)


def test_where_there_are_no_strangers_the_slope_is_none():
    assert Strangers.fit(skewed(5000)).slope(-1.0) == 0.0


def test_equal_similarities_of_all_strangers_are_borne():
    fitted = Strangers.fit(np.full(50, 0.1))
    assert fitted.above(np.array([0.5]))[0] == pytest.approx(0.0, abs=1e-6)


def test_similarity_weighs_the_more_the_tighter_matches_lie():
    strangers = skewed(2000)
    rng = np.random.default_rng(1)
    steep = []
    for spread in (0.05, 0.15):
        same = np.clip(rng.normal(0.7, spread, 500), -1, 1)
        calibration = calibrate(np.concatenate([strangers, same]), 2500, same, strangers, configured=None)
        steep.append(steepness(calibration, Strangers.fit(strangers)))
    assert steep[0] > steep[1] >= 1.0
