"""Boxes as arrays: formats, area, IoU, clipping. All are `xyxy` in pixels unless the name says otherwise."""

from __future__ import annotations

import numpy as np


def area(xyxy: np.ndarray) -> np.ndarray:
    """Return the area in square pixels of boxes (N, 4) as (N,); an inverted box has area 0."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return size[:, 0] * size[:, 1]


def iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every pair: (N, 4) and (M, 4) -> (N, M), in [0, 1].

    Two boxes whose union is empty have IoU 0.
    """
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    size = np.maximum(bottom_right - top_left, 0)
    intersection = size[..., 0] * size[..., 1]  # (N, M)
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def clip(xyxy: np.ndarray, width_px: float, height_px: float) -> np.ndarray:
    """Return the boxes (N, 4) cut to a picture of `width_px` by `height_px`."""
    limit = np.array([width_px, height_px, width_px, height_px], dtype=xyxy.dtype)
    return np.clip(xyxy, 0, limit)


def xywh_to_xyxy(xywh: np.ndarray) -> np.ndarray:
    """Turn (N, 4) left, top, width, height (the MOTChallenge format) into corners."""
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def xyxy_to_xywh(xyxy: np.ndarray) -> np.ndarray:
    """Turn (N, 4) corners into left, top, width, height (the MOTChallenge format)."""
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)


def bottom_centre(xyxy: np.ndarray) -> np.ndarray:
    """Return (N, 2) the middle of each box's lower edge: where the object stands."""
    return np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1)
