"""Cross-camera identities on real trajectories and real appearance; see real_nights for the protocol.

The threshold is the night's own; nothing here was chosen by the truth but the travel windows of the road, which stand
for what an operator configures.
"""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import IdentityConfig
from pipeline.identity.linking import link
from tests.identity import real_nights

pytestmark = pytest.mark.realdata


def test_idf1_of_identities_on_paper():
    who, n_boxes = ["a", "a", "b", "b"], [6, 4, 5, 5]
    assert real_nights.idf1(who, [1, 1, 2, 2], n_boxes) == 1
    assert real_nights.idf1(who, [1, 2, 3, 3], n_boxes) == (6 + 10) / 20  # of a split object the larger part counts
    assert real_nights.idf1(who, [1, 1, 1, 1], n_boxes) == 10 / 20  # one identity is one object only
    assert real_nights.idf1(who, [1, 2, 1, 2], n_boxes) == (6 + 5) / 20  # a with 1 and b with 2, rather than 4 + 5


def scored(night, config):
    return night.idf1(link(*night.inputs, config, ground=night.ground, device="cpu"))


def test_vehicles_along_a_road_with_configured_windows():
    road = real_nights.hcmc()
    signed = IdentityConfig(links=real_nights.road_windows(road, signed=True), min_observations=1)
    assert scored(road, signed) >= 0.97
    downstream = IdentityConfig(links=real_nights.road_windows(road), min_observations=1)
    assert scored(road, downstream) >= 0.93  # perfect looks would reach 0.951


def test_vehicles_along_a_road_of_which_nothing_was_told():
    road = real_nights.hcmc()
    nothing = IdentityConfig(min_observations=1, max_travel_s=3600)
    assert scored(road, nothing) >= 0.9
    learned = real_nights.learned_windows(road, nothing)
    assert {frozenset(one.between) for one in learned} == {frozenset(("c1", f"c{n}")) for n in (2, 3)} | {
        frozenset(("c2", "c3"))
    }
    assert scored(road, IdentityConfig(min_observations=1, links=learned)) >= 0.9


def test_people_in_seven_overlapping_views_by_appearance_alone():
    square = real_nights.wildtrack()
    views = IdentityConfig(links=real_nights.overlapping_views(square), min_observations=1)
    assert scored(square, views.model_copy(update={"learn_travel": False})) >= 0.82
    assert scored(square, views) >= 0.85


def test_people_in_seven_overlapping_views_by_where_they_stood():
    square = real_nights.wildtrack_ground()
    assert scored(square, IdentityConfig(links=real_nights.overlapping_views(square), min_observations=1)) >= 0.95


def test_what_an_operator_would_configure_on_the_road_keeps_some_apart():
    """Windows downstream say never to those whom camera 3's clock, begun anew, puts before camera 1."""
    road = real_nights.hcmc()
    downstream, signed = (
        road.bound(IdentityConfig(links=real_nights.road_windows(road, signed=signed))) for signed in (False, True)
    )
    assert 0.94 < downstream < 0.97
    assert downstream < signed < 1


def test_the_calibrations_put_one_person_in_one_place():
    """Several views of one person at one instant agree to some decimetres about where he stands."""
    ground = real_nights.wildtrack_ground().ground
    person = np.array([name[3:] for name in ground.tracklet_id])
    moment = np.unique(np.stack([person.astype(int), ground.captured_at_us], axis=1), axis=0, return_inverse=True)[1]
    n_views = np.bincount(moment)
    centre = np.stack([np.bincount(moment, ground.xy_m[:, axis]) / n_views for axis in (0, 1)], axis=1)
    apart_m = np.linalg.norm(ground.xy_m - centre[moment], axis=1)[n_views[moment] > 1]
    assert len(apart_m) > 30_000
    assert np.median(apart_m) < 0.25
