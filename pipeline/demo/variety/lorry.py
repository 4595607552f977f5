"""Buses and lorries: long bodies with bands of windows, cabs with boxes, tippers, tanks and flat beds behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.looks import Colour
from pipeline.demo.solids import Faces, Polygon
from pipeline.demo.variety.wardrobe import any_colour
from pipeline.demo.vehicle import GLASS, HUB, TYRE, UNDERBODY, panel, ring

LOADS = ("box", "box", "tipper", "flat", "tank", "curtain")


@dataclass(frozen=True)
class LargeLook:
    """One bus or lorry; lengths in metres.

    class_name  "bus" or "truck"
    cab_m       length of the cab; 0 for a bus
    load        one of LOADS; "none" for a bus
    """

    class_name: str
    length_m: float
    width_m: float
    height_m: float
    paint: Colour
    second: Colour
    cab_m: float
    cab_height_m: float
    load: str
    doors_right: bool


def draw_bus(rng: np.random.Generator) -> LargeLook:
    """Draw a bus: a minibus, a city bus or a coach."""
    length = float(rng.choice((7.0, 10.5, 12.0)) * rng.uniform(0.95, 1.05))
    common = ((226, 190, 60), (196, 44, 40), (230, 230, 226), (40, 84, 140), (70, 130, 80), (236, 140, 50))
    paint = common[rng.integers(len(common))] if rng.random() < 0.6 else any_colour(rng)
    second = any_colour(rng) if rng.random() < 0.6 else paint
    right = bool(rng.random() < 0.7)
    return LargeLook("bus", length, 2.5, float(rng.uniform(2.8, 3.4)), paint, second, 0.0, 0.0, "none", right)


def draw_lorry(rng: np.random.Generator) -> LargeLook:
    """Draw a lorry."""
    length = float(rng.uniform(5.8, 11.0))
    common = ((230, 230, 226), (200, 48, 40), (40, 70, 130), (220, 170, 50), (60, 64, 70))
    paint = common[rng.integers(len(common))] if rng.random() < 0.6 else any_colour(rng)
    load = str(rng.choice(LOADS))
    cab = float(rng.uniform(1.7, 2.3))
    cab_height = float(rng.uniform(2.2, 2.9))
    height = max(cab_height, float(rng.uniform(2.6, 3.8))) if load in ("box", "curtain", "tank") else cab_height
    second = (224, 224, 220) if rng.random() < 0.4 else any_colour(rng)
    return LargeLook("truck", length, float(rng.uniform(2.0, 2.5)), height, paint, second, cab, cab_height, load, True)


def large(look: LargeLook, camera: Camera, xy: np.ndarray, heading: float, braking: bool) -> list[Polygon]:
    """Return the polygons of a bus or lorry whose middle is at `xy` (metres), hidden faces left out."""
    if look.class_name == "bus":
        return _bus(look, braking).polygons(camera, xy, heading)
    behind, cab = _load(look, braking), _cab(look)
    # Two bodies one after the other: what is nearer to the eye is painted last.
    ahead = np.array([np.cos(heading), np.sin(heading)])
    front = (np.array(camera.position[:2]) - xy) @ ahead > look.length_m / 2 - look.cab_m
    order = (behind, cab) if front else (cab, behind)
    return [polygon for body in order for polygon in body.polygons(camera, xy, heading)]


def _bus(look: LargeLook, braking: bool) -> Faces:
    faces = Faces()
    half, wide, top = look.length_m / 2, look.width_m / 2, look.height_m
    _body(faces, -half, half, wide, (0.3, 0.95), look.second)
    _body(faces, -half, half, wide, (0.95, top), look.paint)
    _wheels(faces, look, (-0.28, 0.32), 0.48)
    low, high = 1.15, top - 0.55
    count = int(look.length_m / 1.5)
    for side in (-1, 1):
        y = side * (wide + 0.012)
        for i in range(count):
            rear = -0.47 + i * 0.92 / count
            faces.add(panel(side, y, rear, rear + 0.92 / count - 0.012, low, high, look.length_m), GLASS)
        if (side < 0) == look.doors_right:
            for place in (0.4, -0.02):
                faces.add(panel(side, y * 1.002, place, place + 0.1, 0.4, high, look.length_m), (52, 62, 72))
                faces.add(panel(side, y * 1.004, place + 0.047, place + 0.053, 0.4, high, look.length_m), look.paint)
    _end(faces, half + 0.012, 1, (-0.9 * wide, 0.9 * wide), (1.0, top - 0.6), (58, 70, 82))
    _end(faces, half + 0.014, 1, (-0.7 * wide, 0.7 * wide), (top - 0.5, top - 0.2), (28, 28, 30))
    _end(faces, half + 0.016, 1, (-0.5 * wide, 0.5 * wide), (top - 0.42, top - 0.28), (240, 190, 70))
    _end(faces, -half - 0.012, -1, (-0.8 * wide, 0.8 * wide), (1.6, top - 0.5), GLASS)
    _lights(faces, look, half, 0.55, braking)
    return faces


def _cab(look: LargeLook) -> Faces:
    faces = Faces()
    front, wide, top = look.length_m / 2, look.width_m / 2, look.cab_height_m
    rear = front - look.cab_m
    _body(faces, rear, front, wide * 0.97, (0.45, 1.25), look.paint)
    faces.solid(
        ring(rear, front, wide * 0.97, 0.15, 1.25), ring(rear, front - 0.25, wide * 0.92, 0.15, top), look.paint
    )
    _end(faces, front + 0.01, 1, (-0.8 * wide, 0.8 * wide), (0.55, 0.95), (30, 30, 32))
    pane = [(front - 0.02, -0.85 * wide, 1.35), (front - 0.02, 0.85 * wide, 1.35),
            (front - 0.18, 0.8 * wide, top - 0.3), (front - 0.18, -0.8 * wide, top - 0.3)]  # fmt: skip
    faces.add(np.array(pane) + np.array([0.05, 0, 0]), (58, 70, 82))
    length = look.length_m
    for side in (-1, 1):
        y = side * (wide * 0.97 + 0.012)
        faces.add(panel(side, y, (front - 1.1) / length, (front - 0.3) / length, 1.35, top - 0.4, length), GLASS)
    _wheels(faces, look, ((front - 0.75) / length,), 0.45)
    for side in (-1, 1):
        ends = sorted((side * 0.55 * wide, side * 0.85 * wide))
        _end(faces, front + 0.02, 1, tuple(ends), (0.62, 0.82), (236, 238, 230))
    return faces


def _load(look: LargeLook, braking: bool) -> Faces:
    faces = Faces()
    rear, front, wide = -look.length_m / 2, look.length_m / 2 - look.cab_m - 0.12, look.width_m / 2
    _body(faces, rear, front, wide * 0.8, (0.5, 0.95), UNDERBODY)
    places = (rear + 0.9, rear + 2.1) if look.length_m > 7.5 else (rear + 1.1,)
    _wheels(faces, look, tuple(p / look.length_m for p in places), 0.47)
    if look.load == "tank":
        angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        middle, radius = 0.95 + (look.height_m - 0.95) / 2, (look.height_m - 0.95) / 2
        for a, b in zip(angle, np.roll(angle, -1), strict=True):
            ends = [(x, wide * np.cos(w), middle + radius * np.sin(w)) for x, w in
                    ((rear, a), (front, a), (front, b), (rear, b))]  # fmt: skip
            faces.add(ends[::-1], look.second)
        disc = [(wide * np.cos(a), middle + radius * np.sin(a)) for a in angle]
        faces.add([(front, y, z) for y, z in disc], look.second)
        faces.add([(rear, y, z) for y, z in disc[::-1]], look.second)
    elif look.load == "flat":
        _body(faces, rear, front, wide, (0.95, 1.15), look.second)
        low, high = (rear + 0.4, front - 0.5), (1.15, 1.15 + 0.35 * look.cab_height_m)
        _body(faces, *low, wide * 0.7, high, look.paint)
    else:
        high = 1.75 if look.load == "tipper" else look.height_m
        _body(faces, rear, front, wide, (0.95, high), look.second)
        if look.load == "tipper":
            inside = ring(rear + 0.12, front - 0.12, wide - 0.1, 0.05, high + 0.01)
            faces.add(inside, tuple(int(c * 0.5) for c in look.second))
        if look.load == "curtain":
            for side in (-1, 1):
                y = side * (wide + 0.01)
                for place in np.arange(rear + 0.3, front - 0.2, 0.7):
                    share = place / look.length_m
                    dark = tuple(int(c * 0.75) for c in look.second)
                    faces.add(panel(side, y, share, share + 0.006, 1.0, high - 0.05, look.length_m), dark)
        _end(faces, rear - 0.01, -1, (-0.02, 0.02), (0.98, high - 0.05), tuple(int(c * 0.6) for c in look.second))
    red = (238, 44, 36) if braking else (150, 26, 28)
    for side in (-1, 1):
        ends = sorted((side * 0.6 * wide, side * 0.85 * wide))
        _end(faces, rear - 0.02, -1, tuple(ends), (0.6, 0.8), red)
    return faces


def _body(faces: Faces, rear: float, front: float, half_width: float, z: tuple[float, float], colour: Colour) -> None:
    faces.solid(ring(rear, front, half_width, 0.12, z[0]), ring(rear, front, half_width, 0.12, z[1]), colour)


def _end(faces: Faces, x: float, way: int, y: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
    """Add an upright rectangle that looks forward (way 1) or backward (-1)."""
    corners = [(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])]
    faces.add(corners[::way], colour, False)


def _lights(faces: Faces, look: LargeLook, half: float, z: float, braking: bool) -> None:
    for side in (-1, 1):
        ends = tuple(sorted((side * 0.6 * look.width_m / 2, side * 0.9 * look.width_m / 2)))
        _end(faces, half + 0.014, 1, ends, (z, z + 0.18), (236, 238, 230))
        red = (238, 44, 36) if braking else (150, 26, 28)
        _end(faces, -half - 0.014, -1, ends, (z + 0.2, z + 0.5), red)


def _wheels(faces: Faces, look: LargeLook, axles: tuple[float, ...], radius: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for side in (-1, 1):
        y = side * (look.width_m / 2 + 0.008)
        for place in axles:
            for share, colour in ((1.12, UNDERBODY), (1.0, TYRE), (0.5, HUB)):
                r = radius * share
                x, z = place * look.length_m + r * np.cos(angle), radius + 0.02 + r * np.sin(angle)
                points = np.stack([x, np.full(16, y), np.maximum(z, 0.02)], axis=1)
                faces.add(points if side < 0 else points[::-1], colour, shaded=False)
