"""The homography of every camera is the exact inverse of its projection of the ground."""

import numpy as np
import pytest

from pipeline.demo.views import VIEWS


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.camera_id)
def test_homography_returns_ground_points(view):
    camera = view.camera
    picture = np.random.default_rng(0).uniform((0, 0), (camera.width_px, camera.height_px), (200, 2))
    ground = np.column_stack([picture, np.ones(200)]) @ camera.homography.T
    ground = ground[:, :2] / ground[:, 2:]
    back, depth = camera.project_ground(ground)
    np.testing.assert_allclose(back, picture, atol=1e-6)
    assert (depth > 0).all()
    assert camera.homography[2, 2] == 1


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.camera_id)
def test_rotation_is_a_rotation_without_roll(view):
    rotation = view.camera.rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation[0, 2] == 0  # the picture's right is level


def test_projection_by_hand():
    """A point 3 m right of and 4 m below the axis, at depth 20, lands at focal * (3, 4) / 20 from the middle."""
    camera = VIEWS[0].camera
    right, down, forward = camera.rotation
    point = np.array(camera.position) + 3 * right + 4 * down + 20 * forward
    xy, depth = camera.project(point)
    assert depth == pytest.approx(20)
    np.testing.assert_allclose(xy, (320 + 560 * 3 / 20, 180 + 560 * 4 / 20))


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.camera_id)
def test_lines_and_zones_lie_in_the_picture(view):
    size = view.camera.width_px, view.camera.height_px
    for points in [*(view.line_px(x) for x in view.lines), *(view.zone_px(x) for x in view.zones)]:
        assert (points >= 0).all() and (points <= size).all()
    assert 1 <= len(view.lines) <= 2


def test_directions_are_named_right():
    """Going east over a line called eastbound/westbound is its forward or backward as named, in every camera."""
    east, north = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    compass = {
        "eastbound": east,
        "westbound": -east,
        "northbound": north,
        "southbound": -north,
        "in": north,
        "out": -north,
    }
    for view in VIEWS:
        for line in view.lines:
            a, b = view.line_px(line)
            middle = (np.array(line.a) + line.b) / 2
            end, _ = view.camera.project_ground(middle + 0.5 * compass[line.forward])
            side = (b[0] - a[0]) * (end[1] - a[1]) - (b[1] - a[1]) * (end[0] - a[0])
            assert side > 0, (view.camera_id, line.name)
