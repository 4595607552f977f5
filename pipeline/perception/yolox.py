"""YOLOX detectors in ONNX (Ge et al., YOLOX, 2021): letterbox, raw output, decoding."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pipeline.perception.frames import DeviceFrames
from pipeline.perception.onnx_session import OnnxModel
from pipeline.types import COCO_CLASSES, Detections

STRIDES = (8, 16, 32)
PAD_LEVEL = 114.0
"""Grey beside the picture in the letterbox, as in the reference's training."""

MAX_FRAMES = 8
"""Frames letterboxed and, where the model allows, run at a time: bounds memory."""

_WHAT = "a YOLOX detector of the 80 COCO classes in ONNX"


class YoloxDetector:
    """A YOLOX network. Stateless between frames, so one serves every camera."""

    def __init__(self, path: Path | str, *, min_score: float, device: str, threads: int) -> None:
        """`min_score` is the least score any class keeps. Raises WeightsError where the file is no such network."""
        self._model = OnnxModel(path, what=_WHAT, device=device, threads=threads)
        self._device = device
        self._min_score = min_score
        _, channels, height, width = self._model.input_shape
        if channels != 3 or height is None or width is None or height % max(STRIDES) or width % max(STRIDES):
            raise self._model.wrong(f"its input has the shape {self._model.input_shape}, expected 3 x H x W in 32s")
        self._size_hw = (height, width)
        self._grid, self._stride = anchors(height, width)
        self._decode(np.zeros((1, 3, height, width), np.float32))

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return each frame's candidates: one per anchor, of its best class, at least `min_score` sure."""
        found = []
        for start in range(0, len(frames), MAX_FRAMES):
            boxed, scale_xy = letterbox(frames.images[start : start + MAX_FRAMES], self._size_hw)
            for output in self._decode(boxed):
                found.append(self._candidates(output, scale_xy))
        return found

    def _decode(self, boxed: torch.Tensor | np.ndarray) -> np.ndarray:
        """Run the network and check its output's shape: (T, A, 85), A anchors."""
        output = self._model.run(torch.as_tensor(boxed), MAX_FRAMES)
        wanted = (len(boxed), len(self._grid), 5 + len(COCO_CLASSES))
        if output.shape != wanted:
            raise self._model.wrong(f"its output has the shape {output.shape}, expected {wanted}")
        return output

    def _candidates(self, output: np.ndarray, scale_xy: np.ndarray) -> Detections:
        """Turn one frame's raw output (A, 85) into boxes in picture pixels."""
        class_id = output[:, 5:].argmax(axis=1)
        score = output[:, 4] * output[np.arange(len(output)), 5 + class_id]
        rows = np.flatnonzero(score >= self._min_score)
        xyxy = decode(output[rows, :4], self._grid[rows], self._stride[rows]) / np.tile(scale_xy, 2)
        score = np.clip(score[rows], 0, 1)
        return Detections(xyxy.astype(np.float32), score.astype(np.float32), class_id[rows].astype(np.int16))


def anchors(height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of the three output grids: (A, 2) float32 x, y in cells, and (A, 1) float32 stride in pixels.

    Order: strides ascending, rows from the top, columns from the left.
    """
    grids, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[0 : height_px // stride, 0 : width_px // stride]
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((grids[-1].shape[0], 1), stride))
    return np.concatenate(grids).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(raw: np.ndarray, grid: np.ndarray, stride: np.ndarray) -> np.ndarray:
    """Turn raw outputs (A, 4) into letterbox corners: centre (o + grid) * stride, size exp(o) * stride."""
    centre = (raw[:, :2] + grid) * stride
    with np.errstate(over="ignore"):  # an overflow becomes infinity, which the filter drops
        half = np.exp(raw[:, 2:]) * stride / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def letterbox(images: torch.Tensor, size_hw: tuple[int, int]) -> tuple[torch.Tensor, np.ndarray]:
    """Fit frames into the network's input, from the top left, keeping their shape; the rest is grey 114.

    images (T, 3, H, W) uint8 RGB. Returns (T, 3, h, w) float32 BGR in [0, 255] and (2,) float32, the factors from
    picture x, y to letterbox x, y. Levels are rounded as OpenCV's INTER_LINEAR, the reference's resize, does.
    """
    height, width = images.shape[2:]
    ratio = min(size_hw[0] / height, size_hw[1] / width)
    # The epsilon keeps 480 * (416 / 480) at 416 where the reference's int() may fall to 415.
    inner_hw = (max(1, math.floor(height * ratio + 1e-6)), max(1, math.floor(width * ratio + 1e-6)))
    resized = functional.interpolate(images.float(), inner_hw, mode="bilinear", align_corners=False)
    boxed = torch.full((len(images), 3, *size_hw), PAD_LEVEL, dtype=torch.float32, device=images.device)
    boxed[:, :, : inner_hw[0], : inner_hw[1]] = resized.round_().flip(1)
    return boxed, np.array([inner_hw[1] / width, inner_hw[0] / height], np.float32)
