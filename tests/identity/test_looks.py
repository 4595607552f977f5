from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.evidence import ExemplarSets, without_bias
from pipeline.identity.looks import Looks
from pipeline.identity.tint import bias
from pipeline.types import Exemplars
from tests.identity import slow_comparing
from tests.identity.nights import unit


def table(names, instants, seed=0):
    n = len(names)
    return Exemplars(
        np.array([*names, None], dtype=object)[:-1],
        np.array(instants, np.int64).reshape(n),
        np.zeros(n, np.int32),
        np.ones(n, np.float32),
        unit(np.random.default_rng(seed).normal(size=(n, 128))).astype(np.float32).reshape(n, 128),
    )


def ids(*names):
    return np.array([*names, None], dtype=object)[:-1]


def embeddings(n):
    return unit(np.random.default_rng(9).normal(size=(n, 128))).astype(np.float32).reshape(n, 128)


def test_nothing_to_lay_out():
    looks = Looks.lay_out(ids(), embeddings(0), table([], []))
    assert len(looks) == 0
    assert looks.gather(np.zeros(0, np.int64)).shape == (0, 128)


def test_what_lies_in_order_is_not_copied():
    exemplars = table(["b", "b", "a"], [1, 2, 1])
    looks = Looks.lay_out(ids("a", "b"), embeddings(2), exemplars)
    assert looks.vector is exemplars.embedding
    np.testing.assert_array_equal(looks.gather(np.array([0, 1])), exemplars.embedding[[2, 0, 1]])


def test_exemplars_in_any_order_come_out_in_time():
    exemplars = table(["a", "b", "a", "b"], [5, 2, 3, 1])
    looks = Looks.lay_out(ids("a", "b"), embeddings(2), exemplars)
    np.testing.assert_array_equal(looks.gather(np.array([0, 1])), exemplars.embedding[[2, 0, 3, 1]])
    backwards = Looks.lay_out(ids("a", "b"), embeddings(2), table(["a", "a", "b"], [5, 3, 1]))
    np.testing.assert_array_equal(backwards.gather(np.array([0])), table(["a", "a", "b"], [5, 3, 1]).embedding[[1, 0]])


def test_a_tracklet_without_exemplars_has_its_own_embedding():
    own, exemplars = embeddings(3), table(["c", "a"], [1, 1])
    looks = Looks.lay_out(ids("a", "b", "c"), own, exemplars)
    np.testing.assert_array_equal(
        looks.gather(np.arange(3)), np.stack([exemplars.embedding[1], own[1], own[0] * 0 + exemplars.embedding[0]])
    )
    assert looks.sets(np.array([1])).first.tolist() == [0, 1]


def test_strays_are_refused():
    with pytest.raises(ValueError, match="got some of 'x'"):
        Looks.lay_out(ids("a"), embeddings(1), table(["a", "z", "x"], [1, 1, 1]))


def sets_of(seed, n, largest=6):
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.cumsum(rng.integers(1, largest, n))]).astype(np.int64)
    return ExemplarSets(unit(rng.normal(size=(first[-1], 128)) + 0.4).astype(np.float32), first)


@pytest.mark.parametrize(("n", "n_cameras"), [(1, 1), (40, 3), (200, 7)])
def test_bias_equals_the_plain_way(n, n_cameras):
    sets = sets_of(n, n)
    camera = np.random.default_rng(n).integers(0, n_cameras, n).astype(np.int32)
    want = slow_comparing.bias(sets, camera, n_cameras + 1)
    np.testing.assert_allclose(bias(Looks.of(sets), camera, n_cameras + 1), want, atol=1e-12)


def test_bias_of_nothing():
    none = Looks.of(ExemplarSets(np.zeros((0, 128), np.float32), np.zeros(1, np.int64)))
    np.testing.assert_array_equal(bias(none, np.zeros(0, np.int32), 2), np.zeros((2, 128)))


def test_gathering_without_tint_equals_the_plain_way():
    sets = sets_of(3, 50)
    camera = np.arange(50) % 4
    tint = np.random.default_rng(1).normal(size=(4, 128)) * 0.05
    tint[3] = sets.vector[sets.first[3]]  # explains an exemplar wholly: it is kept as it is
    looks = Looks.of(sets).without(tint, camera)
    want = without_bias(sets, camera, tint)
    np.testing.assert_allclose(looks.gather(np.arange(50)), want.vector, atol=2e-6)
    some = np.array([7, 3, 30])
    np.testing.assert_array_equal(looks.take(some).gather(np.arange(3)), looks.gather(some))
    np.testing.assert_array_equal(looks.sets(some).first, want.take(some).first)
