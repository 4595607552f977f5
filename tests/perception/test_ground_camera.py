import numpy as np
import pytest

from pipeline.perception import ground_camera

WIDTH, HEIGHT = 640, 360


def pinhole(focal=500.0, tilt_deg=25.0, height_m=6.0, turn_deg=30.0):
    """3x4 projection of a camera without roll; world z is up."""
    tilt, turn = np.radians((tilt_deg, turn_deg))
    forward = np.array([np.cos(tilt) * np.cos(turn), np.cos(tilt) * np.sin(turn), -np.sin(tilt)])
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    intrinsic = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    return intrinsic @ np.column_stack([rotation, -rotation @ (3.0, -2.0, height_m)])


def homography(matrix):
    return np.linalg.inv(matrix[:, [0, 1, 3]])


def project(matrix, points):
    points = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return points[:, :2] / points[:, 2:]


@pytest.mark.parametrize("tilt_deg", [8, 25, 60])
@pytest.mark.parametrize("focal", [300.0, 1200.0])
@pytest.mark.parametrize("scale", [1.0, -7.0])
def test_recovers_the_camera(tilt_deg, focal, scale):
    matrix = pinhole(focal, tilt_deg)
    camera = ground_camera.from_homography(homography(matrix) * scale, WIDTH, HEIGHT)
    seen = ground_camera._apply(homography(matrix), np.random.default_rng(0).uniform((0, 250), (640, 360), (20, 2)))
    feet = np.column_stack([seen, np.zeros(20)])
    heads = feet + np.array([0, 0, 1.8])
    wanted = project(matrix, feet)[:, 1] - project(matrix, heads)[:, 1]
    np.testing.assert_allclose(camera.height_px(project(matrix, feet), 1.8), wanted, rtol=1e-6)
    assert camera.height_px(np.zeros((0, 2)), 1.8).shape == (0,)


def test_ground_measured_with_y_down_gives_the_same_heights():
    matrix = pinhole()
    mirrored = np.diag([1.0, -1, 1]) @ homography(matrix)
    feet = np.array([[200.0, 300], [500, 350]])
    one = ground_camera.from_homography(homography(matrix), WIDTH, HEIGHT).height_px(feet, 1.7)
    other = ground_camera.from_homography(mirrored, WIDTH, HEIGHT).height_px(feet, 1.7)
    np.testing.assert_allclose(one, other)


def test_width_on_the_ground():
    matrix = pinhole()
    ends = project(matrix, np.array([[12.0, 1, 0], [12.5, 2, 0]]))
    boxes = np.array([[*ends.min(0), *ends.max(0)]])
    boxes[:, [1, 3]] = ends[:, 1].max()
    left, right = (ground_camera._apply(homography(matrix), boxes[:, [i, 3]]) for i in (0, 2))
    np.testing.assert_allclose(ground_camera.width_m(homography(matrix), boxes), np.linalg.norm(left - right, axis=1))
    assert ground_camera.width_m(homography(matrix), np.zeros((0, 4))).shape == (0,)


def test_a_map_of_no_camera_gives_none():
    straight_down = np.diag([0.01, 0.01, 1.0])
    assert ground_camera.from_homography(straight_down, WIDTH, HEIGHT) is None


def test_a_block_looks_smaller_further_away_and_is_seen_at_its_smallest():
    camera = ground_camera.from_homography(homography(pinhole(600.0, 30.0)), 640, 360)
    near, far = (camera.solid_area_px(np.array([320.0, row]), (3.5, 1.6, 1.4)) for row in (340.0, 80.0))
    assert near > far > 0
    cube = camera.solid_area_px(np.array([320.0, 200.0]), (1.0, 1.0, 1.0))
    assert 0 < camera.solid_area_px(np.array([320.0, 200.0]), (3.0, 1.0, 1.0)) < 3 * cube
