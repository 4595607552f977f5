"""Crops of boxes, taken where the frames are: ROI align over all frames of a batch at once."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.ops import roi_align

MAX_FLOAT_VALUES = 32 * 1024 * 1024
"""Most colour values turned to float32 at a time (128 MiB): 45 frames of 640x360, 5 of 1920x1080."""

_ADAPTIVE = -1
"""ROI align's sampling ratio: as many samples per output pixel as it covers input pixels, so that shrinking averages
(antialiases) and enlarging interpolates."""


def crop(images: torch.Tensor, xyxy: np.ndarray, frame_row: np.ndarray, crop_hw: tuple[int, int]) -> torch.Tensor:
    """Cut boxes out of frames and bring them to one size.

    images (T, 3, H, W) uint8 on the device; xyxy (N, 4) pixels, where pixel i covers [i, i + 1); frame_row (N,) the
    row of `images` each box lies in, ascending; crop_hw the crops' (height, width).
    Returns (N, 3, h, w) float32 in [0, 255] on the same device, in the order of the boxes. Samples outside the picture
    repeat its edge. (He et al., Mask R-CNN, 2017, section 3; the half-pixel shift is Detectron2's.)
    """
    height, width = crop_hw
    parts = [torch.zeros((0, 3, height, width), dtype=torch.float32, device=images.device)]
    frames_at_once = max(1, MAX_FLOAT_VALUES // max(1, images[0].numel())) if len(images) else 1
    used = np.unique(frame_row)
    for start in range(0, len(used), frames_at_once):
        some = used[start : start + frames_at_once]
        rows = np.flatnonzero(np.isin(frame_row, some))
        rois = np.concatenate([np.searchsorted(some, frame_row[rows])[:, None], xyxy[rows]], axis=1)
        rois = torch.from_numpy(rois.astype(np.float32)).to(images.device)
        pixels = images[torch.from_numpy(some.astype(np.int64)).to(images.device)].float().contiguous()
        parts.append(roi_align(pixels, rois, (height, width), sampling_ratio=_ADAPTIVE, aligned=True))
    return torch.cat(parts)
