"""From held-back boxes to rows for the lake: smoothed, of a likely size, and with the gaps between them filled."""

from __future__ import annotations

import numpy as np

from pipeline.config import HindsightConfig
from pipeline.tracking.hindsight import smoothing
from pipeline.tracking.hindsight.rows import Boxes
from pipeline.tracking.hindsight.steady import Steadied
from pipeline.types import Observations

MOST_CHANGE = 2.0
"""A smoothed height or aspect is at most this many times that of the boxes seen next to it, or one in so many."""


def rows_of(
    boxes: Boxes,
    ready: np.ndarray,
    names: np.ndarray,
    view: Steadied,
    options: HindsightConfig,
    speed_noise: float = 1.0,
) -> tuple[Observations, np.ndarray]:
    """Return the rows of the ready, unwritten boxes and of the gaps before them, and the track (K,) of each row.

    boxes (N,) are sorted by track and step, and ready (N,) tells which may be written; names (C,) are the tracklet ids
    of the tracks, ascending by track. `speed_noise` is as in deep_sort.advance.
    """
    frames = view.frames
    _, start, count = np.unique(boxes.track, return_index=True, return_counts=True)
    column = np.repeat(np.arange(len(start)), count)
    place = boxes.step - np.repeat(boxes.step[start], count)
    shape = (int(place.max()) + 1, len(start))
    box_at = np.full(shape, -1)
    box_at[place, column] = np.arange(len(boxes))
    seen = box_at >= 0
    step = boxes.step[start] + np.arange(shape[0])[:, None]  # (F, C)
    clock = frames.clock[np.minimum(frames.at(step), len(frames) - 1)]
    elapsed = np.maximum(np.diff(clock, axis=0, prepend=clock[:1]), 1e-9)

    measurement = np.zeros((*shape, 4))
    measurement[place, column] = view.measured(boxes)
    way = smoothing.smooth(measurement, elapsed, seen, speed_noise)

    before = np.maximum.accumulate(np.where(seen, np.arange(shape[0])[:, None], -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, np.arange(shape[0])[:, None], shape[0])[::-1], axis=0)[::-1]
    inside = after < shape[0]
    after = np.minimum(after, shape[0] - 1)
    way = _of_likely_size(way, measurement, before, after)
    box_after = box_at[after, np.arange(shape[1])]
    wanted = inside & (ready & ~boxes.written)[box_after]
    if not options.fill_gaps:
        wanted &= seen
    at_place, at_column = np.nonzero(wanted)
    source = box_at[before[at_place, at_column], at_column]
    is_seen = seen[at_place, at_column]
    index = frames.at(step[at_place, at_column])
    xyxy = view.in_picture(way[at_place, at_column], index)
    if not options.smoothing:
        xyxy[is_seen] = boxes.xyxy[source[is_seen]]
    rows = Observations(
        tracklet_id=names[at_column],
        segment_id=frames.segment_id[index],
        frame=frames.frame[index],
        captured_at_us=frames.captured_at_us[index],
        class_id=boxes.class_id[source],
        score=np.where(is_seen, boxes.score[source], 0).astype(np.float32),
        xyxy=xyxy.astype(np.float32),
        interpolated=~is_seen,
    )
    return rows, boxes.track[start][at_column]


def _of_likely_size(way: np.ndarray, measurement: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Keep aspect and height of smoothed boxes (F, C, 4) within MOST_CHANGE of the boxes seen before and after.

    A cubic through a gap can overshoot, below zero too. before, after (F, C): places of those boxes.
    """
    column = np.arange(way.shape[1])
    sizes = np.stack([measurement[before, column, 2:], measurement[after, column, 2:]])
    low, high = sizes.min(axis=0) / MOST_CHANGE, sizes.max(axis=0) * MOST_CHANGE
    return np.concatenate([way[:, :, :2], np.clip(way[:, :, 2:], low, high)], axis=2)
