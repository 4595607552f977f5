"""Solids of flat faces, shaded by a clouded sky: the stuff vehicles, kiosks and benches are made of."""

from __future__ import annotations

import math

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.looks import Colour

Polygon = tuple[np.ndarray, Colour]
"""Picture points (K, 2) float32 and the colour they are filled with; a shape is a list of them, painted in order."""

LIGHT_FROM = (-0.35, -0.45, 0.82)
"""Where the sky is brightest; unit length."""
AMBIENT = 0.62


class Faces:
    """Flat faces in a solid's own axes (x forward, y left, z up), counter-clockwise seen from outside."""

    def __init__(self) -> None:
        self.points: list[np.ndarray] = []
        self.colours: list[tuple[Colour, bool]] = []

    def add(self, points, colour: Colour, shaded: bool = True) -> None:
        self.points.append(np.asarray(points, float))
        self.colours.append((colour, shaded))

    def solid(self, low: np.ndarray, high: np.ndarray, colour: Colour) -> None:
        """Add walls between two rings of equal length (K, 3) and the lid on the upper."""
        following = np.roll(np.arange(len(low)), -1)
        for i, j in enumerate(following):
            self.add([low[i], low[j], high[j], high[i]], colour)
        self.add(high, colour)

    def polygons(self, camera: Camera, xy: tuple[float, float] | np.ndarray, heading: float) -> list[Polygon]:
        """Return the faces turned towards the camera, in the order added, with the solid standing at `xy` (metres)."""
        cos, sin = np.cos(heading), np.sin(heading)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        ends = np.cumsum([len(face) for face in self.points]).tolist()
        world = np.concatenate(self.points) @ turn + (xy[0], xy[1], 0.0)
        picture, _ = camera.project(world)
        shapes = []
        for start, end, (colour, shaded) in zip([0, *ends], ends, self.colours, strict=False):
            face, flat = world[start:end], picture[start:end]
            if not _faces_camera(flat):
                continue
            shapes.append((flat.astype(np.float32), _lit(face, colour) if shaded else colour))
        return shapes


def _faces_camera(flat: np.ndarray) -> bool:
    """Tell whether a convex face's picture (K, 2) turns counter-clockwise as one sees it (y points down)."""
    (ax, ay), (bx, by), (cx, cy) = flat[0].tolist(), flat[1].tolist(), flat[len(flat) * 2 // 3].tolist()
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0


def _lit(face: np.ndarray, colour: Colour) -> Colour:
    """Shade a convex face by its direction; paint shines a little towards the sky."""
    (ux, uy, uz), (vx, vy, vz) = (face[1] - face[0]).tolist(), (face[len(face) * 2 // 3] - face[0]).tolist()
    normal = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = math.hypot(*normal)
    if length == 0:
        return colour
    share = max(0.0, sum(n * light for n, light in zip(normal, LIGHT_FROM, strict=True)) / length)
    gloss = 14.0 * max(0.0, normal[2] / length) ** 2
    return tuple(min(255, int(c * (AMBIENT + 0.46 * share) + gloss)) for c in colour)
