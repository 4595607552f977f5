"""KITTI tracking: its labels and PointRCNN's detections, one sequence a class and file, evaluated as KITTI does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import boxes
from pipeline.evaluation.sequences import DetectedSequence
from pipeline.evaluation.tables import TrackedBoxes

RATE_FPS = 10.0
LABELS = {"Car": ("Car", "Van"), "Pedestrian": ("Pedestrian",), "Cyclist": ("Cyclist",)}
MIN_HEIGHT_PX = 25.0  # KITTI's devkit: lower boxes, true or found, are not evaluated
MAX_OCCLUSION = 2  # nor is truth more hidden (3: unknown), nor any that is cut off by the picture's edge
DONT_CARE_SHARE = 0.5  # nor a found box that lies in a DontCare region by more than this share of itself
MATCH_IOU = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class KittiSequence:
    """One class of one file. Truth that KITTI does not evaluate has visibility 0, all other 1.

    dont_care_frame (D,) int64 from 1, dont_care_xyxy (D, 4) float64: regions in which nothing was labelled
    """

    sequence: DetectedSequence
    dont_care_frame: np.ndarray
    dont_care_xyxy: np.ndarray

    def evaluated(self, predicted: TrackedBoxes) -> TrackedBoxes:
        """Take out what KITTI does not blame on a tracker: boxes on no truth that are low or in DontCare regions."""
        xyxy = boxes.xywh_to_xyxy(predicted.xywh)
        spared = predicted.xywh[:, 3] <= MIN_HEIGHT_PX
        truth = self.sequence.truth
        truth_xyxy = boxes.xywh_to_xyxy(truth.xywh)
        for frame in np.unique(predicted.frame).tolist():
            rows = np.flatnonzero(predicted.frame == frame)
            regions = self.dont_care_xyxy[self.dont_care_frame == frame]
            if len(regions):
                spared[rows] |= (_share_within(xyxy[rows], regions) > DONT_CARE_SHARE).any(axis=1)
            if spared[rows].any():
                overlap = boxes.iou(xyxy[rows], truth_xyxy[truth.frame == frame])
                spared[rows] &= (overlap < MATCH_IOU).all(axis=1)
        return TrackedBoxes(*(getattr(predicted, name)[~spared] for name in TrackedBoxes.__slots__))


def read(folder: Path, kind: str, min_score: float) -> list[KittiSequence]:
    """Read label/*.txt and det/<kind>/*.txt, kind Car (vans are cars), Pedestrian or Cyclist, sorted by name.

    PointRCNN's scores are logits; squashed by the logistic function they lie in 0 to 1. Boxes below `min_score` of that
    are left out, as a detector's threshold does.
    """
    return [_read(path, folder / "det" / kind / path.name, kind, min_score) for path in sorted(folder.glob("label/*"))]


def _read(label: Path, det: Path, kind: str, min_score: float) -> KittiSequence:
    words = [line.split() for line in label.read_text().splitlines()]
    name = np.array([row[2] for row in words])
    numbers = np.array([[float(row[column]) for column in (0, 1, 3, 4, 6, 7, 8, 9)] for row in words])
    frame, xyxy = numbers[:, 0].astype(np.int64) + 1, numbers[:, 4:]
    mine, nowhere = np.isin(name, LABELS[kind]), name == "DontCare"
    found = np.loadtxt(det, delimiter=",", ndmin=2).reshape(-1, 15)
    score = 1 / (1 + np.exp(-found[:, 6]))
    found, score = found[score >= min_score], score[score >= min_score]
    order = np.argsort(found[:, 0], kind="stable")
    sequence = DetectedSequence(
        name=f"{label.stem}-{kind}",
        n_frames=int(frame.max()),
        frame_rate_fps=RATE_FPS,
        frame=found[order, 0].astype(np.int64) + 1,
        xyxy=found[order, 2:6].astype(np.float32),
        score=score[order].astype(np.float32),
        truth=_truth(frame[mine], numbers[mine]),
    )
    return KittiSequence(sequence, frame[nowhere], xyxy[nowhere])


def _truth(frame: np.ndarray, numbers: np.ndarray) -> TrackedBoxes:
    """Turn labels, columns frame, id, truncated, occluded and corners, into truth."""
    order = np.lexsort((numbers[:, 1], frame))
    frame, numbers = frame[order], numbers[order]
    xywh = boxes.xyxy_to_xywh(numbers[:, 4:])
    seen = (numbers[:, 2] <= 0) & (numbers[:, 3] <= MAX_OCCLUSION) & (xywh[:, 3] > MIN_HEIGHT_PX)
    ones = np.ones(len(frame))
    return TrackedBoxes(frame, numbers[:, 1].astype(np.int64), xywh, ones, ones.astype(np.int64), seen.astype(float))


def _share_within(xyxy: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return the share of each box (N, 4) that lies in each region (D, 4): (N, D)."""
    size = np.minimum(xyxy[:, None, 2:], regions[None, :, 2:]) - np.maximum(xyxy[:, None, :2], regions[None, :, :2])
    inside = np.maximum(size, 0).prod(axis=2)
    area = boxes.area(xyxy)[:, None]
    return np.divide(inside, area, out=np.zeros_like(inside), where=area > 0)
