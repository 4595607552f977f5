"""From a detector's candidates to the detections that are kept: the same steps for every detector."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torchvision.ops import nms

from pipeline import boxes
from pipeline.config import DetectorConfig
from pipeline.types import COCO_CLASSES, Detections

Doubles = Literal["any", "across classes", "none"]
"""What may be twice in a detector's candidates: anything; one thing as two classes; nothing."""

ONE_THING = ("car", "bus", "truck", "train")
"""Classes of which a thing has one only: two that lie on each other are one vehicle of an unsure detector. A person on
a bicycle or a motorcycle lies on it too and is another thing, so those keep to themselves."""


def select(
    candidates: Detections, config: DetectorConfig, *, width_px: int, height_px: int, doubles: Doubles = "any"
) -> Detections:
    """Keep what the configuration asks for, in this order.

    1. rows whose box and score are finite, of a class in `config.classes`, with a score of at least the class's
       threshold; 2. boxes clipped to the picture, empty ones dropped; 3. greedy non-maximum suppression within each
    class (a box goes when its IoU with a better one exceeds the class's limit), where `doubles` is "any"; 4. the same
    across the classes of ONE_THING with the limit `config.nms_across_iou`, unless `doubles` is "none".
    Sorted by score descending, ties by x1, y1, x2, y2, then class.
    """
    finite = np.isfinite(candidates.xyxy).all(axis=1) & np.isfinite(candidates.score)
    threshold = score_thresholds(config)[candidates.class_id]
    found = candidates.take(finite & (candidates.score >= threshold))
    clipped = boxes.clip(found.xyxy, width_px, height_px)
    whole = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    found = Detections(clipped, found.score, found.class_id).take(whole)
    found = found.take(_order(found))
    if doubles == "any":
        found = found.take(np.sort(_survivors(found, config)))
    if doubles != "none" and config.nms_across_iou < 1:
        found = found.take(_one_of_each(found, config.nms_across_iou))
    return found


def score_thresholds(config: DetectorConfig) -> np.ndarray:
    """Return (80,) float32: the least score kept of each COCO class, infinity for classes not asked for."""
    thresholds = np.full(len(COCO_CLASSES), np.inf, np.float32)
    for name in config.classes:
        limit = config.score_threshold_by_class.get(name, config.score_threshold)
        thresholds[COCO_CLASSES.index(name)] = limit
    return thresholds


def _order(found: Detections) -> np.ndarray:
    """Rows by score descending, then x1, y1, x2, y2, class."""
    x1, y1, x2, y2 = found.xyxy.T
    return np.lexsort((found.class_id, y2, x2, y1, x1, -found.score))


def _survivors(found: Detections, config: DetectorConfig) -> np.ndarray:
    """Rows that no better box of their class suppresses; the stable sort inside `nms` keeps the order of equals."""
    kept = [np.zeros(0, np.int64)]
    for class_id in np.unique(found.class_id):
        name = COCO_CLASSES[class_id]
        rows = np.flatnonzero(found.class_id == class_id)
        limit = config.nms_iou_by_class.get(name, config.nms_iou)
        keep = nms(torch.from_numpy(found.xyxy[rows]), torch.from_numpy(found.score[rows]), limit)
        kept.append(rows[keep.numpy()])
    return np.concatenate(kept)


def _one_of_each(found: Detections, limit: float) -> np.ndarray:
    """(N,) bool: rows that no better box of another class of ONE_THING overlaps by more than `limit`."""
    kept = np.ones(len(found), bool)
    rows = np.flatnonzero(np.isin(found.class_id, _ONE_THING_IDS))
    if len(np.unique(found.class_id[rows])) < 2:
        return kept
    xyxy = found.xyxy[rows].astype(np.float64)
    rivals = boxes.iou(xyxy, xyxy) > limit
    rivals &= found.class_id[rows, None] != found.class_id[None, rows]
    for place, row in enumerate(rows):
        kept[row] = not (rivals[place, :place] & kept[rows[:place]]).any()
    return kept


_ONE_THING_IDS = np.array([COCO_CLASSES.index(name) for name in ONE_THING], np.int16)
