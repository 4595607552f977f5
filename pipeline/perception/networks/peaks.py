"""From the one-shot network's maps to boxes: the peaks of the heatmap (Zhou et al. 2019, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from pipeline.perception.networks.one_shot import STRIDE

MAX_PEAKS = 300
"""Most objects read from one picture, the surest first."""
MAX_LOG_CELLS = 7.0
"""Sizes are held under exp(7) cells, 4,400 pixels, so that no box becomes infinite."""


@dataclass(frozen=True, eq=False, slots=True)
class Peaks:
    """N objects read from B pictures, picture by picture, the surest first.

    picture  (N,)     int64, row of the batch
    layer    (N,)     int64, layer of the heatmap: the class
    score    (N,)     float32, in [0, 1]
    xyxy     (N, 4)   float32, pixels of the network's input
    row, column  (N,) int64, the cell of the middle
    """

    picture: torch.Tensor
    layer: torch.Tensor
    score: torch.Tensor
    xyxy: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor


def peaks(heat: torch.Tensor, box: torch.Tensor, min_score: float) -> Peaks:
    """Read the objects out of heat (B, C, h, w), shares in [0, 1], and box (B, 4, h, w).

    A peak is at least `min_score` and no less than its eight neighbours in its layer. Of equal scores, the one of the
    lower layer, row and column comes first.
    """
    highest = functional.max_pool2d(heat, 3, stride=1, padding=1)
    picture, layer, row, column = ((heat == highest) & (heat >= min_score)).nonzero(as_tuple=True)
    score = heat[picture, layer, row, column]
    order = torch.sort(score, descending=True, stable=True).indices
    order = order[torch.sort(picture[order], stable=True).indices]
    picture, layer, row, column, score = (values[order] for values in (picture, layer, row, column, score))
    first = torch.searchsorted(picture, picture)
    kept = torch.arange(len(picture), device=picture.device) - first < MAX_PEAKS
    picture, layer, row, column, score = (values[kept] for values in (picture, layer, row, column, score))
    offset_x, offset_y, log_width, log_height = box[picture, :, row, column].unbind(1)
    middle = torch.stack([column + offset_x, row + offset_y], dim=1)
    half = torch.stack([log_width, log_height], dim=1).clamp(max=MAX_LOG_CELLS).exp() / 2
    xyxy = torch.cat([middle - half, middle + half], dim=1) * STRIDE
    return Peaks(picture, layer, score, xyxy, row, column)
