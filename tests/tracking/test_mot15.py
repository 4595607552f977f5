"""Real detections of four sequences: the plain tracker's associations frame by frame, and sound rows."""

from __future__ import annotations

import motmetrics
import numpy as np
import pytest

from pipeline import boxes
from pipeline.config import tracker_preset
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import EMBEDDING_DIM, Detections, Observations
from tests.realdata import data_path
from tests.tracking.plain_deep_sort import PlainDeepSort
from tests.tracking.scenes import PERSON

SEQUENCES = ("ETH-Sunnyday", "KITTI-13", "PETS09-S2L1", "TUD-Campus")
INTERVAL_US = 100_000
CONFIG = tracker_preset("reference")


def track(detected: np.ndarray, embedding: np.ndarray, plain: PlainDeepSort) -> tuple:
    """Track a sequence and check, frame by frame, that the plain tracker puts the same boxes in the same tracks."""
    tracking = CameraTracking("mot", CONFIG)
    partner: dict[int, int] = {}
    for frame in range(1, int(detected[:, 0].max()) + 1):
        here = np.flatnonzero(detected[:, 0] == frame)
        detections = Detections(
            boxes.xywh_to_xyxy(detected[here, 2:6]).astype(np.float32),
            detected[here, 6].astype(np.float32),
            np.full(len(here), PERSON, np.int16),
        )
        tracks = tracking.step(
            segment_id="mot",
            frame=frame,
            captured_at_us=frame * INTERVAL_US,
            frame_interval_us=INTERVAL_US,
            detections=detections,
            embedding=embedding[here],
        )
        expected = plain.step(detections.xyxy, embedding[here])
        got = {box: int(number) for number, box in zip(tracks.track_id, tracks.detection_index.tolist()) if box >= 0}
        assert got.keys() == expected.keys()
        assert all(partner.setdefault(got[box], expected[box]) == expected[box] for box in got), f"frame {frame}"
    tracking.close()
    return tracking.drain()


def idf1(truth: np.ndarray, observations: Observations) -> float:
    """IDF1 at IoU 0.5 by motmetrics."""
    _, number = np.unique(observations.tracklet_id.astype(str), return_inverse=True)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in np.unique(np.concatenate([truth[:, 0], observations.frame])):
        rows, mine = truth[truth[:, 0] == frame], observations.frame == frame
        distance = 1 - boxes.iou(boxes.xywh_to_xyxy(rows[:, 2:6]), observations.xyxy[mine].astype(np.float64))
        distance[distance > 0.5] = np.nan
        accumulator.update(rows[:, 1].astype(int), number[mine], distance)
    return motmetrics.metrics.create().compute(accumulator, metrics=["idf1"])["idf1"].iloc[0]


def appearance(detected: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Make up a seeded embedding per detection: its object's own look and noise, or noise where it hits no object."""
    rng = np.random.default_rng(0)
    own = rng.standard_normal((int(truth[:, 1].max()) + 1, EMBEDDING_DIM))
    vector = rng.standard_normal((len(detected), EMBEDDING_DIM))
    for frame in np.unique(detected[:, 0]):
        here, there = np.flatnonzero(detected[:, 0] == frame), truth[truth[:, 0] == frame]
        if len(there):
            iou = boxes.iou(boxes.xywh_to_xyxy(detected[here, 2:6]), boxes.xywh_to_xyxy(there[:, 2:6]))
            hit = iou.max(axis=1) > 0.5
            vector[here[hit]] += 2 * own[there[iou[hit].argmax(axis=1), 1].astype(int)]
    return (vector / np.linalg.norm(vector, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.realdata
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_real_detections(sequence, record_property):
    detected = np.loadtxt(data_path(f"mot15/{sequence}/det/det.txt"), delimiter=",")
    truth = np.loadtxt(data_path(f"mot15/{sequence}/gt/gt.txt"), delimiter=",")
    embedding = appearance(detected, truth)
    observations, tracklets, exemplars = track(detected, embedding, PlainDeepSort(CONFIG))

    assert set(tracklets.tracklet_id) == set(observations.tracklet_id) == set(exemplars.tracklet_id)
    places = {(frame, *box) for frame, box in zip(observations.frame.tolist(), observations.xyxy.tolist())}
    assert len(places) == len(observations) <= len(detected)  # no detection in two tracks
    score = idf1(truth, observations)  # told, not judged: the looks come from the truth
    record_property("idf1", float(score))
    print(f"{sequence}: IDF1 {score:.3f}, {len(tracklets)} tracklets for {len(np.unique(truth[:, 1]))} objects")
