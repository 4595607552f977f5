"""What holds for every input of `advance`, whichever way it goes: compiled, or by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import TrackerConfig
from pipeline.tracking import kalman
from pipeline.tracking.deep_sort import TrackerState, initial_state
from pipeline.types import EMBEDDING_DIM, Detections, Tracks
from tests.tracking.paths import BOTH
from tests.tracking.scenes import found, look, looks, walk
from tests.tracking.test_kalman import some_tracks

CONFIG = TrackerConfig()
BOX, FAR = (100, 100, 140, 200), (400, 100, 440, 200)

Frames = list[tuple[Detections, np.ndarray]]


def follow(advance: Callable, frames: Frames, config: TrackerConfig = CONFIG) -> tuple[TrackerState, list[Tracks]]:
    """Advance over frames without gaps."""
    state, seen = initial_state(), []
    for detections, embedding in frames:
        state, tracks = advance(state, detections, embedding, 1.0, config)
        seen.append(tracks)
    return state, seen


def scene(*arguments, **options) -> Frames:
    return [(frame.detections, frame.embedding) for frame in walk(*arguments, **options)]


def partition(seen: list[Tracks]) -> set[frozenset[tuple[int, int]]]:
    """Tracks as sets of (frame, detection): what they are but for their numbers."""
    boxes_of: dict[int, list] = {}
    for number, tracks in enumerate(seen):
        for track, box in zip(tracks.track_id.tolist(), tracks.detection_index.tolist()):
            if box >= 0:
                boxes_of.setdefault(track, []).append((number, box))
    return {frozenset(boxes) for boxes in boxes_of.values()}


@BOTH
@given(seed=st.integers(0, 10_000), n_walkers=st.integers(1, 12), low=st.sampled_from([0.0, 0.7]))
@settings(max_examples=15, deadline=None)
def test_order_of_detections_changes_order_only(advance, seed, n_walkers, low):
    frames, config = scene(n_walkers, 40, seed, false=0.8), TrackerConfig(high_score=low)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(detections)) for detections, _ in frames]
    _, straight = follow(advance, frames, config)
    shuffled = [(boxes.take(order), vector[order]) for (boxes, vector), order in zip(frames, orders)]
    _, mixed = follow(advance, shuffled, config)
    back = [
        replace(tracks, detection_index=np.append(order, -1)[tracks.detection_index])  # -1 picks the appended -1
        for tracks, order in zip(mixed, orders)
    ]
    assert partition(back) == partition(straight)
    for mine, other in zip(straight, back):
        assert len(mine) == len(other)
        first, second = (np.lexsort(tracks.xyxy.T) for tracks in (mine, other))
        np.testing.assert_array_equal(mine.xyxy[first], other.xyxy[second])
        np.testing.assert_array_equal(mine.confirmed[first], other.confirmed[second])


@BOTH
@pytest.mark.parametrize(("scale", "shift"), [(1.0, (512.0, -256.0)), (4.0, (0.0, 0.0)), (0.5, (-64.0, 32.0))])
@pytest.mark.parametrize("seed", [5, 6])
def test_moving_or_magnifying_the_picture_moves_and_magnifies_the_tracks(advance, scale, shift, seed):
    shift_px = np.float32([*shift, *shift])
    frames = scene(7, 60, seed)
    moved = [
        (Detections(boxes.xyxy * np.float32(scale) + shift_px, boxes.score, boxes.class_id), vector)
        for boxes, vector in frames
    ]
    _, straight = follow(advance, frames)
    _, other = follow(advance, moved)
    for mine, theirs in zip(straight, other):
        np.testing.assert_array_equal(mine.track_id, theirs.track_id)
        np.testing.assert_array_equal(mine.detection_index, theirs.detection_index)
        np.testing.assert_allclose(theirs.xyxy, mine.xyxy * scale + shift_px, atol=1e-3 * max(scale, 1))


@BOTH
@pytest.mark.parametrize(
    "broken",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (-np.inf, 0, 10, 10),
        (10, 10, 10, 20),
        (10, 10, 20, 10),
        (20, 20, 10, 10),
    ],
)
def test_broken_boxes_are_passed_over(advance, broken):
    state = initial_state()
    for _ in range(4):
        state, tracks = advance(state, found(broken, BOX), looks(2, 1), 1, CONFIG)
    assert tracks.track_id.tolist() == [1] and tracks.detection_index.tolist() == [1]


@BOTH
def test_broken_scores_and_embeddings_are_passed_over(advance):
    dark = np.full((1, EMBEDDING_DIM), np.nan, np.float32)
    _, tracks = advance(initial_state(), found(BOX, FAR), np.concatenate([dark, look(1)]), 1, CONFIG)
    assert tracks.detection_index.tolist() == [1]
    _, tracks = advance(initial_state(), found(BOX, score=np.nan), look(1), 1, CONFIG)
    assert len(tracks) == 0


@BOTH
@pytest.mark.parametrize("box", [(-50, -80, 20, 60), (-500, -500, -400, -300), (1e7, 1e7, 1e7 + 40, 1e7 + 80)])
def test_boxes_beyond_the_picture_are_tracked(advance, box):
    _, seen = follow(advance, [(found(box), look(1))] * 3)
    assert seen[-1].confirmed.tolist() == [True]
    np.testing.assert_allclose(seen[-1].xyxy[0], box, atol=1)


@BOTH
def test_two_thousand_detections_in_one_frame(advance):
    x, y = np.meshgrid(np.arange(50) * 40.0, np.arange(40) * 60.0)
    corners = np.stack([x, y, x + 20, y + 50], axis=-1).reshape(-1, 4).astype(np.float32)
    crowd = Detections(corners, np.full(2000, 0.9, np.float32), np.zeros(2000, np.int16))
    vector = np.random.default_rng(0).standard_normal((2000, EMBEDDING_DIM)).astype(np.float32)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    _, seen = follow(advance, [(crowd, vector), (crowd, vector), (Detections.empty(), looks()), (crowd, vector)])
    np.testing.assert_array_equal(seen[1].track_id, np.arange(1, 2001))
    np.testing.assert_array_equal(seen[1].detection_index, np.arange(2000))
    assert len(seen[2]) == 0  # tentative ones die at their first miss
    np.testing.assert_array_equal(seen[3].track_id, np.arange(2001, 4001))


@BOTH
@pytest.mark.parametrize("motion_weight", [0.0, 0.3])
@given(seed=st.integers(0, 10_000), n_walkers=st.integers(1, 14), false=st.floats(0, 4), gap=st.integers(0, 10))
@settings(max_examples=10, deadline=None)
def test_ids_are_never_reused_and_no_box_is_in_two_tracks(advance, motion_weight, seed, n_walkers, false, gap):
    config = TrackerConfig(
        motion_weight=motion_weight, max_age_frames=8, high_score=0.0, start_score=0.0, max_cosine_distance=0.2
    )
    state, ended, highest = initial_state(), set(), 0
    alive: set[int] = set()
    for number, frame in enumerate(walk(n_walkers, 50, seed, miss=0.2, false=false)):
        elapsed = 1.0 + gap if number % 20 == 19 else 1.0
        state, tracks = advance(state, frame.detections, frame.embedding, elapsed, config)
        ids = tracks.track_id.tolist()
        used = tracks.detection_index[tracks.detection_index >= 0]
        assert ids == sorted(set(ids)) and not ended & set(ids)
        assert len(used) == len(set(used.tolist())) == len(frame.detections)  # each box in exactly one track
        ended |= alive - set(ids)
        assert all(new > highest for new in set(ids) - alive)
        alive, highest = set(ids), max([highest, *ids])
        assert state.next_id == highest + 1
        assert np.isfinite(tracks.xyxy).all() and len(state.gallery) == len(state)
        assert (state.time_since_update <= config.max_age_frames).all()


def positive_definite(cov: np.ndarray) -> bool:
    """Tell whether all blocks of cov (N, 4, 3) are: variance and determinant above 0."""
    determinant = cov[:, :, 0] * cov[:, :, 2] - cov[:, :, 1] ** 2
    return bool(np.isfinite(cov).all() and (cov[:, :, 0] > 0).all() and (determinant > 0).all())


@BOTH
def test_ten_thousand_frames_unseen_leave_a_track_that_can_be_matched(advance):
    config = TrackerConfig(max_age_frames=10_001, gate_sq=1e9, max_cosine_distance=0.2)
    hit = (found(BOX), look(1))
    state, _ = follow(advance, [hit] * 5, config)
    nothing = (Detections.empty(), looks())
    at_once, _ = advance(state, *nothing, 10_000.0, config)
    for _ in range(10_000):
        state, _ = advance(state, *nothing, 1.0, config)
    for left in (state, at_once):
        assert positive_definite(left.cov) and np.isfinite(left.mean).all()
        assert left.time_since_update.tolist() == [10_000.0]
        found_again, tracks = advance(left, *hit, 1.0, config)
        assert tracks.track_id.tolist() == [1] and tracks.detection_index.tolist() == [0]
        assert positive_definite(found_again.cov)
    np.testing.assert_allclose(at_once.cov, state.cov, rtol=1e-6)


@pytest.mark.parametrize("elapsed", [1e-6, 0.5, 1e4, 1e9])
def test_one_step_of_any_length_keeps_costs_finite(elapsed):
    mean, cov = kalman.predict(*some_tracks(50, seed=4), elapsed)
    assert positive_definite(cov) and np.isfinite(mean).all()
    assert np.isfinite(kalman.gating_distance_sq(mean, cov, mean[:, :4] + 1)).all()


@BOTH
@pytest.mark.parametrize("class_id", [-1, 80, -32768, 32767])
def test_unknown_classes_are_refused(advance, class_id):
    boxes = found((0, 0, 40, 80), (0, 0, 0, 0), class_id=class_id)  # the second cannot be tracked
    message = f"Detections.class_id: expected 0 to 79, indices into COCO_CLASSES, got {class_id}"
    for detections, embedding in ((boxes, looks(1, 2)), (boxes.take(np.array([1])), look(1))):
        with pytest.raises(ValueError, match=message):
            advance(initial_state(), detections, embedding, 1, TrackerConfig())
