"""The smoother against the posterior worked out with whole matrices, and on ways it must get right."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking import compiled
from pipeline.tracking.hindsight import smoothing

HEIGHT = 100.0


def exact_way(values: np.ndarray, elapsed: np.ndarray, seen: np.ndarray, share: float) -> np.ndarray:
    """Return the posterior mean of one coordinate (F,): the joint normal of every state, conditioned on what was seen.

    Written from the model alone: no recursion, no blocks. `share` is smoothing.noise_share of the chain.
    """
    n_places = len(values)
    place_std, speed_std, seen_std = smoothing.POSITION_STD * HEIGHT, HEIGHT / 160, HEIGHT / 20
    transition = [np.eye(2)]
    noise = [np.diag([(2 * HEIGHT / 20) ** 2, (10 * HEIGHT / 160) ** 2])]
    for dt in elapsed[1:]:
        once = dt * (dt - 1) / 2
        transition.append(np.array([[1, dt], [0, 1]]))
        of_place = dt * place_std**2 + once * (2 * dt - 1) / 3 * speed_std**2
        noise.append(np.array([[of_place, once * speed_std**2], [once * speed_std**2, dt * speed_std**2]]))
    cov = np.zeros((n_places, n_places, 2, 2))
    for i in range(n_places):
        cov[i, i] = noise[i] if i == 0 else transition[i] @ cov[i - 1, i - 1] @ transition[i].T + noise[i]
        for j in range(i + 1, n_places):
            cov[i, j] = cov[i, j - 1] @ transition[j].T
            cov[j, i] = cov[i, j].T
    place = cov[:, :, 0, 0]
    there = np.flatnonzero(seen)[1:]  # the first box is where the prior lies
    prior = np.full(n_places, values[0])
    gain = place[:, there] @ np.linalg.inv(place[np.ix_(there, there)] + share * seen_std**2 * np.eye(len(there)))
    return prior + gain @ (values[there] - prior[there])


def boxes_of(values: np.ndarray) -> np.ndarray:
    """Return measurements (F, C, 4) with these centres x (F, C), all else unchanging."""
    measurement = np.zeros((*values.shape, 4))
    measurement[..., 0] = values
    measurement[..., 1:] = 50.0, 0.4, HEIGHT
    return measurement


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_exact_posterior(seed):
    rng = np.random.default_rng(seed)
    n_places, n_chains = 30, 4
    values = np.cumsum(rng.normal(2, 3, (n_places, n_chains)), axis=0)
    elapsed = rng.choice([1.0, 1.0, 2.0, 0.7, 5.0], (n_places, n_chains))
    seen = rng.random((n_places, n_chains)) < 0.6
    seen[0] = seen[-1] = True
    way = smoothing.smooth(boxes_of(values), elapsed, seen)
    share = smoothing.noise_share(boxes_of(values), elapsed, seen)
    for chain in range(n_chains):
        expected = exact_way(values[:, chain], elapsed[:, chain], seen[:, chain], share[chain])
        np.testing.assert_allclose(way[:, chain, 0], expected, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(way[..., 1:], np.broadcast_to([50.0, 0.4, HEIGHT], way[..., 1:].shape))


def test_one_box_and_no_chain():
    one = boxes_of(np.array([[3.0]]))
    np.testing.assert_array_equal(smoothing.smooth(one, np.zeros((1, 1)), np.ones((1, 1), bool)), one)
    none = smoothing.smooth(np.zeros((0, 0, 4)), np.zeros((0, 0)), np.zeros((0, 0), bool))
    assert none.shape == (0, 0, 4)


def test_a_steady_walk_is_left_where_it_was_and_its_gap_filled_on_the_way():
    values = 2.0 * np.arange(60)[:, None]
    seen = np.ones((60, 1), bool)
    seen[20:45] = False
    way = smoothing.smooth(boxes_of(values), np.ones((60, 1)), seen)
    np.testing.assert_allclose(way[5:, 0, 0], values[5:, 0], atol=1.0)  # the filter starts at rest, so not before


def test_what_comes_after_a_columns_end_changes_nothing():
    values = np.cumsum(np.random.default_rng(0).normal(2, 3, (20, 1)), axis=0)
    seen = np.ones((20, 1), bool)
    seen[12:] = False
    long = smoothing.smooth(boxes_of(values), np.ones((20, 1)), seen)
    short = smoothing.smooth(boxes_of(values[:12]), np.ones((12, 1)), seen[:12])
    np.testing.assert_allclose(long[:12], short, rtol=1e-12)


def test_last_state_is_that_of_the_last_box_seen():
    values = 2.0 * np.arange(40)[:, None] * np.ones((1, 2))
    seen = np.ones((40, 2), bool)
    seen[30:, 1] = False
    mean, _ = smoothing.last_state(boxes_of(values), np.ones((40, 2)), seen)
    np.testing.assert_allclose(mean[:, 0], [78, 58], atol=0.5)
    np.testing.assert_allclose(mean[:, 4], 2, atol=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_compiled_and_numpy_give_equal_bits(seed):
    quick = compiled.smoother()
    if quick is None:
        pytest.skip("no compiled core: numba is missing, or NIGHTFLEET_COMPILED is 0")
    rng = np.random.default_rng(seed)
    n_places, n_chains = rng.integers(1, 50), rng.integers(0, 9)
    measurement = rng.uniform(0.2, 300, (n_places, n_chains, 4))
    elapsed = rng.choice([1.0, 1.0, 2.0, 0.7, 30.0, 1e-9], (n_places, n_chains))
    seen = rng.random((n_places, n_chains)) < 0.7
    seen[0] = True
    arguments = (measurement, elapsed, seen, rng.choice([1.0, 2.5]), rng.uniform(0.25, 1, n_chains))
    before = [array.copy() for array in arguments[:3]]
    np.testing.assert_array_equal(quick[0](*arguments), smoothing.smooth_numpy(*arguments))
    for got, expected in zip(quick[1](*arguments), smoothing.forwards_numpy(*arguments)):
        np.testing.assert_array_equal(got, expected)
    for array, was in zip(arguments, before):
        np.testing.assert_array_equal(array, was)


def test_without_a_compiler(monkeypatch):
    values = np.cumsum(np.random.default_rng(0).normal(2, 3, (20, 3)), axis=0)
    arguments = (boxes_of(values), np.ones((20, 3)), np.ones((20, 3), bool))
    expected = smoothing.smooth(*arguments), *smoothing.last_state(*arguments)
    monkeypatch.setenv(compiled.SWITCH, "0")
    for got, wanted in zip((smoothing.smooth(*arguments), *smoothing.last_state(*arguments)), expected):
        np.testing.assert_array_equal(got, wanted)


def test_a_walkers_stride_is_no_noise():
    """A box that widens with the legs once a second at 10 fps keeps most of that; one wrong frame is mostly undone.

    Undone where boxes jitter anyway: those that do not are believed.
    """
    frame = np.arange(80)
    stride = 0.4 + 0.1 * np.sin(2 * np.pi * frame / 10)
    jump = np.full(80, 0.4)
    jump[40] = 0.5
    measurement = boxes_of(np.repeat(2.0 * frame[:, None], 2, axis=1))
    measurement[:, 0, 2], measurement[:, 1, 2] = stride, jump
    measurement[:, :, :2] += np.random.default_rng(0).normal(0, HEIGHT / 20, (80, 2, 2))
    way = smoothing.smooth(measurement, np.ones((80, 2)), np.ones((80, 2), bool))[..., 2]
    assert np.ptp(way[20:60, 0]) > 0.65 * np.ptp(stride)
    assert way[40, 1] - 0.4 < 0.5 * 0.1


def places_of(rng: np.random.Generator, jitter: float, n_places: int = 400) -> np.ndarray:
    """Return measurements (F, 1, 4) of somebody who walks in a curve, as wrong as `jitter` says, in pixels."""
    measurement = boxes_of(np.cumsum(3 * np.sin(np.arange(n_places) / 25))[:, None])
    measurement[..., [0, 1, 3]] += rng.normal(0, jitter, (n_places, 1, 3))
    return measurement


@pytest.mark.parametrize(
    ("jitter", "wanted"), [(0.2, 0.25), (1.5, 0.25), (3.5, 0.49), (4.2, 0.71), (5.0, 1.0), (9.0, 1.0)]
)
def test_how_wrong_boxes_are_shows_in_their_jitter(jitter, wanted):
    """The tracker expects a twentieth of the height, 5 pixels."""
    measurement = places_of(np.random.default_rng(1), jitter)
    share = smoothing.noise_share(measurement, np.ones((400, 1)), np.ones((400, 1), bool))
    assert share == pytest.approx([wanted], abs=0.1)


def test_exact_boxes_keep_to_a_sharp_turn_and_jittery_ones_are_smoothed_as_ever():
    """Somebody walks on, turns on the spot and walks back, at a twentieth of the height a frame."""
    elapsed, seen = np.ones((80, 1)), np.ones((80, 1), bool)
    true = boxes_of(np.minimum(5.0 * np.arange(80), 5.0 * (80 - np.arange(80)))[:, None])
    as_tracked = lambda boxes: smoothing.smooth_numpy(boxes, elapsed, seen, 1.0, np.ones(1))  # noqa: E731
    off = lambda way: np.abs(way - true)[35:45, 0, 0].mean()  # noqa: E731
    assert off(smoothing.smooth(true, elapsed, seen)) < 0.6 * off(as_tracked(true))
    jittery = true.copy()
    jittery[..., [0, 1, 3]] += np.random.default_rng(2).normal(0, HEIGHT / 15, (80, 1, 3))
    np.testing.assert_array_equal(smoothing.smooth(jittery, elapsed, seen), as_tracked(jittery))


def test_only_four_boxes_in_a_row_and_in_even_time_tell_how_wrong_they_are():
    exact = boxes_of(2.0 * np.arange(40)[:, None])
    seen, even = np.ones((40, 1), bool), np.ones((40, 1))
    assert smoothing.noise_share(exact, even, seen) < 0.3
    missing = seen.copy()
    missing[3::4] = False
    assert smoothing.noise_share(exact, even, missing) == 1
    uneven = np.resize([1.0, 1.0, 3.0], 40)[:, None]
    assert smoothing.noise_share(exact, uneven, seen) == 1
    assert smoothing.noise_share(exact[:3], even[:3], seen[:3]) == 1
    few = smoothing.noise_share(exact[:5], even[:5], seen[:5])
    assert 0.4 < few < 0.6  # two of them, against the tracker's word, which counts for two


def test_every_column_is_as_wrong_as_its_own_boxes_whatever_stands_beside_or_after_it():
    rng = np.random.default_rng(3)
    one, other = places_of(rng, 3.5), places_of(rng, 0.5)
    other[300:] = 0.0  # it ended
    seen = np.ones((400, 2), bool)
    seen[300:, 1] = False
    both = smoothing.noise_share(np.concatenate([one, other], axis=1), np.ones((400, 2)), seen)
    alone = [
        smoothing.noise_share(one, np.ones((400, 1)), seen[:, :1])[0],
        smoothing.noise_share(other[:300], np.ones((300, 1)), seen[:300, 1:])[0],
    ]
    np.testing.assert_array_equal(both, alone)
