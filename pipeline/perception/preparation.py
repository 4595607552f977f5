"""From frames to a network's input: size, place in it, order of the colours, units of the levels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from pipeline.config import InputConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of RGB in [0, 1] over ImageNet: what most published networks expect."""

GREY_LEVEL = 114.0
"""What lies beside a picture, 8-bit, where nobody says otherwise: as YOLO has it."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a network wants its pictures.

    fit        "letterbox": shape kept, from the top left, the rest padded; "letterbox-centred": the same in the middle;
               "stretch": width and height fitted each by itself
    pad_level  level of the padding, 8-bit
    channels   "rgb" or "bgr"
    range      255 or 1: what white is, before mean and std
    mean, std  of each channel in their order, in units of `range`
    antialias  average when shrinking (Pillow's way) instead of sampling (OpenCV's INTER_LINEAR)
    """

    fit: str = "letterbox-centred"
    pad_level: float = GREY_LEVEL
    channels: str = "rgb"
    range: int = 1
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    antialias: bool = False

    def overridden(self, given: InputConfig) -> Preparation:
        """Return the same with what a configuration says otherwise."""
        names = ("fit", "pad_level", "channels", "range", "mean", "std", "antialias")
        told = {name: getattr(given, name) for name in names}
        return replace(self, **{name: value for name, value in told.items() if value is not None})

    def __str__(self) -> str:
        words = [self.fit, self.channels.upper(), f"0 to {self.range}"]
        if self.mean != (0, 0, 0) or self.std != (1, 1, 1):
            words.append(f"less {list(self.mean)} by {list(self.std)}")
        return ", ".join(words)


@dataclass(frozen=True, eq=False, slots=True)
class Placement:
    """Where the picture lies in the network's input.

    scale_xy   (2,) float32, input pixels a picture pixel
    offset_xy  (2,) float32, the picture's top left corner in input pixels
    """

    scale_xy: np.ndarray
    offset_xy: np.ndarray

    def to_picture(self, xyxy: np.ndarray) -> np.ndarray:
        """Turn boxes (N, 4) in input pixels into picture pixels, float32."""
        return ((xyxy - np.tile(self.offset_xy, 2)) / np.tile(self.scale_xy, 2)).astype(np.float32)


def prepare(images: torch.Tensor, size_hw: tuple[int, int], how: Preparation) -> tuple[torch.Tensor, Placement]:
    """Bring frames (T, 3, H, W) uint8 RGB to a network's input (T, 3, h, w) float32, on the same device.

    Levels are rounded to 8 bit after resizing, as the references' own pictures are.
    """
    inner, placement = _resized(images, size_hw, how)
    if how.channels == "bgr":
        inner = inner.flip(1)
    if inner.shape[2:] == size_hw:
        boxed = inner
    else:
        boxed = torch.full((len(images), 3, *size_hw), how.pad_level, dtype=torch.float32, device=images.device)
        left, top = (int(value) for value in placement.offset_xy)
        boxed[:, :, top : top + inner.shape[2], left : left + inner.shape[3]] = inner
    if how.range != 255:
        boxed = boxed.mul_(how.range / 255)
    if how.mean != (0, 0, 0) or how.std != (1, 1, 1):
        mean, std = (torch.tensor(each, device=boxed.device).view(1, 3, 1, 1) for each in (how.mean, how.std))
        boxed = boxed.sub_(mean).div_(std)
    return boxed, placement


def _resized(images: torch.Tensor, size_hw: tuple[int, int], how: Preparation) -> tuple[torch.Tensor, Placement]:
    height, width = images.shape[2:]
    if how.fit == "stretch":
        inner_hw = size_hw
    else:
        ratio = min(size_hw[0] / height, size_hw[1] / width)
        # The epsilon keeps 480 * (416 / 480) at 416 where the reference's int() may fall to 415.
        inner_hw = (max(1, math.floor(height * ratio + 1e-6)), max(1, math.floor(width * ratio + 1e-6)))
    offset = np.zeros(2, np.float32)
    if how.fit == "letterbox-centred":
        offset[:] = (size_hw[1] - inner_hw[1]) // 2, (size_hw[0] - inner_hw[0]) // 2
    scale = np.array([inner_hw[1] / width, inner_hw[0] / height], np.float32)
    resized = functional.interpolate(
        images.float(), inner_hw, mode="bilinear", align_corners=False, antialias=how.antialias
    )
    return resized.round_(), Placement(scale, offset)
