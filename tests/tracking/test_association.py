"""Assignment, cascade and costs on cases small enough to see."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tracking import association
from tests.tracking.scenes import CAR, PERSON, TRUCK

INF = np.inf


def pairs(result: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, int]]:
    return list(zip(result[0].tolist(), result[1].tolist()))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_match(shape):
    assert pairs(association.assign(np.zeros(shape), 1)) == []
    assert pairs(association.cascade(np.zeros(shape), 1, np.ones(shape[0], np.int64), 30)) == []


def test_everything_too_dear():
    assert pairs(association.assign(np.full((2, 2), 0.9), 0.2)) == []
    assert pairs(association.assign(np.full((2, 2), INF), 0.2)) == []


def test_least_total_not_greedy():
    # Greedy would take (0, 0) at 0.01 and leave track 1 with nothing.
    assert pairs(association.assign(np.array([[0.01, 0.02], [0.05, INF]]), 0.2)) == [(0, 1), (1, 0)]


def test_cost_at_the_limit_is_admissible():
    assert pairs(association.assign(np.array([[0.2]]), 0.2)) == [(0, 0)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_no_assignment_is_better(n_tracks, n_boxes, seed):
    rng = np.random.default_rng(seed)
    cost = np.where(rng.random((n_tracks, n_boxes)) < 0.6, rng.random((n_tracks, n_boxes)) * 0.2, INF)
    found = pairs(association.assign(cost, 0.2))
    worth = sum(0.2 + 1e-5 - cost[pair] for pair in found)

    def best(choice):
        return sum(0.2 + 1e-5 - cost[t, c] for t, c in enumerate(choice) if c < n_boxes and cost[t, c] <= 0.2)

    options = itertools.permutations(range(n_boxes + n_tracks), n_tracks)
    assert worth == pytest.approx(max(best(choice) for choice in options))


def test_cascade_gives_the_recently_seen_track_the_first_choice():
    # Track 0, unseen for 5 frames, is nearer; track 1 was seen a frame ago and comes first all the same.
    cost = np.array([[0.01], [0.15]])
    assert pairs(association.cascade(cost, 0.2, np.array([5, 1]), 30)) == [(1, 0)]
    assert pairs(association.cascade(cost, 0.2, np.array([1, 1]), 30)) == [(0, 0)]


def test_cascade_leaves_tracks_beyond_max_age_out():
    assert pairs(association.cascade(np.array([[0.01]]), 0.2, np.array([31]), 30)) == []


def test_both_gates_hold_whatever_the_mix():
    gating_sq, cosine = np.array([[1.0, 12.0, 1.0]]), np.array([[0.1, 0.1, 0.3]])
    for weight in (0.0, 0.5, 1.0):
        cost, max_cost = association.mix(
            gating_sq, cosine, gate_sq=9.4877, max_cosine_distance=0.2, motion_weight=weight
        )
        assert (cost <= max_cost).tolist() == [[True, False, False]]


def test_mix_is_equation_five():
    cost, max_cost = association.mix(
        np.array([[4.0]]), np.array([[0.1]]), gate_sq=8.0, max_cosine_distance=0.2, motion_weight=0.25
    )
    assert cost[0, 0] == pytest.approx(0.25 * 0.5 + 0.75 * 0.1)
    assert max_cost == pytest.approx(0.25 + 0.75 * 0.2)


def test_mix_without_motion_survives_pairs_outside_the_gate():
    cost, _ = association.mix(
        np.array([[99.0]]), np.array([[INF]]), gate_sq=9.0, max_cosine_distance=0.2, motion_weight=1.0
    )
    assert cost[0, 0] == INF


def test_iou_cost():
    track, box = np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 10.0], [5, 0, 15, 10], [50, 50, 60, 60]])
    cost = association.iou_cost(track, box, np.array([[True, True, True]]))
    np.testing.assert_allclose(cost, [[0, 1 - 50 / 150, 1]])
    assert np.isinf(association.iou_cost(track, box, np.zeros((1, 3), bool))).all()


def test_vehicles_are_one_group_and_people_another():
    group = association.GROUP_OF_CLASS
    assert group[CAR] == group[TRUCK] != group[PERSON]
