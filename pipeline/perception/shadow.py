"""Telling cast shadows from the grey parts of objects: grey trousers look like shadow, but stand under a shirt."""

from __future__ import annotations

import cv2
import numpy as np

REACH_PX = 3
"""A core pixel speaks for its own column and so many beside it, half of this to each side: cores are ragged."""

GAP_ROWS = 3
"""An object may be interrupted by so many background rows in a column: a belt of the pavement's colour."""


def below(differs: np.ndarray, core: np.ndarray, lowest_row: np.ndarray) -> np.ndarray:
    """Keep what is certain and what stands below it, no lower than a person's feet would be: (H, W) bool.

    differs     (H, W) bool, pixels unlike the background
    core        (H, W) bool, those of them that are certainly no shadow
    lowest_row  (H,) int, the row of the feet of somebody whose head is in each row

    Cast shadows lie beside and below their object, so only a strip under short ones is kept in error.
    """
    near = cv2.dilate(core.astype(np.uint8), np.ones((1, REACH_PX), np.uint8)) > 0
    kept = core.copy()
    limit = np.full(differs.shape[1], -1)
    seen = np.full(differs.shape[1], -1 - GAP_ROWS)  # last row in which the column differed
    for row in np.flatnonzero(differs.any(axis=1)):
        limit[row - seen > GAP_ROWS] = -1
        np.maximum(limit, lowest_row[row], out=limit, where=near[row] & (limit < row))
        kept[row] |= differs[row] & (row <= limit)
        seen[differs[row]] = row
    return kept


def between(core: np.ndarray, label: np.ndarray, stats: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Keep what lies between the certain pixels of each thing, in their convex hull: (H, W) bool.

    core    (H, W) bool
    label   (H, W) int32 and stats (N, 5) as OpenCV's connected components give them
    wanted  (M,) labels to look at

    A grey van is certain at its windows, wheels and lights; its shadow lies outside of what these enclose.
    """
    kept = np.zeros(core.shape, np.uint8)
    for number in wanted:
        x, y, width, height = stats[number, :4]
        part = np.s_[y : y + height, x : x + width]
        points = cv2.findNonZero((core[part] & (label[part] == number)).astype(np.uint8))
        if points is not None:
            hull = np.zeros((height, width), np.uint8)
            cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
            kept[part] |= hull & (label[part] == number)
    return kept > 0


def grounded(boxes: np.ndarray, core: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """Raise the lower edges of boxes (N, 4) int to their lowest certain row, over a strip of shadow: (N, 4).

    core   (H, W) bool
    strip  (N,) greatest height of that strip, as a share of the box's; what is uncertain higher up may be grey trousers
    """
    raised = boxes.copy()
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        certain = np.flatnonzero(core[y1:y2, x1:x2].any(axis=1))
        if len(certain) and (y2 - y1) - (certain[-1] + 1) <= strip[i] * (y2 - y1):
            raised[i, 3] = y1 + certain[-1] + 1
    return raised
