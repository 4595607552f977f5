"""What a camera sees of a place without its traffic: the ground, the house fronts, and what stands about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo import facades, world
from pipeline.demo.camera import Camera
from pipeline.demo.paint import Sprite, back_to_front, overlap, part

SCALE = 2
"""Backdrops are painted this many times larger and averaged down."""


@dataclass(frozen=True, eq=False)
class Floor:
    """A ground seen from above.

    picture      (H, W, 3) uint8 RGB, north up
    px_per_m     its pixels a metre
    west_m       x of its left edge; north_m, y of its upper edge
    beyond       colour of what lies outside, or None: the picture is mirrored there
    """

    picture: np.ndarray
    px_per_m: float
    west_m: float
    north_m: float
    beyond: tuple[int, int, int] | None


def paint_backdrop(
    camera: Camera, floor: Floor, fronts: Iterable[world.Facade], scale: int = SCALE
) -> tuple[np.ndarray, list[Sprite]]:
    """Paint ground and house fronts (H, W, 3) uint8; return the fronts, too, as what hides things behind them."""
    size = camera.width_px * scale, camera.height_px * scale
    metres = np.array([[1 / floor.px_per_m, 0, floor.west_m], [0, -1 / floor.px_per_m, floor.north_m], [0, 0, 1]])
    zoom = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
    flat = zoom @ camera.matrix[:, [0, 1, 3]] @ metres
    edge = (
        {"borderMode": cv2.BORDER_REFLECT_101}
        if floor.beyond is None
        else {"borderMode": cv2.BORDER_CONSTANT, "borderValue": floor.beyond}
    )
    picture = cv2.warpPerspective(floor.picture, flat, size, flags=cv2.INTER_AREA, **edge)
    eye = np.array(camera.position[:2])
    walls: list[Sprite] = []
    for front in sorted(fronts, key=lambda f: -_distance(np.array(f.left), np.array(f.right), eye)):
        walls += _wall(facades.hang(picture, camera, front, scale), front, scale)
    return cv2.resize(picture, (camera.width_px, camera.height_px), interpolation=cv2.INTER_AREA), walls


def furnish(picture: np.ndarray, standing: list[Sprite], camera: Camera) -> np.ndarray:
    """Return the picture with everything that stands in it."""
    frame = 0, 0, camera.width_px, camera.height_px
    canvas = picture.astype(np.float32)
    for i in back_to_front(standing, np.array(camera.position[:2])):
        _blend(canvas, standing[i], overlap(standing[i].box, frame))
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _blend(canvas: np.ndarray, sprite: Sprite, box: tuple) -> None:
    """Lay a sprite over a float picture."""
    rgba = part(sprite.rgba, box, (sprite.left, sprite.top))
    patch = part(canvas, box, (0, 0))
    patch[:] = patch * (1 - rgba[..., 3:]) + 255 * rgba[..., :3]


def _wall(mask: np.ndarray, front: world.Facade, scale: int) -> list[Sprite]:
    """Return a house front as something that hides what is behind it (no colour needed), or nothing where unseen."""
    size = mask.shape[1] // scale, mask.shape[0] // scale
    alpha = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return []
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    rgba = np.zeros((bottom - top, right - left, 4), np.float32)
    rgba[..., 3] = alpha[top:bottom, left:right]
    a, b = np.array(front.left, float), np.array(front.right, float)
    inwards = np.array([-(b - a)[1], (b - a)[0]]) * 0.05 / np.linalg.norm(b - a)
    footprint_m = np.array([a, b, b + inwards, a + inwards])
    return [Sprite(int(left), int(top), rgba, np.array([left, top, right, bottom], float), footprint_m)]


def _distance(left: np.ndarray, right: np.ndarray, eye: np.ndarray) -> float:
    """Return the distance from a point to a wall on the ground plan."""
    along = right - left
    share = np.clip((eye - left) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(left + share * along - eye))
