"""What stood still for most of a segment is no background: two looks of one place, and which of them is the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LEAST_SEEN = 3
"""Frames in which the rarer look of a place must be seen: fewer may be two passers-by of one colour."""

LEAST_SHARE = 0.5
"""... and its share of the frames that differ from the commoner look: a busy road shows many looks."""

CLEARLY_FEWER_EDGES = 0.8
"""An object has an outline, the ground goes on beyond it (Connell et al. 2004, "Detection and tracking in the IBM
PeopleVision system"). The rarer look is the ground where the outline is so much weaker with it."""

NONE, AROUND, APART = 0, 1, 2
"""How the rarer look lies in time: there is none; before and after the commoner; only before or only after it."""


@dataclass(frozen=True, eq=False, slots=True)
class Looks:
    """The two commonest looks of every pixel over the frames of a segment.

    common  (H, W, 3) uint8, the median
    rare    (H, W, 3) uint8, the median of what differs from it; without meaning where `when` is NONE
    when    (H, W) uint8, NONE, AROUND or APART
    """

    common: np.ndarray
    rare: np.ndarray
    when: np.ndarray


def rare_look(frames: np.ndarray, common: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the second look of pixels (n, ..., 3) uint8 besides the `common` one (..., 3): its colour and `when`.

    Looks that take turns more than twice are leaves or water, and count as none.
    """
    when = np.zeros(common.shape[:-1], np.uint8)
    rare = common.copy()
    far = _distance_sq(frames, common) > threshold**2
    some = far.sum(axis=0) >= LEAST_SEEN
    if some.any():
        rare[some], when[some] = _rare_of(frames[:, some], far[:, some], threshold)
    return rare, when


def ground(looks: Looks, min_area_px: float) -> np.ndarray:
    """Choose the look of the ground for every place: (H, W, 3) uint8.

    What comes back after something stood there is the ground. Where a thing came and stayed, or stood from the start
    and left, the outline decides, for each connected area of at least `min_area_px`; smaller ones keep the common look.
    """
    picture = np.where((looks.when == AROUND)[..., None], looks.rare, looks.common)
    count, label, stats, _ = cv2.connectedComponentsWithStats((looks.when == APART).astype(np.uint8), connectivity=8)
    for number in range(1, count):
        x, y, width, height, area = stats[number]
        if area < min_area_px:
            continue
        part = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
        inside = label[part] == number
        other = np.where(inside[..., None], looks.rare[part], picture[part])
        if outline(other, inside) < CLEARLY_FEWER_EDGES * outline(picture[part], inside):
            picture[part] = other
    return picture


def outline(picture: np.ndarray, inside: np.ndarray) -> float:
    """Return the mean strength of the edges along the border of an area (H, W) bool in a picture (H, W, 3) uint8."""
    area = inside.astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    border = cv2.dilate(area, square) != cv2.erode(area, square)
    levels = picture.astype(np.float32)
    edges_sq = cv2.Sobel(levels, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(levels, cv2.CV_32F, 0, 1) ** 2  # (H, W, 3)
    return float(np.sqrt(edges_sq.max(axis=-1))[border].mean()) if border.any() else 0.0


def _rare_of(frames: np.ndarray, far: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Colour (K, 3) and `when` (K,) of K pixels' rarer look, from frames (n, K, 3) and where they differ (n, K)."""
    seen = far.sum(axis=0)
    ranked = np.sort(np.where(far[..., None], frames, np.int16(256)), axis=0)  # what does not differ comes last
    rare = np.take_along_axis(ranked, ((seen - 1) // 2)[None, :, None], axis=0)[0].astype(np.uint8)
    alike = far & (_distance_sq(frames, rare) <= threshold**2)
    steady = (alike.sum(axis=0) >= LEAST_SEEN) & (alike.sum(axis=0) >= LEAST_SHARE * seen)
    look = np.where(alike, -1, np.where(far, 0, 1)).astype(np.int8)  # rare, neither, common
    look = _filled(look)
    turns = (look[1:] * look[:-1] < 0).sum(axis=0)
    around = (turns == 2) & (look[-1] == -1)
    return rare, np.where(steady & around, AROUND, np.where(steady & (turns == 1), APART, NONE)).astype(np.uint8)


def _filled(look: np.ndarray) -> np.ndarray:
    """Replace zeros (n, K) by the last look before them; those at the beginning stay."""
    row = np.where(look != 0, np.arange(len(look))[:, None], 0)
    return np.take_along_axis(look, np.maximum.accumulate(row, axis=0), axis=0)


def _distance_sq(frames: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Squared colour distance of frames (n, ..., 3) from one picture (..., 3): (n, ...) int32."""
    difference = frames.astype(np.int16) - colour
    return np.einsum("...c,...c->...", difference, difference, dtype=np.int32)
