from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity import calibration
from pipeline.identity.calibration import FALLBACK_RANGE, MIN_STRANGERS, calibrate, known_strangers
from pipeline.identity.topology import Sightings, Topology

NONE = np.zeros(0)


def drawn(seed, n_match=300, n_stranger=20_000, match=(0.6, 0.12), stranger=(0.05, 0.15)):
    """Return (candidates, same, strangers, best threshold): matches look less alike than `same` does."""
    rng = np.random.default_rng(seed)
    candidates = np.concatenate([rng.normal(*match, n_match), rng.normal(*stranger, n_stranger)])
    truth = np.concatenate([np.ones(n_match, bool), np.zeros(n_stranger, bool)])
    grid = np.linspace(0, 1, 501)
    errors = [(~truth[candidates >= t]).sum() + truth[candidates < t].sum() for t in grid]
    return candidates, rng.normal(0.72, 0.12, 400), rng.normal(*stranger, 3000), grid[int(np.argmin(errors))]


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_is_near_the_one_the_truth_would_choose(seed):
    candidates, same, strangers, best = drawn(seed)
    found = calibrate(candidates, len(candidates), same, strangers, configured=None)
    assert found.rule == "mixture"
    assert found.min_similarity == pytest.approx(best, abs=0.05)
    assert found.probability(np.array([found.min_similarity]))[0] == pytest.approx(0.5, abs=0.05)


def test_unlisted_pairs_count_as_strangers():
    candidates, same, strangers, _ = drawn(0)
    listed = candidates[candidates > 0.2]
    whole = calibrate(candidates, len(candidates), same, strangers, configured=None)
    part = calibrate(listed, len(candidates), same, strangers, configured=None)
    assert part.min_similarity == pytest.approx(whole.min_similarity, abs=0.01)


def test_more_strangers_to_choose_from_ask_for_more_likeness():
    few, many = (drawn(1, n_stranger=n) for n in (1_000, 100_000))
    thresholds = [calibrate(c, len(c), s, r, configured=None).min_similarity for c, s, r, _ in (few, many)]
    assert thresholds[0] < thresholds[1]


def test_a_night_without_matches_joins_next_to_nothing():
    candidates, same, strangers, _ = drawn(2, n_match=0)
    found = calibrate(candidates, len(candidates), same, strangers, configured=None)
    assert (candidates >= found.min_similarity).mean() < 1e-3


def test_probability_never_falls_and_stays_in_bounds():
    candidates, same, strangers, _ = drawn(3, match=(0.4, 0.3))
    found = calibrate(candidates, len(candidates), same, strangers, configured=None)
    probability = found.probability(np.linspace(-1, 1, 501))
    assert (np.diff(probability) >= 0).all() and probability.min() >= 0 and probability.max() <= 1


def test_what_place_and_time_know_teaches_looks_that_hardly_tell():
    # Matches look only one deviation more alike than strangers; the prior knows most of the matches.
    rng = np.random.default_rng(5)
    matches, strangers = rng.normal(0.3, 0.2, 200), rng.normal(0.1, 0.2, 2_000)
    prior = np.concatenate([rng.normal(3, 1, 200), rng.normal(-5, 1, 2_000)])
    candidates = np.concatenate([matches, strangers])
    found = calibrate(candidates, 2_200, np.full(50, 0.9), strangers, configured=None, prior=prior)
    # log of two normals of equal width: (0.3 - 0.1) / 0.2**2 * (s - 0.2)
    at = np.array([0.2, 0.3, 0.4])
    assert found.log_odds(at, np.zeros(3)) == pytest.approx([0.0, 0.5, 1.0], abs=0.15)
    assert found.log_odds(at, np.full(3, 2.0)) - found.log_odds(at, np.zeros(3)) == pytest.approx([2, 2, 2])
    assert found.log_odds(at, np.full(3, np.nan)) == pytest.approx(found.log_odds(at))


@pytest.mark.parametrize(
    ("same", "expected"),
    [(NONE, FALLBACK_RANGE[1]), (np.ones(5), 0.9), (np.full(5, 0.75), 0.75), (np.full(5, 0.1), 0.6)],
)
def test_too_few_pairs_fall_back_to_the_safe_rule(same, expected):
    found = calibrate(np.array([0.9, 0.2]), 2, same, np.array([0.1]), configured=None)
    assert found.rule == "few pairs"
    assert found.min_similarity == pytest.approx(expected)


@pytest.mark.parametrize("n_stranger", [2, 5_000])
def test_the_configured_threshold_is_obeyed(n_stranger):
    candidates, same, strangers, _ = drawn(4)
    found = calibrate(candidates, len(candidates), same, strangers[:n_stranger], configured=0.33)
    assert (found.rule, found.min_similarity) == ("configured", 0.33)


ONE_CAMERA_TWICE = IdentityConfig(links=(LinkConfig(between=("a", "b"), overlapping=True),))


@pytest.mark.parametrize("n_tracklets", [4, 12, 60])
def test_known_strangers_are_those_seen_at_once(n_tracklets):
    # Few in one camera: two cameras that do not overlap (all but a and b) speak too.
    rng = np.random.default_rng(n_tracklets)
    topology = Topology.from_config(("a", "b", "c"), ONE_CAMERA_TWICE)
    started = rng.integers(0, 60, n_tracklets)
    sightings = Sightings(rng.integers(0, 3, n_tracklets).astype(np.int32), started, started + 20)
    at_once = [(a, b) for b in range(n_tracklets) for a in range(b) if abs(started[a] - started[b]) <= 20]
    cameras = {pair: {int(sightings.camera[pair[0]]), int(sightings.camera[pair[1]])} for pair in at_once}
    want = {pair for pair in at_once if len(cameras[pair]) == 1}
    if len(want) < MIN_STRANGERS:
        want = {pair for pair in at_once if cameras[pair] != {0, 1}}
    i, j = known_strangers(sightings, topology)
    found = [(min(pair), max(pair)) for pair in zip(i.tolist(), j.tolist())]
    assert set(found) == want and len(found) == len(want)


def test_known_strangers_are_thinned_out(monkeypatch):
    monkeypatch.setattr(calibration, "MAX_STRANGERS", 50)
    same_time = np.zeros(40, np.int64)
    sightings = Sightings(np.zeros(40, np.int32), same_time, same_time + 1)
    i, j = known_strangers(sightings, Topology.from_config(("a",), IdentityConfig()))
    assert len(i) == 50 and (i != j).all()


def test_known_strangers_of_nobody():
    nobody = Sightings(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert [len(side) for side in known_strangers(nobody, Topology.from_config((), IdentityConfig()))] == [0, 0]


def test_another_share_of_matches_asks_for_another_similarity():
    rng = np.random.default_rng(1)
    strangers, same = rng.normal(0.05, 0.15, 2000), rng.normal(0.7, 0.1, 300)
    found = calibrate(np.concatenate([strangers, same]), 2300, same, strangers, configured=None)
    rare, common = found.expecting(0.001), found.expecting(0.3)
    assert rare.min_similarity > found.min_similarity > common.min_similarity
    assert rare.probability(np.array([0.5]))[0] < common.probability(np.array([0.5]))[0]
    assert found.expecting(0.3).match_mean == found.match_mean


def test_a_configured_similarity_stays_whatever_is_expected():
    found = calibrate(np.array([0.3]), 10, np.array([0.9]), np.zeros(0), configured=0.4).expecting(0.01)
    assert found.min_similarity == 0.4
