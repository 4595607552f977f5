"""What stands still in the town and hides who passes behind: trees, lamp posts, the kiosk, the fountain, benches."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.demo import world
from pipeline.demo.camera import Camera
from pipeline.demo.paint import Sprite, make_sprite, overlap
from pipeline.demo.solids import Faces, Polygon

IRON = (58, 62, 62)
WOOD = (138, 102, 70)
STONE = (176, 170, 160)
WATER = (104, 142, 152)


def furniture(camera: Camera) -> list[Sprite]:
    """Return everything that stands in a camera's picture, in no order."""
    made = []
    for x, y, height_m in world.TREES:
        made.append(standing(camera, (x, y), 0.25, lambda x=x, y=y, h=height_m: tree(camera, x, y, h), height_m))
    for x, y in world.LAMPS:
        made.append(standing(camera, (x, y), 0.12, lambda x=x, y=y: lamp(camera, x, y), 5.0))
    x, y, width_m, depth_m = world.KIOSK
    made.append(standing(camera, (x, y), (width_m / 2, depth_m / 2), lambda: _kiosk(camera), 3.0))
    made.append(standing(camera, world.FOUNTAIN[:2], world.FOUNTAIN[2], lambda: _fountain(camera), 2.5))
    for x, y in world.BENCHES:
        made.append(standing(camera, (x, y), (0.9, 0.3), lambda x=x, y=y: bench(camera, x, y), 1.0))
    picture = (0, 0, camera.width_px, camera.height_px)
    return [sprite for sprite in made if sprite is not None and overlap(sprite.box, picture)]


def standing(camera: Camera, at: tuple, half_m: float | tuple[float, float], shape, height_m: float) -> Sprite | None:
    """Paint a thing where it is well in front of the camera and near its picture."""
    ends, depth = camera.project(np.array([(*at, 0.0), (*at, height_m)]))
    limit = 1.5 * camera.width_px
    if (depth < 3.0).any() or (np.abs(ends - (camera.width_px / 2, camera.height_px / 2)) > limit).any():
        return None
    half = np.array(half_m if isinstance(half_m, tuple) else (half_m, half_m))
    if _beside_the_picture(camera, at, 1.5 * float(half.max()) + 0.3 * height_m + 1.0, height_m):
        return None
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + at
    return make_sprite(shape(), corners)


def _beside_the_picture(camera: Camera, at: tuple, reach_m: float, height_m: float) -> bool:
    """Tell whether a thing with leaves and awnings, `reach_m` around its foot, is surely not in the picture."""
    low, high = np.array([*at, 0.0]) - reach_m, np.array([*at, height_m]) + reach_m
    corners = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    points, depth = camera.project(corners)
    size = camera.width_px, camera.height_px
    return bool((depth > 0.1).all() and ((points.max(0) < 0).any() or (points.min(0) > size).any()))


def ball(camera: Camera, xyz: tuple, radius_m: float, colour: tuple, sides: int = 14) -> Polygon:
    centre, depth = camera.project(np.array(xyz, float))
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius_m * camera.focal_px / depth
    return (centre + circle).astype(np.float32), colour


def pole(camera: Camera, foot: tuple, top: tuple, radius_m: float, colour: tuple) -> Polygon:
    """Return a round pole from foot to top."""
    ends = [ball(camera, foot, radius_m, colour)[0], ball(camera, top, radius_m * 0.8, colour)[0]]
    return cv2.convexHull(np.concatenate(ends)).reshape(-1, 2), colour


def tree(camera: Camera, x: float, y: float, height_m: float) -> list[Polygon]:
    """Return a tree: a trunk and clumps of leaves, dark below and light above."""
    rng = np.random.default_rng(int(1000 * (x + 100) + y))
    shape = [pole(camera, (x, y, 0.1), (x, y, height_m * 0.55), 0.14, (92, 74, 58))]
    clumps = []
    for _ in range(46):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        reach = rng.uniform(0.25, 1.0) * height_m * np.array([0.27, 0.27, 0.24])
        clumps.append((np.array([x, y, height_m * 0.72]) + direction * reach, rng.uniform(0.3, 0.55)))
    eye = np.array(camera.position)
    clumps.sort(key=lambda clump: -float(np.linalg.norm(clump[0] - eye)))
    hue = rng.uniform(-12, 12)
    for centre, radius_m in clumps:
        light = 0.62 + 0.5 * (centre[2] / height_m - 0.48) / 0.5 + rng.uniform(-0.06, 0.06)
        colour = np.clip(np.array((88 + hue, 118, 62 - hue / 2)) * light, 0, 255)
        shape.append(ball(camera, tuple(centre), radius_m, tuple(int(c) for c in colour)))
        lit = np.clip(colour * 1.16 + 6, 0, 255)
        top = centre + np.array([-0.08, 0.0, 0.12])
        shape.append(ball(camera, tuple(top), radius_m * 0.55, tuple(int(c) for c in lit)))
    return shape


def lamp(camera: Camera, x: float, y: float) -> list[Polygon]:
    """Return a lamp post with two globes."""
    shape = [
        pole(camera, (x, y, 0.1), (x, y, 0.9), 0.12, IRON),
        pole(camera, (x, y, 0.8), (x, y, 4.4), 0.065, IRON),
        pole(camera, (x - 0.45, y, 4.3), (x + 0.45, y, 4.3), 0.04, IRON),
    ]
    return shape + [ball(camera, (x + side * 0.45, y, 4.5), 0.2, (232, 228, 210)) for side in (-1, 1)]


def block(faces: Faces, x: tuple, y: tuple, z: tuple, colour: tuple) -> None:
    """Add an upright box to `faces`."""

    def ring(height: float) -> np.ndarray:
        return np.array([(x[0], y[0], height), (x[1], y[0], height), (x[1], y[1], height), (x[0], y[1], height)])

    faces.solid(ring(z[0]), ring(z[1]), colour)


def _kiosk(camera: Camera) -> list[Polygon]:
    """Return the newspaper kiosk: green, with a counter to the south and a flat projecting roof."""
    x, y, width_m, depth_m = world.KIOSK
    w, d = width_m / 2, depth_m / 2
    faces = Faces()
    block(faces, (-w, w), (-d, d), (0, 2.35), (62, 96, 82))
    for side in (-1, 1):
        pane = [
            (side * (w + 0.01), -d * 0.7, 1.0),
            (side * (w + 0.01), d * 0.7, 1.0),
            (side * (w + 0.01), d * 0.7, 2.0),
            (side * (w + 0.01), -d * 0.7, 2.0),
        ]
        faces.add(pane if side > 0 else pane[::-1], (70, 84, 90))
    for i, colour in enumerate(((214, 190, 110), (180, 92, 80), (206, 204, 196), (96, 124, 160))):
        left = -w * 0.85 + i * w * 0.42
        faces.add(
            [
                (left, -d - 0.01, 1.05),
                (left + w * 0.38, -d - 0.01, 1.05),
                (left + w * 0.38, -d - 0.01, 2.0),
                (left, -d - 0.01, 2.0),
            ],
            colour,
        )
        faces.add(
            [
                (left + w * 0.38, d + 0.01, 0.9),
                (left, d + 0.01, 0.9),
                (left, d + 0.01, 1.9),
                (left + w * 0.38, d + 0.01, 1.9),
            ],
            colour,
        )
    block(faces, (-w * 0.95, w * 0.95), (-d - 0.3, -d), (0.92, 1.0), WOOD)
    block(faces, (-w - 0.3, w + 0.3), (-d - 0.45, d + 0.3), (2.35, 2.6), (168, 66, 56))
    return faces.polygons(camera, (x, y), 0.0)


def _fountain(camera: Camera) -> list[Polygon]:
    """Return a round basin with water and a column."""
    x, y, radius_m = world.FOUNTAIN
    angle = np.arange(24) * 2 * np.pi / 24

    def ring(radius: float, z: float) -> np.ndarray:
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(24, z)], axis=1)

    faces = Faces()
    faces.solid(ring(radius_m, 0), ring(radius_m, 0.5), STONE)
    faces.add(ring(radius_m - 0.2, 0.51), WATER)
    faces.solid(ring(0.22, 0.4), ring(0.16, 1.5), STONE)
    faces.solid(ring(0.3, 1.45), ring(0.6, 1.65), STONE)
    faces.add(ring(0.5, 1.66), WATER)
    return faces.polygons(camera, (x, y), 0.0)


def bench(camera: Camera, x: float, y: float) -> list[Polygon]:
    faces = Faces()
    for side in (-0.7, 0.7):
        block(faces, (side - 0.05, side + 0.05), (-0.22, 0.22), (0, 0.42), IRON)
    block(faces, (-0.9, 0.9), (-0.25, 0.25), (0.42, 0.48), WOOD)
    block(faces, (-0.9, 0.9), (0.2, 0.27), (0.48, 0.85), WOOD)
    return faces.polygons(camera, (x, y), 0.0)
