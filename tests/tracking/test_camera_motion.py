"""The camera's motion against known ones: textured scenes, moved windows onto them, things that move by themselves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.tracking import camera_motion, snapshot
from pipeline.tracking.camera_motion import CameraMotion

IDENTITY = np.eye(2, 3)
WIDTH, HEIGHT = 400, 300
TOLERANCE_PX = 0.3


def texture(seed: int, width: int = 640, height: int = 480) -> np.ndarray:
    """Make up a surface with detail at several scales, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    surface = np.zeros((height, width))
    for blur_px in (1.5, 4, 12):
        layer = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), blur_px)
        surface += layer / layer.std()
    surface = np.clip(128 + 30 * surface, 0, 255).astype(np.uint8)
    return np.repeat(surface[:, :, None], 3, axis=2)


def view(x: float, y: float, *, degrees: float = 0.0, zoom: float = 1.0) -> np.ndarray:
    """Return the map (2, 3) from the scene into a window WIDTH x HEIGHT about scene place (x, y)."""
    turn = np.deg2rad(degrees)
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, np.array([WIDTH / 2, HEIGHT / 2]) - linear @ [x, y]])


def seen(scene: np.ndarray, to_window: np.ndarray) -> np.ndarray:
    """Draw the window; the map is in pixel edges as everywhere, OpenCV wants pixel centres."""
    centres = to_window.copy()
    centres[:, 2] += to_window[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(scene, centres, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def between(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the map (2, 3) from one window into the other."""
    square = [np.vstack([each, [0, 0, 1]]) for each in (before, after)]
    return (square[1] @ np.linalg.inv(square[0]))[:2]


def corner_error_px(warp: np.ndarray, truth: np.ndarray) -> float:
    """Return how far apart the two maps put a corner of the picture, at most."""
    corners = np.array([[0, 0], [WIDTH, 0], [0, HEIGHT], [WIDTH, HEIGHT]])
    off = corners @ (warp - truth)[:, :2].T + (warp - truth)[:, 2]
    return float(np.linalg.norm(off, axis=1).max())


def shaky_walk(n_frames: int, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make up the frames (T, H, W, 3) of a shaken, panned, turned and zoomed camera, and its windows."""
    rng = np.random.default_rng(seed)
    scene = texture(seed)
    windows = [
        view(320 + 2 * i + x, 240 + y, degrees=0.3 * i, zoom=1 + 0.01 * i)
        for i, (x, y) in enumerate(rng.uniform(-4, 4, (n_frames, 2)))
    ]
    return np.stack([seen(scene, window) for window in windows]), windows


def test_no_frames_at_all():
    motion = CameraMotion()
    assert motion.warps(np.zeros((0, HEIGHT, WIDTH, 3), np.uint8)).shape == (0, 2, 3)
    np.testing.assert_array_equal(motion.warps(texture(0)[None]), [IDENTITY])  # still the first frame


@pytest.mark.parametrize(
    "after",
    [
        view(320, 240),
        view(323.4, 238.3),
        view(345, 255),
        view(320, 240, degrees=2),
        view(320, 240, zoom=1.05),
        view(312.5, 246.5, degrees=-1.5, zoom=0.96),
    ],
    ids=["still", "shake", "fast pan", "turn", "zoom", "all at once"],
)
def test_known_motions_are_recovered(after):
    scene, before = texture(1), view(320, 240)
    warps = CameraMotion().warps(np.stack([seen(scene, before), seen(scene, after)]))
    np.testing.assert_array_equal(warps[0], IDENTITY)
    assert corner_error_px(warps[1], between(before, after)) < TOLERANCE_PX


def test_a_long_walk_is_recovered_and_adds_up():
    images, windows = shaky_walk(12)
    motion = CameraMotion()
    total = np.eye(3)
    for i, warp in enumerate(motion.warps(images)):
        assert i == 0 or corner_error_px(warp, between(windows[i - 1], windows[i])) < TOLERANCE_PX
        total = np.vstack([warp, [0, 0, 1]]) @ total
    assert corner_error_px(total[:2], between(windows[0], windows[-1])) < 1
    assert not any(motion.unknown.values())


def test_large_frames_are_measured_in_their_own_pixels():
    images, windows = shaky_walk(3)
    large = np.stack([cv2.resize(image, (3 * WIDTH, 3 * HEIGHT), interpolation=cv2.INTER_CUBIC) for image in images])
    for i, warp in enumerate(CameraMotion().warps(large)[1:], start=1):
        small = warp.copy()
        small[:, 2] /= 3
        assert corner_error_px(small, between(windows[i - 1], windows[i])) < TOLERANCE_PX


def walkers(image: np.ndarray, boxes: np.ndarray, looks: list[np.ndarray]) -> np.ndarray:
    """Draw a textured rectangle over each box (N, 4)."""
    drawn = image.copy()
    for (x1, y1, x2, y2), look in zip(np.maximum(boxes, 0).astype(int), looks):
        drawn[y1:y2, x1:x2] = look[: y2 - y1, : x2 - x1]
    return drawn


def test_people_who_walk_do_not_pull_the_camera_along():
    scene, looks = texture(2), [texture(10 + i) for i in range(6)]
    rng = np.random.default_rng(0)
    places, steps = rng.uniform([50, 50], [300, 160], (6, 2)), rng.choice([-5, -2, 1, 3, 6], (6, 2))
    for camera_step in (0.0, 2.5):
        windows = [view(320 + camera_step * i, 240) for i in range(8)]
        boxes = [np.column_stack([places + i * steps, places + i * steps + [40, 90]]) for i in range(8)]
        images = np.stack([walkers(seen(scene, window), box, looks) for window, box in zip(windows, boxes)])
        for i, warp in enumerate(CameraMotion().warps(images)[1:], start=1):
            assert corner_error_px(warp, between(windows[i - 1], windows[i])) < TOLERANCE_PX


def test_a_bus_that_fills_most_of_the_picture_is_left_out_when_it_was_detected():
    scene, bus = texture(3), texture(4)
    windows = [view(320, 240), view(322, 241)]
    boxes = [np.array([[60.0, 0, 380, 300]]), np.array([[68.0, 0, 388, 300]])]
    images = np.stack([walkers(seen(scene, window), box, [bus]) for window, box in zip(windows, boxes)])
    followed_bus = CameraMotion().warps(images)[1]
    assert corner_error_px(followed_bus, between(*windows)) > 3  # eight tenths of the picture say so
    known = CameraMotion().warps(images, boxes)[1]
    assert corner_error_px(known, between(*windows)) < TOLERANCE_PX


def test_a_burnt_in_clock_over_a_dark_scene_holds_nothing_back():
    images, windows = shaky_walk(6, seed=5)
    images = (images * 0.2).astype(np.uint8)
    for image in images:
        cv2.putText(image, "2026-03-01 07:30:00 CAM 1", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    for i, warp in enumerate(CameraMotion().warps(images)[1:], start=1):
        assert corner_error_px(warp, between(windows[i - 1], windows[i])) < TOLERANCE_PX


def test_a_change_of_exposure_is_no_motion():
    images, windows = shaky_walk(4, seed=6)
    images[1::2] = (images[1::2] * 0.6).astype(np.uint8)
    for i, warp in enumerate(CameraMotion().warps(images)[1:], start=1):
        assert corner_error_px(warp, between(windows[i - 1], windows[i])) < TOLERANCE_PX


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (np.full((HEIGHT, WIDTH, 3), 90, np.uint8), texture(0, WIDTH, HEIGHT), camera_motion.NO_CORNERS),
        (np.zeros((5, 3, 3), np.uint8), np.zeros((5, 3, 3), np.uint8), camera_motion.NO_CORNERS),
        (texture(0, WIDTH, HEIGHT), np.full((HEIGHT, WIDTH, 3), 90, np.uint8), camera_motion.LOST),
    ],
    ids=["blank before", "tiny", "blank after"],
)
def test_what_cannot_be_told_is_given_as_no_motion_and_counted(before, after, reason):
    motion = CameraMotion()
    np.testing.assert_array_equal(motion.warps(np.stack([before, after])), [IDENTITY, IDENTITY])
    assert motion.unknown[reason] == sum(motion.unknown.values()) == 1


def test_a_cut_to_another_scene_is_no_motion():
    motion = CameraMotion()
    np.testing.assert_array_equal(motion.warps(np.stack([texture(7), texture(8)])), [IDENTITY, IDENTITY])
    assert sum(motion.unknown.values()) == 1


def test_where_batches_are_cut_and_states_saved_changes_nothing():
    images, _ = shaky_walk(9)
    foreground = [np.array([[i * 10.0, 40, i * 10 + 60, 160]]) for i in range(9)]
    whole = CameraMotion().warps(images, foreground)
    for cuts in ([3], [1, 2, 8], [0, 4, 4]):
        motion, parts = CameraMotion(), []
        for start, end in zip([0, *cuts], [*cuts, 9]):
            state = motion.to_bytes()
            motion = CameraMotion(state)
            assert motion.to_bytes() == state
            parts.append(motion.warps(images[start:end], foreground[start:end]))
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_threads_change_nothing():
    images, _ = shaky_walk(8, seed=9)
    before, found = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            cv2.setRNGSeed(threads)  # nor does OpenCV's global generator
            found.append(CameraMotion().warps(images))
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_boxes_reaching_beyond_the_picture_or_not_finite_cover_what_they_can():
    images, windows = shaky_walk(2)
    odd = np.array([[-50, -50, 60, 60], [390, 290, 900, 900], [np.nan, 0, 5, 5], [80, 80, 70, 70]], np.float32)
    warps = CameraMotion().warps(images, [odd, odd])
    assert corner_error_px(warps[1], between(*windows)) < TOLERANCE_PX


def test_inputs_are_left_alone():
    images, _ = shaky_walk(2)
    before, boxes = images.copy(), np.array([[0.0, 0, 50, 50]])
    CameraMotion().warps(images, [boxes, boxes])
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(boxes, [[0, 0, 50, 50]])


def test_what_does_not_fit_is_refused():
    motion = CameraMotion()
    motion.warps(np.zeros((1, 30, 40, 3), np.uint8))
    with pytest.raises(ValueError, match=r"frames of \(40, 30\) pixels as before, got \(41, 30\)"):
        motion.warps(np.zeros((1, 30, 41, 3), np.uint8))
    with pytest.raises(ValueError, match="boxes for each of 1 frames, got 2"):
        motion.warps(np.zeros((1, 30, 40, 3), np.uint8), [np.zeros((0, 4))] * 2)
    with pytest.raises(LakeError, match=r"camera motion: damaged state \(not a saved state"):
        CameraMotion(b"nonsense")
    with pytest.raises(LakeError, match="process the segment before again"):
        CameraMotion(snapshot.to_bytes({"something": np.zeros(1)}))
