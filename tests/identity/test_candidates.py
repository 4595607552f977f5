from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity import candidates
from pipeline.identity.candidates import candidate_pairs, count_possible
from pipeline.identity.evidence import ExemplarSets
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
