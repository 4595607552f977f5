"""Deep SORT (Wojke, Bewley and Paulus 2017): the tracker's state, and how one frame advances it.

State is a value. `advance` takes one and gives the next, reads no clock, file or global, and writes into nothing it is
given; ids come from the state. A track is *tentative* until it has been matched `n_init` times running, and deleted at
its first miss before that; then *confirmed*, and deleted once unseen for more than `max_age_frames`.

With its default settings and one class the associations are those of the reference implementation (nwojke/deep_sort),
except where two assignments tie. Beyond it: a track keeps to its coarse class group; frames that were never processed
count by `elapsed_frames`; and `n_init` 1 confirms at birth, where the reference waits for a second match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.config import TrackerConfig
from pipeline.tracking import association, kalman
from pipeline.tracking.gallery import Gallery
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections, Tracks

NEVER_SEEN = -1.0
"""Summed score of a class that a track was never detected as; one seen with score 0 has 0."""


@dataclass(frozen=True, eq=False, slots=True)
class TrackerState:
    """T living tracks, ascending by track_id. No array of it is ever written into.

    next_id            id of the next track; ids start at 1 and are never reused
    track_id           (T,)      int64
    mean, cov          (T, 8), (T, 4, 3) float64, as in pipeline.tracking.kalman
    hits               (T,)      int64, matches so far, the first box included
    time_since_update  (T,)      int64, frames since the last match
    confirmed          (T,)      bool
    group              (T,)      int16, index of the coarse class group, association.GROUP_OF_CLASS
    class_score        (T, 80)   float64, summed score by class, NEVER_SEEN where it was never that class
    gallery            last features, T tracks; None before the first frame
    """

    next_id: int
    track_id: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    hits: np.ndarray
    time_since_update: np.ndarray
    confirmed: np.ndarray
    group: np.ndarray
    class_score: np.ndarray
    gallery: Gallery | None

    def __len__(self) -> int:
        return len(self.track_id)

    def take(self, index: np.ndarray) -> TrackerState:
        """Return the tracks at `index` (integers or a boolean mask), in that order."""
        return TrackerState(
            self.next_id,
            self.track_id[index],
            self.mean[index],
            self.cov[index],
            self.hits[index],
            self.time_since_update[index],
            self.confirmed[index],
            self.group[index],
            self.class_score[index],
            None if self.gallery is None else self.gallery.take(index),
        )


@dataclass(frozen=True, eq=False, slots=True)
class _Boxes:
    """The N detections of a frame that can be tracked.

    row (N,) int64, where in the frame's Detections they stand; xyxy and measurement (N, 4) float64;
    class_id and group (N,) int16; score (N,) float32; embedding (N, 128) float32
    """

    row: np.ndarray
    xyxy: np.ndarray
    measurement: np.ndarray
    class_id: np.ndarray
    group: np.ndarray
    score: np.ndarray
    embedding: np.ndarray


def initial_state() -> TrackerState:
    """Return the state before a camera's first frame: no tracks, next id 1."""
    none = np.zeros(0, np.int64)
    return TrackerState(
        next_id=1,
        track_id=none,
        mean=np.zeros((0, 8)),
        cov=np.zeros((0, 4, 3)),
        hits=none,
        time_since_update=none,
        confirmed=np.zeros(0, bool),
        group=np.zeros(0, np.int16),
        class_score=np.zeros((0, len(COCO_CLASSES))),
        gallery=None,
    )


def advance(
    state: TrackerState, detections: Detections, embedding: np.ndarray, elapsed_frames: int, config: TrackerConfig
) -> tuple[TrackerState, Tracks]:
    """Advance the tracks by one processed frame. Returns the next state and the tracks alive in it.

    embedding (N, 128) float32 holds a unit vector per detection. `elapsed_frames` counts frames since the one before:
    1 in gapless footage, more where frames were lost. Tracks age and are predicted by as many; frames nobody looked at
    are no misses, so tentative tracks survive them. More than `max_age_frames` ends every track before new ones start.

    A detection without a finite score, embedding and box of positive width and height cannot be tracked: no track
    refers to it. Boxes may reach beyond the picture. Detections that no track takes start tracks, ids in their order.

    Raises ValueError where `embedding` does not fit the detections, or `elapsed_frames` is below 1.
    """
    if embedding.shape != (len(detections), EMBEDDING_DIM):
        raise ValueError(
            f"embedding: expected shape {(len(detections), EMBEDDING_DIM)}, a row per detection, got {embedding.shape}"
        )
    if elapsed_frames < 1:
        raise ValueError(f"elapsed_frames: expected at least 1, got {elapsed_frames}")
    if state.gallery is None:
        state = replace(state, gallery=Gallery.empty(config.gallery_size))
    found = _trackable(detections, embedding)
    if elapsed_frames > config.max_age_frames:
        state = state.take(np.zeros(0, np.int64))
    predicted = _predict(state, elapsed_frames)
    track, box = _associate(predicted, found, elapsed_frames, config)
    updated = _update(predicted, track, found, box, config)

    box_of_track = np.full(len(state), -1)
    box_of_track[track] = found.row[box]
    missed = box_of_track < 0
    dead = missed & (~updated.confirmed | (updated.time_since_update > config.max_age_frames))
    unmatched = np.ones(len(found.row), bool)
    unmatched[box] = False
    fresh = np.flatnonzero(unmatched)
    following = _start(updated if not dead.any() else updated.take(~dead), found, fresh, config)
    detection_index = np.concatenate([box_of_track[~dead], found.row[fresh]])
    return following, _tracks(following, detection_index)


def _trackable(detections: Detections, embedding: np.ndarray) -> _Boxes:
    """Pick the detections that can be tracked."""
    xyxy = detections.xyxy.astype(np.float64)
    good = (
        np.isfinite(xyxy).all(axis=1)
        & (xyxy[:, 2] > xyxy[:, 0])
        & (xyxy[:, 3] > xyxy[:, 1])
        & np.isfinite(detections.score)
        & np.isfinite(embedding).all(axis=1)
    )
    row = np.flatnonzero(good)
    class_id = detections.class_id[row]
    return _Boxes(
        row,
        xyxy[row],
        kalman.from_xyxy(xyxy[row]),
        class_id,
        association.GROUP_OF_CLASS[class_id],
        detections.score[row],
        embedding[row].astype(np.float32, copy=False),
    )


def _predict(state: TrackerState, elapsed_frames: int) -> TrackerState:
    """Carry the tracks to the present frame: one prediction per elapsed frame, as if each had come empty."""
    mean, cov = state.mean, state.cov
    for _ in range(elapsed_frames if len(state) else 0):
        mean, cov = kalman.predict(mean, cov)
    return replace(state, mean=mean, cov=cov, time_since_update=state.time_since_update + elapsed_frames)


def _associate(
    state: TrackerState, found: _Boxes, elapsed_frames: int, config: TrackerConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Match predicted tracks and boxes: confirmed tracks by the cascade, then by IoU those seen in the frame before.

    IoU is for tentative tracks and for confirmed ones the cascade left over, but only if the last processed frame saw
    them (time_since_update 1 in gapless footage): an older box says little about where the object is now.
    """
    same_group = state.group[:, None] == found.group[None, :]
    confirmed = np.flatnonzero(state.confirmed)
    gating_sq = kalman.gating_distance_sq(state.mean[confirmed], state.cov[confirmed], found.measurement)
    candidate = (gating_sq <= config.gate_sq) & same_group[confirmed]
    cosine = state.gallery.take(confirmed).min_cosine_distance(candidate, found.embedding)
    cost, max_cost = association.mix(
        gating_sq,
        cosine,
        gate_sq=config.gate_sq,
        max_cosine_distance=config.max_cosine_distance,
        motion_weight=config.motion_weight,
    )
    row, first_box = association.cascade(cost, max_cost, state.time_since_update[confirmed], config.max_age_frames)
    first_track = confirmed[row]

    open_track = state.time_since_update == elapsed_frames
    open_track[first_track] = False
    open_box = np.ones(len(found.row), bool)
    open_box[first_box] = False
    tracks_left, boxes_left = np.flatnonzero(open_track), np.flatnonzero(open_box)
    cost = association.iou_cost(
        kalman.to_xyxy(state.mean[tracks_left]), found.xyxy[boxes_left], same_group[np.ix_(tracks_left, boxes_left)]
    )
    row, column = association.assign(cost, config.max_iou_distance)
    track = np.concatenate([first_track, tracks_left[row]])
    box = np.concatenate([first_box, boxes_left[column]])
    order = np.argsort(track)
    return track[order], box[order]


def _update(
    state: TrackerState, track: np.ndarray, found: _Boxes, box: np.ndarray, config: TrackerConfig
) -> TrackerState:
    """Correct the matched tracks by their boxes and confirm those that have enough."""
    if len(track) == 0:
        return state
    mean, cov = state.mean.copy(), state.cov.copy()
    mean[track], cov[track] = kalman.update(mean[track], cov[track], found.measurement[box])
    hits, time_since_update, confirmed = state.hits.copy(), state.time_since_update.copy(), state.confirmed.copy()
    hits[track] += 1
    time_since_update[track] = 0
    confirmed[track] |= hits[track] >= config.n_init
    class_score = state.class_score.copy()
    seen = found.class_id[box]
    class_score[track, seen] = np.maximum(class_score[track, seen], 0) + found.score[box]
    return replace(
        state,
        mean=mean,
        cov=cov,
        hits=hits,
        time_since_update=time_since_update,
        confirmed=confirmed,
        class_score=class_score,
        gallery=state.gallery.append(track, found.embedding[box]),
    )


def _start(state: TrackerState, found: _Boxes, fresh: np.ndarray, config: TrackerConfig) -> TrackerState:
    """Start a track for each of the boxes `fresh`, after the present ones."""
    n_new = len(fresh)
    if n_new == 0:
        return state
    mean, cov = kalman.initiate(found.measurement[fresh])
    class_score = np.full((n_new, len(COCO_CLASSES)), NEVER_SEEN)
    class_score[np.arange(n_new), found.class_id[fresh]] = found.score[fresh]
    return TrackerState(
        next_id=state.next_id + n_new,
        track_id=np.concatenate([state.track_id, state.next_id + np.arange(n_new)]),
        mean=np.concatenate([state.mean, mean]),
        cov=np.concatenate([state.cov, cov]),
        hits=np.concatenate([state.hits, np.ones(n_new, np.int64)]),
        time_since_update=np.concatenate([state.time_since_update, np.zeros(n_new, np.int64)]),
        confirmed=np.concatenate([state.confirmed, np.full(n_new, config.n_init <= 1)]),
        group=np.concatenate([state.group, found.group[fresh]]),
        class_score=np.concatenate([state.class_score, class_score]),
        gallery=state.gallery.extend(found.embedding[fresh]),
    )


def _tracks(state: TrackerState, detection_index: np.ndarray) -> Tracks:
    """Show the state as the tracks of one frame; class by greatest summed score, ties to the lowest class id."""
    return Tracks(
        track_id=state.track_id,
        xyxy=kalman.to_xyxy(state.mean).astype(np.float32),
        class_id=state.class_score.argmax(axis=1).astype(np.int16),
        confirmed=state.confirmed,
        detection_index=detection_index,
    )
