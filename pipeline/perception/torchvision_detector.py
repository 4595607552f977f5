"""Any of torchvision's detection models: Faster R-CNN, RetinaNet, FCOS, SSD and the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision import models

from pipeline.perception import torchvision_weights
from pipeline.perception.frames import DeviceFrames
from pipeline.types import COCO_CLASSES, Detections

MAX_FRAMES = 4
"""Frames given to the model at a time: region proposals of more would dominate the memory."""


class TorchvisionDetector:
    """A detection model with COCO weights. Stateless between frames, so one serves every camera.

    about  what it is, in words
    """

    def __init__(self, name: str, weights: Path | None, *, min_score: float, device: str) -> None:
        """`min_score` is the least score any class keeps. Raises ConfigError for an unknown name, WeightsError."""
        torchvision_weights.known_model(name, models.detection, "detection model")
        categories = models.get_model_weights(name).DEFAULT.meta["categories"]
        model = models.get_model(name, weights=None, weights_backbone=None, num_classes=len(categories))
        loaded = torchvision_weights.state_dict(name, weights)
        torchvision_weights.fill(model, loaded, name=name, origin=weights)
        self._model = model.eval().to(device)
        self._coco = coco_index(categories)
        self._min_score = min_score
        self.about = f"torchvision:{name}: pictures of any size, COCO's 80 classes, weights {weights or 'downloaded'}"

    @torch.inference_mode()
    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return each frame's boxes as the model's own post-processing leaves them."""
        found = []
        for start in range(0, len(frames), MAX_FRAMES):
            images = frames.images[start : start + MAX_FRAMES].float().div_(255)
            found.extend(self._detections(output) for output in self._model(list(images.contiguous())))
        return found

    def _detections(self, output: dict[str, torch.Tensor]) -> Detections:
        class_id = self._coco[output["labels"].cpu().numpy()]
        score = output["scores"].cpu().numpy().astype(np.float32)
        keep = (class_id >= 0) & (score >= self._min_score)
        return Detections(output["boxes"].cpu().numpy().astype(np.float32), score, class_id).take(keep)


def coco_index(categories: list[str]) -> np.ndarray:
    """Map torchvision's labels to ours, by name: (len(categories),) int16, -1 where it is none of the 80 classes.

    torchvision numbers COCO's 91 original categories, of which 11 were never used ("N/A").
    """
    place = {name: index for index, name in enumerate(COCO_CLASSES)}
    return np.array([place.get(name, -1) for name in categories], np.int16)
