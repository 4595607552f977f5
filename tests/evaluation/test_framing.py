"""Instants become the frames of a truth."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.framing import nearest_frames, on_frames

START_US = 1_772_350_200_000_000


def framed(track_id, frame, off_us, length=None):
    xyxy = np.array([(i, 0, i + 10, 20) for i in range(len(track_id))], dtype=np.float32).reshape(-1, 4)
    return on_frames(np.array(track_id, np.int64), np.array(frame, np.int64), np.array(off_us), xyxy, length)


def test_no_boxes():
    frame, off_us = nearest_frames(np.zeros(0, np.int64), START_US, 25.0)
    assert len(frame) == len(off_us) == 0
    assert framed([], [], []).xywh.shape == (0, 4)


@pytest.mark.parametrize("fps", [10.0, 12.5, 25.0, 30000 / 1001, 59.94])
def test_a_day_of_frames_is_numbered_without_a_slip(fps):
    frame = np.r_[1:1000, 86_400 * 24 : 86_400 * 24 + 1000]
    instant = START_US + np.round((frame - 1) * 1e6 / fps).astype(np.int64)
    numbered, off_us = nearest_frames(instant, START_US, fps)
    np.testing.assert_array_equal(numbered, frame)
    assert off_us.max() < 1


def test_between_frames_the_nearer_one_counts_and_halfway_the_later():
    instants = START_US + np.array([-100_000, 40_000, 50_000, 60_000, 100_000])
    frame, off_us = nearest_frames(instants, START_US, 10.0)
    assert frame.tolist() == [0, 1, 2, 2, 2]
    np.testing.assert_allclose(off_us, [0, 40_000, 50_000, 40_000, 0], atol=1e-3)


def test_the_box_least_off_its_frame_stays_and_boxes_outside_the_truth_go():
    boxes = framed([7, 7, 8, 7, 7, 7], [2, 2, 2, 1, 0, 4], [5.0, 3.0, 9.0, 0.0, 0.0, 0.0], length=3)
    assert list(zip(boxes.frame, boxes.track_id)) == [(1, 7), (2, 7), (2, 8)]
    assert boxes.xywh[1].tolist() == [1, 0, 10, 20]  # the second row given
