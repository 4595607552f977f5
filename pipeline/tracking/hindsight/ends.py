"""Where tracks begin and end, and how fast they were there: what is compared when a broken-off track is continued."""

from __future__ import annotations

import numpy as np

from pipeline.tracking.association import GROUP_OF_CLASS
from pipeline.tracking.hindsight import smoothing
from pipeline.tracking.hindsight.looks import mean_look
from pipeline.tracking.hindsight.relinking import Ends
from pipeline.tracking.hindsight.rows import Boxes
from pipeline.tracking.hindsight.steady import Steadied
from pipeline.tracking.summary import Summary

END_BOXES = 32
"""Boxes from which the state at an end is told: all older ones move it by less than a thousandth of its deviation."""


def ends_of(tracks: Summary, boxes: Boxes, view: Steadied, speed_noise: float = 1.0, *, last: bool) -> Ends:
    """Return the last ends of T tracks, or the first ones seen backwards in time, each from up to END_BOXES boxes.

    boxes must have one of each track at least; those of other tracks are passed over. `speed_noise` is as in
    deep_sort.advance.
    """
    n_tracks = len(tracks)
    by_time = np.argsort(boxes.step if last else -boxes.step, kind="stable")
    row_of_track = np.argsort(tracks.track_id)
    place_in_order = np.searchsorted(tracks.track_id[row_of_track], boxes.track[by_time])
    inside = np.minimum(place_in_order, n_tracks - 1)
    mine = tracks.track_id[row_of_track[inside]] == boxes.track[by_time]
    box, row = by_time[mine], row_of_track[inside[mine]]
    order = np.argsort(row, kind="stable")
    box, row = box[order], row[order]
    count = np.bincount(row, minlength=n_tracks)
    from_end = np.repeat(np.cumsum(count), count) - 1 - np.arange(len(row))
    box, row = box[from_end < END_BOXES], row[from_end < END_BOXES]
    count = np.minimum(count, END_BOXES)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)

    shape = (int(count.max()), n_tracks)
    measurement, clock, seen = np.zeros((*shape, 4)), np.zeros(shape), np.zeros(shape, bool)
    measurement[place, row] = view.measured(boxes.take(box))
    clock[place, row] = view.frames.clock[view.frames.at(boxes.step[box])]
    seen[place, row] = True
    elapsed = np.where(seen, np.abs(np.diff(clock, axis=0, prepend=clock[:1])), 1)
    mean, cov = smoothing.last_state(measurement, elapsed, seen, speed_noise)
    return Ends(clock[count - 1, np.arange(n_tracks)], mean, cov, groups(tracks), mean_look(tracks.candidates))


def groups(tracks: Summary) -> np.ndarray:
    """Return (T,) int16, the coarse class group of each track."""
    return GROUP_OF_CLASS[tracks.class_id]
