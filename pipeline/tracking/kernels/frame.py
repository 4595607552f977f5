"""pipeline.tracking.deep_sort.advance_numpy as one compiled loop: a state and a frame in, the next state out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.tracking import association, deep_sort
from pipeline.tracking.kernels import gallery, looks, motion, pairs
from pipeline.tracking.kernels.assignment import match, none

NEVER_SEEN = deep_sort.NEVER_SEEN
LEAST_NOISE = deep_sort.LEAST_NOISE
BEYOND = association._BEYOND
GROUP_OF_CLASS = association.GROUP_OF_CLASS
N_CLASSES = len(GROUP_OF_CLASS)


class Options(NamedTuple):
    """What the loops need of a TrackerConfig, all as numbers."""

    gate_sq: float
    motion_weight: float
    max_cosine_distance: float  # -1: looks are not used
    feature_average: float  # -1: the last features are kept
    max_iou_distance: float
    iou_age_frames: float
    high_score: float
    low_iou_distance: float
    start_score: float
    score_weighted_noise: float  # 1 or 0
    max_age_frames: float
    n_init: float
    max_centre_distance: float  # -1: by overlap
    predict_motion: float  # 1 or 0


@njit(inline="always")
def advance(
    track_id, mean, cov, hits, time_since_update, confirmed, group, class_score, slot, end, count, features, slots_used,
    may_write, size, next_id, xyxy, score, class_id, embedding, elapsed, once, twice, speed_noise,
    options,
):  # fmt: skip
    """Advance T tracks by a frame of N detections. Arguments as in TrackerState, Gallery and Detections.

    Returns the columns of the next state: track_id, mean, cov, hits, time_since_update, confirmed, group, class_score;
    of its gallery: slot, end, count, features (the same buffer or another) and slots_used, and whether the buffer was
    written into; of its Tracks: xyxy, class_id, detection_index; and the next id. Classes must be known ones.
    """
    n_tracks = len(track_id)
    row, box_xyxy, measurement, blank = _trackable(xyxy, score, embedding)
    n_boxes = len(row)
    ahead, spread = (np.empty_like(mean), np.empty_like(cov)) if options.predict_motion != 0 else (mean, cov)
    for track in range(n_tracks if options.predict_motion != 0 else 0):
        motion.predict(mean, cov, track, elapsed, once, twice, speed_noise, motion.POSITION_STD, ahead, spread)
    box_of, track_of = none(n_tracks), none(n_boxes)
    box_group, high = np.empty(n_boxes, np.int16), np.empty(n_boxes, np.bool_)
    limit, n_high = np.float32(options.high_score), 0
    for box in range(n_boxes):
        box_group[box] = GROUP_OF_CLASS[class_id[row[box]]]
        high[box] = score[row[box]] >= limit
        n_high += high[box]
    order = pairs.by_centre(measurement, n_tracks)

    if options.max_cosine_distance >= 0:
        last = -np.inf
        while n_high:
            level, last = _next_level(time_since_update, elapsed, confirmed, last, options.max_age_frames)
            if len(level) == 0:
                break
            first, column, gating_sq = pairs.gated(
                level, ahead, spread, group, measurement, box_group, high, track_of, order, options.gate_sq
            )
            if first[-1] == 0:
                continue
            first, column, cost, max_cost = looks.close_pairs(
                first, column, gating_sq, level, features, slot, end, count, embedding, row, blank, options
            )
            _close(level, match(first, column, cost, n_boxes, max_cost, BEYOND), box_of, track_of)

    for stage in range(1 if n_high == n_boxes else 2):
        open_track, n_open = np.empty(n_tracks, np.int64), 0
        for track in range(n_tracks):
            unseen_before = (time_since_update[track] + elapsed) - elapsed
            recent = not confirmed[track] or unseen_before < options.iou_age_frames
            seen_last = confirmed[track] and unseen_before == 0
            if box_of[track] < 0 and (recent if stage == 0 else seen_last):
                open_track[n_open] = track
                n_open += 1
        if n_open == 0:
            continue
        track, max_distance = open_track[:n_open], options.max_iou_distance if stage == 0 else options.low_iou_distance
        if stage == 0 and options.max_centre_distance >= 0:
            max_distance = options.max_centre_distance
            first, column, cost = pairs.near(
                track, ahead, group, measurement, box_group, high, track_of, order, max_distance
            )
        else:
            first, column, cost = pairs.overlapping(
                track, ahead, group, box_xyxy, measurement, box_group, high, stage == 0, track_of, order, max_distance
            )
        if first[-1]:
            _close(track, match(first, column, cost, n_boxes, max_distance, BEYOND), box_of, track_of)
    return _following(
        track_id, ahead, spread, hits, time_since_update, confirmed, group, class_score, slot, end, count, features,
        slots_used, may_write, size, row, measurement, box_group, high, score, class_id, embedding, next_id, elapsed,
        speed_noise, options, box_of, track_of,
    )  # fmt: skip


@njit
def _trackable(xyxy, score, embedding):
    """Pick the detections that can be tracked: their rows (N,), corners and measurements (N, 4), blank looks."""
    row, n_boxes = np.empty(len(xyxy), np.int64), 0
    corners, measurement = np.empty((len(xyxy), 4)), np.empty((len(xyxy), 4))
    blank = np.empty(len(xyxy), np.bool_)
    for here in range(len(xyxy)):
        whole = np.isfinite(score[here]) and xyxy[here, 2] > xyxy[here, 0] and xyxy[here, 3] > xyxy[here, 1]
        for number in range(4):
            whole = whole and np.isfinite(xyxy[here, number])
        if not whole:
            continue
        magnitude = looks.magnitude(embedding[here])
        if not np.isfinite(magnitude) and not looks.finite(embedding[here]):
            continue
        row[n_boxes], blank[n_boxes] = here, magnitude == 0
        for number in range(4):
            corners[n_boxes, number] = xyxy[here, number]
        motion.measure(corners, measurement, n_boxes)
        n_boxes += 1
    return row[:n_boxes], corners[:n_boxes], measurement[:n_boxes], blank[:n_boxes]


@njit
def _next_level(time_since_update, elapsed, confirmed, last, max_age_frames):
    """Return the cascade's next level after age `last`: its tracks (R,), confirmed and equally long unseen, and age."""
    age = np.inf
    n_level = 0
    for track in range(len(confirmed)):
        unseen = time_since_update[track] + elapsed
        if confirmed[track] and last < unseen <= max_age_frames:
            if unseen < age:
                age, n_level = unseen, 0
            n_level += unseen == age
    level = np.empty(n_level, np.int64)
    place = 0
    for track in range(len(confirmed)):
        if confirmed[track] and time_since_update[track] + elapsed == age:
            level[place] = track
            place += 1
    return level, age


@njit
def _close(track, column_of, box_of, track_of):
    """Note the matches of the tracks `track` (R,), column_of (R,) or -1."""
    for place in range(len(track)):
        if column_of[place] >= 0:
            box_of[track[place]] = column_of[place]
            track_of[column_of[place]] = track[place]


@njit
def _following(
    track_id, mean, cov, hits, time_since_update, confirmed, group, class_score, slot, end, count, features, slots_used,
    may_write, size, row, measurement, box_group, high, score, class_id, embedding, next_id, elapsed, speed_noise,
    options, box_of, track_of,
):  # fmt: skip
    """Lay out the next state: matched tracks corrected, missed ones as predicted or gone, new ones behind them."""
    n_tracks, n_boxes = len(track_id), len(row)
    kept, n_kept = np.empty(n_tracks, np.int64), 0
    for track in range(n_tracks):
        alive = confirmed[track] and time_since_update[track] + elapsed <= options.max_age_frames
        if box_of[track] >= 0 or alive:
            kept[n_kept] = track
            n_kept += 1
    fresh, n_fresh = np.empty(n_boxes, np.int64), 0
    start_score = np.float32(options.start_score)
    for box in range(n_boxes):
        if track_of[box] < 0 and high[box] and score[row[box]] >= start_score:
            fresh[n_fresh] = box
            n_fresh += 1
    total = n_kept + n_fresh
    out_id, out_mean, out_cov = np.empty(total, np.int64), np.empty((total, 8)), np.empty((total, 4, 3))
    out_hits, out_unseen = np.empty(total, np.int64), np.empty(total)
    out_confirmed, out_group = np.empty(total, np.bool_), np.empty(total, np.int16)
    out_scores = np.empty((total, N_CLASSES))
    out_xyxy, out_class, out_row = (
        np.empty((total, 4), np.float32),
        np.empty(total, np.int16),
        np.empty(total, np.int64),
    )
    for place in range(n_kept):
        track, box = kept[place], box_of[kept[place]]
        out_id[place], out_group[place] = track_id[track], group[track]
        for number in range(N_CLASSES):
            out_scores[place, number] = class_score[track, number]
        if box < 0:
            for axis in range(4):
                out_mean[place, axis], out_mean[place, 4 + axis] = mean[track, axis], mean[track, 4 + axis]
                for number in range(3):
                    out_cov[place, axis, number] = cov[track, axis, number]
            out_hits[place], out_unseen[place] = hits[track], time_since_update[track] + elapsed
            out_confirmed[place], out_row[place] = confirmed[track], -1
            continue
        sure = np.float64(score[row[box]])
        noise_share = max(1 - sure, LEAST_NOISE) if options.score_weighted_noise != 0 else 1.0
        if options.predict_motion != 0:
            motion.update(mean, cov, track, measurement, box, noise_share, 1.0, out_mean, out_cov, place)
        else:
            motion.initiate(measurement, box, speed_noise, out_mean, out_cov, place)
        out_hits[place], out_unseen[place] = hits[track] + 1, 0.0
        out_confirmed[place] = confirmed[track] or hits[track] + 1 >= options.n_init
        out_row[place] = row[box]
        seen = class_id[row[box]]
        out_scores[place, seen] = max(out_scores[place, seen], 0.0) + sure
    for number in range(n_fresh):
        place, box = n_kept + number, fresh[number]
        out_id[place], out_group[place] = next_id + number, box_group[box]
        motion.initiate(measurement, box, speed_noise, out_mean, out_cov, place)
        out_hits[place], out_unseen[place] = 1, 0.0
        out_confirmed[place], out_row[place] = options.n_init <= 1, row[box]
        for number in range(N_CLASSES):
            out_scores[place, number] = NEVER_SEEN
        out_scores[place, class_id[row[box]]] = score[row[box]]
    for place in range(total):
        out_xyxy[place, 0], out_xyxy[place, 1], out_xyxy[place, 2], out_xyxy[place, 3] = motion.corners(out_mean, place)
        best = 0
        for number in range(1, N_CLASSES):
            if out_scores[place, number] > out_scores[place, best]:
                best = number
        out_class[place] = best
    out_slot, out_end, out_count, features, slots_used, written = gallery.remember(
        kept[:n_kept], fresh[:n_fresh], box_of, high, row, embedding, slot, end, count, features, slots_used, may_write,
        size, options.feature_average,
    )  # fmt: skip
    return (
        out_id, out_mean, out_cov, out_hits, out_unseen, out_confirmed, out_group, out_scores, out_slot, out_end,
        out_count, features, slots_used, written, out_xyxy, out_class, out_row,
        next_id + n_fresh,
    )  # fmt: skip
