"""Tracked boxes with instants, as a lake holds them, laid on the numbered frames of a truth."""

from __future__ import annotations

import numpy as np

from pipeline.boxes import xyxy_to_xywh
from pipeline.evaluation.tables import TrackedBoxes


def nearest_frames(
    captured_at_us: np.ndarray, started_at_us: int, frame_rate_fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each instant (N,) the frame nearest to it and how far off it is, microseconds.

    Frame 1 is at `started_at_us`. Halfway between two frames it is the later one.
    """
    since_first = (captured_at_us - started_at_us) * (frame_rate_fps / 1e6)  # in frames
    index = np.floor(since_first + 0.5)
    return index.astype(np.int64) + 1, np.abs(since_first - index) * (1e6 / frame_rate_fps)


def on_frames(
    track_id: np.ndarray, frame: np.ndarray, off_us: np.ndarray, xyxy: np.ndarray, length_frames: int | None
) -> TrackedBoxes:
    """Turn N boxes into MOTChallenge boxes.

    track_id, frame   (N,) int64
    off_us            (N,), how far each box is off its frame
    xyxy              (N, 4), pixels

    Boxes outside frames 1 to `length_frames` are left out: the truth says nothing about them. Footage denser than the
    truth gives an object several boxes in one frame, of which the one least off stays (of two alike, the first given).
    """
    inside = (frame >= 1) & (frame <= (np.inf if length_frames is None else length_frames))
    track_id, frame, off_us, xyxy = track_id[inside], frame[inside], off_us[inside], xyxy[inside]
    order = np.lexsort((off_us, track_id, frame))  # stable
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(frame[order]) != 0) | (np.diff(track_id[order]) != 0)
    rows = order[is_first]
    return TrackedBoxes(
        frame=frame[rows],
        track_id=track_id[rows],
        xywh=xyxy_to_xywh(xyxy[rows].astype(np.float64)),
        conf=np.ones(len(rows)),
        mot_class=np.ones(len(rows), dtype=np.int64),
        visibility=np.ones(len(rows)),
    )
