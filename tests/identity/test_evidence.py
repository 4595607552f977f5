from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.evidence import ExemplarSets, halves, without_bias
from tests.identity.nights import unit
from tests.identity.slow_comparing import bias, similarity


def freed(sets, camera):
    """The sets without what each camera adds."""
    return without_bias(sets, camera, bias(sets, camera, int(camera.max(initial=0)) + 1))


def sets_of(*parts):
    size = [len(part) for part in parts]
    width = parts[0].shape[1] if parts else 128
    vector = np.concatenate([np.zeros((0, width)), *parts]).astype(np.float32)
    return ExemplarSets(vector, np.concatenate([[0], np.cumsum(size)]).astype(np.int64))


def random_sets(seed, sizes, width=128):
    rng = np.random.default_rng(seed)
    return sets_of(*(unit(rng.normal(size=(size, width))) for size in sizes))


def slow_similarity(a, b):
    """Best match of every exemplar, averaged over each side, then over both."""
    from_a = [max(float(x @ y) for y in b) for x in a]
    from_b = [max(float(x @ y) for x in a) for y in b]
    return (sum(from_a) / len(from_a) + sum(from_b) / len(from_b)) / 2


def test_no_pairs():
    none = np.zeros(0, np.int64)
    assert similarity(random_sets(0, [2, 3]), none, none).shape == (0,)


def test_similarity_equals_the_slow_one_and_is_symmetric():
    sizes = [1, 3, 8, 2, 5]
    sets = random_sets(1, sizes)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(5), np.arange(5), indexing="ij"))
    parts = [sets.vector[a:b] for a, b in zip(sets.first[:-1], sets.first[1:])]
    want = [slow_similarity(parts[a], parts[b]) for a, b in zip(i, j)]
    np.testing.assert_allclose(similarity(sets, i, j), want, atol=1e-6)
    np.testing.assert_allclose(similarity(sets, i, j), similarity(sets, j, i), atol=1e-6)
    np.testing.assert_allclose(similarity(sets, np.arange(5), np.arange(5)), 1, atol=1e-6)


def test_a_turned_back_costs_less_than_by_the_mean():
    front, back = np.eye(4)[:2]
    seen_twice, seen_front = sets_of(np.stack([front, back])), np.stack([front, front])
    both = sets_of(seen_twice.vector, seen_front)
    assert similarity(both, np.array([0]), np.array([1]))[0] == pytest.approx(0.75)  # the mean of all pairs is 0.5


def test_camera_bias_goes_and_identity_stays():
    rng = np.random.default_rng(3)
    objects, tints = unit(rng.normal(size=(40, 128))), 1.5 * unit(rng.normal(size=(2, 128)))
    views = unit(objects[None] + tints[:, None])  # (2 cameras, 40 objects, 128)
    sets = sets_of(*(view[None] for view in views.reshape(80, 128)))
    camera = np.repeat([0, 1], 40)
    free = freed(sets, camera)
    n = np.arange(40)
    same, other = similarity(free, n, n + 40), similarity(free, n, np.roll(n, 1))
    before = similarity(sets, n, n + 40)
    assert before.mean() < 0.4 and same.mean() > 0.85
    assert abs(other.mean()) < 0.05
    np.testing.assert_allclose(np.linalg.norm(free.vector, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("n_tracklets", [0, 1])
def test_camera_bias_of_next_to_nothing_is_nothing(n_tracklets):
    sets = random_sets(4, [3] * n_tracklets)
    free = freed(sets, np.zeros(n_tracklets, np.int32))
    np.testing.assert_allclose(free.vector, sets.vector, atol=1e-7)


def test_camera_bias_survives_tracklets_that_all_look_the_same():
    sets = sets_of(*(np.eye(128)[:1] for _ in range(6)))
    free = freed(sets, np.array([0, 0, 0, 1, 1, 1]))
    np.testing.assert_allclose(np.linalg.norm(free.vector, axis=1), 1, atol=1e-6)


def test_halves_split_evenly_in_time_and_leave_single_exemplars_out():
    sets = sets_of(*(np.eye(8)[rows] for rows in ([0, 1, 2], [3], [4, 5])))
    parts, left, right = halves(sets)
    found = [parts.vector[a:b].argmax(axis=1).tolist() for a, b in zip(parts.first[:-1], parts.first[1:])]
    assert found == [[0, 2], [1], [4], [5]]
    assert (left.tolist(), right.tolist()) == ([0, 2], [1, 3])


def test_halves_of_nothing():
    parts, left, right = halves(random_sets(0, [1, 1]))
    assert len(parts) == len(left) == len(right) == 0
    assert similarity(parts, left, right).shape == (0,)
