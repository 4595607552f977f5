from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity import candidates, neighbours, threads
from pipeline.identity.candidates import candidate_pairs, count_possible
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.neighbours import SearchLog
from pipeline.identity.topology import Relation, Sightings, Topology
from tests.identity.nights import unit

CAMERAS = ("a", "b", "c")
CONFIGS = {
    "anywhere": IdentityConfig(max_travel_s=40),
    "chain": IdentityConfig(
        links=(
            LinkConfig(between=("a", "b"), min_travel_s=2, max_travel_s=30),
            LinkConfig(between=("b", "c"), max_travel_s=30, overlapping=True),
        )
    ),
}


def scene(seed, n=80):
    rng = np.random.default_rng(seed)
    started = rng.integers(0, 200, n) * 1_000_000
    sightings = Sightings(rng.integers(0, 3, n).astype(np.int32), started, started + rng.integers(1, 12, n) * 1_000_000)
    size = rng.integers(1, 5, n)
    vector = unit(rng.normal(size=(size.sum(), 128))).astype(np.float32)
    return sightings, ExemplarSets(vector, np.concatenate([[0], np.cumsum(size)]).astype(np.int64))


def possible_matrix(sightings, topology):
    n = len(sightings)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    return (topology.relate(sightings.take(i), sightings.take(j)) == Relation.POSSIBLE).reshape(n, n)


def slow_pairs(sightings, sets, topology, neighbours):
    """All pairs of exemplars, one row at a time."""
    possible, owner, found = possible_matrix(sightings, topology), sets.owner, set()
    for row, i in enumerate(owner):
        similarity = sets.vector @ sets.vector[row]
        allowed = np.flatnonzero(possible[i, owner])
        for column in allowed[np.argsort(-similarity[allowed])][:neighbours]:
            found.add((min(i, owner[column]), max(i, owner[column])))
    return sorted(found)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("block", [1, 7, 1024])
def test_equals_all_pairs_whatever_the_block(name, block, monkeypatch):
    monkeypatch.setattr(candidates, "PROBE_BLOCK", block)
    topology = Topology.from_config(CAMERAS, CONFIGS[name])
    sightings, sets = scene(5)
    found = candidate_pairs(sightings, sets, topology, 3, device="cpu")
    assert [tuple(pair) for pair in found.tolist()] == slow_pairs(sightings, sets, topology, 3)


@pytest.mark.parametrize("name", CONFIGS)
def test_ties_look_alikes_and_long_lists_make_no_difference(name, monkeypatch):
    # Everybody looks like one of three, with a shade of their own: lists end inside ties and near-ties, and are asked
    # for again and again.
    topology = Topology.from_config(CAMERAS, CONFIGS[name])
    sightings, sets = scene(8)
    rng = np.random.default_rng(1)
    looks = unit(rng.normal(size=(3, 128)))[rng.integers(0, 3, len(sets.vector))]
    sets = ExemplarSets(unit(looks + 1e-3 * rng.normal(size=looks.shape)).astype(np.float32), sets.first)
    want = slow_pairs(sightings, sets, topology, 3)
    for more, block, shard in ((0.2, 1, 1), (1.6, 512, 3), (50.0, 16, 1)):
        monkeypatch.setattr(candidates, "MORE_THAN_EXPECTED", more)
        monkeypatch.setattr(candidates, "LEAST_PROBES", block)
        monkeypatch.setattr(candidates, "SHARD_BLOCKS", shard)
        found = candidate_pairs(sightings, sets, topology, 3, device="cpu")
        assert [tuple(pair) for pair in found.tolist()] == want


@pytest.mark.parametrize("name", CONFIGS)
def test_equal_looks_are_all_one_tie_and_the_answer_is_still_one(name, monkeypatch):
    topology = Topology.from_config(CAMERAS, CONFIGS[name])
    sightings, sets = scene(9)
    sets = ExemplarSets(np.repeat(unit(np.ones((1, 128))), len(sets.vector), axis=0).astype(np.float32), sets.first)
    found = []
    for block in (1, 16, 512):
        monkeypatch.setattr(candidates, "LEAST_PROBES", block)
        monkeypatch.setattr(candidates, "PROBE_BLOCK", block)
        found.append(candidate_pairs(sightings, sets, topology, 3, device="cpu"))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("count", [1, 3])
def test_threads_make_no_difference(count, monkeypatch):
    topology = Topology.from_config(CAMERAS, CONFIGS["anywhere"])
    sightings, sets = scene(10, n=200)
    whole = candidate_pairs(sightings, sets, topology, 3, device="cpu")
    for module in (threads, neighbours):
        monkeypatch.setattr(module, "n_threads", lambda: count)
    np.testing.assert_array_equal(candidate_pairs(sightings, sets, topology, 3, device="cpu"), whole)


@pytest.mark.parametrize("name", CONFIGS)
def test_large_shards_are_searched_by_an_index_that_finds_most_of_them(name):
    topology = Topology.from_config(CAMERAS, CONFIGS[name])
    sightings, sets = scene(11, n=1500)
    exact, log = candidate_pairs(sightings, sets, topology, 3, device="cpu"), SearchLog()
    found = candidate_pairs(sightings, sets, topology, 3, device="cpu", exact_vectors=100, recall=0.9, log=log)
    assert log.indexes and log.text.startswith("IVF: ")
    n = len(sightings)
    both = np.isin(found @ [n, 1], exact @ [n, 1])
    assert both.sum() >= 0.85 * len(exact)
    relation = topology.relate(sightings.take(found[:, 0]), sightings.take(found[:, 1]))
    assert (relation == Relation.POSSIBLE).all()


WINDOWS = st.tuples(st.integers(-3, 5), st.integers(0, 20), st.booleans(), st.booleans(), st.booleans())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.lists(WINDOWS, min_size=6, max_size=6))
def test_the_compiled_windows_are_those_of_the_topology(seed, windows):
    rng = np.random.default_rng(seed)
    shape = (3, 3)
    linked, overlapping = np.zeros(shape, bool), np.zeros(shape, bool)
    least, most = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    one_way = np.zeros(shape, bool)
    for (a, b), (low, span, link, overlap, way) in zip(((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)), windows):
        linked[a, b] |= link
        linked[b, a] |= link
        overlapping[a, b], least[a, b], most[a, b], one_way[a, b] = overlap, low, low + span, link and way
    one_way &= ~one_way.T | np.triu(one_way)
    overlapping &= linked & linked.T
    topology = Topology(CAMERAS, linked, overlapping & overlapping.T, one_way, least, most, everywhere=False)
    started = rng.integers(0, 25, 30)
    sightings = Sightings(rng.integers(0, 3, 30).astype(np.int32), started, started + rng.integers(0, 8, 30))
    found = candidates.possible_pairs(sightings, sightings, topology).astype(bool)
    np.testing.assert_array_equal(found, possible_matrix(sightings, topology))


def test_no_tracklets():
    topology = Topology.from_config(CAMERAS, CONFIGS["anywhere"])
    sightings, sets = scene(0, n=0)
    assert candidate_pairs(sightings, sets, topology, 3, device="cpu").shape == (0, 2)
    assert count_possible(sightings, topology) == 0


@pytest.mark.parametrize("name", CONFIGS)
def test_the_count_is_exact_when_small_and_near_when_sampled(name, monkeypatch):
    topology = Topology.from_config(CAMERAS, CONFIGS[name])
    sightings, _ = scene(6, n=300)
    exact = possible_matrix(sightings, topology).sum() / 2
    assert count_possible(sightings, topology) == pytest.approx(exact)
    monkeypatch.setattr(candidates, "COUNTING_PROBES", 60)
    assert count_possible(sightings, topology) == pytest.approx(exact, rel=0.2)
