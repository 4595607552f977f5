"""Rows as the tracker leaves them: written once a track is confirmed, in the box the detector gave. No hindsight."""

from __future__ import annotations

import numpy as np

from pipeline.tracking import snapshot
from pipeline.tracking.summary import Summary
from pipeline.types import Detections, Observations, Tracks


class AsTracked:
    """Holds the boxes of tentative tracks back until they are confirmed. Stands in for Hindsight."""

    def __init__(self) -> None:
        self._waiting_track_id = np.zeros(0, np.int64)  # track of each row of _waiting
        self._waiting = Observations.none()  # boxes of tentative tracks
        self._observations: list[Observations] = []
        self._finished: list[Summary] = []

    def take_in(
        self,
        tracks: Tracks,
        detections: Detections,
        ended: Summary,
        living: Summary,
        *,
        frame: int,
        captured_at_us: int,
        segment_id: str,
        elapsed_frames: float,
        camera_warp: np.ndarray | None,
        speed_noise: float,
    ) -> None:
        """Write this frame's boxes of confirmed tracks, and those held back of tracks just confirmed."""
        if len(ended):
            self._finished.append(ended)
        seen = np.flatnonzero(tracks.detection_index >= 0)
        box = tracks.detection_index[seen]
        n_boxes = len(seen)
        present = Observations(
            tracklet_id=living.tracklet_id[seen],
            segment_id=np.full(n_boxes, segment_id, object),
            frame=np.full(n_boxes, frame, np.int32),
            captured_at_us=np.full(n_boxes, captured_at_us, np.int64),
            class_id=detections.class_id[box],
            score=detections.score[box],
            xyxy=detections.xyxy[box],
            interpolated=np.zeros(n_boxes, bool),
        )
        track_id = tracks.track_id[seen]
        if len(self._waiting):
            track_id = np.concatenate([self._waiting_track_id, track_id])
            present = Observations.concatenate([self._waiting, present])
        confirmed = np.isin(track_id, tracks.track_id[tracks.confirmed])
        tentative = np.isin(track_id, tracks.track_id[~tracks.confirmed])  # neither: it died before it was confirmed
        if confirmed.any():
            self._observations.append(present.take(confirmed))
        self._waiting_track_id, self._waiting = track_id[tentative], present.take(tentative)

    def close(self, living: Summary) -> None:
        """End every track: confirmed ones are finished, boxes of tentative ones are dropped."""
        if living.confirmed.any():
            self._finished.append(living.take(living.confirmed))
        self._waiting_track_id, self._waiting = np.zeros(0, np.int64), Observations.none()

    def drain(self) -> tuple[list[Observations], list[Summary]]:
        """Hand out what was written since the last drain: observations, and finished tracks."""
        rows = self._observations, self._finished
        self._observations, self._finished = [], []
        return rows

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all there is to know for going on later, undrained rows apart, as named arrays."""
        return {"waiting_track_id": self._waiting_track_id, **snapshot.columns("waiting", self._waiting)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `to_arrays` gave."""
        self._waiting_track_id = arrays["waiting_track_id"]
        self._waiting = Observations(**snapshot.restored("waiting", arrays))
