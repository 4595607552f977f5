"""Boxes of a moving camera brought into one picture and back."""

from __future__ import annotations

import numpy as np

from pipeline.tracking.hindsight import steady


def warps(seed: int, n_frames: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn, zoom = rng.normal(0, 0.02, n_frames), rng.normal(1, 0.02, n_frames)
    shift = rng.normal(0, 10, (n_frames, 2))
    rotation = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], axis=1).reshape(-1, 2, 2)
    return np.concatenate([rotation * zoom[:, None, None], shift[:, :, None]], axis=2)


def test_a_camera_that_stands_needs_nothing():
    assert steady.into_last(np.zeros((0, 2, 3))) is None
    assert steady.into_last(np.repeat(steady.STILL[None], 5, axis=0)) is None


def test_a_standing_thing_stands_still_in_the_last_picture():
    steps = warps(0, 8)
    place, height = np.array([100.0, 50.0]), 80.0
    seen = [np.array([*place, 0.4, height])]
    for warp in steps[1:]:
        scale = np.sqrt(np.linalg.det(warp[:, :2]))
        before = seen[-1]
        seen.append(np.array([*(warp[:, :2] @ before[:2] + warp[:, 2]), 0.4, before[3] * scale]))
    into = steady.into_last(steps)
    np.testing.assert_array_equal(into[-1], steady.STILL)
    np.testing.assert_allclose(steady.moved(np.array(seen), into), np.repeat(seen[-1][None], 8, axis=0), rtol=1e-9)


def test_there_and_back_again():
    into = steady.into_last(warps(1, 6))
    boxes = np.random.default_rng(2).uniform(1, 200, (6, 4))
    np.testing.assert_allclose(steady.moved(steady.moved(boxes, into), steady.inverse(into)), boxes, rtol=1e-9)
