"""Deep SORT (Wojke, Bewley and Paulus 2017): the tracker's state, and how one frame advances it.

State is a value. `advance` takes one and gives the next, reads no clock, file or global, and writes into nothing it is
given; ids come from the state. A track is *tentative* until it has been matched `n_init` times running, and deleted at
its first miss before that; then *confirmed*, and deleted once unseen for more than `max_age_frames`.

With the settings of configs/trackers/reference.yaml and one class the associations are those of the reference
implementation (nwojke/deep_sort), except where two assignments tie. Beyond it: a track keeps to its coarse class group;
time counts by `elapsed_frames`, not by frames looked at; a camera's own motion is taken out by `camera_warp`; `n_init`
1 confirms at birth, where the reference waits for a second match; and the options of TrackerConfig.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pipeline.config import TrackerConfig
from pipeline.tracking import association, kalman
from pipeline.tracking.gallery import Gallery
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections, Tracks

NEVER_SEEN = -1.0
"""Summed score of a class that a track was never detected as; one seen with score 0 has 0."""

LEAST_NOISE = 0.05
"""Share of the measurement noise left to a box of score 1, which would otherwise be taken as exact."""


@dataclass(frozen=True, eq=False, slots=True)
class TrackerState:
    """T living tracks, ascending by track_id. No array of it is ever written into.

    next_id            id of the next track; ids start at 1 and are never reused
    track_id           (T,)      int64
    mean, cov          (T, 8), (T, 4, 3) float64, as in pipeline.tracking.kalman
    hits               (T,)      int64, matches so far, the first box included
    time_since_update  (T,)      float64, frames since the last match
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
        time_since_update=np.zeros(0),
        confirmed=np.zeros(0, bool),
        group=np.zeros(0, np.int16),
        class_score=np.zeros((0, len(COCO_CLASSES))),
        gallery=None,
    )


def advance(
    state: TrackerState,
    detections: Detections,
    embedding: np.ndarray,
    elapsed_frames: float,
    config: TrackerConfig,
    *,
    camera_warp: np.ndarray | None = None,
    speed_noise: float = 1.0,
) -> tuple[TrackerState, Tracks]:
    """Advance the tracks by one processed frame. Returns the next state and the tracks alive in it.

    embedding (N, 128) float32 holds a unit vector per detection, or zeros where its look is not known: that is a right
    angle away from every look, cosine distance 1. `elapsed_frames` is the time since the frame before in frames of the
    footage: 1 in gapless footage, more where frames were lost or left out, not always whole where the rate varies.
    Tracks age and are predicted by as much; frames nobody looked at are no misses, so tentative tracks survive them.
    More than `max_age_frames` ends every track before new ones start. `camera_warp` (2, 3) takes picture coordinates of
    the frame before to this one's; without it the camera stands still. `speed_noise` multiplies how much speeds change
    at random in a frame: more where frames are far apart.

    A detection without a finite score, embedding and box of positive width and height cannot be tracked: no track
    refers to it. Boxes may reach beyond the picture. Detections that no track takes start tracks, ids in their order.

    Compiled where numba is installed (pipeline.tracking.compiled), otherwise `advance_numpy`: equal tracks, equal bits.

    Raises ValueError where `embedding` does not fit the detections, a class is none of COCO_CLASSES, or
    `elapsed_frames` is not above 0.
    """
    return _quickest()(
        state, detections, embedding, elapsed_frames, config, camera_warp=camera_warp, speed_noise=speed_noise
    )


@cache
def _quickest() -> Callable[..., tuple[TrackerState, Tracks]]:
    """Return compiled.advance where it can be had, else its twin."""
    from pipeline.tracking import compiled  # which imports numba, and this module

    return compiled.advance if compiled.available() else advance_numpy


def advance_numpy(
    state: TrackerState,
    detections: Detections,
    embedding: np.ndarray,
    elapsed_frames: float,
    config: TrackerConfig,
    *,
    camera_warp: np.ndarray | None = None,
    speed_noise: float = 1.0,
) -> tuple[TrackerState, Tracks]:
    """Advance the tracks by one processed frame, as `advance` says: the twin that needs no compiler."""
    state = checked(state, detections, embedding, elapsed_frames, config)
    found = _trackable(detections, embedding)
    predicted = _predict(state, elapsed_frames, camera_warp, speed_noise, config)
    track, box = _associate(predicted, found, elapsed_frames, config)
    updated = _update(predicted, track, found, box, config, speed_noise)

    box_of_track = np.full(len(state), -1)
    box_of_track[track] = found.row[box]
    missed = box_of_track < 0
    dead = missed & (~updated.confirmed | (updated.time_since_update > config.max_age_frames))
    starts = (found.score >= config.high_score) & (found.score >= config.start_score)
    starts[box] = False
    fresh = np.flatnonzero(starts)
    following = _start(updated if not dead.any() else updated.take(~dead), found, fresh, config, speed_noise)
    detection_index = np.concatenate([box_of_track[~dead], found.row[fresh]])
    return following, _tracks(following, detection_index)


def checked(
    state: TrackerState, detections: Detections, embedding: np.ndarray, elapsed_frames: float, config: TrackerConfig
) -> TrackerState:
    """Refuse what `advance` refuses; return the state with its gallery, and without tracks after too long a time."""
    if embedding.shape != (len(detections), EMBEDDING_DIM):
        raise ValueError(
            f"embedding: expected shape {(len(detections), EMBEDDING_DIM)}, a row per detection, got {embedding.shape}"
        )
    unknown = detections.class_id.view(np.uint16) >= len(COCO_CLASSES)  # those below 0 are large so
    if unknown.any():
        raise ValueError(
            f"Detections.class_id: expected 0 to {len(COCO_CLASSES) - 1}, indices into COCO_CLASSES, "
            f"got {detections.class_id[unknown][0]}"
        )
    if not elapsed_frames > 0:
        raise ValueError(f"elapsed_frames: expected more than 0, got {elapsed_frames}")
    if state.gallery is None:
        state = replace(state, gallery=Gallery.empty(features_kept(config)))
    if elapsed_frames > config.max_age_frames:
        state = state.take(np.zeros(0, np.int64))
    return state


def features_kept(config: TrackerConfig) -> int:
    """Return how many features a track's gallery holds: the last ones, or one running mean of all."""
    return config.gallery_size if config.feature_average is None else 1


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


def _predict(
    state: TrackerState,
    elapsed_frames: float,
    camera_warp: np.ndarray | None,
    speed_noise: float,
    config: TrackerConfig,
) -> TrackerState:
    """Carry the tracks to the present frame: first as the camera moved, then, if wanted, as they did."""
    mean, cov = state.mean, state.cov
    if camera_warp is not None:
        mean, cov = kalman.warp(mean, cov, camera_warp)
    if config.predict_motion:
        mean, cov = kalman.predict(mean, cov, elapsed_frames, speed_noise=speed_noise)
    return replace(state, mean=mean, cov=cov, time_since_update=state.time_since_update + elapsed_frames)


def _associate(
    state: TrackerState, found: _Boxes, elapsed_frames: float, config: TrackerConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Match predicted tracks (T,) and boxes (N,) in three goes; returns the matched tracks and their boxes.

    By look: confirmed tracks, the cascade. By overlap, or by the distance of middles: tentative tracks and confirmed
    ones left over that were seen at most `iou_age_frames` before the present frame (1: in the frame before); an older
    box says less about where the object is now. By overlap again: boxes of low score, with confirmed tracks still left
    over that the last processed frame saw: what is half hidden is scored low, and is there all the same (Zhang et al.,
    ByteTrack, 2022).
    """
    open_track, high = np.ones(len(state), bool), found.score >= config.high_score
    same_group = state.group[:, None] == found.group[None, :]
    unseen_before = state.time_since_update - elapsed_frames
    tracks, boxes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]

    def close(pair: tuple[np.ndarray, np.ndarray]) -> None:
        tracks.append(pair[0])
        boxes.append(pair[1])
        open_track[pair[0]] = False
        open_box[pair[1]] = False

    open_box = high.copy()
    if config.max_cosine_distance is not None:
        close(_by_look(state, found, np.flatnonzero(state.confirmed), np.flatnonzero(high), same_group, config))
    recent = ~state.confirmed | (unseen_before < config.iou_age_frames)
    near = _by_overlap if config.max_centre_distance is None else _by_centre
    max_distance = config.max_iou_distance if config.max_centre_distance is None else config.max_centre_distance
    close(near(state, found, open_track & recent, open_box, same_group, max_distance))
    open_box = ~high
    seen_last = state.confirmed & (unseen_before == 0)
    close(_by_overlap(state, found, open_track & seen_last, open_box, same_group, config.low_iou_distance))
    return np.concatenate(tracks), np.concatenate(boxes)


def _by_look(
    state: TrackerState,
    found: _Boxes,
    track: np.ndarray,
    box: np.ndarray,
    same_group: np.ndarray,
    config: TrackerConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Match the confirmed tracks `track` with the boxes `box` by the cascade on gated looks."""
    pairs = np.ix_(track, box)
    gating_sq = kalman.gating_distance_sq(state.mean[track], state.cov[track], found.measurement[box])
    candidate = (gating_sq <= config.gate_sq) & same_group[pairs]
    gallery = state.gallery.take(track)
    nearest = gallery.min_cosine_distance if config.feature_average is None else gallery.mean_cosine_distance
    cost, max_cost = association.mix(
        gating_sq,
        nearest(candidate, found.embedding[box]),
        gate_sq=config.gate_sq,
        max_cosine_distance=config.max_cosine_distance,
        motion_weight=config.motion_weight,
    )
    row, column = association.cascade(cost, max_cost, state.time_since_update[track], config.max_age_frames)
    return track[row], box[column]


def _by_overlap(
    state: TrackerState,
    found: _Boxes,
    open_track: np.ndarray,
    open_box: np.ndarray,
    same_group: np.ndarray,
    max_distance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Match the open tracks (T,) and open boxes (N,) by the overlap of predicted and detected boxes."""
    track, box = np.flatnonzero(open_track), np.flatnonzero(open_box)
    cost = association.iou_cost(kalman.to_xyxy(state.mean[track]), found.xyxy[box], same_group[np.ix_(track, box)])
    row, column = association.assign(cost, max_distance)
    return track[row], box[column]


def _by_centre(
    state: TrackerState,
    found: _Boxes,
    open_track: np.ndarray,
    open_box: np.ndarray,
    same_group: np.ndarray,
    max_distance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Match the open tracks (T,) and open boxes (N,) by the distance of their middles."""
    track, box = np.flatnonzero(open_track), np.flatnonzero(open_box)
    cost = association.centre_cost(state.mean[track], found.measurement[box], same_group[np.ix_(track, box)])
    row, column = association.assign(cost, max_distance)
    return track[row], box[column]


def _update(
    state: TrackerState,
    track: np.ndarray,
    found: _Boxes,
    box: np.ndarray,
    config: TrackerConfig,
    speed_noise: float,
) -> TrackerState:
    """Correct the matched tracks by their boxes and confirm those that have enough."""
    if len(track) == 0:
        return state
    mean, cov = state.mean.copy(), state.cov.copy()
    score = found.score[box].astype(np.float64)
    # Du et al., GIAOTracker, 2021, equation 5 (NSA Kalman).
    noise_share = np.maximum(1 - score, LEAST_NOISE)[:, None] if config.score_weighted_noise else 1.0
    if config.predict_motion:
        mean[track], cov[track] = kalman.update(mean[track], cov[track], found.measurement[box], noise_share)
    else:
        mean[track], cov[track] = kalman.initiate(found.measurement[box], speed_noise)
    hits, time_since_update, confirmed = state.hits.copy(), state.time_since_update.copy(), state.confirmed.copy()
    hits[track] += 1
    time_since_update[track] = 0
    confirmed[track] |= hits[track] >= config.n_init
    class_score = state.class_score.copy()
    seen = found.class_id[box]
    class_score[track, seen] = np.maximum(class_score[track, seen], 0) + found.score[box]
    plain = found.score[box] >= config.high_score  # what is half hidden would spoil the look
    return replace(
        state,
        mean=mean,
        cov=cov,
        hits=hits,
        time_since_update=time_since_update,
        confirmed=confirmed,
        class_score=class_score,
        gallery=_remember(state.gallery, track[plain], found.embedding[box[plain]], config),
    )


def _remember(gallery: Gallery, track: np.ndarray, feature: np.ndarray, config: TrackerConfig) -> Gallery:
    """Add a look (R, 128) to each of the tracks, or blend it into their running mean, which is not of unit length."""
    if config.feature_average is not None:
        past = np.float32(config.feature_average)
        feature = past * gallery.latest(track) + (1 - past) * feature
    return gallery.append(track, feature)


def _start(
    state: TrackerState, found: _Boxes, fresh: np.ndarray, config: TrackerConfig, speed_noise: float
) -> TrackerState:
    """Start a track for each of the boxes `fresh`, after the present ones."""
    n_new = len(fresh)
    if n_new == 0:
        return state
    mean, cov = kalman.initiate(found.measurement[fresh], speed_noise)
    class_score = np.full((n_new, len(COCO_CLASSES)), NEVER_SEEN)
    class_score[np.arange(n_new), found.class_id[fresh]] = found.score[fresh]
    return TrackerState(
        next_id=state.next_id + n_new,
        track_id=np.concatenate([state.track_id, state.next_id + np.arange(n_new)]),
        mean=np.concatenate([state.mean, mean]),
        cov=np.concatenate([state.cov, cov]),
        hits=np.concatenate([state.hits, np.ones(n_new, np.int64)]),
        time_since_update=np.concatenate([state.time_since_update, np.zeros(n_new)]),
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
