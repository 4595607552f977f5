"""Crossings and stays against a slow oracle in exact fractions."""

from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.demo import truth
from pipeline.demo.truth import Sightings

SIZE = (640, 360)


def sightings(points, visibility=None, index=0, frames=None):
    """Make an object of 20 x 40 pixels whose bottom centre follows `points` (K, 2)."""
    points = np.asarray(points, float).reshape(-1, 2)
    xyxy = np.column_stack([points[:, 0] - 10, points[:, 1] - 40, points[:, 0] + 10, points[:, 1]])
    n = len(points)
    return Sightings(
        frame=np.arange(n) if frames is None else np.asarray(frames),
        object_index=np.full(n, index),
        xyxy=xyxy,
        visibility=np.ones(n) if visibility is None else np.asarray(visibility, float),
    )


def slow_crossings(seen, line, size):
    """Intersect every step with the line in exact fractions; None where one touches the very end of the other."""
    a, b = ([Fraction(float(v)) for v in point] for point in line)
    found = []
    for k in range(len(seen.frame) - 1):
        if seen.object_index[k] != seen.object_index[k + 1] or seen.frame[k] + 1 != seen.frame[k + 1]:
            continue
        p, q = (
            [(Fraction(float(box[0])) + Fraction(float(box[2]))) / 2, Fraction(float(box[3]))]
            for box in seen.xyxy[k : k + 2]
        )
        step, along = [q[0] - p[0], q[1] - p[1]], [b[0] - a[0], b[1] - a[1]]
        cross = step[0] * along[1] - step[1] * along[0]
        if cross == 0:
            continue  # parallel, or standing still
        # p + t * step = a + u * along, by Cramer's rule
        away = [a[0] - p[0], a[1] - p[1]]
        t = (away[0] * along[1] - away[1] * along[0]) / cross
        u = (away[0] * step[1] - away[1] * step[0]) / cross
        place = [p[0] + t * step[0], p[1] + t * step[1]]
        shown = (1 - t) * Fraction(float(seen.visibility[k])) + t * Fraction(float(seen.visibility[k + 1]))
        edges = (t, t - 1, u, u - 1, place[0], place[0] - size[0], place[1], place[1] - size[1], shown - Fraction(1, 4))
        if min(abs(edge) for edge in edges) < 1e-6:
            return None
        if 0 < t < 1 and 0 < u < 1 and 0 < place[0] < size[0] and 0 < place[1] < size[1] and shown > Fraction(1, 4):
            left_to_right = along[0] * step[1] - along[1] * step[0] > 0
            found.append((float(seen.frame[k] + t), int(seen.object_index[k]), left_to_right))
    return found


def test_empty():
    line = np.array([[0.0, 0.0], [10.0, 0.0]])
    assert truth.crossings(sightings([]), line, *SIZE) == []
    assert truth.visits(sightings([]), np.array([[0, 0], [9, 0], [9, 9]]), 10) == []


def test_forward_is_left_to_right():
    """A line drawn rightwards has its right below (y points down)."""
    line = np.array([[100.0, 100.0], [200.0, 100.0]])
    down = truth.crossings(sightings([(150, 90), (150, 110)]), line, *SIZE)
    assert down == [(0.5, 0, True)]
    up = truth.crossings(sightings([(150, 110), (150, 90)]), line, *SIZE)
    assert up == [(0.5, 0, False)]
    beside = truth.crossings(sightings([(250, 90), (250, 110)]), line, *SIZE)
    assert beside == []


def test_hidden_objects_and_gaps_do_not_cross():
    line = np.array([[100.0, 100.0], [200.0, 100.0]])
    path = [(150, 90), (150, 110)]
    assert truth.crossings(sightings(path, visibility=[0.2, 0.2]), line, *SIZE) == []
    assert len(truth.crossings(sightings(path, visibility=[0.1, 0.5]), line, *SIZE)) == 1
    assert truth.crossings(sightings(path, frames=[3, 7]), line, *SIZE) == []


def test_standing_on_the_line_counts_once():
    line = np.array([[100.0, 100.0], [200.0, 100.0]])
    path = [(150, 90), (150, 100), (150, 100), (150, 110)]
    assert len(truth.crossings(sightings(path), line, *SIZE)) == 1


coordinate = st.tuples(st.integers(-50 * 8, 690 * 8), st.integers(-50 * 8, 410 * 8)).map(lambda p: (p[0] / 8, p[1] / 8))


@settings(max_examples=200, deadline=None)
@given(st.lists(coordinate, min_size=2, max_size=6), coordinate, coordinate)
def test_crossings_equal_the_slow_oracle(path, a, b):
    line = np.array([a, b], float)
    assume(np.linalg.norm(line[1] - line[0]) > 1)
    seen = sightings(path, visibility=np.linspace(0.1, 0.9, len(path)))
    slow = slow_crossings(seen, line, SIZE)
    assume(slow is not None)  # ends exactly on each other have their own tests
    fast = truth.crossings(seen, line, *SIZE)
    assert [(i, forward) for _, i, forward in fast] == [(i, forward) for _, i, forward in slow]
    np.testing.assert_allclose([row[0] for row in fast], [row[0] for row in slow], atol=1e-6)


def test_stays_bridge_short_absences_only():
    zone = np.array([[100, 100], [200, 100], [200, 200], [100, 200]], float)
    inside, outside = (150, 150), (50, 50)
    path = [inside] * 5 + [outside] * 8 + [inside] * 5 + [outside] * 15 + [inside] * 3
    assert truth.visits(sightings(path), zone, 10) == [(0, 17, 0), (33, 35, 0)]
    never_seen = sightings(path, visibility=np.full(len(path), 0.1))
    assert truth.visits(never_seen, zone, 10) == []


@given(coordinate)
def test_contains_equals_winding(point):
    """For a convex zone, being inside is being on one side of every edge."""
    zone = np.array([[100, 90], [420, 60], [510, 300], [80, 260]], float)
    sides = [
        (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
        for a, b in zip(zone, np.roll(zone, -1, axis=0), strict=True)
    ]
    if min(abs(s) for s in sides) > 1e-6:
        assert truth.contains(zone, np.array([point]))[0] == all(s > 0 for s in sides)


def test_gt_lists_the_visible_with_their_middle_in_the_picture(tmp_path):
    seen = Sightings(
        frame=np.array([0, 0, 0, 4]),
        object_index=np.array([0, 1, 2, 0]),
        xyxy=np.array([[-10, 20, 50, 80], [-60, 20, 30, 80], [100, 100, 120, 140], [600, 300, 660, 380.0]]),
        visibility=np.array([0.8, 0.9, 0.05, 0.5]),
    )
    clock = truth.Clock(datetime(2026, 5, 12, 5, 30, tzinfo=UTC), 10)
    truth.write_mot(tmp_path, "gate", seen, ["person", "car", "person"], SIZE, 5, clock)
    assert (tmp_path / "gt.txt").read_text().splitlines() == [
        "1,1,0.00,20.00,50.00,60.00,1,1,0.8000",
        "5,1,600.00,300.00,40.00,60.00,1,1,0.5000",
    ]
