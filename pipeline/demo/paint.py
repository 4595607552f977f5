"""Painting shapes into pictures: anti-aliased sprites, soft shadows, and who stands in front of whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo.solids import Polygon

OVERSAMPLING = 4
"""Sprites are painted this many times larger and averaged down: smooth edges and exact partial coverage."""
_SUBPIXEL_BITS = 4

Finish = Callable[[np.ndarray], None]
"""Changes the colours of a painting (H, W, 4) uint8, RGB and coverage, in place."""


@dataclass(eq=False)
class Sprite:
    """A painted object. `left`, `top` may lie outside the picture.

    rgba       (h, w, 4) float32 in [0, 1]; colours are multiplied by alpha already
    xyxy       (4,) float64: exact bounds of the geometry, unclipped
    footprint  (K, 2) metres on the ground, convex, counter-clockwise
    """

    left: int
    top: int
    rgba: np.ndarray
    xyxy: np.ndarray
    footprint: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Pixel bounds: left, top, right, bottom."""
        height, width = self.rgba.shape[:2]
        return self.left, self.top, self.left + width, self.top + height


def bounds(shape: list[Polygon]) -> np.ndarray:
    """Return the xyxy (4,) of all points of a shape."""
    points = np.concatenate([points for points, _ in shape])
    return np.concatenate([points.min(0), points.max(0)]).astype(np.float64)


def make_sprite(
    shape: list[Polygon], footprint: np.ndarray, oversampling: int = OVERSAMPLING, finish: Finish | None = None
) -> Sprite:
    """Paint a shape, first polygon first; `finish` may then change the colours of the oversampled painting in place."""
    xyxy = bounds(shape)
    left, top = np.floor(xyxy[:2]).astype(int) - 1
    right, bottom = np.ceil(xyxy[2:]).astype(int) + 1
    canvas = np.zeros(((bottom - top) * oversampling, (right - left) * oversampling, 4), np.uint8)
    for points, colour in shape:
        # OpenCV puts pixel centres on whole numbers, the picture's coordinates put them on halves.
        at = ((points - (left, top)) * oversampling - 0.5) * (1 << _SUBPIXEL_BITS)
        cv2.fillConvexPoly(canvas, np.round(at).astype(np.int32), (*colour, 255), cv2.LINE_8, _SUBPIXEL_BITS)
    if finish is not None:
        finish(canvas)
    small = cv2.resize(canvas, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return Sprite(int(left), int(top), small.astype(np.float32) / 255.0, xyxy, footprint)


def overlap(a: tuple, b: tuple) -> tuple[int, int, int, int] | None:
    """Return the common pixels of two boxes (left, top, right, bottom), or None."""
    box = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return box if box[0] < box[2] and box[1] < box[3] else None


def part(array: np.ndarray, box: tuple, at: tuple) -> np.ndarray:
    """View the pixels `box` (picture coordinates) of an array whose top left pixel is at `at` (left, top)."""
    return array[box[1] - at[1] : box[3] - at[1], box[0] - at[0] : box[2] - at[0]]


def stands_before(a: np.ndarray, b: np.ndarray, eye: np.ndarray) -> bool:
    """Tell whether footprint `a` (K, 2) is nearer to the eye than `b`: both convex and counter-clockwise.

    Two convex things apart from each other have a line between them along an edge of one; the one on the eye's side can
    hide the other and is never hidden by it. Where they touch, the nearer middle is in front.
    """
    for polygon, other, outside_is_other in ((b, a, True), (a, b, False)):
        edge = np.roll(polygon, -1, axis=0) - polygon
        normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)  # outwards
        reach = (other[None] * normal[:, None]).sum(-1) - (polygon * normal).sum(-1)[:, None]  # (edges, points)
        separating = (reach >= 0).all(1)
        if separating.any():
            index = int(np.argmax(np.where(separating, reach.min(1) / np.linalg.norm(normal, axis=1), -np.inf)))
            eye_outside = float((eye - polygon[index]) @ normal[index]) > 0
            return eye_outside == outside_is_other
    return bool(np.linalg.norm(a.mean(0) - eye) < np.linalg.norm(b.mean(0) - eye))


def back_to_front(sprites: list[Sprite], eye: np.ndarray) -> list[int]:
    """Return the order in which sprites must be painted; sprites that share no pixel go by distance, far first."""
    far_first = sorted(range(len(sprites)), key=lambda i: -float(np.linalg.norm(sprites[i].footprint.mean(0) - eye)))
    hidden_by: dict[int, set[int]] = {i: set() for i in far_first}
    for place, i in enumerate(far_first):
        for j in far_first[place + 1 :]:
            if overlap(sprites[i].box, sprites[j].box):
                if stands_before(sprites[j].footprint, sprites[i].footprint, eye):
                    hidden_by[j].add(i)
                else:
                    hidden_by[i].add(j)
    order: list[int] = []
    left = list(far_first)
    while left:
        # Next is the furthest behind which nothing is left; in a ring of three, the furthest.
        ready = next((i for i in left if not hidden_by[i] & set(left)), left[0])
        order.append(ready)
        left.remove(ready)
    return order


def lay_shadow(picture: np.ndarray, outline: np.ndarray, strength: float, keep: np.ndarray) -> None:
    """Darken the ground inside an outline (K, 2) of picture points, softly, where `keep` (H, W) is 1."""
    blur = max(1, int(0.12 * np.ptp(outline[:, 0]))) | 1
    height, width = picture.shape[:2]
    low = np.floor(outline.min(0)).astype(int) - blur
    high = np.ceil(outline.max(0)).astype(int) + blur
    box = overlap((low[0], low[1], high[0], high[1]), (0, 0, width, height))
    if box is None:
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    at = (outline - low - 0.5) * (1 << _SUBPIXEL_BITS)
    cv2.fillConvexPoly(mask, np.round(at).astype(np.int32), 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    mask = cv2.blur(mask, (blur, max(1, blur // 2) | 1))
    share = part(mask, box, low).astype(np.float32) * (strength / 255.0) * part(keep, box, (0, 0))
    patch = part(picture, box, (0, 0))
    patch[:] = (patch * (1.0 - share[..., None])).astype(np.uint8)
