"""Batches of identities: their shape, their fairness, and that they repeat themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.training.crops import Relations
from pipeline.training.sampling import COMPANY, batches

ALL = Relations(None)


def drawn(identity, camera, relations=ALL, *, identities=4, each=3, seed=0, epoch=1):
    return list(batches(identity, camera, relations, identities=identities, each=each, seed=seed, epoch=epoch))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(2, 6), st.integers(2, 5), st.integers(0, 99))
def test_every_batch_has_p_identities_with_k_pictures_each(counts, identities, each, seed):
    identity = np.repeat(np.arange(len(counts)) * 3, counts)
    camera = np.arange(len(identity)) % 2
    found = drawn(identity, camera, identities=identities, each=each, seed=seed)
    assert len(found) == max(1, round(len(identity) / (identities * each)))
    for rows in found:
        of = identity[rows].reshape(-1, each)
        assert (of == of[:, :1]).all()
        assert len(set(of[:, 0])) == len(of) == min(identities, len(counts))
        for name, chosen in zip(of[:, 0], rows.reshape(-1, each)):
            have = (identity == name).sum()
            assert len(set(chosen)) == min(each, have)  # repeated only where there are too few


def test_identities_come_equally_often_whatever_they_have():
    identity = np.repeat(np.arange(10), [50, 2, 2, 2, 2, 2, 30, 2, 2, 26])
    found = drawn(identity, np.zeros_like(identity), identities=4, each=3)
    times = np.bincount(np.concatenate([identity[rows][::3] for rows in found]), minlength=10)
    assert times.max() - times.min() <= 1


def test_pictures_come_from_different_cameras_first():
    identity = np.zeros(40, np.int64)
    identity[20:] = 1
    camera = np.tile([0, 0, 0, 0, 1], 8)
    for rows in drawn(identity, camera, identities=2, each=4):
        for chosen in rows.reshape(2, 4):
            assert (camera[chosen] == 1).sum() == 2


def test_same_seed_and_epoch_give_the_same_batches_and_others_do_not():
    identity = np.repeat(np.arange(8), 6)
    camera = np.zeros_like(identity)
    one, again = drawn(identity, camera), drawn(identity, camera)
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    for change in ({"epoch": 2}, {"seed": 1}):
        assert not all(np.array_equal(a, b) for a, b in zip(one, drawn(identity, camera, **change)))


def test_where_little_is_certain_batches_hold_those_known_to_differ():
    n = 60
    pairs = np.array([(i, i + 1) for i in range(0, n, 2)])
    identity = np.repeat(np.arange(n), 4)
    relations = Relations(pairs)
    for rows in drawn(identity, np.zeros_like(identity), relations, identities=8, each=2, seed=4):
        names = set(identity[rows].tolist())
        assert len(names) == 8
        assert sum(({a, b} <= names) for a, b in pairs.tolist()) >= 3


def test_company_is_bounded():
    hub = np.array([(0, i) for i in range(1, 40)])
    identity = np.repeat(np.arange(80), 2)
    for rows in drawn(identity, np.zeros_like(identity), Relations(hub), identities=20, each=2):
        assert len(np.unique(identity[rows])) == 20
    assert COMPANY < 39


@pytest.mark.parametrize("certain", [None, np.array([[0, 2], [3, 1]]), np.zeros((0, 2), np.int64)])
def test_relations_are_symmetric_and_what_a_loop_says(certain):
    identity = np.array([0, 2, 1, 1, 3, 5])
    found = Relations(certain).different(identity)
    known = None if certain is None else {frozenset(pair) for pair in certain.tolist()}
    for i, a in enumerate(identity.tolist()):
        for j, b in enumerate(identity.tolist()):
            assert found[i, j] == (a != b and (known is None or frozenset((a, b)) in known))
