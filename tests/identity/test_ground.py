from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.ground import LEAST_NOISE_PX, on_ground

CENTIMETRES = ((0.01, 0.0, -1.0), (0.0, -0.01, 5.0), (0.0, 0.0, 1.0))
"""A map drawn at 100 pixels a metre, y down."""
TILTED = ((0.1, 0.0, -20.0), (0.0, 0.0, 40.0), (0.0, 0.01, -1.0))
"""Horizon at y = 100: (200, y) is 40 / (y / 100 - 1) metres ahead."""


def boxes(*feet, height=20.0):
    """Boxes (M, 4) around feet (x, y), 10 wide."""
    return np.array([(x - 5, y - height, x + 5, y) for x, y in feet], np.float32).reshape(-1, 4)


def laid(xyxy, homographies, cameras=None, names=None):
    n = len(xyxy)
    cameras = np.array(cameras or ["a"] * n, object)
    names = np.array(names or [f"t{k}" for k in range(n)], object)
    return on_ground(names, cameras, np.arange(n, dtype=np.int64), xyxy, homographies)


def test_no_boxes():
    found = laid(boxes(), {"a": CENTIMETRES})
    assert len(found) == 0 and found.xy_m.shape == (0, 2) and found.cov_m2.shape == (0, 2, 2)


def test_a_map_is_scaled_and_so_is_its_error():
    found = laid(boxes((300, 100)), {"a": CENTIMETRES})
    assert found.xy_m[0] == pytest.approx([2.0, 4.0])
    assert found.cov_m2[0] == pytest.approx(np.eye(2) * (0.01 * LEAST_NOISE_PX) ** 2)


def test_a_box_is_as_uncertain_as_it_is_high():
    found = laid(boxes((300, 100), height=100.0), {"a": CENTIMETRES})
    assert found.cov_m2[0] == pytest.approx(np.eye(2) * 0.05**2)  # 5 pixels: a twentieth of 100


def test_the_derivative_is_that_of_the_homography():
    at, step = np.array([230.0, 300.0]), 1e-4
    moved = [laid(boxes(at), {"a": TILTED}).xy_m[0]]
    image = np.array(TILTED) @ np.array([[230, 300, 1], [230 + step, 300, 1], [230, 300 + step, 1.0]]).T
    place = (image[:2] / image[2]).T
    assert moved[0] == pytest.approx(place[0])
    jacobian = (place[1:] - place[0]).T / step
    assert laid(boxes(at), {"a": TILTED}).cov_m2[0] == pytest.approx(jacobian @ jacobian.T, rel=1e-3)


def test_the_far_ground_is_known_less_well_and_less_along_the_line_of_sight():
    found = laid(boxes((200, 400), (200, 200)), {"a": TILTED})
    across, along = found.cov_m2[:, 0, 0], found.cov_m2[:, 1, 1]
    assert along[1] > along[0] and across[1] > across[0]
    assert along[1] > across[1]


def test_at_and_above_the_horizon_there_is_no_ground():
    found = laid(boxes((200, 300), (200, 100), (200, 60), (200, 101)), {"a": TILTED})
    assert found.tracklet_id.tolist() == ["t0"]  # the last lies 4 km away, known to within 40 m a pixel


def test_cameras_without_a_homography_are_left_out_and_rows_sorted():
    xyxy = boxes((300, 100), (300, 200), (300, 300))
    found = laid(xyxy, {"a": CENTIMETRES}, cameras=["a", "b", "a"], names=["y", "z", "x"])
    assert found.tracklet_id.tolist() == ["x", "y"]
