"""The field's own trackers behind one interface, to be timed and scored beside ours.

deep-sort-realtime   the core of nwojke/deep_sort (Wojke, Bewley and Paulus 2017) as PyPI carries it, its own defaults:
                     cosine gallery of 100, at most 0.2; IoU distance at most 0.7; 30 frames of age; 3 hits. Unlike
                     nwojke's, it hands a track's last feature to the gallery again in every frame, seen or not.
ioutrack-sort        SORT (Bewley et al. 2016) in Rust, its defaults but for the age: 30 frames as all others here have,
                     with which it scores better than with its 1
ioutrack-bytetrack   ByteTrack (Zhang et al. 2022) in Rust, likewise
trackers-sort        SORT by Roboflow, its defaults; it counts its 30 frames of age at 30 frames a second
trackers-bytetrack   ByteTrack by Roboflow, likewise

Only the first looks at embeddings. Each is in the extra `peers`; a package that is missing is a UserError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from pipeline.boxes import xyxy_to_xywh
from pipeline.errors import UserError
from pipeline.evaluation.sequences import ASSUMED_FPS
from pipeline.types import Detections

MAX_AGE_FRAMES = 30  # nwojke/deep_sort and Roboflow's
DEEP_SORT_MAX_COSINE_DISTANCE = 0.2  # nwojke/deep_sort, deep_sort_app.py
DEEP_SORT_BUDGET = 100
DEEP_SORT_MAX_IOU_DISTANCE = 0.7  # nwojke/deep_sort, deep_sort/tracker.py
DEEP_SORT_N_INIT = 3


@dataclass(frozen=True, eq=False, slots=True)
class PeerRows:
    """What a tracker puts out in one frame: M rows, track_id (M,) int64 and xyxy (M, 4) float64 pixels."""

    track_id: np.ndarray
    xyxy: np.ndarray

    @staticmethod
    def empty() -> PeerRows:
        """Return no rows."""
        return PeerRows(np.zeros(0, np.int64), np.zeros((0, 4)))


class Peer(ABC):
    """One tracker through one sequence. Every frame is given to `update`, empty ones too.

    `update` is `prepare`, `advance`, `rows`. Only `advance` is the tracker's own work, to be timed; `prepare` turns
    our arrays into what it takes, `rows` what it holds into arrays.
    """

    name: str

    @abstractmethod
    def start(self, frame_rate_fps: float | None = None) -> None:
        """Begin a sequence, forgetting the one before; None where its frame rate is unknown: ASSUMED_FPS."""

    @abstractmethod
    def prepare(self, detections: Detections, embedding: np.ndarray) -> Any:
        """Build what the tracker takes. embedding (N, D) float32 unit vectors; only some look at it."""

    @abstractmethod
    def advance(self, prepared: Any) -> None:
        """Take in one frame."""

    @abstractmethod
    def rows(self) -> PeerRows:
        """Return what the tracker puts out after the last frame, in its own order."""

    def update(self, detections: Detections, embedding: np.ndarray) -> PeerRows:
        """Take in one frame and return what the tracker puts out for it."""
        self.advance(self.prepare(detections, embedding))
        return self.rows()


class _DeepSort(Peer):
    """Its rows are those that nwojke's own application writes: confirmed tracks seen in this frame or the one before,
    each with its filtered box."""

    name = "deep-sort-realtime"

    def start(self, frame_rate_fps: float | None = None) -> None:
        matching = _package("deep_sort_realtime.deep_sort.nn_matching")
        self._detection = _package("deep_sort_realtime.deep_sort.detection").Detection
        self._tracker = _package("deep_sort_realtime.deep_sort.tracker").Tracker(
            matching.NearestNeighborDistanceMetric("cosine", DEEP_SORT_MAX_COSINE_DISTANCE, DEEP_SORT_BUDGET),
            max_iou_distance=DEEP_SORT_MAX_IOU_DISTANCE,
            max_age=MAX_AGE_FRAMES,
            n_init=DEEP_SORT_N_INIT,
        )

    def prepare(self, detections: Detections, embedding: np.ndarray) -> list:
        rows = zip(xyxy_to_xywh(detections.xyxy), detections.score, embedding)
        return [self._detection(xywh, score, feature) for xywh, score, feature in rows]

    def advance(self, prepared: list) -> None:
        self._tracker.predict()
        self._tracker.update(prepared)

    def rows(self) -> PeerRows:
        shown = [track for track in self._tracker.tracks if track.is_confirmed() and track.time_since_update <= 1]
        if not shown:
            return PeerRows.empty()
        track_id = np.array([int(track.track_id) for track in shown], np.int64)
        return PeerRows(track_id, np.stack([track.to_ltrb() for track in shown]))


class _IouTrack(Peer):
    """Its rows are its active tracks, with their filtered boxes."""

    def __init__(self, name: str, class_name: str) -> None:
        self.name, self._class_name = name, class_name

    def start(self, frame_rate_fps: float | None = None) -> None:
        self._tracker = getattr(_package("ioutrack"), self._class_name)(max_age=MAX_AGE_FRAMES)
        self._shown = np.zeros((0, 5), np.float32)

    def prepare(self, detections: Detections, embedding: np.ndarray) -> np.ndarray:
        return np.column_stack([detections.xyxy, detections.score])

    def advance(self, prepared: np.ndarray) -> None:
        self._shown = self._tracker.update(prepared, return_all=False)

    def rows(self) -> PeerRows:
        return PeerRows(self._shown[:, 4].astype(np.int64), self._shown[:, :4].astype(np.float64))


class _Roboflow(Peer):
    """Its rows are the detections that it gave a mature track's id, with the detections' boxes."""

    def __init__(self, name: str, class_name: str) -> None:
        self.name, self._class_name = name, class_name

    def start(self, frame_rate_fps: float | None = None) -> None:
        self._detections = _package("supervision").Detections
        self._tracker = getattr(_package("trackers"), self._class_name)(frame_rate=frame_rate_fps or ASSUMED_FPS)
        self._shown = self._detections.empty()

    def prepare(self, detections: Detections, embedding: np.ndarray) -> Any:
        return self._detections(
            xyxy=detections.xyxy, confidence=detections.score, class_id=detections.class_id.astype(np.int64)
        )

    def advance(self, prepared: Any) -> None:
        self._shown = self._tracker.update(prepared)

    def rows(self) -> PeerRows:
        if not len(self._shown):
            return PeerRows.empty()
        mature = self._shown.tracker_id >= 0
        return PeerRows(self._shown.tracker_id[mature].astype(np.int64), self._shown.xyxy[mature].astype(np.float64))


_PEERS = {
    "deep-sort-realtime": _DeepSort,
    "ioutrack-sort": lambda: _IouTrack("ioutrack-sort", "Sort"),
    "ioutrack-bytetrack": lambda: _IouTrack("ioutrack-bytetrack", "ByteTrack"),
    "trackers-sort": lambda: _Roboflow("trackers-sort", "SORTTracker"),
    "trackers-bytetrack": lambda: _Roboflow("trackers-bytetrack", "ByteTrackTracker"),
}

PEER_NAMES = tuple(_PEERS)


def peer(name: str) -> Peer:
    """Return one of PEER_NAMES, to be started. Raises UserError for another name."""
    if name not in _PEERS:
        raise UserError(f"expected one of the trackers {', '.join(PEER_NAMES)}, got {name!r}")
    return _PEERS[name]()


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(
            f"this tracker is not of ours and its package cannot be imported ({error}); "
            "install it with: pip install 'nightfleet[peers]'"
        ) from None
