"""Linking where the cameras are calibrated: places and ways beside the looks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.ground import GroundTracks
from pipeline.identity.linking import link
from tests.identity.nights import Seen, look, night, unit
from tests.identity.walks import tracks, walk

OVERLAPPING = IdentityConfig(
    links=(LinkConfig(between=("cam0", "cam1"), min_travel_s=-60, max_travel_s=60, overlapping=True),)
)


def linked(walkers, config=OVERLAPPING, order=None):
    """Link (name, camera, start_s, end_s, start_m, v_mps, looks); returns {name: identity} and confidence."""
    order = range(len(walkers)) if order is None else order
    seen = [Seen(walkers[n][0], *walkers[n][1:4], walkers[n][6]) for n in order]
    ground = tracks(*(walk(w[0], *w[2:6]) for w in walkers))
    found = link(*night(seen), config, ground=ground, device="cpu").identities
    return dict(zip(found.tracklet_id, found.identity_id)), found.confidence


def crowd(n=12, *, looks):
    """Pairs of tracklets in two views of one square: n people on ways of their own, 6 m apart, one after another."""
    walkers = []
    for k in range(n):
        start, v = np.array([0.0, 6.0 * (k % 4)]), np.array([1.3 if k % 2 else -1.3, 0])
        walkers.append((f"p{k:02d}", "cam0", 8 * k, 8 * k + 14, start, v, looks(k)))
        walkers.append((f"q{k:02d}", "cam1", 8 * k + 4, 8 * k + 20, start + 4 * v + 0.2, v, looks(k)))
    return walkers


def in_uniform(seed):
    """Three views of the one look all wear, each with its own noise."""
    rng = np.random.default_rng(seed)
    return unit(look(1) + 0.5 * rng.normal(size=(3, look(1).shape[1])) / np.sqrt(look(1).shape[1])).astype(np.float32)


def test_people_in_uniform_are_told_apart_by_where_they_are():
    found, _ = linked(crowd(looks=in_uniform))
    assert all(found[f"p{k:02d}"] == found[f"q{k:02d}"] for k in range(12))
    assert len(set(found.values())) == 12


def test_two_that_look_the_same_but_are_apart_are_two():
    walkers = [
        ("a", "cam0", 0, 10, (0, 0), (1, 0), look(1)),
        ("b", "cam1", 0, 10, (0, 9), (1, 0), look(1)),
    ]
    found, _ = linked(walkers)
    assert found["a"] != found["b"]


def test_a_track_that_breaks_off_goes_on_as_one():
    walkers = crowd(looks=lambda k: look(k, n=3, noise=0.3))
    walkers += [
        ("x", "cam0", 120, 130, (40, 40), (1.2, 0), look(99, n=3, noise=0.3)),
        ("y", "cam0", 131, 140, (53.2, 40), (1.2, 0), look(99, n=3, noise=0.3)),
    ]
    found, _ = linked(walkers)
    assert found["x"] == found["y"]


def test_a_configured_similarity_is_a_veto():
    walkers = [*crowd(looks=in_uniform), ("z", "cam1", 8 * 11 + 4, 8 * 11 + 9, (5.2, 18.2), (1.3, 0), look(2))]
    for least, joined in ((-1.0, True), (0.5, False)):  # z walks with p11, looks like nobody, and q11 begins later
        others = [w for w in walkers if w[0] != "q11"]
        found, _ = linked(others, OVERLAPPING.model_copy(update={"min_similarity": least}))
        assert (found["z"] == found["p11"]) == joined
        assert found["p10"] == found["q10"]


def test_tracks_of_nobody_change_nothing():
    seen = [Seen("a", "cam0", 0, 5, look(1, n=3)), Seen("b", "cam1", 2, 7, look(1, n=3))]
    for ground in (tracks(), tracks(walk("z", 0, 5, (0, 0), (1, 0)))):
        with_ground, without = (
            link(*night(seen), OVERLAPPING, ground=g, device="cpu").identities for g in (ground, None)
        )
        assert with_ground.identity_id.tolist() == without.identity_id.tolist()
        assert with_ground.confidence.tolist() == without.confidence.tolist()
    assert isinstance(ground, GroundTracks)


def test_rows_in_any_order_give_the_same_answer():
    walkers = crowd(looks=lambda k: look(k // 2, n=3, noise=0.8))
    straight, confidence = linked(walkers)
    for seed in range(3):
        shuffled, again = linked(walkers, order=np.random.default_rng(seed).permutation(len(walkers)))
        assert straight == shuffled and confidence.tobytes() == again.tobytes()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 20))
def test_nobody_is_in_two_places_at_once(seed, n):
    rng = np.random.default_rng(seed)
    walkers = []
    for k in range(n):
        start_s = int(rng.integers(0, 40))
        way = rng.uniform(-12, 12, 2), rng.uniform(-1.5, 1.5, 2)
        walkers.append(
            (f"t{k:02d}", f"cam{rng.integers(2)}", start_s, start_s + int(rng.integers(1, 12)), *way, look(0))
        )
    found, confidence = linked(walkers)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    for p, a in enumerate(walkers):
        for b in walkers[:p]:
            low, high = max(a[2], b[2]), min(a[3], b[3])
            if found[a[0]] == found[b[0]] and low <= high:
                assert a[1] != b[1]
                gap = [np.linalg.norm(a[4] + (t - a[2]) * a[5] - b[4] - (t - b[2]) * b[5]) for t in (low, high)]
                assert min(gap) < 6  # five deviations of 0.5 m, and a way that bends within the common time


def test_what_is_kept_of_looks_is_what_they_are_worth_alone():
    """Who searches by looks knows no places: the prior is the share of all pairs, not of those off the ground."""
    walkers = crowd(24, looks=lambda k: look(200 + k, n=3, noise=0.4))
    seen = [Seen(w[0], *w[1:4], w[6]) for w in walkers]
    found = link(*night(seen), OVERLAPPING, ground=tracks(*(walk(w[0], *w[2:6]) for w in walkers)), device="cpu")
    kept = found.groups[0].calibration
    n_possible = 24 * 24  # at most; 24 are true
    assert 24 / n_possible / 3 < 1 / (1 + np.exp(-kept.prior)) < 0.5
    assert np.isfinite(kept.min_similarity)
