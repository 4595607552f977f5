"""People who are one blob: parted at their heads, or stood side by side and behind each other until they fill it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from pipeline.perception import blobs

HEAD_SHARE = 0.1
"""Face (0.18 m) as a share of an adult's height: between two heads the outline sinks at least so far (heads as peaks of
the outline: Zhao and Nevatia 2003, "Bayesian human segmentation in crowded situations")."""

SLIM_SHARE = 0.4
"""Width over height of the box of somebody who walks (0.7 m of 1.7 m)."""

LEAST_NEW = 0.2
"""Share of a person's box that must be foreground no other person explains: a walker fills half of it."""

EXPLAINED = 0.85
"""Share of the blob that the people found must cover; the rest is arms, bags and shadow."""

MOST = 5
"""More people in one blob are a crowd, where boxes mean little."""


def part_at_heads(mask: np.ndarray, box: np.ndarray, adult_px: float, shoulders_px: float) -> np.ndarray:
    """Cut a box (4,) int between the heads in its upper outline: (M, 4) int64, M >= 1, from the left.

    Heads are at least `shoulders_px` apart.
    """
    x1, y1, x2, y2 = box
    inside = mask[y1:y2, x1:x2] > 0
    height = np.where(inside.any(axis=0), (y2 - y1) - inside.argmax(axis=0), 0).astype(float)
    padded = np.concatenate([[0], gaussian_filter1d(height, 1.0, mode="nearest"), [0]])
    peaks, _ = find_peaks(padded, distance=max(1, shoulders_px), prominence=HEAD_SHARE * adult_px)
    peaks = peaks - 1
    cuts = [a + int(np.argmin(height[a : b + 1])) for a, b in pairwise(peaks)]
    edges = [0, *cuts, x2 - x1]
    parts = np.array([[x1 + left, y1, x1 + right, y2] for left, right in pairwise(edges)], np.int64)
    if len(parts) > 1:
        parts[:, [1, 3]] = [blobs.rows(mask, each) for each in parts]
    return parts


def stand(mask: np.ndarray, box: np.ndarray, adult_px: Callable[[float, int], float]) -> np.ndarray:
    """Explain the foreground in a box (4,) int by adults: (M, 4) int64, or (0, 4) where they leave too much over.

    adult_px  x, row of the feet -> height

    Greedy: of the adult who stands on the lowest unexplained row and the one whose head is in the highest, the one who
    explains more of what is left comes first.
    """
    x1, y1, x2, y2 = box
    foreground = mask[y1:y2, x1:x2] > 0
    left, found = foreground.copy(), []
    while len(found) < MOST and left.any():
        rows = np.flatnonzero(left.any(axis=1))
        feet = (int(rows[-1]) + 1, _feet_below(int(rows[0]), box, adult_px))
        people = [_best(left, foot, adult_px((x1 + x2) / 2, y1 + foot)) for foot in feet]
        new = [left[_part(person)].sum() / max(1, np.prod(person[2:] - person[:2])) for person in people]
        person = people[int(np.argmax(new))]
        if max(new) < LEAST_NEW:
            break
        left[_part(person)] = False
        found.append(person)
    if left.sum() > (1 - EXPLAINED) * foreground.sum():
        return np.zeros((0, 4), np.int64)
    corner = np.array([x1, y1, x1, y1], np.int64)
    return np.array(found, np.int64).reshape(-1, 4) + corner


def hull_area(mask: np.ndarray, box: np.ndarray) -> float:
    """Return the area in pixels of the convex hull of the foreground in a box (4,) int."""
    x1, y1, x2, y2 = box
    points = cv2.findNonZero((mask[y1:y2, x1:x2] > 0).astype(np.uint8))
    return 0.0 if points is None else float(cv2.contourArea(cv2.convexHull(points)))


def _feet_below(head: int, box: np.ndarray, adult_px: Callable[[float, int], float]) -> int:
    """Row of the feet, in the box's own rows, of somebody whose head is in row `head`, at most the box's lower edge."""
    middle = (box[0] + box[2]) / 2
    for foot in range(head + 1, box[3] - box[1]):
        if foot - adult_px(middle, box[1] + foot) >= head:
            return foot
    return int(box[3] - box[1])


def _best(left: np.ndarray, foot: int, height_px: float) -> np.ndarray:
    """Box (4,) of an adult with feet in row `foot`, at the columns that explain most."""
    top = max(0, round(foot - height_px))
    width = min(left.shape[1], max(2, round(SLIM_SHARE * height_px)))
    columns = np.convolve(left[top:foot].sum(axis=0), np.ones(width, np.int64), mode="valid")
    # In the middle of a run of equals, so that slim people are in the middle of their box.
    best = np.flatnonzero(columns == columns.max())
    start = int(best[len(best) // 2])
    return np.array([start, top, start + width, foot])


def _part(person: np.ndarray) -> tuple[slice, slice]:
    return np.s_[person[1] : person[3], person[0] : person[2]]
