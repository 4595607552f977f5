"""The batches that travel between stages: frozen structs of arrays, every column required."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

EMBEDDING_DIM = 128
"""Length of every appearance embedding, whatever model made it."""

COCO_CLASSES: tuple[str, ...] = tuple(
    (
        "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, "
        "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, "
        "backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball "
        "bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, "
        "spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, "
        "couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, "
        "microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, "
        "toothbrush"
    ).split(", ")
)
"""The 80 classes of COCO 2017 in their usual order; `class_id` everywhere is an index into this tuple."""

TRAFFIC_CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
"""What nightfleet looks for unless told otherwise."""

CLASS_GROUPS: dict[str, str] = {
    "person": "person",
    **{name: "vehicle" for name in ("bicycle", "car", "motorcycle", "bus", "truck", "train")},
}
"""Coarse group of a class. A track never changes group, though a detector may call one van a car and then a truck."""


def class_group(class_id: int) -> str:
    """Return the coarse group of a COCO class: "person", "vehicle", or the class's own name."""
    name = COCO_CLASSES[class_id]
    return CLASS_GROUPS.get(name, name)


_dtype = cache(np.dtype)


def _check(owner: object, name: str, dtype: Any, shape: tuple[int | None, ...]) -> None:
    """Refuse an array column of another dtype or shape; None in `shape` stands for any length."""
    value = getattr(owner, name)
    if isinstance(value, np.ndarray) and value.dtype == _dtype(dtype) and value.shape == shape:
        return  # what follows takes longer, and structs are made several times a frame
    what = f"{type(owner).__name__}.{name}"
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{what}: expected a numpy array, got {type(value).__name__}")
    if value.dtype != _dtype(dtype):
        raise TypeError(f"{what}: expected dtype {_dtype(dtype)}, got {value.dtype}")
    if value.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, value.shape)):
        wanted = tuple("any" if size is None else size for size in shape)
        raise ValueError(f"{what}: expected shape {wanted}, got {value.shape}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One video file (or image folder) of one camera, with its place on the clock.

    segment_id      unique in the fleet and safe as a file name: `<camera_id>-<start in UTC>`, e.g.
                    `gate-20260301T073000.000Z`
    url             path or URL of the file, or of the folder of images
    started_at_us   instant of the first frame, microseconds since 1970 UTC, camera clock offset applied
    duration_us     by the container; microseconds
    local_date      date of the start on the camera's own wall clock, `YYYY-MM-DD`: the lake's partition
    clock_source    "sidecar", "file name", "configuration" or "container": where the start came from
    width_px, height_px, fps     as probed; fps is the container's average rate
    fingerprint     digest of the file's content
    """

    segment_id: str
    camera_id: str
    url: str
    started_at_us: int
    duration_us: int
    local_date: str
    clock_source: str
    width_px: int
    height_px: int
    fps: float
    fingerprint: str

    @property
    def ended_at_us(self) -> int:
        """Instant at which the last frame ends, microseconds since 1970 UTC."""
        return self.started_at_us + self.duration_us


@dataclass(frozen=True, eq=False, slots=True)
class FrameBatch:
    """T decoded frames of one segment, in presentation order.

    images          (T, H, W, 3) uint8, RGB
    frame           (T,) int32, index of the frame in its file, 0-based; sampled footage skips indices
    captured_at_us  (T,) int64, microseconds since 1970 UTC, strictly increasing
    """

    images: np.ndarray
    frame: np.ndarray
    captured_at_us: np.ndarray

    def __post_init__(self) -> None:
        _check(self, "images", np.uint8, (None, None, None, 3))
        n_frames = len(self.images)
        _check(self, "frame", np.int32, (n_frames,))
        _check(self, "captured_at_us", np.int64, (n_frames,))

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class CameraView:
    """What a detector may know of the camera whose footage it sees.

    homography      3x3 nested tuple, picture pixels -> metres on the ground plane, or None where uncalibrated
    segment_url     the footage being read; `detections:` replays look their file up by it
    frame_rate_fps  rate at which frames arrive, after sampling
    """

    camera_id: str
    width_px: int
    height_px: int
    homography: tuple[tuple[float, float, float], ...] | None
    segment_url: str
    frame_rate_fps: float


@dataclass(frozen=True, eq=False, slots=True)
class Detections:
    """N boxes found in one frame of one camera.

    xyxy      (N, 4) float32, pixels, top-left and bottom-right corners
    score     (N,)   float32, in [0, 1]
    class_id  (N,)   int16, index into COCO_CLASSES
    """

    xyxy: np.ndarray
    score: np.ndarray
    class_id: np.ndarray

    def __post_init__(self) -> None:
        _check(self, "xyxy", np.float32, (None, 4))
        _check(self, "score", np.float32, (len(self.xyxy),))
        _check(self, "class_id", np.int16, (len(self.xyxy),))

    def __len__(self) -> int:
        return len(self.xyxy)

    def take(self, index: np.ndarray) -> Detections:
        """Return the rows at `index` (integers or a boolean mask), in that order."""
        return Detections(self.xyxy[index], self.score[index], self.class_id[index])

    @staticmethod
    def empty() -> Detections:
        """Return a frame in which nothing was found."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16))


@dataclass(frozen=True, eq=False, slots=True)
class Tracks:
    """M tracks alive after one frame, ascending by track_id.

    track_id         (M,)   int64, never reused within a tracker state
    xyxy             (M, 4) float32, pixels: the filtered box (the prediction where the frame had no match)
    class_id         (M,)   int16
    confirmed        (M,)   bool, False while tentative
    detection_index  (M,)   int64, row of this frame's Detections that was assigned, -1 where none was
    """

    track_id: np.ndarray
    xyxy: np.ndarray
    class_id: np.ndarray
    confirmed: np.ndarray
    detection_index: np.ndarray

    def __post_init__(self) -> None:
        n_tracks = len(self.track_id)
        _check(self, "track_id", np.int64, (n_tracks,))
        _check(self, "xyxy", np.float32, (n_tracks, 4))
        _check(self, "class_id", np.int16, (n_tracks,))
        _check(self, "confirmed", np.bool_, (n_tracks,))
        _check(self, "detection_index", np.int64, (n_tracks,))

    def __len__(self) -> int:
        return len(self.track_id)


class _Rows:
    """Shared behaviour of the row structs below: columns of equal length, concatenation, choice of rows."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    @classmethod
    def concatenate(cls, parts: list) -> Any:
        """Stack rows of several structs in order; `parts` must not be empty."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))  # type: ignore[arg-type]

    def take(self, index: np.ndarray) -> Any:
        """Return the rows at `index` (integers or a boolean mask), in that order."""
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, slots=True)
class Observations(_Rows):
    """N tracked boxes in processed frames, sorted by (captured_at_us, tracklet_id).

    tracklet_id     (N,)   object (str)
    segment_id      (N,)   object (str), the segment whose file holds the frame
    frame           (N,)   int32, index in that file
    captured_at_us  (N,)   int64, microseconds since 1970 UTC
    class_id        (N,)   int16, as the detector said in this frame
    score           (N,)   float32
    xyxy            (N, 4) float32, pixels
    interpolated    (N,)   bool, True where no detection stands behind the row
    """

    tracklet_id: np.ndarray
    segment_id: np.ndarray
    frame: np.ndarray
    captured_at_us: np.ndarray
    class_id: np.ndarray
    score: np.ndarray
    xyxy: np.ndarray
    interpolated: np.ndarray

    def __post_init__(self) -> None:
        n_rows = len(self.tracklet_id)
        for name, dtype, shape in (
            ("tracklet_id", object, (n_rows,)),
            ("segment_id", object, (n_rows,)),
            ("frame", np.int32, (n_rows,)),
            ("captured_at_us", np.int64, (n_rows,)),
            ("class_id", np.int16, (n_rows,)),
            ("score", np.float32, (n_rows,)),
            ("xyxy", np.float32, (n_rows, 4)),
            ("interpolated", np.bool_, (n_rows,)),
        ):
            _check(self, name, dtype, shape)

    @staticmethod
    def none() -> Observations:
        """Return no rows."""
        empty = Detections.empty()
        return Observations(
            tracklet_id=np.zeros(0, object),
            segment_id=np.zeros(0, object),
            frame=np.zeros(0, np.int32),
            captured_at_us=np.zeros(0, np.int64),
            class_id=empty.class_id,
            score=empty.score,
            xyxy=empty.xyxy,
            interpolated=np.zeros(0, bool),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Tracklets(_Rows):
    """N finished tracklets, sorted by tracklet_id.

    tracklet_id     (N,)      object (str)
    class_id        (N,)      int16, the class with the greatest summed score over the tracklet's boxes
    started_at_us   (N,)      int64, first box; ended_at_us (N,) int64, last box
    n_observations  (N,)      int32, boxes detected, those interpolated not counted
    mean_score      (N,)      float32, of those
    entry_xy        (N, 2)    float32, pixels, bottom centre of the first box; exit_xy of the last
    embedding       (N, 128)  float32, unit length: normalised mean of its exemplars
    """

    tracklet_id: np.ndarray
    class_id: np.ndarray
    started_at_us: np.ndarray
    ended_at_us: np.ndarray
    n_observations: np.ndarray
    mean_score: np.ndarray
    entry_xy: np.ndarray
    exit_xy: np.ndarray
    embedding: np.ndarray

    def __post_init__(self) -> None:
        n_rows = len(self.tracklet_id)
        for name, dtype, shape in (
            ("tracklet_id", object, (n_rows,)),
            ("class_id", np.int16, (n_rows,)),
            ("started_at_us", np.int64, (n_rows,)),
            ("ended_at_us", np.int64, (n_rows,)),
            ("n_observations", np.int32, (n_rows,)),
            ("mean_score", np.float32, (n_rows,)),
            ("entry_xy", np.float32, (n_rows, 2)),
            ("exit_xy", np.float32, (n_rows, 2)),
            ("embedding", np.float32, (n_rows, EMBEDDING_DIM)),
        ):
            _check(self, name, dtype, shape)


@dataclass(frozen=True, eq=False, slots=True)
class Exemplars(_Rows):
    """N exemplar embeddings of finished tracklets, sorted by (tracklet_id, captured_at_us).

    tracklet_id     (N,)      object (str)
    captured_at_us  (N,)      int64
    frame           (N,)      int32
    quality         (N,)      float32, in [0, 1], higher is better
    embedding       (N, 128)  float32, unit length
    """

    tracklet_id: np.ndarray
    captured_at_us: np.ndarray
    frame: np.ndarray
    quality: np.ndarray
    embedding: np.ndarray

    def __post_init__(self) -> None:
        n_rows = len(self.tracklet_id)
        for name, dtype, shape in (
            ("tracklet_id", object, (n_rows,)),
            ("captured_at_us", np.int64, (n_rows,)),
            ("frame", np.int32, (n_rows,)),
            ("quality", np.float32, (n_rows,)),
            ("embedding", np.float32, (n_rows, EMBEDDING_DIM)),
        ):
            _check(self, name, dtype, shape)

    @staticmethod
    def none() -> Exemplars:
        """Return no rows."""
        return Exemplars(
            tracklet_id=np.zeros(0, object),
            captured_at_us=np.zeros(0, np.int64),
            frame=np.zeros(0, np.int32),
            quality=np.zeros(0, np.float32),
            embedding=np.zeros((0, EMBEDDING_DIM), np.float32),
        )
