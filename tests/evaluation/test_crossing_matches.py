"""Crossings matched one to one, worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.evaluation.crossing_matches import confusion, errors, match
from pipeline.evaluation.tables import Crossings

NOON_US = 1_772_366_400_000_000


def crossings(*rows):
    """Build crossings from (line, direction, class, object, seconds after noon)."""
    texts = [np.array([row[at] for row in rows], dtype=object) for at in range(4)]
    at_us = np.array([NOON_US + round(row[4] * 1e6) for row in rows], dtype=np.int64)
    return Crossings(np.full(len(rows), "gate", dtype=object), *texts, at_us)


def car(at_s, name="t", *, line="road", direction="in", cls="car"):
    return line, direction, cls, name, at_s


def of(matches):
    return [tuple(pair) for pair in matches.pairs.tolist()]


@pytest.mark.parametrize(("n_true", "n_measured"), [(0, 0), (2, 0), (0, 2)])
def test_one_side_is_empty(n_true, n_measured):
    true, seen = (crossings(*(car(k) for k in range(n))) for n in (n_true, n_measured))
    found = match(true, seen)
    assert (of(found), len(found.missed), len(found.false), len(found.double)) == ([], n_true, n_measured, 0)


def test_within_the_tolerance_only_and_on_the_same_line_only():
    true = crossings(car(0), car(10), car(20))
    seen = crossings(car(2.0, "a"), car(12.1, "b"), car(20, "c", line="path"))
    found = match(true, seen)
    assert (of(found), found.missed.tolist(), found.false.tolist()) == ([(0, 0)], [1, 2], [1, 2])
    assert of(match(true, seen, tolerance_s=2.1)) == [(0, 0), (1, 1)]


def test_as_many_pairs_as_can_be_not_the_nearest_first():
    """1.4 lies nearest to 1.6, but that would leave two without anybody."""
    found = match(crossings(car(0), car(1.6)), crossings(car(1.4), car(3.0)))
    assert of(found) == [(0, 0), (1, 1)]


def test_the_same_class_is_preferred_then_the_same_group_then_time():
    true = crossings(car(0, cls="car"), car(0.5, cls="person"), car(9, cls="bus"))
    seen = crossings(car(0, cls="person"), car(0.5, cls="car"), car(9, cls="truck"), car(9, cls="person"))
    found = match(true, seen)
    assert of(found) == [(0, 1), (1, 0), (2, 2)]
    assert found.double.tolist() == [3]


def test_a_wrong_direction_is_neither_missed_nor_false():
    true, seen = crossings(car(0), car(5)), crossings(car(0.1, direction="out"), car(5))
    found = match(true, seen)
    assert (of(found), found.wrong_direction.tolist()) == ([(1, 1)], [[0, 0]])
    assert len(found.missed) == len(found.false) == len(found.double) == 0


def test_doubles_by_time_and_by_track():
    true = crossings(car(0), car(30))
    seen = crossings(car(0.1, "a"), car(1.5, "b"), car(8, "a"), car(15, "c"), car(0.2, "a", direction="out"))
    found = match(true, seen)
    assert of(found) == [(0, 0)]
    assert found.double.tolist() == [1, 2]  # beside who is counted already; the same track again
    assert found.false.tolist() == [3, 4]  # nobody there; nobody there in that direction
    assert found.missed.tolist() == [1]


def test_the_confusion_matrix_adds_up_to_both_sides():
    true = crossings(car(0), car(5, cls="truck"), car(9), car(20, direction="out"))
    seen = crossings(car(0), car(5), car(30, cls="dog"), car(20.1, cls="bus"))
    rows = confusion(true, seen, match(true, seen))
    assert rows == [
        {"class": "bus", "bus": 0, "car": 0, "dog": 0, "truck": 0, "none": 0},
        {"class": "car", "bus": 1, "car": 1, "dog": 0, "truck": 0, "none": 1},
        {"class": "dog", "bus": 0, "car": 0, "dog": 0, "truck": 0, "none": 0},
        {"class": "truck", "bus": 0, "car": 1, "dog": 0, "truck": 0, "none": 0},
        {"class": "none", "bus": 0, "car": 0, "dog": 1, "truck": 0, "none": 0},
    ]


def test_every_error_is_listed_with_whom_to_look_at():
    true = crossings(car(0, "1"), car(5, "2", cls="truck"), car(9, "3"))
    seen = crossings(car(0.5, "a", direction="out"), car(5.25, "b"), car(30, "c"), car(5.5, "b"))
    rows = errors(true, seen, match(true, seen))
    told = [(row["error"], row["object_id"], row["tracklet_id"], row["off_s"]) for row in rows]
    assert told == [
        ("wrong direction", "1", "a", 0.5),
        ("wrong class", "2", "b", 0.25),
        ("double", None, "b", None),
        ("missed", "3", None, None),
        ("false", None, "c", None),
    ]
    assert (rows[0]["measured_direction"], rows[1]["measured_class"]) == ("out", "car")
    assert rows[1]["crossed_at"] == "2026-03-01T12:00:05.000000Z"


def test_no_other_matching_makes_more_pairs_or_costs_less():
    random = np.random.default_rng(7)
    for _ in range(20):
        true_s, seen_s = (np.sort(random.uniform(0, 8, random.integers(1, 5))) for _ in range(2))
        found = match(crossings(*map(car, true_s)), crossings(*map(car, seen_s)))
        ours = (-len(found.pairs), np.abs(true_s[found.pairs[:, 0]] - seen_s[found.pairs[:, 1]]).sum())
        best = min(_all_matchings(true_s, seen_s))
        assert ours == (best[0], pytest.approx(best[1], abs=1e-5))


def _all_matchings(true_s, seen_s):
    """Yield (-pairs, cost) of every matching within the tolerance."""
    for n in range(min(len(true_s), len(seen_s)) + 1):
        for some in itertools.combinations(range(len(true_s)), n):
            for others in itertools.permutations(range(len(seen_s)), n):
                apart = np.abs(true_s[list(some)] - seen_s[list(others)])
                if (apart <= 2).all():
                    yield -n, apart.sum()
