"""The traffic: repeatable, different by seed, orderly."""

import numpy as np
import pytest

from pipeline.demo import world
from pipeline.demo.simulation import simulate
from pipeline.demo.topology import in_sight, travels
from pipeline.demo.views import VIEWS


@pytest.fixture(scope="module", params=[0, 1])
def motion(request):
    return simulate(request.param, 75.0, 10)


def test_no_footage_no_traffic():
    assert simulate(0, 0.0, 10).frames == 0


def test_shorter_is_the_beginning_of_longer():
    short, long = simulate(3, 4.0, 10), simulate(3, 12.0, 10)
    n = len(short.kind)
    assert long.kind[:n] == short.kind
    assert long.looks[:n] == short.looks
    np.testing.assert_array_equal(long.xy[:40, :n], short.xy)
    assert np.isnan(long.xy[:40, n:]).all()


def test_another_seed_is_another_day():
    a, b = simulate(0, 4.0, 10), simulate(1, 4.0, 10)
    assert a.looks != b.looks
    assert a.xy.shape != b.xy.shape or not np.array_equal(a.xy, b.xy, equal_nan=True)


def test_nobody_walks_or_drives_through_another(motion):
    person = np.array(motion.kind) == "person"
    for group, floor_m in ((person, 0.15), (~person, 2.5)):
        xy = motion.xy[:, group]
        distance = np.linalg.norm(xy[:, :, None] - xy[:, None], axis=-1)
        pairs = np.triu_indices(xy.shape[1], 1)
        assert np.nanmin(distance[:, pairs[0], pairs[1]]) > floor_m
    distance = np.linalg.norm(motion.xy[:, person, None] - motion.xy[:, None, ~person], axis=-1)
    assert np.nanmin(distance) > 1.2  # half a car's width and some


def test_speeds_are_those_of_a_town(motion):
    person = np.array(motion.kind) == "person"
    step = np.linalg.norm(np.diff(motion.xy, axis=0), axis=-1) * 10
    assert np.nanmax(step[:, person]) < 2.6
    assert np.nanmax(step[:, ~person]) < 10.0


def test_moderate_traffic_most_of_it_in_several_cameras(motion):
    seen = np.array([in_sight(v, motion.xy.reshape(-1, 2)).reshape(motion.xy.shape[:2]).any(0) for v in VIEWS])
    person = np.array(motion.kind) == "person"
    cameras_each = seen.sum(0)
    assert 10 <= (cameras_each[person] > 0).sum() <= 26
    assert 6 <= (cameras_each[~person] > 0).sum() <= 16
    assert (cameras_each >= 2).sum() >= 0.5 * (cameras_each >= 1).sum()


def test_one_pair_of_cameras_overlaps():
    x, y = np.meshgrid(np.arange(-80, 80, 0.5), np.arange(-9.5, 45, 0.5))
    ground = np.stack([x.ravel(), y.ravel()], axis=1)
    seen = {view.camera_id: in_sight(view, ground) for view in VIEWS}
    overlapping = {(a, b) for a in seen for b in seen if a < b and (seen[a] & seen[b]).any()}
    assert overlapping == {("market", "square")}
    # Where two views nearly meet, a car is in one with its bonnet and in the other with its boot: more links say so.
    assert overlapping <= {t.between for t in travels(VIEWS) if t.overlapping}
    assert ("crossing", "gate") in {t.between for t in travels(VIEWS) if not t.overlapping}


def test_travel_windows_hold_for_what_happens(motion):
    """Every gap between leaving one camera and entering the next lies in the window of that pair."""
    windows = {t.between: t for t in travels(VIEWS)}
    seen = {v.camera_id: in_sight(v, motion.xy.reshape(-1, 2)).reshape(motion.xy.shape[:2]) for v in VIEWS}
    gaps = 0
    for i in range(len(motion.kind)):
        stays = {c: np.flatnonzero(s[:, i]) for c, s in seen.items() if s[:, i].any()}
        for a in stays:
            for b in stays:
                if a != b and stays[a][0] <= stays[b][0]:
                    window = windows[min(a, b), max(a, b)]
                    gap_s = (stays[b][0] - stays[a][-1]) / 10
                    assert window.min_travel_s <= gap_s <= window.max_travel_s, (i, a, b)
                    gaps += 1
    assert gaps > 20


@pytest.mark.parametrize("route", world.footpaths(), ids=lambda r: r.name)
def test_footpaths_keep_clear_of_furniture_and_houses(route):
    things = [(x, y, 0.3) for x, y, _ in world.TREES] + [(x, y, 0.1) for x, y in world.LAMPS]
    things += [(x, y, 0.95) for x, y in world.BENCHES] + [world.FOUNTAIN]
    for x, y, radius_m in things:
        assert np.hypot(*(route.xy - (x, y)).T).min() > radius_m + 0.85
    kiosk_x, kiosk_y, width_m, depth_m = world.KIOSK
    outside = np.maximum(np.abs(route.xy - (kiosk_x, kiosk_y)) - (width_m / 2, depth_m / 2), 0)
    assert np.hypot(*outside.T).min() > 0.85
    for front in world.FACADES:
        a, b = np.array(front.left), np.array(front.right)
        share = np.clip(((route.xy - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        assert np.linalg.norm(route.xy - a - share[:, None] * (b - a), axis=1).min() > 0.85, front
