"""What the one-shot network should have said of a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.perception.networks.one_shot import STRIDE
from pipeline.training.mot_folders import IGNORED
from pipeline.training.one_shot_samples import Sample

LEAST_OVERLAP = 0.7
"""A middle moved so far that its box still overlaps the true one by this IoU is not quite wrong (Law and Deng 2018,
"CornerNet", section 3.2)."""
SHOWN_FROM = 0.3
"""Cells with at least this share of a middle's bell learn the box too, not the middle's own alone (Liu et al. 2020,
"Training-Time-Friendly Network", section 3.2): more to learn from in each picture."""


@dataclass(frozen=True, eq=False, slots=True)
class Targets:
    """What B pictures of h x w cells should give; M objects in all.

    heat        (B, C, h, w) float32: 1 at middles, falling off around them
    heat_weight (B, 1, h, w) float32: 0 where something is that should be ignored
    box         (B, 4, h, w) float32: offset and logarithm of size, as in Maps
    box_weight  (B, 1, h, w) float32: how much a cell's box counts
    cell        (M, 3) int64: picture, row and column of each object's middle
    identity    (M,) int64
    """

    heat: torch.Tensor
    heat_weight: torch.Tensor
    box: torch.Tensor
    box_weight: torch.Tensor
    cell: torch.Tensor
    identity: torch.Tensor


def targets(samples: list[Sample], class_ids: tuple[int, ...]) -> Targets:
    """Draw the targets of samples of one size; `class_ids` are the COCO classes of the heatmap's layers.

    Objects of other classes are ignored.
    """
    height, width = (side // STRIDE for side in samples[0].image.shape[:2])
    shape = (len(samples), height, width)
    heat = np.zeros((shape[0], len(class_ids), *shape[1:]), np.float32)
    heat_weight, box_weight = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    box = np.zeros((shape[0], 4, *shape[1:]), np.float32)
    layer = {class_id: number for number, class_id in enumerate(class_ids)}
    cells, identities = [], []
    for row, sample in enumerate(samples):
        known = np.array([int(c) in layer for c in sample.class_id], bool)
        for xyxy in sample.xyxy[~known] / STRIDE:
            left, top, right, bottom = _cells(xyxy, height, width)
            heat_weight[row, top:bottom, left:right] = 0
        # Large ones first: where two middles fall together, the smaller has the fewer cells to lose.
        area = np.prod(sample.xyxy[:, 2:] - sample.xyxy[:, :2], axis=1)
        for index in sorted(np.flatnonzero(known), key=lambda i: -area[i]):
            xyxy = sample.xyxy[index] / STRIDE
            place = _draw(
                heat[row, layer[int(sample.class_id[index])]], heat_weight[row], box[row], box_weight[row], xyxy
            )
            cells.append((row, *place))
            identities.append(int(sample.identity[index]))
    return Targets(
        heat=torch.from_numpy(heat),
        heat_weight=torch.from_numpy(heat_weight[:, None]),
        box=torch.from_numpy(box),
        box_weight=torch.from_numpy(box_weight[:, None]),
        cell=torch.tensor(cells, dtype=torch.int64).reshape(-1, 3),
        identity=torch.tensor(identities, dtype=torch.int64),
    )


def radius(width: float, height: float) -> float:
    """Return how far (cells) a box's middle may move, both sides alike, before its IoU falls below LEAST_OVERLAP.

    Moving a box by d along both axes leaves (w - d)(h - d) in common: IoU >= t where that is 2t / (1 + t) wh.
    """
    common = 2 * LEAST_OVERLAP / (1 + LEAST_OVERLAP) * width * height
    total = width + height
    return (total - np.sqrt(max(total**2 - 4 * (width * height - common), 0.0))) / 2


def _draw(
    heat: np.ndarray, heat_weight: np.ndarray, box: np.ndarray, box_weight: np.ndarray, xyxy: np.ndarray
) -> tuple[int, int]:
    """Draw one object (xyxy in cells) into one picture's maps; returns the row and column of its middle."""
    rows, columns = heat.shape
    middle, size = (xyxy[:2] + xyxy[2:]) / 2, xyxy[2:] - xyxy[:2]
    column, row = (int(min(max(v, 0), n - 1)) for v, n in zip(middle, (columns, rows), strict=True))
    sigma = max(radius(*size) / 3, 0.45)
    reach = int(np.ceil(3 * sigma))
    top, bottom = max(row - reach, 0), min(row + reach + 1, rows)
    left, right = max(column - reach, 0), min(column + reach + 1, columns)
    y, x = np.mgrid[top:bottom, left:right]
    bell = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2)).astype(np.float32)
    part = (slice(top, bottom), slice(left, right))
    np.maximum(heat[part], bell, out=heat[part])
    heat_weight[row, column] = 1
    # Each cell learns the box of the middle it is nearest to; a middle's own cell is always its own.
    mine = (bell >= SHOWN_FROM) & (bell >= box_weight[part])
    box_weight[part][mine] = bell[mine]
    values = (middle[0] - x, middle[1] - y, np.full(x.shape, np.log(size[0])), np.full(x.shape, np.log(size[1])))
    for channel, value in enumerate(values):
        box[channel][part][mine] = value[mine]
    return row, column


def _cells(xyxy: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the cells a box (in cells) touches: left, top, right, bottom, the last two not with."""
    left, top = np.floor(xyxy[:2]).astype(int)
    right, bottom = np.ceil(xyxy[2:]).astype(int)
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


__all__ = ["IGNORED", "Targets", "radius", "targets"]
