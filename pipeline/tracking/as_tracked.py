"""Rows as the tracker leaves them: written once a track is confirmed, in the box the detector gave. No hindsight."""

from __future__ import annotations

import numpy as np

from pipeline.tracking import snapshot
from pipeline.tracking.block import Block, places_in
from pipeline.tracking.summary import Summary
from pipeline.types import Observations

BLOCK_FRAMES = 64
"""As many as there are between two sweeps of Hindsight."""


class AsTracked:
    """Holds the boxes of tentative tracks back until they are confirmed. Stands in for Hindsight."""

    def __init__(self) -> None:
        self._waiting_track_id = np.zeros(0, np.int64)  # track of each row of _waiting
        self._waiting = Observations.none()  # boxes of tentative tracks
        self._observations: list[Observations] = []
        self._finished: list[Summary] = []

    @property
    def frames_wanted(self) -> int:
        """Frames that may come in one block at most."""
        return BLOCK_FRAMES

    def take_in(self, block: Block, ended: Summary, living: Summary) -> None:
        """Write the block's boxes of confirmed tracks, and those held back of tracks just confirmed.

        `ended` are the confirmed tracks that ended in the block, `living` all alive after it.
        """
        if len(ended):
            self._finished.append(ended)
        track_id = np.concatenate([self._waiting_track_id, block.track_id])
        name, confirmed = np.full(len(track_id), None, object), np.zeros(len(track_id), bool)
        for part in (ended, living):
            place = places_in(part.track_id, track_id)
            here = place >= 0
            name[here], confirmed[here] = part.tracklet_id[place[here]], part.confirmed[place[here]]
        known = name != None  # noqa: E711  # the others died before they were confirmed
        n_waiting = len(self._waiting)
        box = np.flatnonzero(known[n_waiting:])
        place = block.place[box]
        present = Observations(
            tracklet_id=name[n_waiting:][box],
            segment_id=block.segment_id[place],
            frame=block.frame[place],
            captured_at_us=block.captured_at_us[place],
            class_id=block.class_id[box],
            score=block.score[box],
            xyxy=block.xyxy[box],
            interpolated=np.zeros(len(box), bool),
        )
        if n_waiting:
            present = Observations.concatenate([self._waiting.take(known[:n_waiting]), present])
        track_id, confirmed = track_id[known], confirmed[known]
        if confirmed.any():
            self._observations.append(present.take(confirmed))
        self._waiting_track_id, self._waiting = track_id[~confirmed], present.take(~confirmed)

    def close(self, living: Summary) -> None:
        """End every track: confirmed ones are finished, boxes of tentative ones are dropped."""
        if living.confirmed.any():
            self._finished.append(living.take(living.confirmed))
        self._waiting_track_id, self._waiting = np.zeros(0, np.int64), Observations.none()

    def names(self) -> dict[int, str]:
        """Return the lake's names of tracks that only this one knows: none."""
        return {}

    def forget(self, track_id: np.ndarray) -> None:
        """Let go of all there is of these tracks (M,)."""
        kept = ~np.isin(self._waiting_track_id, track_id)
        self._waiting_track_id, self._waiting = self._waiting_track_id[kept], self._waiting.take(kept)

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
