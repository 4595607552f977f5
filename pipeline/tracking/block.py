"""Frames in a row, tracked and not yet summed up: numpy does many frames in the time of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.tracking import exemplars
from pipeline.types import Detections

STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The warp of a camera that did not move."""


class TrackedFrame(NamedTuple):
    """What one frame showed, and which of its detections (N) each of the M tracks alive in it was given.

    track_id, detection_index (M,) as in Tracks; hits (M,) int64, boxes of each track so far, this frame's included;
    embedding (N, 128); camera_warp (2, 3), STILL where the camera did not move
    """

    frame: int
    captured_at_us: int
    segment_id: str
    elapsed_frames: float
    speed_noise: float
    camera_warp: np.ndarray
    track_id: np.ndarray
    detection_index: np.ndarray
    hits: np.ndarray
    detections: Detections
    embedding: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """F frames in a row, and the B boxes that tracks were given in them, frame by frame, by track in each.

    frame           (F,)       int32, index in its file; captured_at_us (F,) int64; segment_id (F,) object (str)
    elapsed_frames  (F,)       float64, since the frame before; camera_warp (F, 2, 3) float64
    speed_noise                of the last frame, as in deep_sort.advance
    place           (B,)       int64, which of the frames
    track_id        (B,)       int64; ordinal (B,) int64, which box of its track, from 0
    class_id        (B,)       int16; score (B,) float32; xyxy (B, 4) float32
    quality         (B,)       float32, as in pipeline.tracking.exemplars; embedding (B, 128)
    """

    frame: np.ndarray
    captured_at_us: np.ndarray
    segment_id: np.ndarray
    elapsed_frames: np.ndarray
    speed_noise: float
    camera_warp: np.ndarray
    place: np.ndarray
    track_id: np.ndarray
    ordinal: np.ndarray
    class_id: np.ndarray
    score: np.ndarray
    xyxy: np.ndarray
    quality: np.ndarray
    embedding: np.ndarray

    def __len__(self) -> int:
        return len(self.place)


def block_of(frames: list[TrackedFrame], extent_xy: np.ndarray) -> tuple[Block, np.ndarray]:
    """Lay frames, of which there must be some, side by side.

    extent_xy (2,) is the right and lower edge of the picture, as far as boxes before have shown it. Returns the block,
    and the edge that its boxes have shown.
    """
    (
        frame, captured_at_us, segment_id, elapsed_frames, speed_noise, camera_warp, track_id, detection_index, hits,
        detections, embedding,
    ) = zip(*frames, strict=True)  # fmt: skip
    n_frames = np.arange(len(frames))
    n_found = np.array([len(found) for found in detections])
    place_of_found = np.repeat(n_frames, n_found)
    xyxy = np.concatenate([found.xyxy for found in detections])
    score = np.concatenate([found.score for found in detections])
    extent_xy = _extents(xyxy, place_of_found, len(frames), extent_xy)
    quality = exemplars.quality(xyxy, score, place_of_found, extent_xy[place_of_found])

    index = np.concatenate(detection_index)
    given = np.flatnonzero(index >= 0)
    place = np.repeat(n_frames, [len(ids) for ids in track_id])[given]
    row = (np.cumsum(n_found) - n_found)[place] + index[given]
    block = Block(
        frame=np.array(frame, np.int32),
        captured_at_us=np.array(captured_at_us, np.int64),
        segment_id=np.array(segment_id, object),
        elapsed_frames=np.array(elapsed_frames, np.float64),
        speed_noise=speed_noise[-1],
        camera_warp=np.array(camera_warp),
        place=place,
        track_id=np.concatenate(track_id)[given],
        ordinal=np.concatenate(hits)[given] - 1,
        class_id=np.concatenate([found.class_id for found in detections])[row],
        score=score[row],
        xyxy=xyxy[row],
        quality=quality[row],
        embedding=np.concatenate(embedding)[row],
    )
    return block, extent_xy[-1]


def _extents(xyxy: np.ndarray, place: np.ndarray, n_frames: int, extent_xy: np.ndarray) -> np.ndarray:
    """Return (F, 2) the right and lower edge of the picture, as far as boxes up to each frame have shown it."""
    reach = np.zeros((n_frames, 2))
    whole = np.isfinite(xyxy).all(axis=1)
    np.maximum.at(reach, place[whole], xyxy[whole, 2:])
    reach[0] = np.maximum(reach[0], extent_xy)
    return np.maximum.accumulate(reach, axis=0)


def places_in(ascending: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return where each of `values` (N,) stands in `ascending` (T,), -1 where it does not."""
    if len(ascending) == 0:
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[place] == values, place, -1)
