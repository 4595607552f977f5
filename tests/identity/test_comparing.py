from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity import comparing, threads
from pipeline.identity.comparing import similarity, similarity_of_halves
from pipeline.identity.evidence import ExemplarSets, halves, without_bias
from pipeline.identity.looks import Looks
from tests.identity import slow_comparing
from tests.identity.nights import unit


def some_sets(seed, n=60, largest=20):
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.cumsum(rng.integers(1, largest + 1, n))]).astype(np.int64)
    return ExemplarSets(unit(rng.normal(size=(first[-1], 128)) + 0.5).astype(np.float32), first)


def some_pairs(seed, n, n_pairs):
    rng = np.random.default_rng(seed)
    return np.sort(rng.integers(0, n, n_pairs)), rng.integers(0, n, n_pairs)


def test_no_pairs():
    none = np.zeros(0, np.int64)
    assert similarity(some_sets(0), none, none).shape == (0,)


@pytest.mark.parametrize("largest", [1, 7, 8, 9, 20])
def test_equals_the_plain_way(largest):
    sets = some_sets(largest, largest=largest)
    i, j = some_pairs(1, len(sets), 3000)
    np.testing.assert_allclose(similarity(sets, i, j), slow_comparing.similarity(sets, i, j), atol=1e-6)


def test_both_ways_round_give_the_same_bits():
    sets = some_sets(3)
    i, j = some_pairs(2, len(sets), 3000)
    np.testing.assert_array_equal(similarity(sets, i, j), similarity(sets, j, i))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_threads_and_blocks_make_no_difference(count, monkeypatch):
    sets = some_sets(4)
    i, j = some_pairs(3, len(sets), 3000)
    whole = similarity(sets, i, j)
    monkeypatch.setattr(threads, "n_threads", lambda: count)
    monkeypatch.setattr(comparing, "PAIR_BLOCK", 700)
    np.testing.assert_array_equal(similarity(sets, i, j), whole)


def test_a_set_is_wholly_like_itself():
    sets = some_sets(5)
    own = np.arange(len(sets))
    np.testing.assert_allclose(similarity(sets, own, own), 1, atol=1e-6)


def test_tint_is_taken_out_while_reading():
    sets = some_sets(6)
    camera = np.arange(len(sets)) % 3
    tint = np.random.default_rng(0).normal(size=(3, 128)) * 0.05
    i, j = some_pairs(4, len(sets), 2000)
    found = similarity(Looks.of(sets).without(tint, camera), i, j)
    np.testing.assert_allclose(found, slow_comparing.similarity(without_bias(sets, camera, tint), i, j), atol=1e-6)


def test_halves_equal_the_plain_way(monkeypatch):
    sets = some_sets(7, n=300, largest=6)
    want = slow_comparing.similarity(*halves(sets))
    monkeypatch.setattr(comparing, "HALVED_AT_ONCE", 37)
    np.testing.assert_allclose(similarity_of_halves(Looks.of(sets)), want, atol=1e-6)
    monkeypatch.setattr(comparing, "MAX_HALVED", 50)
    fewer = similarity_of_halves(Looks.of(sets))
    assert len(fewer) == 50
    assert fewer.mean() == pytest.approx(want.mean(), abs=0.05)


def test_halves_of_nothing():
    assert similarity_of_halves(Looks.of(some_sets(8, n=5, largest=1))).shape == (0,)
