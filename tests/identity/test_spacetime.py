from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.spacetime import HORIZON_US, SUCCESSION_US, SURPRISE, survey
from pipeline.identity.topology import Relation, Sightings, Topology
from tests.identity.nights import US
from tests.identity.walks import tracks, walk

CONFIG = IdentityConfig(
    links=(
        LinkConfig(between=("a", "b"), min_travel_s=-100, max_travel_s=100, overlapping=True),
        LinkConfig(between=("b", "c"), max_travel_s=100),
    )
)
TOPOLOGY = Topology.from_config(("a", "b", "c"), CONFIG)


def ground_of(*placed, lost=()):
    """Survey (camera, start_s, end_s, start_m, v_mps) in order; those in `lost` have no path."""
    walks = [walk(f"t{n:02d}", *each[1:]) for n, each in enumerate(placed)]
    names = np.array([name for name, _, _ in walks], dtype=object)
    sightings = Sightings(
        np.array(["abc".index(each[0]) for each in placed], np.int32),
        np.array([at_us[0] for _, at_us, _ in walks], np.int64),
        np.array([at_us[-1] for _, at_us, _ in walks], np.int64),
    )
    return survey(sightings, names, TOPOLOGY, tracks(*(w for n, w in enumerate(walks) if n not in lost)), "person")


def judged(*placed, lost=()):
    """Relation and log odds of the first two."""
    ground = ground_of(*placed, lost=lost)
    one, two = np.array([0]), np.array([1])
    return Relation(int(ground.relate(one, two)[0])), float(ground.log_odds(one, two)[0])


CROWD = [("c", k, k + 8, (-20 + 4 * k, 30 - 5 * k), (1, 0.2)) for k in range(10)]


def test_nobody_has_a_path():
    assert ground_of() is None
    assert ground_of(("a", 0, 5, (0, 0), (1, 0)), lost=(0,)) is None


def test_in_one_place_at_one_time_in_two_views_it_is_one():
    relation, odds = judged(("a", 0, 10, (0, 0), (1.3, 0)), ("b", 2, 12, (2.8, 0.1), (1.3, 0)), *CROWD)
    assert relation == Relation.POSSIBLE and odds > 1


def test_apart_at_one_time_it_is_two_whatever_the_topology_allows():
    assert judged(("a", 0, 10, (0, 0), (1, 0)), ("b", 2, 12, (2, 8), (1, 0)), *CROWD)[0] == Relation.NEVER


def test_a_path_that_only_crosses_anothers_is_another():
    assert judged(("a", 0, 10, (-7, 0), (1.4, 0)), ("b", 0, 10, (0, -7), (0, 1.4)), *CROWD)[0] == Relation.NEVER


def test_who_goes_on_where_the_other_left_is_likelier_than_who_comes_the_other_way():
    left = ("b", 0, 10, (0, 0), (1.3, 0))
    on, back = (judged(left, ("c", 15, 20, (19.5, 0), (v, 0)), *CROWD) for v in (1.3, -1.3))
    assert on[0] == back[0] == Relation.POSSIBLE
    assert on[1] > max(0, back[1] + 1)


def test_evidence_against_is_bounded():
    # Walked off eastward, came 12 s later far to the west where many walk: somebody else, or one who turned.
    relation, odds = judged(("b", 0, 10, (0, 0), (1.3, 0)), ("c", 22, 30, (-15, 25), (1, 0.2)), *CROWD)
    assert relation == Relation.POSSIBLE
    assert odds == pytest.approx(np.log(SURPRISE), abs=0.2)


def test_too_far_for_the_time_is_never():
    assert judged(("b", 0, 10, (0, 0), (1, 0)), ("c", 12, 20, (60, 0), (1, 0)), *CROWD)[0] == Relation.NEVER


@pytest.mark.parametrize(
    ("pause_s", "expected"), [(0.5, "POSSIBLE"), (SUCCESSION_US / US, "POSSIBLE"), (SUCCESSION_US / US + 1, "UNTOLD")]
)
def test_a_broken_track_goes_on_in_its_camera_within_moments(pause_s, expected):
    second = ("a", 10 + pause_s, 20, (10 + pause_s, 0), (1, 0))
    assert judged(("a", 0, 10, (0, 0), (1, 0)), second, *CROWD)[0] == Relation[expected]


def test_at_once_in_one_camera_stays_never():
    walker = ("a", 0, 10, (0, 0), (1, 0))
    assert judged(walker, walker, *CROWD)[0] == Relation.NEVER


def test_without_a_path_the_ground_says_nothing():
    relation, odds = judged(("a", 0, 10, (0, 0), (1, 0)), ("b", 2, 12, (2, 50), (1, 0)), *CROWD, lost=(1,))
    assert relation == Relation.POSSIBLE and np.isnan(odds)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 14))
def test_pairs_are_those_a_look_at_each_finds_and_judgement_is_symmetric(seed, n):
    rng = np.random.default_rng(seed)
    placed = []
    for _ in range(n):
        start_s = float(rng.integers(0, 150))
        end_s = start_s + float(rng.integers(1, 15))
        placed.append(("abc"[rng.integers(3)], start_s, end_s, rng.uniform(-15, 15, 2), rng.uniform(-1.5, 1.5, 2)))
    ground = ground_of(*placed)
    i, j = np.triu_indices(n, 1)
    relation, odds = ground.relate(i, j), ground.log_odds(i, j)
    assert (relation == ground.relate(j, i)).all() and ground.log_odds(j, i) == pytest.approx(odds)
    assert (odds >= np.log(SURPRISE) - 1e-9).all()
    first, last = ground.sightings.started_at_us, ground.sightings.ended_at_us
    near = np.maximum(first[i], first[j]) - np.minimum(last[i], last[j]) <= HORIZON_US
    want = np.stack([i, j], axis=1)[near & (relation == Relation.POSSIBLE)]
    assert ground.pairs().tolist() == want.tolist()
