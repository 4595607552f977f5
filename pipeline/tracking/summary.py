"""What is known so far of the living tracks of a camera: the sums a tracklet row is made from when its track ends."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline import boxes
from pipeline.tracking.exemplars import Candidates
from pipeline.types import Detections, Exemplars, Tracklets, Tracks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tracklet_ids(camera_id: str, started_at_us: int, track_id: np.ndarray) -> np.ndarray:
    """Name the tracks (N,) that begin in one frame: camera, instant in UTC (cut to milliseconds), track id."""
    start = _EPOCH + timedelta(microseconds=int(started_at_us))
    prefix = f"{camera_id}-{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03d}Z"
    return np.array([f"{prefix}-{track}" for track in track_id.tolist()], object)


@dataclass(frozen=True, eq=False, slots=True)
class Summary:
    """T living tracks, ascending by track_id; never written into.

    track_id        (T,)    int64
    tracklet_id     (T,)    object (str), its name in the lake
    confirmed       (T,)    bool
    class_id        (T,)    int16, class with the greatest summed score so far
    started_at_us   (T,)    int64, first box; ended_at_us (T,) int64, last box
    n_observations  (T,)    int64
    score_sum       (T,)    float64
    entry_xy        (T, 2)  float32, bottom centre of the first box; exit_xy of the last
    candidates      exemplars so far
    """

    track_id: np.ndarray
    tracklet_id: np.ndarray
    confirmed: np.ndarray
    class_id: np.ndarray
    started_at_us: np.ndarray
    ended_at_us: np.ndarray
    n_observations: np.ndarray
    score_sum: np.ndarray
    entry_xy: np.ndarray
    exit_xy: np.ndarray
    candidates: Candidates

    def __len__(self) -> int:
        return len(self.track_id)

    @staticmethod
    def empty(n_places: int) -> Summary:
        """Return the summary of no tracks, with room for `n_places` exemplars of each to come."""
        none, points = np.zeros(0, np.int64), np.zeros((0, 2), np.float32)
        return Summary(
            track_id=none,
            tracklet_id=np.zeros(0, object),
            confirmed=np.zeros(0, bool),
            class_id=np.zeros(0, np.int16),
            started_at_us=none,
            ended_at_us=none,
            n_observations=none,
            score_sum=np.zeros(0),
            entry_xy=points,
            exit_xy=points,
            candidates=Candidates.blank(0, n_places),
        )

    def take(self, index: np.ndarray) -> Summary:
        """Return the tracks at `index` (integers or a boolean mask), in that order."""
        arrays = [getattr(self, field.name) for field in fields(self)[:-1]]
        return Summary(*(array[index] for array in arrays), self.candidates.take(index))

    def follow(
        self,
        tracks: Tracks,
        detections: Detections,
        embedding: np.ndarray,
        quality: np.ndarray,
        *,
        camera_id: str,
        captured_at_us: int,
        frame: int,
    ) -> Summary:
        """Take in one frame: tracks that `tracks` lacks are left out, new ones begin, matched ones grow by a box.

        embedding (N, 128) and quality (N,) belong to the frame's detections.
        """
        alive = np.isin(self.track_id, tracks.track_id)
        kept = self if alive.all() else self.take(alive)
        n_kept, n_new = len(kept), len(tracks) - len(kept)  # ids ascend, so new tracks stand at the end
        seen = np.flatnonzero(tracks.detection_index >= 0)
        box = tracks.detection_index[seen]
        foot_xy = boxes.bottom_centre(detections.xyxy[box])
        fresh = seen >= n_kept

        names = tracklet_ids(camera_id, captured_at_us, tracks.track_id[n_kept:])
        started_at_us = np.concatenate([kept.started_at_us, np.full(n_new, captured_at_us)])
        ended_at_us = np.concatenate([kept.ended_at_us, np.full(n_new, captured_at_us)])
        entry_xy = np.concatenate([kept.entry_xy, foot_xy[fresh]])
        exit_xy = np.concatenate([kept.exit_xy, foot_xy[fresh]])
        n_observations = np.concatenate([kept.n_observations, np.zeros(n_new, np.int64)])
        score_sum = np.concatenate([kept.score_sum, np.zeros(n_new)])
        candidates = kept.candidates.extend(n_new).offer(
            seen, n_observations[seen], quality[box], embedding[box], captured_at_us=captured_at_us, frame=frame
        )
        ended_at_us[seen] = captured_at_us
        exit_xy[seen] = foot_xy
        n_observations[seen] += 1
        score_sum[seen] += detections.score[box]
        return Summary(
            tracks.track_id,
            np.concatenate([kept.tracklet_id, names]),
            tracks.confirmed,
            tracks.class_id,
            started_at_us,
            ended_at_us,
            n_observations,
            score_sum,
            entry_xy,
            exit_xy,
            candidates,
        )

    def rows(self) -> tuple[Tracklets, Exemplars]:
        """Write every track as a finished tracklet with its exemplars, in the order of the tracks."""
        tracklets = Tracklets(
            tracklet_id=self.tracklet_id,
            class_id=self.class_id,
            started_at_us=self.started_at_us,
            ended_at_us=self.ended_at_us,
            n_observations=self.n_observations.astype(np.int32),
            mean_score=(self.score_sum / self.n_observations).astype(np.float32),
            entry_xy=self.entry_xy,
            exit_xy=self.exit_xy,
            embedding=self.candidates.mean_embedding(),
        )
        track, place = self.candidates.chosen()
        exemplars = Exemplars(
            tracklet_id=self.tracklet_id[track],
            captured_at_us=self.candidates.captured_at_us[track, place],
            frame=self.candidates.frame[track, place],
            quality=self.candidates.quality[track, place],
            embedding=self.candidates.embedding[track, place],
        )
        return tracklets, exemplars
