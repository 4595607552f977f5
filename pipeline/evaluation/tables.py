"""What is evaluated, as frozen structs of arrays: tracked boxes, boxes of several cameras, crossings of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, slots=True)
class TrackedBoxes:
    """N boxes of one sequence, sorted by (frame, track_id); no track has two boxes in a frame.

    frame       (N,)   int64, from 1
    track_id    (N,)   int64, at least 0
    xywh        (N, 4) float64, pixels: left, top, width, height
    conf        (N,)   float64; in truth, 0 marks a row that is not evaluated
    mot_class   (N,)   int64, MOTChallenge class number (1 pedestrian, 3 car, ...)
    visibility  (N,)   float64, visible share of the box, 0 to 1
    """

    frame: np.ndarray
    track_id: np.ndarray
    xywh: np.ndarray
    conf: np.ndarray
    mot_class: np.ndarray
    visibility: np.ndarray

    def __post_init__(self) -> None:
        _require_lengths(self, len(self.frame), ("track_id", "xywh", "conf", "mot_class", "visibility"))

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, eq=False, slots=True)
class CameraBoxes:
    """N boxes of several cameras, in the order of the file; predictions may hold duplicates.

    camera    (N,)   int64, number of the camera
    track_id  (N,)   int64, the same object has the same id in every camera
    frame     (N,)   int64, from 1
    xywh      (N, 4) float64, pixels: left, top, width, height
    world_xy  (N, 2) float64, place on the ground, not scored; NaN where the file gives none
    """

    camera: np.ndarray
    track_id: np.ndarray
    frame: np.ndarray
    xywh: np.ndarray
    world_xy: np.ndarray

    def __post_init__(self) -> None:
        _require_lengths(self, len(self.camera), ("track_id", "frame", "xywh", "world_xy"))

    def __len__(self) -> int:
        return len(self.camera)

    def take(self, index: np.ndarray) -> CameraBoxes:
        """Return the rows at `index` (integers or a boolean mask), in that order."""
        return CameraBoxes(
            self.camera[index], self.track_id[index], self.frame[index], self.xywh[index], self.world_xy[index]
        )


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """A seqinfo.ini. `started_at_us` (microseconds since 1970 UTC) is the instant of frame 1, None where not given."""

    name: str
    frame_rate_fps: float
    length_frames: int
    width_px: int | None
    height_px: int | None
    started_at_us: int | None


@dataclass(frozen=True, eq=False, slots=True)
class Crossings:
    """N crossings of counting lines, in the order given.

    camera_id, line_id, direction, class_name, object_id    (N,) object (str)
    crossed_at_us                                           (N,) int64, microseconds since 1970 UTC
    """

    camera_id: np.ndarray
    line_id: np.ndarray
    direction: np.ndarray
    class_name: np.ndarray
    object_id: np.ndarray
    crossed_at_us: np.ndarray

    def __post_init__(self) -> None:
        names = ("line_id", "direction", "class_name", "object_id", "crossed_at_us")
        _require_lengths(self, len(self.camera_id), names)

    def __len__(self) -> int:
        return len(self.camera_id)


def _require_lengths(owner: object, n_rows: int, names: Sequence[str]) -> None:
    for name in names:
        if len(getattr(owner, name)) != n_rows:
            raise ValueError(f"{type(owner).__name__}.{name}: expected {n_rows} rows, got {len(getattr(owner, name))}")
