from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.topology import Relation, Sightings, Topology

NEVER, UNTOLD, POSSIBLE = Relation.NEVER, Relation.UNTOLD, Relation.POSSIBLE
CAMERAS = ("a", "b", "c")
LINKED = IdentityConfig(links=(LinkConfig(between=("a", "b"), min_travel_s=5, max_travel_s=20),))
OVERLAPPING = IdentityConfig(links=(LinkConfig(between=("a", "b"), max_travel_s=20, overlapping=True),))
BRIEFLY_BOTH = IdentityConfig(
    links=(LinkConfig(between=("a", "b"), min_travel_s=-3, max_travel_s=20, overlapping=True),)
)
ANYWHERE = IdentityConfig(max_travel_s=100)


def sighting(camera, start_s, end_s):
    return Sightings(
        np.array([CAMERAS.index(camera)], np.int32),
        np.array([round(start_s * 1e6)], np.int64),
        np.array([round(end_s * 1e6)], np.int64),
    )


@pytest.mark.parametrize(
    ("config", "first", "then", "expected"),
    [
        # one camera
        (LINKED, ("a", 0, 10), ("a", 5, 15), NEVER),
        (LINKED, ("a", 0, 10), ("a", 10, 15), NEVER),  # both boxes at second 10
        (LINKED, ("a", 0, 10), ("a", 11, 15), UNTOLD),
        # a window of 5 to 20 s, both ends inside, either way
        (LINKED, ("a", 0, 10), ("b", 15, 30), POSSIBLE),
        (LINKED, ("b", 0, 10), ("a", 30, 40), POSSIBLE),
        (LINKED, ("a", 0, 10), ("b", 14.999, 30), NEVER),
        (LINKED, ("a", 0, 10), ("b", 30.001, 40), NEVER),
        (LINKED, ("a", 0, 10), ("b", 5, 30), NEVER),
        # a camera without a link
        (LINKED, ("a", 0, 10), ("c", 15, 30), UNTOLD),
        (LINKED, ("a", 0, 10), ("c", 9, 30), NEVER),
        # overlapping views: together, one inside the other, and a little later
        (OVERLAPPING, ("a", 0, 10), ("b", 5, 30), POSSIBLE),
        (OVERLAPPING, ("a", 0, 100), ("b", 40, 50), POSSIBLE),
        (OVERLAPPING, ("a", 0, 10), ("b", 0, 10), POSSIBLE),
        (OVERLAPPING, ("a", 0, 10), ("b", 30, 31), POSSIBLE),
        (OVERLAPPING, ("a", 0, 10), ("b", 31, 32), NEVER),
        (BRIEFLY_BOTH, ("a", 0, 10), ("b", 7, 30), POSSIBLE),
        (BRIEFLY_BOTH, ("a", 0, 10), ("b", 6, 30), NEVER),
        # no topology: anywhere within the window, nowhere twice at once
        (ANYWHERE, ("a", 0, 10), ("c", 10.001, 30), POSSIBLE),
        (ANYWHERE, ("a", 0, 10), ("c", 110, 130), POSSIBLE),
        (ANYWHERE, ("a", 0, 10), ("c", 111, 130), NEVER),
        (ANYWHERE, ("a", 0, 10), ("c", 10, 130), NEVER),
    ],
)
def test_golden_windows(config, first, then, expected):
    topology = Topology.from_config(CAMERAS, config)
    assert topology.relate(sighting(*first), sighting(*then)) == expected
    assert topology.relate(sighting(*then), sighting(*first)) == expected


def test_a_window_may_differ_by_direction():
    topology = Topology.from_config(CAMERAS, LINKED)
    topology.max_travel_us[1, 0] = 6_000_000
    assert topology.relate(sighting("a", 0, 10), sighting("b", 20, 30)) == POSSIBLE
    assert topology.relate(sighting("b", 0, 10), sighting("a", 20, 30)) == NEVER


def test_no_tracklets():
    nobody = Sightings(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert Topology.from_config(CAMERAS, LINKED).relate(nobody, nobody).shape == (0,)


def test_links_of_other_cameras_do_not_matter():
    topology = Topology.from_config(("b", "c"), LINKED)
    assert not topology.linked.any() and not topology.everywhere


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.sampled_from(CAMERAS), st.integers(0, 40), st.integers(0, 10)),
    st.tuples(st.sampled_from(CAMERAS), st.integers(0, 40), st.integers(0, 10)),
    st.sampled_from([LINKED, OVERLAPPING, BRIEFLY_BOTH, ANYWHERE]),
)
def test_relation_is_symmetric_and_shift_invariant(a, b, config):
    topology = Topology.from_config(CAMERAS, config)
    relation = [
        topology.relate(sighting(x, s + shift, s + n + shift), sighting(y, t + shift, t + m + shift))
        for shift in (0, 10**9)
        for (x, s, n), (y, t, m) in ((a, b), (b, a))
    ]
    assert len({int(value[0]) for value in relation}) == 1
