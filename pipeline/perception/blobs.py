"""From a foreground mask to boxes of single objects: clean, join fragments, part what has merged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

CLOSE_WH_PX = (3, 7)
"""Gaps below this width and height inside an object are closed: a belt, a striped shirt. Hardly any gap sideways, where
neighbours begin."""

MIN_NEIGHBOURS = 3
"""A pixel with fewer foreground pixels in its 3x3 neighbourhood, itself counted, is noise; one in a thin line has 3."""

JOIN_OVERLAP = 0.5
"""Fragments above each other are joined where they share this part of the narrower one's width."""

JOIN_GAP = 0.25
"""... and the gap is at most this part of the joined height: a belt, a grey coat before a grey wall."""

JOIN_INSIDE = 0.9
"""... or where this part of the smaller one's box lies in the larger one's: the wheel of a grey van."""

VALLEY_DEPTH = 0.35
"""Neighbours are parted where the outline sinks between them by this part of the lower one's height: it does between
two heads, while a car's roof is one peak."""


@dataclass(frozen=True, eq=False, slots=True)
class Blobs:
    """N connected things in one frame.

    xyxy      (N, 4) float64, pixels
    fill      (N,)   float64, share of the box that is foreground
    contrast  (N,)   float64, mean colour distance of that foreground, in thresholds
    """

    xyxy: np.ndarray
    fill: np.ndarray
    contrast: np.ndarray


def clean(mask: np.ndarray) -> np.ndarray:
    """Remove lone pixels and close small holes: (H, W) bool -> (H, W) uint8, 0 or 1.

    No opening: it would take the legs of people 40 pixels tall.
    """
    mask = mask.astype(np.uint8)
    return cv2.morphologyEx(
        mask & (_neighbours(mask) >= MIN_NEIGHBOURS).astype(np.uint8),
        cv2.MORPH_CLOSE,
        np.ones(CLOSE_WH_PX[::-1], np.uint8),
    )


def solid(mask: np.ndarray) -> np.ndarray:
    """Keep pixels most of whose 3x3 neighbourhood is foreground: (H, W) bool -> (H, W) bool."""
    return mask & (_neighbours(mask.astype(np.uint8)) > 4)


def components(mask: np.ndarray, min_area_px: float) -> np.ndarray:
    """Return boxes (N, 4) int64 of the 8-connected components of at least `min_area_px`, in label order."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    stats = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= min_area_px].astype(np.int64)
    return np.concatenate([stats[:, :2], stats[:, :2] + stats[:, 2:4]], axis=1)


def join_fragments(boxes: np.ndarray, max_height_px: Callable[[np.ndarray], float]) -> np.ndarray:
    """Join boxes (N, 4) that lie above each other with a small gap, until none is left to join.

    max_height_px  box (4,) -> greatest height a joined box may have
    """
    boxes = [box for box in boxes[np.lexsort(boxes.T[::-1])]] if len(boxes) else []
    joined = True
    while joined:
        joined = False
        for i in range(len(boxes)):
            for j in range(i + 1, len(boxes)):
                both = np.concatenate([np.minimum(boxes[i][:2], boxes[j][:2]), np.maximum(boxes[i][2:], boxes[j][2:])])
                above = _above(boxes[i], boxes[j], both) and both[3] - both[1] <= max_height_px(both)
                if above or _within(boxes[i], boxes[j]):
                    boxes[i] = both
                    del boxes[j]
                    joined = True
                    break
            if joined:
                break
    return np.array(boxes, np.int64).reshape(-1, 4)


def part(mask: np.ndarray, box: np.ndarray, min_width_px: float) -> np.ndarray:
    """Cut a box (4,) int at the valleys between things standing side by side: (M, 4) int64, M >= 1, from the left.

    The foreground's height is measured column by column; each thing is a peak of it, at least `min_width_px` from the
    next.
    """
    x1, y1, x2, y2 = box
    inside = mask[y1:y2, x1:x2]
    profile = gaussian_filter1d(inside.sum(axis=0).astype(float), max(1.0, min_width_px / 6), mode="constant")
    padded = np.concatenate([[0], profile, [0]])
    peaks, facts = find_peaks(padded, distance=max(1, min_width_px), prominence=0)
    peaks = peaks[facts["prominences"] >= VALLEY_DEPTH * padded[peaks]] - 1
    if len(peaks) < 2:
        return np.asarray(box, np.int64)[None]
    cuts = [a + int(np.argmin(profile[a : b + 1])) for a, b in pairwise(peaks)]
    edges = [0, *cuts, x2 - x1]
    parts = [_tight(inside[:, left:right], x1 + left, y1) for left, right in pairwise(edges)]
    return np.stack([p for p in parts if p is not None])


def rows(mask: np.ndarray, box: np.ndarray) -> tuple[int, int]:
    """Return the first row with foreground in a box (4,) int and the one after the last; the box's own where empty."""
    x1, y1, x2, y2 = box
    found = np.flatnonzero(mask[y1:y2, x1:x2].any(axis=1))
    return (y1 + found[0], y1 + found[-1] + 1) if len(found) else (y1, y2)


def measure(mask: np.ndarray, distance: np.ndarray, boxes: np.ndarray) -> Blobs:
    """Measure boxes (N, 4) int on the mask and the colour distance."""
    fill, contrast = np.zeros(len(boxes)), np.zeros(len(boxes))
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        inside = mask[y1:y2, x1:x2] > 0
        fill[i] = inside.mean()
        contrast[i] = distance[y1:y2, x1:x2][inside].mean() if inside.any() else 0.0
    return Blobs(boxes.astype(np.float64), fill, contrast)


def _neighbours(mask: np.ndarray) -> np.ndarray:
    """Count the foreground in each pixel's 3x3 neighbourhood, itself included."""
    return cv2.boxFilter(mask, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)


def _above(a: np.ndarray, b: np.ndarray, both: np.ndarray) -> bool:
    """Tell whether two boxes are above each other with a small gap."""
    overlap = min(a[2], b[2]) - max(a[0], b[0])
    gap = max(a[1], b[1]) - min(a[3], b[3])
    return overlap >= JOIN_OVERLAP * min(a[2] - a[0], b[2] - b[0]) and gap <= JOIN_GAP * (both[3] - both[1])


def _within(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether the smaller of two boxes lies in the larger one."""
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return bool((size > 0).all()) and np.prod(size) >= JOIN_INSIDE * smaller


def _tight(inside: np.ndarray, left: int, top: int) -> np.ndarray | None:
    """Box of the foreground in a part of the mask, or None where it is empty."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    return np.array([left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1], np.int64)
