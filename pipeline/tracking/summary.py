"""What is known so far of the living tracks of a camera: the sums a tracklet row is made from when its track ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline import boxes
from pipeline.tracking import snapshot
from pipeline.tracking.block import Block, places_in
from pipeline.tracking.deep_sort import NEVER_SEEN, TrackerState
from pipeline.tracking.exemplars import Candidates
from pipeline.types import COCO_CLASSES, Exemplars, Tracklets

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tracklet_ids(camera_id: str, started_at_us: np.ndarray, track_id: np.ndarray) -> np.ndarray:
    """Name tracks (N,): camera, instant of the first box in UTC (cut to milliseconds), track id. (N,) object."""
    names = np.empty(len(track_id), object)
    for i, (start_us, track) in enumerate(zip(started_at_us.tolist(), track_id.tolist(), strict=True)):
        start = _EPOCH + timedelta(microseconds=start_us)
        names[i] = f"{camera_id}-{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03d}Z-{track}"
    return names


@dataclass(frozen=True, eq=False, slots=True)
class Summary:
    """T living tracks, ascending by track_id; never written into.

    track_id        (T,)    int64
    tracklet_id     (T,)    object (str), its name in the lake
    confirmed       (T,)    bool
    class_score     (T, 80) float64, summed score by class, deep_sort.NEVER_SEEN where it was never that class
    started_at_us   (T,)    int64, first box; ended_at_us (T,) int64, last box
    n_observations  (T,)    int64
    score_sum       (T,)    float64
    entry_xy        (T, 2)  float32, bottom centre of the first box; exit_xy of the last
    candidates      exemplars so far
    """

    track_id: np.ndarray
    tracklet_id: np.ndarray
    confirmed: np.ndarray
    class_score: np.ndarray
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
            class_score=np.zeros((0, len(COCO_CLASSES))),
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

    @property
    def class_id(self) -> np.ndarray:
        """(T,) int16, the class with the greatest summed score so far; ties go to the lowest id."""
        return self.class_score.argmax(axis=1).astype(np.int16)

    @staticmethod
    def concatenate(parts: list[Summary]) -> Summary:
        """Stack tracks in order; `parts` must not be empty."""
        names = [field.name for field in fields(Summary)[:-1]]
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        return Summary(*columns, Candidates.concatenate([part.candidates for part in parts]))

    def under(self, track_id: int) -> Summary:
        """Return this one track under another id; its name in the lake stays."""
        return replace(self, track_id=np.array([track_id]))

    def continuing(self, before: Summary) -> Summary:
        """Lay to each track what stands in `before` under its id: an earlier track, which this one continues.

        The first's name and entry, the last's exit, both one's sums, and the exemplars that stand best for the whole.
        """
        if len(before) == 0:
            return self
        order = np.argsort(self.track_id)
        row = order[np.searchsorted(self.track_id[order], before.track_id)]
        columns = {field.name: getattr(self, field.name).copy() for field in fields(self)[:-1]}
        for name in ("tracklet_id", "started_at_us", "entry_xy"):
            columns[name][row] = getattr(before, name)
        for name in ("n_observations", "score_sum"):
            columns[name][row] += getattr(before, name)
        later = columns["class_score"][row]
        both = np.maximum(later, 0) + np.maximum(before.class_score, 0)
        never = (later == NEVER_SEEN) & (before.class_score == NEVER_SEEN)
        columns["class_score"][row] = np.where(never, NEVER_SEEN, both)
        return Summary(**columns, candidates=self.candidates.continuing(row, before.candidates))

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Return all columns as named arrays for a snapshot."""
        return {**snapshot.columns(prefix, self), **snapshot.columns(f"{prefix}_candidates", self.candidates)}

    @staticmethod
    def from_arrays(prefix: str, arrays: Mapping[str, np.ndarray]) -> Summary:
        """Rebuild what `to_arrays` gave."""
        candidates = Candidates(**snapshot.restored(f"{prefix}_candidates", arrays))
        return Summary(candidates=candidates, **snapshot.restored(prefix, arrays))

    def follow(self, block: Block, states: Sequence[TrackerState], *, camera_id: str) -> Summary:
        """Take in a block of frames and go on with the tracks of these states of the tracker: others are left out.

        A track is in one of the states, the last in which it was alive. What the tracker counts for itself, classes
        and boxes, is taken from there. Tracks not known before began with their first box of the block.
        """
        track_id = np.concatenate([state.track_id for state in states])
        order = np.argsort(track_id)
        track_id = track_id[order]
        kept = self.take(places_in(track_id, self.track_id) >= 0)
        n_kept, n_new = len(kept), len(track_id) - len(kept)  # ids ascend, so new tracks stand at the end

        row = places_in(track_id, block.track_id)
        mine = np.flatnonzero(row >= 0)
        row, at_us = row[mine], block.captured_at_us[block.place[mine]]
        foot_xy = boxes.bottom_centre(block.xyxy[mine])
        ended_at_us, first = _grown(kept.ended_at_us, n_new), np.zeros(len(track_id), np.int64)
        first[row[::-1]] = np.arange(len(row))[::-1]  # where numbers repeat, the last value stands
        started_at_us, entry_xy = _grown(kept.started_at_us, n_new), _grown(kept.entry_xy, n_new)
        started_at_us[n_kept:], entry_xy[n_kept:] = at_us[first[n_kept:]], foot_xy[first[n_kept:]]
        exit_xy, score_sum = _grown(kept.exit_xy, n_new), _grown(kept.score_sum, n_new)
        ended_at_us[row], exit_xy[row] = at_us, foot_xy
        np.add.at(score_sum, row, block.score[mine].astype(np.float64))
        candidates = kept.candidates.extend(n_new).offer(
            row,
            block.ordinal[mine],
            block.quality[mine],
            block.embedding[mine],
            captured_at_us=at_us,
            frame=block.frame[block.place[mine]],
        )
        return Summary(
            track_id,
            np.concatenate([kept.tracklet_id, tracklet_ids(camera_id, started_at_us[n_kept:], track_id[n_kept:])]),
            np.concatenate([state.confirmed for state in states])[order],
            np.concatenate([state.class_score for state in states])[order],
            started_at_us,
            ended_at_us,
            np.concatenate([state.hits for state in states])[order],
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


def _grown(column: np.ndarray, n_new: int) -> np.ndarray:
    """Return a copy of a column with `n_new` rows of zeros more."""
    return np.concatenate([column, np.zeros((n_new, *column.shape[1:]), column.dtype)])
