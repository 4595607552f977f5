"""Boxes against a foreground mask and against each other: what shows of whom, what is left, what goes on as what."""

from __future__ import annotations

import numpy as np

from pipeline import boxes as box_geometry

LEAST_IOU = 0.3
"""A part goes on with what is expected to overlap it so much: who walks moves an eighth of his width a frame."""

LEAST_EVIDENCE = 0.04
"""Share of its box that must show of somebody behind another: the top of a head, or a shoulder."""

LEAST_RUN = 0.25
"""A row of a car has this share of the fullest row's foreground; less is what somebody before it left over."""


def rest(mask: np.ndarray, blob: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the box (4,) of what is left of a blob (4,) without the boxes (M, 4); the blob where nothing is."""
    if len(boxes) == 0:
        return blob
    x1, y1, x2, y2 = blob.tolist()
    left = mask[y1:y2, x1:x2] > 0
    for a1, b1, a2, b2 in np.round(boxes).astype(int).tolist():
        left = left.copy()
        left[max(b1 - y1, 0) : max(b2 - y1, 0), max(a1 - x1, 0) : max(a2 - x1, 0)] = False
    in_row, in_column = left.sum(axis=1), left.sum(axis=0)
    rows = np.flatnonzero(in_row > LEAST_RUN * in_row.max())
    columns = np.flatnonzero(in_column > 0)
    if len(rows) == 0:
        return blob
    return np.array([x1 + columns[0], y1 + rows[0], x1 + columns[-1] + 1, y1 + rows[-1] + 1])


def shows(laid: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Tell which boxes (M, 4) show outside of all others; the nearest always does."""
    height, width = mask.shape
    whole = np.clip(np.round(laid), 0, (width, height, width, height)).astype(int)
    found = np.zeros(len(laid), bool)
    for i, (x1, y1, x2, y2) in enumerate(whole):
        own = mask[y1:y2, x1:x2] > 0
        for j, (a1, b1, a2, b2) in enumerate(whole):
            if j != i:
                own = own.copy()
                own[max(b1 - y1, 0) : max(b2 - y1, 0), max(a1 - x1, 0) : max(a2 - x1, 0)] = False
        found[i] = own.sum() >= LEAST_EVIDENCE * max(1, (x2 - x1) * (y2 - y1))
    found[laid[:, 3].argmax()] = True
    return found


def pairs(expected: np.ndarray, boxes: np.ndarray) -> list[tuple[int, int]]:
    """Pair expected boxes (N, 4) with found ones (M, 4), the greatest IoU first."""
    if len(expected) == 0 or len(boxes) == 0:
        return []
    overlap = box_geometry.iou(expected, boxes.astype(float))
    found = []
    while overlap.max() >= LEAST_IOU:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        found.append((int(row), int(column)))
        overlap[row], overlap[:, column] = -1, -1
    return found


def inside(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Return (N, M) the share of each box (N, 4) that lies in each of (M, 4)."""
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    size = np.maximum(bottom_right - top_left, 0)
    return size[..., 0] * size[..., 1] / np.maximum(box_geometry.area(a_xyxy), 1e-9)[:, None]
