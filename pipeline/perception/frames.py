"""Frames of a batch on the device: uploaded once, shared by detector and embedder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.types import FrameBatch


@dataclass(frozen=True, eq=False, slots=True)
class DeviceFrames:
    """T frames of one segment, on the host and on the device. Nobody writes into either.

    images  (T, 3, H, W) uint8 tensor on the device, RGB
    pixels  (T, H, W, 3) uint8 array on the host, RGB: the same pixels, for detectors that use OpenCV
    frame   (T,) int32, index of the frame in its file, 0-based
    """

    images: torch.Tensor
    pixels: np.ndarray
    frame: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def width_px(self) -> int:
        """Width of the picture in pixels."""
        return self.pixels.shape[2]

    @property
    def height_px(self) -> int:
        """Height of the picture in pixels."""
        return self.pixels.shape[1]


def upload(batch: FrameBatch, device: str) -> DeviceFrames:
    """Bring a batch to the device in one transfer. On the CPU the tensor is a view of the batch's own memory."""
    pixels = np.ascontiguousarray(batch.images)
    # PyTorch has no read-only tensors and warns of read-only memory, so such a batch is copied.
    writeable = pixels if pixels.flags.writeable else pixels.copy()
    images = torch.from_numpy(writeable).to(device).permute(0, 3, 1, 2)
    return DeviceFrames(images, pixels, batch.frame)
