"""What looks are worth, learned from pairs."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking.exemplars import Candidates
from pipeline.tracking.hindsight.looks import ENOUGH, MAX_LOG_ODDS, LookStatistics, halves, mean_look
from tests.tracking.scenes import looks

NONE = np.zeros(0)


def held(*seeds: int, n_places: int = 8) -> Candidates:
    blank = Candidates.blank(1, n_places)
    blank.quality[0, : len(seeds)] = 0.5
    blank.embedding[0, : len(seeds)] = looks(*seeds)
    return blank


def test_nothing_is_said_before_enough_is_known():
    rng = np.random.default_rng(0)
    little = LookStatistics().with_pairs(rng.normal(0.8, 0.1, ENOUGH - 1), rng.normal(0.3, 0.1, 100))
    assert (little.log_odds(np.array([0.0, 0.5, 1.0])) == 0).all()
    enough = little.with_pairs(np.array([0.8]), NONE)
    assert enough.log_odds(np.array([1.0]))[0] > 0 > enough.log_odds(np.array([0.0]))[0]


def test_pairs_added_bit_by_bit_are_pairs_added_at_once():
    rng = np.random.default_rng(1)
    same, other = rng.normal(0.8, 0.1, 50), rng.normal(0.3, 0.2, 70)
    bits = LookStatistics()
    for i in range(10):
        bits = bits.with_pairs(same[i * 5 : i * 5 + 5], other[i * 7 : i * 7 + 7])
    whole = LookStatistics().with_pairs(same, other)
    assert whole.mean_same == pytest.approx(same.mean()) and whole.spread_same == pytest.approx(same.var() * 50)
    query = np.linspace(0, 1, 11)
    np.testing.assert_allclose(bits.log_odds(query), whole.log_odds(query))


def test_log_odds_are_those_of_two_normals_and_bounded():
    rng = np.random.default_rng(2)
    known = LookStatistics().with_pairs(rng.normal(0.7, 0.2, 100_000), rng.normal(0.3, 0.2, 100_000))
    assert known.log_odds(np.array([0.5]))[0] == pytest.approx(0, abs=0.05)
    assert known.log_odds(np.array([0.6]))[0] == pytest.approx(0.4 / 0.04 * 0.1, rel=0.05)
    np.testing.assert_array_equal(known.log_odds(np.array([-5.0, 5.0])), [-MAX_LOG_ODDS, MAX_LOG_ODDS])


def test_looks_that_tell_nothing_say_nothing():
    rng = np.random.default_rng(3)
    blind = LookStatistics().with_pairs(rng.normal(0.3, 0.1, 50), rng.normal(0.5, 0.1, 50))
    unknown = LookStatistics().with_pairs(np.zeros(50), np.zeros(50))
    for statistics in (blind, unknown):
        assert (statistics.log_odds(np.array([0.0, 1.0])) == 0).all()


def test_halves_and_means():
    assert len(halves(held(1, 1, 1))) == 0
    assert halves(held(1, 1, 1, 1))[0] == pytest.approx(1, abs=1e-5)
    assert halves(held(1, 1, 2, 2))[0] == pytest.approx(float(looks(1)[0] @ looks(2)[0]), abs=1e-5)
    np.testing.assert_allclose(mean_look(held(1, 2))[0], looks(1, 2).mean(axis=0), atol=1e-6)
    assert mean_look(Candidates.blank(0, 8)).shape == (0, 128)
