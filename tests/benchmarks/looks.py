"""Looks for detections that have none: features of real people, put on the objects of a sequence's truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import boxes
from pipeline.evaluation.sequences import DetectedSequence
from pipeline.perception.projection import Projection, fit_pca, random_projection

SEED = 0
HIT_IOU = 0.5
FEATURES = "reid/market1501_osnet_features.npz"


class People:
    """Market-1501's people by OSNet, in the order of how many cameras saw them, most first, ties by person."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.feature = file["embedding"].astype(np.float32)  # (N, 512)
            person, camera = file["person_id"], file["camera_id"]
        seen_by = {who: np.unique(camera[person == who]) for who in np.unique(person).tolist()}
        order = sorted(seen_by, key=lambda who: (-len(seen_by[who]), who))
        self.rows = [np.flatnonzero((person == who) & (camera == seen_by[who][0])) for who in order]  # of one camera

    def project(self, how: str) -> np.ndarray:
        """Return the features (N, 128): by the `pca` fitted to them, or the fixed `random` projection."""
        projections = {"pca": lambda: fit_pca(self.feature, ""), "random": lambda: random_projection(512, "")}
        projection: Projection = projections[how]()
        return projection.apply(self.feature)


def put_on(sequences: Sequence[DetectedSequence], people: People, how: str) -> list[np.ndarray]:
    """Return the embeddings (N, 128) float32 of each sequence's detections.

    The objects in ascending id, sequence after sequence, take the people in their order. A detection that overlaps
    truth (IoU at least 0.5) takes a feature of the object it overlaps most, drawn among those of one camera; any other
    takes one of somebody who is no object's.
    """
    feature, random = people.project(how), np.random.default_rng(SEED)
    n_objects = sum(len(np.unique(sequence.truth.track_id)) for sequence in sequences)
    first, embeddings = 0, []
    for sequence in sequences:
        objects = np.unique(sequence.truth.track_id)
        who = first + np.searchsorted(objects, _object_of(sequence))
        hit = _object_of(sequence) >= 0
        who = np.where(hit, who, random.integers(n_objects, len(people.rows), len(sequence)))
        row = [random.choice(people.rows[number]) for number in who.tolist()]
        embeddings.append(feature[np.array(row, np.int64)])
        first += len(objects)
    return embeddings


def _object_of(sequence: DetectedSequence) -> np.ndarray:
    """Return the truth's id of the object each detection (N,) overlaps most, -1 where it overlaps none enough."""
    truth, track_id = sequence.truth, np.full(len(sequence), -1)
    truth_xyxy = boxes.xywh_to_xyxy(truth.xywh)
    for frame, (rows, detections) in enumerate(sequence.frames(), start=1):
        here = truth.frame == frame
        if here.any() and len(detections):
            overlap = boxes.iou(detections.xyxy.astype(np.float64), truth_xyxy[here])
            track_id[rows] = np.where(overlap.max(axis=1) >= HIT_IOU, truth.track_id[here][overlap.argmax(axis=1)], -1)
    return track_id
