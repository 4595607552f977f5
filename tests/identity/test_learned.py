from __future__ import annotations

import numpy as np

from pipeline.config import IdentityConfig
from pipeline.identity.learned import propose_links
from pipeline.identity.linking import link
from tests.identity.nights import night, pairwise_f1, town


def proposed(matches):
    """propose_links of (first, then, travel_s) triples."""
    first, then, travel_s = zip(*matches) if matches else ((), (), ())
    return propose_links(
        np.array(first, dtype=object), np.array(then, dtype=object), np.array(travel_s, dtype=np.float64)
    )


def test_nothing_seen_nothing_proposed():
    assert proposed([]) == []


def test_a_few_matches_are_not_enough():
    assert proposed([("a", "b", 5.0)] * 9) == []


def test_the_window_holds_what_was_seen_and_some_more():
    (one,) = proposed([("a", "b", 10.0 + k % 11) for k in range(50)] + [("b", "a", 12.0)] * 5)
    assert one.between == ("a", "b") and (one.matches, one.forward) == (55, 50)
    assert 8 <= one.min_travel_s <= 10 and 20 <= one.max_travel_s <= 22
    assert not one.one_way and not one.overlapping


def test_a_road_all_go_down_is_one_way_in_that_direction():
    (one,) = proposed([("b", "a", 30.0 + k) for k in range(40)])
    assert one.between == ("b", "a") and one.one_way


def test_cameras_that_see_many_at_once_overlap():
    (one,) = proposed([("a", "b", -4.0 if k % 2 else 3.0) for k in range(40)])
    assert one.overlapping and one.min_travel_s < -4 and not one.one_way


def test_one_wrong_match_in_a_thousand_does_not_stretch_the_window():
    (one,) = proposed([("a", "b", 10.0 + k % 10) for k in range(999)] + [("a", "b", 5000.0)])
    assert one.max_travel_s < 25


def test_windows_learned_from_a_night_link_it_as_well_as_none():
    seen, who = town(seed=4, n_objects=60)
    found = link(*night(seen), IdentityConfig(), device="cpu").identities
    of = dict(zip(found.tracklet_id, found.identity_id))
    matches = [
        (a.camera, b.camera, b.start_s - a.end_s)
        for a in seen
        for b in seen
        if of[a.name] == of[b.name] and a.camera != b.camera and a.start_s < b.start_s
    ]
    links = [
        dict(between=one.between, min_travel_s=one.min_travel_s, max_travel_s=one.max_travel_s)
        for one in proposed(matches)
    ]
    config = IdentityConfig.model_validate({"links": links})
    again = link(*night(seen), config, device="cpu").identities
    of_again = dict(zip(again.tracklet_id, again.identity_id))
    assert pairwise_f1(who, np.array([of[one.name] for one in seen])) >= 0.9
    assert pairwise_f1(who, np.array([of_again[one.name] for one in seen])) >= 0.9
