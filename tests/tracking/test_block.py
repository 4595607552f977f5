"""Frames laid side by side."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking.block import STILL, TrackedFrame, block_of, places_in
from pipeline.tracking.exemplars import quality
from pipeline.types import Detections
from tests.tracking.scenes import found, looks


def tracked(number: int, detections: Detections, given: dict[int, int], hits: dict[int, int]) -> TrackedFrame:
    """Return a frame whose tracks (by id) were given these of its detections, -1 for none."""
    return TrackedFrame(
        frame=number,
        captured_at_us=100 * number,
        segment_id=f"file-{number // 2}",
        elapsed_frames=1.0,
        speed_noise=1.0 + number,
        camera_warp=STILL,
        track_id=np.array(list(given), np.int64),
        detection_index=np.array(list(given.values()), np.int64),
        hits=np.array([hits[track] for track in given], np.int64),
        detections=detections,
        embedding=looks(*range(10 * number, 10 * number + len(detections))),
    )


def test_frames_without_boxes():
    block, extent_xy = block_of([tracked(3, found(), {}, {}), tracked(4, found(), {7: -1}, {7: 2})], np.array([5.0, 6]))
    assert len(block) == 0 and block.frame.tolist() == [3, 4] and block.embedding.shape == (0, 128)
    assert extent_xy.tolist() == [5, 6] and block.camera_warp.shape == (2, 2, 3)


def test_boxes_of_several_frames():
    first = found((10, 10, 50, 90), (60, 10, 99, 90), score=0.5)
    second = found((12, 10, 52, 90), (30, 10, 70, 120), (np.nan, 0, 500, 900), score=0.9)
    block, extent_xy = block_of(
        [
            tracked(2, first, {1: 1, 2: -1, 3: 0}, {1: 4, 2: 1, 3: 1}),
            tracked(3, found(), {1: -1, 3: -1}, {1: 4, 3: 1}),
            tracked(4, second, {1: -1, 3: 1, 9: 0}, {1: 4, 3: 2, 9: 1}),
        ],
        np.zeros(2),
    )
    assert block.place.tolist() == [0, 0, 2, 2] and block.track_id.tolist() == [1, 3, 3, 9]
    assert block.ordinal.tolist() == [3, 0, 1, 0] and block.segment_id.tolist() == ["file-1", "file-1", "file-2"]
    np.testing.assert_array_equal(block.xyxy, [first.xyxy[1], first.xyxy[0], second.xyxy[1], second.xyxy[0]])
    np.testing.assert_array_equal(block.embedding, looks(21, 20, 41, 40))
    assert block.score.tolist() == pytest.approx([0.5, 0.5, 0.9, 0.9]) and block.speed_noise == 5
    assert extent_xy.tolist() == [99, 120]  # of whole boxes; and in the first frame it was 99, 90
    of_first = quality(first.xyxy, first.score, np.zeros(2), np.array([[99, 90]] * 2))
    of_second = quality(second.xyxy, second.score, np.zeros(3), np.array([[99, 120]] * 3))
    np.testing.assert_array_equal(block.quality, [of_first[1], of_first[0], of_second[1], of_second[0]])


def test_places():
    assert places_in(np.array([], int), np.array([1, 2])).tolist() == [-1, -1]
    assert places_in(np.array([2, 5, 9]), np.array([9, 1, 5, 6, 10, 2])).tolist() == [2, -1, 1, -1, -1, 0]
