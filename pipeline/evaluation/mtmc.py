"""Multi-camera identity scores by the definition of the AI City Challenge (multi-camera vehicle tracking track).

As the challenge's own eval.py of 2019 to 2022 has it, step by step: only predictions are filtered, by the region of
interest, then by the number of cameras an id is left in, then duplicates; truth is used as given. AI City labels only
objects seen by two or more cameras, so truth that holds others counts them as missed. The cameras of the truth are laid
one after another in time, an id meaning the same object everywhere, and IDF1, IDP and IDR (Ristani et al. 2016) come
from motmetrics: pairs of ids one to one so that most boxes agree at IoU 0.5 or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipeline.boxes import iou, xywh_to_xyxy
from pipeline.errors import TruthError
from pipeline.evaluation.tables import CameraBoxes

IN_REGION = 255
"""Grey level of a region-of-interest picture inside the region; darker is outside (the challenge's roi.jpg)."""

_SCORES = ("idf1", "idp", "idr", "idtp", "idfp", "idfn")


def evaluate(
    truth: CameraBoxes,
    predicted: CameraBoxes,
    *,
    regions: Mapping[int, np.ndarray] | None = None,
    iou_threshold: float = 0.5,
) -> dict[str, Any]:
    """Score predictions of several cameras; fractions 0 to 1, a score without anything to divide by is 0.

    `regions` maps a camera's number to its region of interest, (H, W) uint8. Predictions in cameras that the truth does
    not have are not scored, as in the challenge's own tool, but count where an id's cameras are counted. `filtered`
    tells how many boxes each filter removed.
    Raises TruthError where the truth has an object twice in one frame of one camera.
    """
    _require_unique(truth)
    kept, filtered = filter_predictions(predicted, regions or {})
    in_truth = np.isin(kept.camera, truth.camera)
    filtered["camera_without_truth"] = int(np.sum(~in_truth))
    kept = kept.take(in_truth)
    offsets = frame_offsets(truth, kept)
    truth_frame, kept_frame = (rows.frame + _offset(offsets, rows) for rows in (truth, kept))
    scores = _identity_scores(truth, kept, truth_frame, kept_frame, iou_threshold)
    return {
        "IDF1": scores["idf1"],
        "IDP": scores["idp"],
        "IDR": scores["idr"],
        "IDTP": int(scores["idtp"]),
        "IDFP": int(scores["idfp"]),
        "IDFN": int(scores["idfn"]),
        "Dets": len(kept),
        "GT_Dets": len(truth),
        "IDs": len(np.unique(kept.track_id)),
        "GT_IDs": len(np.unique(truth.track_id)),
        "cameras": len(np.unique(truth.camera)),
        "filtered": filtered,
    }


def filter_predictions(predicted: CameraBoxes, regions: Mapping[int, np.ndarray]) -> tuple[CameraBoxes, dict[str, int]]:
    """Remove, in this order, boxes outside the region of interest, ids seen in one camera only, and duplicates.

    Of several boxes with one id in one frame of one camera the first of the file stays. Also returns how many boxes
    each step removed.
    """
    removed = {}

    def keep(rows: CameraBoxes, mask: np.ndarray, why: str) -> CameraBoxes:
        removed[why] = int(np.sum(~mask))
        return rows.take(mask)

    rows = keep(predicted, _in_region(predicted, regions), "outside_region")
    rows = keep(rows, _in_several_cameras(rows), "single_camera")
    rows = keep(rows, _first_of_its_kind(rows), "duplicate")
    return rows, removed


def frame_offsets(truth: CameraBoxes, predicted: CameraBoxes) -> dict[int, int]:
    """Return what is added to each camera's frames: the last frames of the cameras with lower numbers, summed."""
    offsets, offset = {}, 0
    for camera in np.unique(truth.camera).tolist():
        offsets[camera] = offset
        last = [int(rows.frame[rows.camera == camera].max(initial=0)) for rows in (truth, predicted)]
        offset += max(last)
    return offsets


def _offset(offsets: Mapping[int, int], rows: CameraBoxes) -> np.ndarray:
    return np.array([offsets[camera] for camera in rows.camera.tolist()], dtype=np.int64)


def _in_region(rows: CameraBoxes, regions: Mapping[int, np.ndarray]) -> np.ndarray:
    """Tell (N,) which boxes have no corner on a dark pixel of their camera's region; corners off the picture pass."""
    inside = np.ones(len(rows), dtype=bool)
    corners = np.floor(xywh_to_xyxy(rows.xywh)).astype(np.int64)  # (N, 4), the challenge's boxes are whole pixels
    for camera, region in regions.items():
        mine = np.flatnonzero(rows.camera == camera)
        height_px, width_px = region.shape
        for x, y in ((0, 1), (0, 3), (2, 1), (2, 3)):
            column, row = corners[mine, x], corners[mine, y]
            on_picture = (column >= 0) & (column < width_px) & (row >= 0) & (row < height_px)
            dark = region[row[on_picture], column[on_picture]] < IN_REGION
            inside[mine[on_picture][dark]] = False
    return inside


def _in_several_cameras(rows: CameraBoxes) -> np.ndarray:
    pairs = np.unique(np.stack([rows.track_id, rows.camera], axis=1), axis=0)
    ids, n_cameras = np.unique(pairs[:, 0], return_counts=True)
    return np.isin(rows.track_id, ids[n_cameras > 1])


def _first_of_its_kind(rows: CameraBoxes) -> np.ndarray:
    keys = np.stack([rows.camera, rows.track_id, rows.frame], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    mask = np.zeros(len(rows), dtype=bool)
    mask[first] = True
    return mask


def _require_unique(truth: CameraBoxes) -> None:
    again = np.flatnonzero(~_first_of_its_kind(truth))
    if again.size:
        row = again[0]
        raise TruthError(
            f"truth: expected one box an object, camera and frame, got id {truth.track_id[row]} twice "
            f"in camera {truth.camera[row]}, frame {truth.frame[row]}"
        )


def _identity_scores(
    truth: CameraBoxes,
    predicted: CameraBoxes,
    truth_frame: np.ndarray,
    predicted_frame: np.ndarray,
    iou_threshold: float,
) -> dict[str, float]:
    """Let motmetrics match the identities, on distances of ours: its own IoU does not run on NumPy 2."""
    if not len(truth) or not len(predicted):  # motmetrics answers NaN
        return {**dict.fromkeys(_SCORES, 0.0), "idfp": len(predicted), "idfn": len(truth)}
    import motmetrics

    accumulator = motmetrics.MOTAccumulator()
    truth_xyxy, predicted_xyxy = xywh_to_xyxy(truth.xywh), xywh_to_xyxy(predicted.xywh)
    for frame, rows, columns in _by_frame(truth_frame, predicted_frame):
        distance = 1.0 - iou(truth_xyxy[rows], predicted_xyxy[columns])
        distance[distance > 1.0 - iou_threshold] = np.nan  # motmetrics' sign for a pair that cannot match
        accumulator.update(truth.track_id[rows], predicted.track_id[columns], distance, frameid=frame)
    summary = motmetrics.metrics.create().compute(accumulator, metrics=list(_SCORES))
    return {name: float(summary[name].iloc[0]) for name in _SCORES}


def _by_frame(truth_frame: np.ndarray, predicted_frame: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (frame, rows of the truth, rows of the predictions) of every frame that has either, ascending."""
    frames = np.union1d(truth_frame, predicted_frame)
    rows = [np.argsort(side, kind="stable") for side in (truth_frame, predicted_frame)]
    parts = [
        np.split(order, np.searchsorted(side[order], frames[1:]))
        for order, side in zip(rows, (truth_frame, predicted_frame))
    ]
    yield from zip(frames.tolist(), *parts)
