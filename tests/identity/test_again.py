from __future__ import annotations

import numpy as np

from pipeline.identity.again import Again, _later_pairs
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.looks import Looks
from pipeline.identity.strangers import Strangers
from pipeline.identity.topology import Relation, Sightings
from tests.identity.nights import US, look, unit

STRANGERS = Strangers.fit(np.random.default_rng(0).normal(0.0, 0.1, 5000))


def passers(n, returning=0):
    """n people one after another in one camera; the first few come back much later. Sightings and looks."""
    who = [*range(n), *range(returning)]
    start = np.array([*(30 * np.arange(n)), *(30 * n + 3600 + 30 * np.arange(returning))]) * US
    sets = [look(100 + person, n=4, noise=0.5) for person in who]
    vectors = unit(np.concatenate([*sets, np.zeros((0, 128))])).astype(np.float32)
    first = np.arange(len(who) + 1, dtype=np.int64) * 4
    return Sightings(np.zeros(len(who), np.int32), start, start + 5 * US), Looks.of(ExemplarSets(vectors, first))


def asked(again, i, j, relation=Relation.UNTOLD):
    return again.applied(np.array([relation], np.int8), np.array([i]), np.array([j])).tolist()


def test_of_an_empty_camera_nothing_is_asked():
    again = Again.learn(*passers(0), STRANGERS)
    none = np.zeros(0, np.int64)
    assert again.applied(np.zeros(0, np.int8), none, none).tolist() == []


def test_where_nobody_comes_back_no_two_are_one():
    again = Again.learn(*passers(40), STRANGERS)
    assert again.min_similarity > 0.4
    assert asked(again, 0, 1) == [Relation.NEVER]


def test_who_comes_back_looking_the_same_may_be_one():
    again = Again.learn(*passers(40, returning=10), STRANGERS)
    assert asked(again, 0, 40) == [Relation.UNTOLD]
    assert asked(again, 0, 41) == [Relation.NEVER]


def test_what_is_settled_otherwise_stays():
    again = Again.learn(*passers(40), STRANGERS)
    for relation in (Relation.NEVER, Relation.POSSIBLE):
        assert asked(again, 0, 1, relation) == [relation]


def test_without_known_strangers_nothing_is_forbidden():
    again = Again.learn(*passers(40), None)
    assert asked(again, 0, 1) == [Relation.UNTOLD]


def test_of_many_pairs_some_are_drawn_from_every_part_of_the_night(monkeypatch):
    monkeypatch.setattr("pipeline.identity.again.MAX_PAIRS", 300)
    sightings, _ = passers(200)
    i, j = _later_pairs(sightings)
    assert 200 < len(i) <= 300 and (i < j).all()
    assert np.ptp(i) > 150 and np.median(j - i) > 30
    again = _later_pairs(sightings)
    assert (i == again[0]).all() and (j == again[1]).all()


def test_few_pairs_are_all_taken():
    sightings, _ = passers(30)
    i, j = _later_pairs(sightings)
    assert sorted(zip(i.tolist(), j.tolist())) == [(a, b) for a in range(30) for b in range(a + 1, 30)]
