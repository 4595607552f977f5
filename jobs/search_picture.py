"""A picture that somebody hands in: which part of it shows what is looked for, and how that looks to the embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import DetectorConfig, ModelsConfig
from pipeline.footage.stills import read_still
from pipeline.perception.perception import Perception
from pipeline.types import COCO_CLASSES, CameraView, Detections, FrameBatch, class_group

CROP_SHARE = 0.5
"""A picture of which a detection covers so much is a crop: cutting once more would take away what the lake's own crops
have around them."""

NEEDS_FOOTAGE = ("motion", "detections")
"""Detectors that see nothing in a single picture: one compares with the background, one with what was found before."""


@dataclass(frozen=True, eq=False, slots=True)
class LookedAt:
    """The part of a picture that is looked for.

    vector      (1, 128) float32, unit length
    image       (H, W, 3) uint8 RGB
    xyxy        (4,) float32, pixels of the picture, or None where it was taken whole
    class_name  what the detector took it for, or None
    score       of that detection, or None
    n_others    other objects found that would have done
    reason      why it was taken so, in words
    """

    vector: np.ndarray
    image: np.ndarray
    xyxy: np.ndarray | None
    class_name: str | None
    score: float | None
    n_others: int
    reason: str

    @property
    def groups(self) -> set[str] | None:
        """Class group of what was detected, or None."""
        return None if self.class_name is None else {class_group(COCO_CLASSES.index(self.class_name))}

    def to_json(self) -> dict[str, Any]:
        """Return what is told of it."""
        box = None if self.xyxy is None else [round(float(value), 1) for value in self.xyxy]
        score = None if self.score is None else round(self.score, 4)
        return {"box": box, "class": self.class_name, "score": score, "others": self.n_others, "taken": self.reason}


def look_at(path: Path, models: ModelsConfig, classes: Sequence[str] | None) -> LookedAt:
    """Choose a part of a picture and embed it, on the CPU. Raises UserError where it cannot be read, WeightsError."""
    image = read_still(path)
    perception = Perception(models.embedder, device="cpu", threads=1)
    found, reason = _detections(image, models.detector, perception)
    found, reason = _of_classes(found, classes, reason)
    if len(found) == 0:
        return _whole(image, perception, None, None, 0, reason)
    area = np.prod(found.xyxy[:, 2:] - found.xyxy[:, :2], axis=1)
    best = int(np.argmax(area * found.score))
    name, score = COCO_CLASSES[found.class_id[best]], float(found.score[best])
    if area[best] >= CROP_SHARE * image.shape[0] * image.shape[1]:
        reason = f"the whole of it, since a {name} fills {area[best] / (image.shape[0] * image.shape[1]):.0%} of it"
        return _whole(image, perception, name, score, len(found) - 1, reason)
    xyxy = found.xyxy[best]
    left, top, right, bottom = (round(float(value)) for value in xyxy)
    reason = "the most prominent box" if len(found) > 1 else "the only box"
    return LookedAt(
        perception.embed_picture(image, xyxy),
        image[top : max(bottom, top + 1), left : max(right, left + 1)],
        xyxy,
        name,
        score,
        len(found) - 1,
        reason,
    )


def _whole(
    image: np.ndarray, perception: Perception, name: str | None, score: float | None, n_others: int, reason: str
) -> LookedAt:
    return LookedAt(perception.embed_picture(image), image, None, name, score, n_others, reason)


def _detections(image: np.ndarray, detector: DetectorConfig, perception: Perception) -> tuple[Detections, str]:
    """Return what the lake's detector finds in a picture, and what to say where that is nothing."""
    kind = detector.use.partition(":")[0]
    if kind in NEEDS_FOOTAGE:
        return Detections.empty(), f"the whole of it, since the lake's detector ({kind}) needs footage"
    height_px, width_px = image.shape[:2]
    view = CameraView("", width_px, height_px, None, "", 1.0)
    batch = FrameBatch(image[None], np.zeros(1, np.int32), np.zeros(1, np.int64))
    found, _ = perception.session(detector, view, lambda n: np.repeat(image[None], n, axis=0)).perceive(batch)[0]
    return found, "the whole of it, since the lake's detector finds nothing in it"


def _of_classes(found: Detections, classes: Sequence[str] | None, reason: str) -> tuple[Detections, str]:
    """Return the detections of some classes; where there is none, those of their groups: a van passes for a truck."""
    if classes is None or len(found) == 0:
        return found, reason
    names = [COCO_CLASSES[class_id] for class_id in found.class_id]
    groups = {class_group(COCO_CLASSES.index(name)) for name in classes}
    exactly = np.array([name in classes for name in names], bool)
    alike = np.array([class_group(COCO_CLASSES.index(name)) in groups for name in names], bool)
    kept = exactly if exactly.any() else alike
    nothing = f"the whole of it, since the lake's detector finds no {' or '.join(classes)} in it"
    return found.take(kept), reason if kept.any() else nothing
