"""Travel times and rivals, learned from a night."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.kernels import passing as kernels
from pipeline.identity.partners import mean_partners
from pipeline.identity.passing import learn, travel_us
from pipeline.identity.topology import Relation, Sightings, Topology
from tests.identity.nights import US

CONFUSED = 0.0
"""Log ratio of looks that tell nothing."""


def sightings_of(rows):
    """Sightings of (camera, start_s, end_s)."""
    camera, start, end = zip(*rows) if rows else ((), (), ())
    return Sightings(
        np.array(camera, np.int32), np.array(np.multiply(start, US), np.int64), np.array(np.multiply(end, US), np.int64)
    )


def anywhere(n_cameras, max_travel_s=600):
    return Topology.from_config(tuple(f"cam{n}" for n in range(n_cameras)), IdentityConfig(max_travel_s=max_travel_s))


def possible(sightings, topology):
    i, j = np.triu_indices(len(sightings), 1)
    kept = topology.relate(sightings.take(i), sightings.take(j)) == Relation.POSSIBLE
    return np.stack([i[kept], j[kept]], axis=1)


def road(n=60, *, travel_s=40.0, spread_s=2.0, seed=0):
    """n cars from camera 0 to camera 1, one every 20 s; car k is rows k and n + k."""
    rng = np.random.default_rng(seed)
    start = 20.0 * np.arange(n) + rng.uniform(0, 10, n)
    there = start + 5 + rng.normal(travel_s, spread_s, n)
    return sightings_of([(0, s, s + 5) for s in start] + [(1, s, s + 5) for s in there])


def slow_marginals(weight):
    """Marginals (A, B) of every matching of a and b, each at most once, by trying them all."""
    n_a, n_b = weight.shape
    total, found = 0.0, np.zeros_like(weight)
    for size in range(min(n_a, n_b) + 1):
        for rows in permutations(range(n_a), size):
            if list(rows) != sorted(rows):
                continue
            for columns in permutations(range(n_b), size):
                product = float(np.prod([weight[r, c] for r, c in zip(rows, columns)]))
                total += product
                for r, c in zip(rows, columns):
                    found[r, c] += product
    return found / total


def marginals(weight, rounds=30):
    a, b = (index.ravel().astype(np.int64) for index in np.indices(weight.shape))
    out = np.zeros(weight.size)
    kernels._marginals(
        a, b, weight.ravel(), np.zeros(len(weight)), np.zeros(weight.shape[1]), np.zeros(weight.size), rounds, out
    )
    return out.reshape(weight.shape)


def test_no_pairs():
    found = learn(np.zeros((0, 2), np.int64), np.zeros(0), sightings_of([]), anywhere(2))
    assert len(found.log_odds) == 0


def test_claims_on_a_tree_are_weighed_exactly():
    # Belief propagation is exact where the pairs form no circle.
    weight = np.array([[3.0, 0.5, 0.0], [0.0, 2.0, 0.7]])
    np.testing.assert_allclose(marginals(weight), slow_marginals(weight), rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_claims_in_circles_are_weighed_nearly_right(seed):
    weight = np.exp(np.random.default_rng(seed).normal(0, 1.5, (3, 4)))
    np.testing.assert_allclose(marginals(weight), slow_marginals(weight), atol=0.12)


def test_nobody_has_more_than_one_partner():
    weight = np.exp(np.random.default_rng(9).normal(2, 3, (6, 5)))
    found = marginals(weight)
    assert (found.sum(axis=0) <= 1 + 1e-6).all() and (found.sum(axis=1) <= 1 + 1e-6).all()


def test_the_usual_travel_time_speaks_for_a_pair_and_others_against():
    sightings, topology = road(), anywhere(2)
    pairs = possible(sightings, topology)
    true = pairs[:, 1] - pairs[:, 0] == 60
    look = np.where(true, 3.0, -1.0) + np.random.default_rng(2).normal(0, 1, len(pairs))
    found = learn(pairs, look, sightings, topology)
    assert np.median(found.log_time[true]) > 1.5
    assert np.median(found.log_time[~true]) < -1.0


def test_travel_times_tell_apart_what_looks_cannot():
    """Half of the cars look distinct, the others all alike: the distinct ones teach how long the way takes."""
    sightings, topology = road(80), anywhere(2)
    pairs = possible(sightings, topology)
    true = pairs[:, 1] - pairs[:, 0] == 80
    distinct = pairs[:, 0] % 2 == 0
    look = np.where(distinct, np.where(true, 4.0, -3.0), CONFUSED)
    found = learn(pairs, look, sightings, topology)
    alike = ~distinct & (pairs[:, 1] % 2 == 0)
    assert (found.log_time[~distinct & true] > 1.0).mean() > 0.9
    assert found.log_time[alike & ~true].mean() < -0.5


def test_a_pair_whose_sides_others_claim_more_firmly_is_less_likely():
    sightings, topology = sightings_of([(0, 0, 5), (0, 1, 6), (1, 20, 25)]), anywhere(2)
    pairs = possible(sightings, topology)
    found = learn(pairs, np.array([6.0, 2.0]), sightings, topology)
    assert found.rivalry[1] < found.rivalry[0] - 2.0 and found.rivalry[0] <= 0.0


def test_travel_times_can_be_left_out():
    sightings, topology = road(), anywhere(2)
    pairs = possible(sightings, topology)
    found = learn(pairs, np.where(pairs[:, 1] - pairs[:, 0] == 60, 3.0, -1.0), sightings, topology, time_told=False)
    assert (found.log_time == 0).all() and (found.rivalry < 0).any()


def test_the_order_of_the_pairs_does_not_matter():
    sightings, topology = road(30), anywhere(2)
    pairs = possible(sightings, topology)
    look = np.random.default_rng(3).normal(0, 2, len(pairs))
    shuffled = np.random.default_rng(4).permutation(len(pairs))
    straight, mixed = (learn(pairs[o], look[o], sightings, topology) for o in (np.arange(len(pairs)), shuffled))
    np.testing.assert_array_equal(straight.log_odds[shuffled], mixed.log_odds)


def test_looks_of_absurd_certainty_are_borne():
    sightings, topology = road(20), anywhere(2)
    pairs = possible(sightings, topology)
    found = learn(pairs, np.full(len(pairs), 1e6), sightings, topology)
    assert np.isfinite(found.log_odds).all()


def test_travel_is_signed_by_who_was_where_first():
    sightings = sightings_of([(0, 0, 5), (1, 20, 25), (0, 60, 65)])
    assert travel_us(sightings, anywhere(2), np.array([0]), np.array([1])) == 15 * US
    assert travel_us(sightings, anywhere(2), np.array([2]), np.array([1])) == -35 * US


def test_one_way_travel_runs_with_the_road_whatever_the_clocks_say():
    link = LinkConfig(between=("cam0", "cam1"), min_travel_s=-900, max_travel_s=900, one_way=True)
    topology = Topology.from_config(("cam0", "cam1"), IdentityConfig(links=(link,)))
    sightings = sightings_of([(0, 100, 105), (1, 20, 25)])
    assert travel_us(sightings, topology, np.array([0]), np.array([1])) == -85 * US


def test_partners_are_counted_by_camera():
    sightings = sightings_of([(0, t, t + 1) for t in (0, 1000)] + [(1, t, t + 1) for t in (10, 20, 1010)])
    expected = [[0, 1.5], [1, 0]]
    np.testing.assert_allclose(mean_partners(sightings, anywhere(2, max_travel_s=100)), expected)
