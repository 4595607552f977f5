"""What a detector and an embedder are to the rest of the package."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from pipeline.perception.frames import DeviceFrames
from pipeline.types import Detections


class Detector(Protocol):
    """Finds candidates in frames of one camera. Filtering by class and score, and NMS, come after it, for all alike.

    A detector that proposes each thing once says so in an attribute `doubles` (`filtering.Doubles`; "any" without it),
    and one that is loaded from a file may say in `about` what it is.
    """

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return the candidates of each of the T frames, in picture pixels, in any order, possibly overlapping."""
        ...


class Embedder(Protocol):
    """Describes the appearance of crops.

    crop_hw  (height, width) in pixels of the crops it wants
    """

    crop_hw: tuple[int, int]

    def embed(self, crops: torch.Tensor) -> np.ndarray:
        """Turn crops (N, 3, h, w) float32 RGB in [0, 255] on the device into (N, 128) float32 unit vectors."""
        ...
