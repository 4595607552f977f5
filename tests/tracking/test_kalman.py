"""The batched closed-form filter against hand-worked numbers and a dense 8x8 textbook filter."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking import kalman

STEP = np.eye(8) + np.eye(8, k=4)
LOOK = np.eye(4, 8)


def dense(cov: np.ndarray) -> np.ndarray:
    """Unfold one track's blocks (4, 3) into the full covariance (8, 8)."""
    full = np.zeros((8, 8))
    for axis in range(4):
        full[axis, axis], full[axis, axis + 4], full[axis + 4, axis + 4] = cov[axis]
        full[axis + 4, axis] = cov[axis, 1]
    return full


def blocks(full: np.ndarray) -> np.ndarray:
    return np.array([[full[a, a], full[a, a + 4], full[a + 4, a + 4]] for a in range(4)])


def slow_predict(mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    h = mean[3]
    std = np.array([h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160])
    return STEP @ mean, STEP @ cov @ STEP.T + np.diag(std**2)


def slow_project(mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    h = mean[3]
    return LOOK @ mean, LOOK @ cov @ LOOK.T + np.diag(np.square([h / 20, h / 20, 1e-1, h / 20]))


def slow_update(mean: np.ndarray, cov: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    expected, s = slow_project(mean, cov)
    gain = cov @ LOOK.T @ np.linalg.inv(s)
    return mean + gain @ (z - expected), cov - gain @ s @ gain.T


def some_tracks(n_tracks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    measurement = np.column_stack(
        [rng.uniform(0, 900, (n_tracks, 2)), rng.uniform(0.2, 2, n_tracks), rng.uniform(20, 300, n_tracks)]
    )
    mean, cov = kalman.initiate(measurement)
    for _ in range(3):
        mean, cov = kalman.predict(mean, cov)
        mean, cov = kalman.update(mean, cov, mean[:, :4] + rng.normal(0, 1, (n_tracks, 4)) * [2, 2, 0.02, 2])
    return mean, cov


def test_no_tracks_at_all():
    mean, cov = kalman.initiate(np.zeros((0, 4)))
    mean, cov = kalman.predict(mean, cov)
    mean, cov = kalman.update(mean, cov, np.zeros((0, 4)))
    assert mean.shape == (0, 8) and cov.shape == (0, 4, 3)
    assert kalman.gating_distance_sq(mean, cov, np.zeros((3, 4))).shape == (0, 3)
    assert kalman.gating_distance_sq(*some_tracks(2, 0), np.zeros((0, 4))).shape == (2, 0)
    assert kalman.to_xyxy(mean).shape == (0, 4)


def test_one_step_worked_by_hand():
    # A box 80 high at (100, 50), aspect 0.5. Birth: std of x is 2 * 80/20 = 8, of its velocity 10 * 80/160 = 5.
    mean, cov = kalman.initiate(np.array([[100.0, 50.0, 0.5, 80.0]]))
    assert mean.tolist() == [[100, 50, 0.5, 80, 0, 0, 0, 0]]
    np.testing.assert_allclose(cov[0, 0], [64, 0, 25])
    np.testing.assert_allclose(cov[0, 2], [1e-4, 0, 1e-10])
    # One frame on: variance 64 + 25 + (80/20)^2 = 105, covariance 25, velocity 25 + (80/160)^2 = 25.25.
    mean, cov = kalman.predict(mean, cov)
    np.testing.assert_allclose(cov[0, 0], [105, 25, 25.25])
    # It expects x within 105 + (80/20)^2 = 121, so a box 11 to the right lies at squared distance 121/121 = 1.
    assert kalman.gating_distance_sq(mean, cov, np.array([[111, 50, 0.5, 80]])) == pytest.approx(1)
    # Gain 105/121 for the place, 25/121 for the pace; what remains: 105*16/121, 25*16/121, 25.25 - 625/121.
    mean, cov = kalman.update(mean, cov, np.array([[111, 50, 0.5, 80]]))
    np.testing.assert_allclose(mean[0, [0, 4]], [100 + 105 / 11, 25 / 11])
    np.testing.assert_allclose(cov[0, 0], [1680 / 121, 400 / 121, 25.25 - 625 / 121])


def test_equals_the_dense_filter_through_a_life_with_gaps():
    rng = np.random.default_rng(3)
    mean, cov = some_tracks(20, seed=1)
    slow = [(mean[i].copy(), dense(cov[i])) for i in range(20)]
    for frame in range(40):
        mean, cov = kalman.predict(mean, cov)
        slow = [slow_predict(*track) for track in slow]
        if frame % 3:
            z = mean[:, :4] + rng.normal(0, 1, (20, 4)) * [4, 4, 0.05, 4]
            distance_sq = kalman.gating_distance_sq(mean, cov, z)
            for i, track in enumerate(slow):
                expected, s = slow_project(*track)
                off = z - expected
                np.testing.assert_allclose(distance_sq[i], np.sum(off @ np.linalg.inv(s) * off, axis=1), rtol=1e-9)
            mean, cov = kalman.update(mean, cov, z)
            slow = [slow_update(*track, z[i]) for i, track in enumerate(slow)]
    for i, (slow_mean, slow_cov) in enumerate(slow):
        np.testing.assert_allclose(mean[i], slow_mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(cov[i], blocks(slow_cov), rtol=1e-7, atol=1e-15)
        np.testing.assert_allclose(dense(blocks(slow_cov)), slow_cov, atol=1e-12)  # nothing lies outside the blocks


def test_inputs_are_left_alone():
    mean, cov = some_tracks(3, seed=2)
    before = mean.copy(), cov.copy()
    kalman.predict(mean, cov)
    kalman.update(mean, cov, mean[:, :4] + 1)
    kalman.gating_distance_sq(mean, cov, mean[:, :4])
    np.testing.assert_array_equal(mean, before[0])
    np.testing.assert_array_equal(cov, before[1])


def test_ten_thousand_frames_unseen_stay_positive_definite():
    mean, cov = some_tracks(50, seed=4)
    for _ in range(10_000):
        mean, cov = kalman.predict(mean, cov)
    determinant = cov[:, :, 0] * cov[:, :, 2] - cov[:, :, 1] ** 2
    assert np.isfinite(mean).all() and np.isfinite(cov).all()
    assert (cov[:, :, 0] > 0).all() and (determinant > 0).all()
    assert np.isfinite(kalman.gating_distance_sq(mean, cov, mean[:, :4] + 1)).all()


def test_ten_thousand_frames_seen_stay_positive_definite():
    mean, cov = some_tracks(5, seed=5)
    for _ in range(10_000):
        mean, cov = kalman.update(*kalman.predict(mean, cov), mean[:, :4])
    assert (cov[:, :, 0] * cov[:, :, 2] - cov[:, :, 1] ** 2 > 0).all() and (cov[:, :, 0] > 0).all()


def test_corners_survive_the_way_through_the_measurement():
    xyxy = np.array([[10, 20, 50, 100], [-5, -7, 1, 3]], np.float32)
    np.testing.assert_allclose(kalman.to_xyxy(kalman.from_xyxy(xyxy)), xyxy)
    np.testing.assert_allclose(kalman.from_xyxy(xyxy)[0], [30, 60, 0.5, 80])


SHIFT_AND_ZOOM = np.array([[1.1, 0, -7], [0, 1.1, 12.5]])
TURN = np.array([[0.98, -0.05, 3], [0.05, 0.98, -20]])
SHEAR = np.array([[1.02, 0.1, 3], [-0.03, 0.97, 4]])


def dense_warp(affine: np.ndarray) -> np.ndarray:
    """Return the 8x8 matrix that moves a whole state as `warp` says, without its shift."""
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    quarter = np.zeros((4, 4))
    quarter[:2, :2], quarter[2, 2], quarter[3, 3] = affine[:, :2], 1, scale
    return np.kron(np.eye(2), quarter)


def test_a_still_camera_changes_no_bit():
    mean, cov = some_tracks(6, seed=6)
    moved, spread = kalman.warp(mean, cov, np.eye(2, 3))
    np.testing.assert_array_equal(moved, mean)
    np.testing.assert_array_equal(spread, cov)
    moved, spread = kalman.warp(mean[:0], cov[:0], TURN)
    assert moved.shape == (0, 8) and spread.shape == (0, 4, 3)


def test_a_shifted_picture_moves_centres_only():
    mean, cov = some_tracks(6, seed=7)
    moved, spread = kalman.warp(mean, cov, np.array([[1, 0, 5.5], [0, 1, -3]]))
    np.testing.assert_allclose(moved - mean, np.tile([5.5, -3, 0, 0, 0, 0, 0, 0], (6, 1)), atol=1e-12)
    np.testing.assert_array_equal(spread, cov)


@pytest.mark.parametrize("affine", [SHIFT_AND_ZOOM, TURN], ids=["shift and zoom", "turn"])
def test_a_shift_turn_and_zoom_equal_the_dense_ones_and_go_back(affine):
    mean, cov = some_tracks(6, seed=8)
    matrix = dense_warp(affine)
    moved, spread = kalman.warp(mean, cov, affine)
    for i in range(6):
        expected = matrix @ mean[i]
        expected[:2] += affine[:, 2]
        np.testing.assert_allclose(moved[i], expected, rtol=1e-12)
        np.testing.assert_allclose(dense(spread[i]), matrix @ dense(cov[i]) @ matrix.T, rtol=1e-9, atol=1e-12)
    back = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))[:2]
    for there, here in zip(kalman.warp(moved, spread, back), (mean, cov)):
        np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-9)


def test_of_a_shear_the_blocks_are_kept():
    mean, cov = some_tracks(4, seed=9)
    cov[:, 1] *= 3  # cy less sure than cx, as no step of the filter makes it
    matrix = dense_warp(SHEAR)
    _, spread = kalman.warp(mean, cov, SHEAR)
    for i in range(4):
        np.testing.assert_allclose(spread[i], blocks(matrix @ dense(cov[i]) @ matrix.T), rtol=1e-9)
    assert (spread[:, :, 0] * spread[:, :, 2] - spread[:, :, 1] ** 2 > 0).all()


def test_a_box_that_stands_still_on_the_ground_is_where_the_camera_says():
    corners = np.array([[100.0, 50, 140, 150]])
    mean, cov = kalman.initiate(kalman.from_xyxy(corners))
    moved, _ = kalman.warp(mean, cov, SHIFT_AND_ZOOM)
    np.testing.assert_allclose(kalman.to_xyxy(moved), corners * 1.1 + [[-7, 12.5, -7, 12.5]])
