"""Hindsight over a camera's stream: boxes go in frame by frame; rows come out once nothing later can change them.

Rows are settled every SWEEP_FRAMES frames, counted from the start of the stream, so cuts between files change nothing
and memory is bounded. In a sweep, in this order: tracks that began long enough ago for all that could precede them to
have ended are joined to what they continue, or are new for good; of every track whose beginning is settled the boxes
older than HOLD_FRAMES are smoothed, filled up and written; a track that ended, and that nothing can continue any more,
is written to its end, or dropped if it never had the evidence of an object.
"""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np

from pipeline import boxes as box_geometry
from pipeline.config import TrackerConfig
from pipeline.tracking import snapshot
from pipeline.tracking.block import Block
from pipeline.tracking.hindsight import laying, relinking
from pipeline.tracking.hindsight.ends import END_BOXES, ends_of, groups
from pipeline.tracking.hindsight.looks import LookStatistics, halves, mean_look
from pipeline.tracking.hindsight.rows import Boxes, Frames
from pipeline.tracking.hindsight.steady import Steadied
from pipeline.tracking.summary import Summary
from pipeline.types import Observations

SWEEP_FRAMES = 64
"""Frames from one settling to the next: trades memory, and how late rows come, against time."""

HOLD_FRAMES = 32
"""Boxes this much younger than a track's last are not written yet: what comes later still moves them. From 32 frames on
all that follows together moves a smoothed box by less than a ten thousandth of what its own measurement does."""

DOUBT_FRAMES = 128
"""A track this long is an object though its scores say little: false boxes do not follow each other for so long."""

CONTEXT_FRAMES = END_BOXES
"""Written boxes kept so that smoothing goes on without a seam, and so that a track's last speed is known."""


class Hindsight:
    """Holds back the boxes of one camera's tracks and gives them out as settled rows."""

    def __init__(self, config: TrackerConfig) -> None:
        """`config.hindsight` must be given."""
        self._config = config
        self._options = config.hindsight
        # Whatever could precede a track has died by then, or was seen again while the track was there.
        self._settled_after = max(config.max_age_frames, config.n_init) + 1
        self._begin()
        self._observations: list[Observations] = []
        self._finished: list[Summary] = []

    def _begin(self) -> None:
        """Begin a stream: nothing seen, nothing held back, nothing learned."""
        self._step = 0  # number of the next frame
        self._clock = 0.0
        self._speed_noise = 1.0  # of the last frame, as in deep_sort.advance
        self._frames = Frames.none()
        self._new_frames: list[Frames] = []
        self._boxes = Boxes.none()
        self._new_boxes: list[Boxes] = []
        self._ended = Summary.empty(self._config.max_exemplars)  # confirmed tracks that ended and may be continued
        self._before = Summary.empty(
            self._config.max_exemplars
        )  # what living tracks continue, under the living one's id
        self._settled = np.zeros(0, np.int64)  # tracks, living or in _ended, whose beginning is settled
        self._entry: dict[int, np.ndarray] = {}  # by track: (2,) bottom centre of its first box as written
        self._exit: dict[int, np.ndarray] = {}  # the same of the last one so far; of use within a sweep only
        self._looks = LookStatistics()

    @property
    def frames_wanted(self) -> int:
        """Frames that may come in one block at most: those up to the next sweep."""
        return SWEEP_FRAMES - self._step % SWEEP_FRAMES

    def take_in(self, block: Block, ended: Summary, living: Summary) -> None:
        """Take in a block of frames, the confirmed tracks that ended in its last one, and all alive after it."""
        self._speed_noise = block.speed_noise
        clock = np.add.accumulate(np.append(self._clock, block.elapsed_frames))[1:]
        self._new_frames.append(Frames.of(block, self._step, clock))
        self._new_boxes.append(Boxes.of(block, self._step))
        self._end(ended, living)
        self._clock = float(clock[-1])
        self._step += len(block.frame)
        if self._step % SWEEP_FRAMES == 0:
            self._sweep(living, closing=False)

    def close(self, living: Summary) -> None:
        """Settle everything: no frame follows, or one after so long that it begins another stream.

        `living` are the tracks alive to the end, of which confirmed ones count.
        """
        none = living.take(np.zeros(0, np.int64))
        self._end(living.take(living.confirmed), none)
        self._sweep(none, closing=True)
        self._begin()

    def names(self) -> dict[int, str]:
        """Return the lake's names of tracks that ended, or that living ones continue, by the track's id."""
        parts = (self._ended, self._before)  # the second last: a living track goes by what it continues
        return {track: name for part in parts for track, name in zip(part.track_id.tolist(), part.tracklet_id.tolist())}

    def forget(self, track_id: np.ndarray) -> None:
        """Let go of all there is of these tracks (M,)."""
        self._gather()
        self._boxes = self._boxes.take(~np.isin(self._boxes.track, track_id))
        self._ended = self._ended.take(~np.isin(self._ended.track_id, track_id))
        self._before = self._before.take(~np.isin(self._before.track_id, track_id))
        self._settled = self._settled[~np.isin(self._settled, track_id)]
        for track in track_id.tolist():
            self._entry.pop(track, None)

    def drain(self) -> tuple[list[Observations], list[Summary]]:
        """Hand out what is settled since the last drain, in no order: observations, and finished tracks."""
        rows = self._observations, self._finished
        self._observations, self._finished = [], []
        return rows

    # -- state ---------------------------------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all there is to know for going on later, undrained rows apart, as named arrays."""
        self._gather()
        entry = sorted(self._entry)
        return {
            "hindsight.step": np.array([self._step, self._frames.first_step]),
            "hindsight.clock": np.array([self._clock, self._speed_noise]),
            "hindsight.looks": np.array(astuple(self._looks), np.float64),
            "hindsight.settled": self._settled,
            "hindsight.entry_track": np.array(entry, np.int64),
            "hindsight.entry_xy": np.array([self._entry[track] for track in entry], np.float32).reshape(-1, 2),
            **snapshot.columns("hindsight_frames", self._frames),
            **snapshot.columns("hindsight_boxes", self._boxes),
            **self._ended.to_arrays("hindsight_ended"),
            **self._before.to_arrays("hindsight_before"),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `to_arrays` gave."""
        self._step, first_step = arrays["hindsight.step"].tolist()
        self._clock, self._speed_noise = arrays["hindsight.clock"].tolist()
        n_same, mean_same, spread_same, n_other, mean_other, spread_other = arrays["hindsight.looks"].tolist()
        self._looks = LookStatistics(int(n_same), mean_same, spread_same, int(n_other), mean_other, spread_other)
        self._settled = arrays["hindsight.settled"]
        self._entry = dict(zip(arrays["hindsight.entry_track"].tolist(), arrays["hindsight.entry_xy"]))
        self._frames = Frames(first_step, **snapshot.restored("hindsight_frames", arrays))
        self._boxes = Boxes(**snapshot.restored("hindsight_boxes", arrays))
        self._ended = Summary.from_arrays("hindsight_ended", arrays)
        self._before = Summary.from_arrays("hindsight_before", arrays)

    # -- settling ------------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Lay the frames and boxes of the last steps to the others."""
        self._frames = Frames.concatenate([self._frames, *self._new_frames])
        self._boxes = Boxes.concatenate([self._boxes, *self._new_boxes])
        self._new_frames, self._new_boxes = [], []

    def _end(self, ended: Summary, living: Summary) -> None:
        """Keep tracks that ended, and learn from them how alike looks of one object and of two are."""
        if len(ended) == 0:
            return
        look, other_look = mean_look(ended.candidates), mean_look(living.candidates)
        together = living.confirmed[None, :] & (living.started_at_us[None, :] < ended.ended_at_us[:, None])
        together &= living.ended_at_us[None, :] > ended.started_at_us[:, None]
        together &= groups(ended)[:, None] == groups(living)[None, :]
        self._looks = self._looks.with_pairs(halves(ended.candidates), (look @ other_look.T)[together])
        continues = np.isin(self._before.track_id, ended.track_id)
        self._ended = Summary.concatenate([self._ended, ended.continuing(self._before.take(continues))])
        self._before = self._before.take(~continues)

    def _sweep(self, living: Summary, *, closing: bool) -> None:
        """Settle what can be. `living` are the tracks alive, tentative ones too."""
        self._gather()
        view = Steadied.of(self._frames)
        confirmed = living.take(living.confirmed)
        alive = living.track_id
        self._boxes = self._boxes.take(np.isin(self._boxes.track, np.concatenate([alive, self._ended.track_id])))
        self._join(confirmed, view, closing)
        over = self._drop(self._over(closing))
        self._write(confirmed, over, view)
        finished = np.isin(self._ended.track_id, over)
        if finished.any():
            self._finished.append(self._with_entries(self._ended.take(finished)))
            self._ended = self._ended.take(~finished)
        self._exit.clear()
        self._forget(alive)

    def _join(self, living: Summary, view: Steadied, closing: bool) -> None:
        """Settle the beginnings that are due: each continues the lost track that the evidence says, or is new."""
        alive_or_ended = Summary.concatenate([self._ended, living])
        new = alive_or_ended.take(~np.isin(alive_or_ended.track_id, self._settled))
        if len(new) == 0:
            return
        new_ends = ends_of(new, self._boxes, view, self._speed_noise, last=False)
        due = np.full(len(new), True) if closing else self._clock - new_ends.at >= self._settled_after
        if len(self._ended) == 0 or self._options.max_gap_frames == 0:
            self._settled = np.concatenate([self._settled, new.track_id[due]])
            return
        lost_ends = ends_of(self._ended, self._boxes, view, self._speed_noise, last=True)
        row, column = relinking.candidates(lost_ends, new_ends, self._options.max_gap_frames, self._speed_noise)
        odds = relinking.motion_log_odds(lost_ends, new_ends, row, column, self._speed_noise)
        odds += self._looks.log_odds(relinking.look_similarity(lost_ends, new_ends, row, column))
        chosen = relinking.choose(row, column, odds)
        chosen = chosen[due[column[chosen]]]
        row, column = row[chosen], column[chosen]
        earlier, later = self._ended.track_id[row], new.track_id[column]
        self._settled = np.concatenate([self._settled, new.track_id[due]])
        for i in np.argsort(new_ends.at[column], kind="stable").tolist():
            self._continue(int(earlier[i]), int(later[i]))

    def _continue(self, earlier: int, later: int) -> None:
        """Make `later` the continuation of `earlier`: its boxes go by the later one's id from now on."""
        track = np.where(self._boxes.track == earlier, later, self._boxes.track)
        self._boxes = replace(self._boxes, track=track)
        mine = self._ended.track_id == earlier
        before = self._ended.take(mine).under(later)
        self._ended = self._ended.take(~mine)
        at = self._ended.track_id == later
        if at.any():
            self._ended = self._ended.continuing(before)
        else:
            self._before = Summary.concatenate([self._before, before])
        if earlier in self._entry:
            self._entry[later] = self._entry.pop(earlier)

    def _over(self, closing: bool) -> np.ndarray:
        """Return the ended tracks that nothing can continue any more."""
        ended = self._ended
        if closing or len(ended) == 0:
            return ended.track_id
        waited = self._clock - self._clock_of_last(ended)
        over = np.isin(ended.track_id, self._settled) & (waited > self._options.max_gap_frames + self._settled_after)
        return ended.track_id[over]

    def _drop(self, over: np.ndarray) -> np.ndarray:
        """Drop those tracks of `over` that never had the evidence of an object."""
        spurious = np.isin(self._ended.track_id, over) & ~np.isin(self._ended.track_id, self._with_evidence())
        dropped = self._ended.track_id[spurious]
        self._ended = self._ended.take(~spurious)
        self._boxes = self._boxes.take(~np.isin(self._boxes.track, dropped))
        self._settled = self._settled[~np.isin(self._settled, dropped)]
        return over[~np.isin(over, dropped)]

    def _with_evidence(self) -> np.ndarray:
        """Return the tracks that are objects beyond doubt, written or not: they never cease to be.

        Evidence is summed over the boxes: 1 for one of score 1, nothing for one of 0.5 or below. What is there for
        DOUBT_FRAMES is an object, whatever its scores. Nothing is written of a track before, so all its boxes are here.
        """
        track, row = np.unique(self._boxes.track, return_inverse=True)
        evidence = np.bincount(row, np.maximum(2 * self._boxes.score.astype(np.float64) - 1, 0), len(track))
        first, last = np.full(len(track), np.iinfo(np.int64).max), np.zeros(len(track), np.int64)
        np.minimum.at(first, row, self._boxes.step)
        np.maximum.at(last, row, self._boxes.step)
        sure = (evidence >= self._options.min_evidence) | (last - first >= DOUBT_FRAMES)
        return np.union1d(track[sure], np.array(sorted(self._entry), np.int64))

    def _write(self, living: Summary, over: np.ndarray, view: Steadied) -> None:
        """Smooth, fill and write the boxes that are settled: all of the tracks `over`, the older ones of others."""
        order = np.lexsort((self._boxes.step, self._boxes.track))
        self._boxes = boxes = self._boxes.take(order)
        track, start, count = np.unique(boxes.track, return_index=True, return_counts=True)
        end_step = boxes.step[start + count - 1]
        limit = np.where(np.isin(track, over), end_step, end_step - HOLD_FRAMES)
        limit[~(np.isin(track, self._settled) & np.isin(track, self._with_evidence()))] = -1
        ready = np.repeat(limit, count) >= boxes.step
        fresh = ready & ~boxes.written
        with_fresh = np.unique(boxes.track[fresh])
        if len(with_fresh) == 0:
            return
        mine = np.isin(boxes.track, with_fresh)
        names = self._names(living, with_fresh)
        rows, row_track = laying.rows_of(boxes.take(mine), ready[mine], names, view, self._options, self._speed_noise)
        self._note_ends(rows, row_track)
        self._observations.append(rows)
        self._boxes = replace(boxes, written=boxes.written | ready)

    def _note_ends(self, rows: Observations, track: np.ndarray) -> None:
        """Remember where tracks begin and, so far, end as written; track (N,) is that of each row, in order of time."""
        foot = box_geometry.bottom_centre(rows.xyxy)
        order = np.lexsort((rows.captured_at_us, track))
        first = np.flatnonzero(np.diff(track[order], prepend=-1))
        last = np.append(first[1:], len(order)) - 1
        for i, j in zip(order[first].tolist(), order[last].tolist()):
            self._entry.setdefault(int(track[i]), foot[i])
            self._exit[int(track[j])] = foot[j]

    def _with_entries(self, finished: Summary) -> Summary:
        """Give finished tracks the first and last place that were written of them."""
        tracks = finished.track_id.tolist()
        return replace(
            finished,
            entry_xy=np.stack([self._entry.pop(track) for track in tracks]),
            exit_xy=np.stack([self._exit.pop(track) for track in tracks]),
        )

    def _forget(self, alive: np.ndarray) -> None:
        """Let go of what no later frame needs; `alive` (M,) are the living tracks, tentative ones too."""
        kept = np.concatenate([alive, self._ended.track_id])
        here = self._boxes.take(np.isin(self._boxes.track, kept))
        track, row = np.unique(here.track, return_inverse=True)
        first_open = np.full(len(track), np.iinfo(np.int64).max)
        np.minimum.at(first_open, row[~here.written], here.step[~here.written])
        last_written = np.full(len(track), -1)
        np.maximum.at(last_written, row[here.written], here.step[here.written])
        first_open = np.minimum(first_open, last_written + 1)  # a gap after what is written is still to be filled
        self._boxes = here.take(here.step >= first_open[row] - CONTEXT_FRAMES)
        self._settled = self._settled[np.isin(self._settled, kept)]
        self._frames = self._frames.since(int(self._boxes.step.min(initial=self._step)))

    def _clock_of_last(self, tracks: Summary) -> np.ndarray:
        """Return (T,) float64, the clock of each track's last box."""
        step = np.zeros(len(tracks), np.int64)
        order = np.argsort(tracks.track_id)
        row = np.searchsorted(tracks.track_id[order], self._boxes.track)
        row = np.minimum(row, len(tracks) - 1)
        mine = tracks.track_id[order[row]] == self._boxes.track
        np.maximum.at(step, order[row[mine]], self._boxes.step[mine])
        return self._frames.clock[self._frames.at(step)]

    def _names(self, living: Summary, track: np.ndarray) -> np.ndarray:
        """Return (C,) object, the tracklet ids by which `track` (C,) go in the lake: of the first they continue."""
        name_of: dict[int, str] = {}
        for part in (living, self._ended, self._before):
            name_of.update(zip(part.track_id.tolist(), part.tracklet_id.tolist()))
        return np.array([name_of[one] for one in track.tolist()], object)
