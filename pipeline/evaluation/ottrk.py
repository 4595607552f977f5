"""Tracks of OpenTrafficCam (`.ottrk`), a peer's output to compare with."""

from __future__ import annotations

import bz2
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import TruthError
from pipeline.evaluation.tables import TrackedBoxes

_FIELDS = ("frame", "track-id", "x", "y", "w", "h", "confidence", "class", "occurrence", "interpolated-detection")


@dataclass(frozen=True, eq=False, slots=True)
class PeerTracks:
    """The tracks of one .ottrk file; all columns in the order of `boxes`.

    boxes           N boxes; frames from 1 as OTVision counts, `mot_class` is 1 throughout
    class_name      (N,) object (str), OpenTrafficCam's class of that box, e.g. "private_van"
    captured_at_us  (N,) int64, microseconds since 1970 UTC
    interpolated    (N,) bool
    width_px, height_px, frame_rate_fps, length_frames    of the video the tracks were made from
    started_at_us   first frame of that video, microseconds since 1970 UTC; None where the file does not say. OTVision
                    takes the time in a file's name for UTC, whatever the camera's clock is set to
    """

    boxes: TrackedBoxes
    class_name: np.ndarray
    captured_at_us: np.ndarray
    interpolated: np.ndarray
    width_px: int
    height_px: int
    frame_rate_fps: float
    length_frames: int
    started_at_us: int | None


def read_ottrk(path: Path) -> PeerTracks:
    """Read a .ottrk file (bz2-compressed JSON, format version 1). Its x and y are the box's left and top, in pixels.

    Raises TruthError for a file that is not one, for boxes normalised to the picture, and for a track with two boxes
    in one frame.
    """
    document = _document(path)
    try:
        video = document["metadata"]["video"]
        normalised = document["metadata"]["detection"].get("normalized_bbox", False)
        detections = document["data"]["detections"]
        size = (int(video["width"]), int(video["height"]))
        rate, length = float(video["recorded_fps"]), int(video["number_of_frames"])
        started = video.get("recorded_start_date")
        started_at_us = None if started is None else round(float(started) * 1e6)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TruthError(f"{path}: expected the keys of an .ottrk file, got none or an odd one at {error}") from None
    if normalised:
        raise TruthError(f"{path}: expected boxes in pixels, got normalized_bbox true; convert them to pixels first")
    columns = _columns(path, detections)
    frame, track_id = columns["frame"].astype(np.int64), columns["track-id"].astype(np.int64)
    order = np.lexsort((track_id, frame))
    pairs = np.stack([frame, track_id], axis=1)[order]
    repeated = (np.diff(pairs, axis=0) == 0).all(axis=1)
    if repeated.any():
        at = pairs[1:][repeated][0]
        raise TruthError(f"{path}: expected one box a track and frame, got track {at[1]} twice in frame {at[0]}")
    return PeerTracks(
        boxes=TrackedBoxes(
            frame=frame[order],
            track_id=track_id[order],
            xywh=np.stack([columns[name] for name in "xywh"], axis=1)[order].astype(np.float64).reshape(-1, 4),
            conf=columns["confidence"][order].astype(np.float64),
            mot_class=np.ones(len(order), np.int64),
            visibility=np.ones(len(order)),
        ),
        class_name=columns["class"][order],
        captured_at_us=np.round(columns["occurrence"][order].astype(np.float64) * 1e6).astype(np.int64),
        interpolated=columns["interpolated-detection"][order].astype(bool),
        width_px=size[0],
        height_px=size[1],
        frame_rate_fps=rate,
        length_frames=length,
        started_at_us=started_at_us,
    )


def _document(path: Path) -> Any:
    try:
        return json.loads(bz2.decompress(Path(path).read_bytes()))
    except FileNotFoundError:
        raise TruthError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise TruthError(f"{path}: expected bz2-compressed JSON as OpenTrafficCam writes it, got: {error}") from None


def _columns(path: Path, detections: list[dict]) -> dict[str, np.ndarray]:
    """Turn one dict a box into one array a field."""
    for number, detection in enumerate(detections):
        missing = [name for name in _FIELDS if name not in detection]
        if missing:
            raise TruthError(f"{path}, detection {number}: expected a field {missing[0]!r}, got {sorted(detection)}")
    columns = {}
    for name in _FIELDS:
        columns[name] = np.array([detection[name] for detection in detections], dtype=object)
    return columns
