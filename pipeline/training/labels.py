"""Which of a clip's tracked boxes are good enough to learn from, and which are only to be left alone.

A label that is wrong teaches something wrong; a place that is left out of the loss teaches nothing. So of what a
detector and a tracker saw, sure tracks become labels; whatever else the detector half believed, and whatever moved
without being one of them, is to be ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import boxes
from pipeline.training.views import cover
from pipeline.types import COCO_CLASSES, TRAFFIC_CLASSES, Detections, Observations, Tracklets, class_group

MIN_BOXES = 5
"""Detected boxes of a track from which on it is believed."""

SHOWN_IOU = 0.4
"""A doubtful box that overlaps a label of its group by more is the labelled object, seen once more."""

SHOWN_COVER = 0.7
"""So is one of which that share lies in a label: a part of the object."""

SHOWN_PART = 0.5
"""A place where something moved is known where that share of a label lies in it, ..."""

SHOWN_FILL = 0.4
"""... and labels fill that share of it: else something more moved there, which nobody recognised."""

_TRAFFIC_IDS = np.array([COCO_CLASSES.index(name) for name in TRAFFIC_CLASSES])
_IS_PERSON = np.array([class_group(class_id) == "person" for class_id in _TRAFFIC_IDS])


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One frame of a clip.

    frame   index of the frame in its file
    found   what the detector saw, doubtful boxes included
    moving  (M, 4) float32, pixels: where something moved, whatever it was
    """

    frame: int
    found: Detections
    moving: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class Labels:
    """N boxes of one clip to learn from or to ignore, sorted by (frame, label_id).

    frame        (N,)   int32, index of the frame in its file
    label_id     (N,)   int64, from 1: of one object in all its frames; a box to be ignored has one of its own
    xyxy         (N, 4) float32, pixels
    class_index  (N,)   int64, index into TRAFFIC_CLASSES
    sure         (N,)   bool, False: ignore what is there
    """

    frame: np.ndarray
    label_id: np.ndarray
    xyxy: np.ndarray
    class_index: np.ndarray
    sure: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, index: np.ndarray) -> Labels:
        """Return the rows at `index` (integers or a boolean mask), in that order."""
        return Labels(
            self.frame[index], self.label_id[index], self.xyxy[index], self.class_index[index], self.sure[index]
        )


def labels_of(
    observations: Observations,
    tracklets: Tracklets,
    seen: Sequence[Seen],
    *,
    min_score: float,
) -> Labels:
    """Choose labels from a clip's tracks and from all that was seen, frame by frame.

    A track of at least MIN_BOXES boxes whose mean score is at least `min_score` becomes labels of its own class, where
    the detector saw it; its boxes in between, where it may be hidden, are ignored, and so is everything else seen.
    """
    believed = (tracklets.n_observations >= MIN_BOXES) & (tracklets.mean_score >= min_score)
    names = tracklets.tracklet_id[believed]
    number = {name: i + 1 for i, name in enumerate(names)}
    class_of = dict(zip(names, tracklets.class_id[believed].tolist()))
    of_track = observations.take(np.array([name in number for name in observations.tracklet_id], bool))
    tracked = Labels(
        frame=of_track.frame,
        label_id=np.array([number[name] for name in of_track.tracklet_id], np.int64),
        xyxy=of_track.xyxy,
        class_index=_index(np.array([class_of[name] for name in of_track.tracklet_id], np.int16)),
        sure=~of_track.interpolated,
    )
    doubtful = _doubtful(seen, tracked)
    ids = np.concatenate([tracked.label_id, len(number) + 1 + np.arange(len(doubtful))])
    both = Labels(
        np.concatenate([tracked.frame, doubtful.frame]),
        ids,
        np.concatenate([tracked.xyxy, doubtful.xyxy]),
        np.concatenate([tracked.class_index, doubtful.class_index]),
        np.concatenate([tracked.sure, doubtful.sure]),
    )
    return both.take(np.lexsort((both.label_id, both.frame)))


def _doubtful(seen: Sequence[Seen], tracked: Labels) -> Labels:
    """Return, to be ignored, what was seen or moved in each frame and is no tracked object. A mover is a person."""
    frames, xyxy, classes = [np.zeros(0, np.int32)], [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int64)]
    for one in seen:
        here = tracked.take(tracked.frame == one.frame)
        of_class = _index(one.found.class_id)
        shown = boxes.iou(one.found.xyxy, here.xyxy) > SHOWN_IOU
        shown |= cover(one.found.xyxy, here.xyxy) > SHOWN_COVER
        shown &= _IS_PERSON[of_class][:, None] == _IS_PERSON[here.class_index][None]
        left = ~shown.any(axis=1)
        # Objects close together move as one, with their shadows: what is in it is known, if that is most of it.
        known = np.concatenate([here.xyxy, one.found.xyxy[left]])
        filled = cover(one.moving, known)
        explained = (cover(known, one.moving) > SHOWN_PART).any(axis=0) & (filled.sum(axis=1) > SHOWN_FILL)
        moved = one.moving[~explained & ~(filled > SHOWN_COVER).any(axis=1)]
        xyxy += [one.found.xyxy[left], moved]
        classes += [of_class[left], np.zeros(len(moved), np.int64)]
        frames.append(np.full(int(left.sum()) + len(moved), one.frame, np.int32))
    frame = np.concatenate(frames)
    n_rows = len(frame)
    unnumbered, unsure = np.zeros(n_rows, np.int64), np.zeros(n_rows, bool)
    return Labels(frame, unnumbered, np.concatenate(xyxy), np.concatenate(classes), unsure)


def _index(class_id: np.ndarray) -> np.ndarray:
    """Turn COCO class ids (N,) of traffic classes into indices into TRAFFIC_CLASSES (N,)."""
    return np.searchsorted(_TRAFFIC_IDS, class_id)  # ascending
