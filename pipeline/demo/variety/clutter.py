"""Things that are nobody: bins, cones, bollards, signs, posters of people, crates, fences, hedges, parasols.

They stand about, hide what is behind them, and are listed nowhere: a detector must leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.demo import furniture
from pipeline.demo.camera import Camera
from pipeline.demo.looks import SKIN
from pipeline.demo.paint import Sprite
from pipeline.demo.solids import Faces, Polygon
from pipeline.demo.variety.wardrobe import any_colour

Thing = Callable[[Camera], Sprite | None]
"""Paints one thing for a camera, or returns None where it is not to be seen."""

IRON = furniture.IRON


def draw(rng: np.random.Generator, xy: np.ndarray) -> Thing:
    """Draw a thing that stands at `xy` (metres)."""
    kinds = (_bin, _cone, _bollard, _sign, _poster, _crate, _fence, _hedge, _parasol, _pillar)
    weight = np.array((2, 2, 2, 2, 2, 2, 1, 1, 0.7, 0.6))
    kind = kinds[int(rng.choice(len(kinds), p=weight / weight.sum()))]
    return kind(rng, float(xy[0]), float(xy[1]))


def _thing(x: float, y: float, half_m, height_m: float, shape: Callable[[Camera], list[Polygon]]) -> Thing:
    return lambda camera: furniture.standing(camera, (x, y), half_m, lambda: shape(camera), height_m)


def _round(radius_low: float, radius_high: float, z0: float, z1: float, faces: Faces, colour) -> None:
    angle = np.arange(12) * np.pi / 6

    def ring(radius: float, z: float) -> np.ndarray:
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(12, z)], axis=1)

    faces.solid(ring(radius_low, z0), ring(radius_high, z1), colour)


def _bin(rng: np.random.Generator, x: float, y: float) -> Thing:
    radius, height = rng.uniform(0.18, 0.5), rng.uniform(0.6, 1.4)
    colour, lid = any_colour(rng), any_colour(rng)

    def shape(camera: Camera) -> list[Polygon]:
        faces = Faces()
        _round(radius * 0.85, radius, 0.0, height, faces, colour)
        _round(radius * 1.05, radius * 0.8, height, height + 0.12, faces, lid)
        return faces.polygons(camera, (x, y), 0.0)

    return _thing(x, y, radius, height, shape)


def _cone(rng: np.random.Generator, x: float, y: float) -> Thing:
    size = rng.uniform(0.45, 0.95)

    def shape(camera: Camera) -> list[Polygon]:
        faces = Faces()
        furniture.block(faces, (-0.2, 0.2), (-0.2, 0.2), (0, 0.04), (40, 40, 42))
        for low, high, colour in ((0.04, 0.4, (226, 96, 40)), (0.4, 0.62, (236, 236, 230)), (0.62, 1, (226, 96, 40))):
            _round(0.17 * (1.1 - low), 0.17 * (1.1 - high), low * size, high * size, faces, colour)
        return faces.polygons(camera, (x, y), 0.0)

    return _thing(x, y, 0.2, size, shape)


def _bollard(rng: np.random.Generator, x: float, y: float) -> Thing:
    height, radius = rng.uniform(0.5, 1.7), rng.uniform(0.05, 0.16)
    colour = any_colour(rng) if rng.random() < 0.5 else IRON
    knob = any_colour(rng) if rng.random() < 0.4 else colour

    def shape(camera: Camera) -> list[Polygon]:
        top = furniture.ball(camera, (x, y, height), radius * 1.3, knob)
        return [furniture.pole(camera, (x, y, 0.05), (x, y, height), radius, colour), top]

    return _thing(x, y, radius, height, shape)


def _sign(rng: np.random.Generator, x: float, y: float) -> Thing:
    height, size, heading = rng.uniform(1.8, 3.2), rng.uniform(0.25, 0.5), rng.uniform(0, 2 * np.pi)
    rim, face = any_colour(rng), (236, 236, 232) if rng.random() < 0.6 else any_colour(rng)
    corners = int(rng.choice((3, 4, 16)))
    turn = np.pi / 2 if corners == 3 else np.pi / 4
    angle = turn + np.arange(corners) * 2 * np.pi / corners

    def plate(radius: float, out: float) -> np.ndarray:
        return np.stack([np.full(corners, out), radius * np.cos(angle), height + radius * np.sin(angle)], axis=1)

    def shape(camera: Camera) -> list[Polygon]:
        faces = Faces()
        faces.add(plate(size, 0.05), rim, False)
        faces.add(plate(size * 0.8, 0.06), face, False)
        faces.add(plate(size, 0.04)[::-1], (140, 142, 144))
        post = furniture.pole(camera, (x, y, 0.05), (x, y, height + 0.2), 0.04, (130, 132, 134))
        return [post, *faces.polygons(camera, (x, y), heading)]

    return _thing(x, y, 0.1, height, shape)


def _poster(rng: np.random.Generator, x: float, y: float) -> Thing:
    """Make an advertising board with the flat picture of somebody."""
    wide, high, foot = rng.uniform(0.6, 1.3), rng.uniform(1.3, 2.0), rng.uniform(0.05, 0.7)
    heading, ground = rng.uniform(0, 2 * np.pi), any_colour(rng)
    skin, upper, lower = SKIN[rng.integers(len(SKIN))], any_colour(rng), any_colour(rng)
    body = rng.uniform(0.2, 0.34) * wide
    angle = np.arange(12) * np.pi / 6

    def shape(camera: Camera) -> list[Polygon]:
        faces = Faces()
        furniture.block(faces, (-0.05, 0.05), (-wide / 2, wide / 2), (foot, foot + high), ground)
        for low, up, half, colour in ((0.05, 0.45, 0.7 * body, lower), (0.42, 0.8, body, upper)):
            z0, z1 = foot + low * high, foot + up * high
            faces.add([(0.06, -half, z0), (0.06, half, z0), (0.06, half, z1), (0.06, -half, z1)], colour, False)
        z, radius = foot + 0.88 * high, 0.075 * high
        disc = np.stack([np.full(12, 0.062), radius * 0.8 * np.cos(angle), z + radius * np.sin(angle)], axis=1)
        faces.add(disc, skin, False)
        legs = [furniture.pole(camera, (x, y, 0.0), (x, y, foot), 0.05, IRON)]
        return [*legs, *faces.polygons(camera, (x, y), heading)]

    return _thing(x, y, 0.25, foot + high, shape)


def _crate(rng: np.random.Generator, x: float, y: float) -> Thing:
    """Make a crate, a skip or a container: what is as large as a car and is none."""
    size = rng.uniform(0.3, 1.2, 3) if rng.random() < 0.7 else rng.uniform((1.5, 1.2, 0.8), (5.0, 2.4, 2.5))
    long, wide, high = (float(v) for v in size)
    heading, colour, second = rng.uniform(0, 2 * np.pi), any_colour(rng), any_colour(rng)
    banded = rng.random() < 0.4

    def shape(camera: Camera) -> list[Polygon]:
        faces = Faces()
        furniture.block(faces, (-long / 2, long / 2), (-wide / 2, wide / 2), (0, high), colour)
        if banded:
            faces2 = Faces()
            grown = long / 2 + 0.005, wide / 2 + 0.005
            span = (0.4 * high, 0.6 * high)
            furniture.block(faces2, (-grown[0], grown[0]), (-grown[1], grown[1]), span, second)
            faces.points += faces2.points[:-1]
            faces.colours += faces2.colours[:-1]
        return faces.polygons(camera, (x, y), heading)

    reach = abs(np.array([[np.cos(heading), np.sin(heading)], [np.sin(heading), np.cos(heading)]])) @ (long, wide) / 2
    return _thing(x, y, (float(reach[0]), float(reach[1])), high, shape)


def _fence(rng: np.random.Generator, x: float, y: float) -> Thing:
    count, step, height = int(rng.integers(2, 6)), rng.uniform(0.6, 1.6), rng.uniform(0.7, 1.3)
    colour = any_colour(rng) if rng.random() < 0.5 else (150, 152, 154)
    half = count * step / 2

    def shape(camera: Camera) -> list[Polygon]:
        rails = [furniture.pole(camera, (x - half, y, z), (x + half, y, z), 0.025, colour) for z in (0.3, height)]
        places = np.linspace(x - half, x + half, count + 1)
        return rails + [furniture.pole(camera, (p, y, 0.02), (p, y, height), 0.03, colour) for p in places]

    return _thing(x, y, (half, 0.05), height, shape)


def _hedge(rng: np.random.Generator, x: float, y: float) -> Thing:
    reach, high = rng.uniform(0.3, 1.5), rng.uniform(0.5, 1.6)
    balls = rng.uniform((-reach, -0.3, 0.15), (reach, 0.3, high), (int(30 * reach) + 10, 3))
    shade = rng.uniform(0.5, 1.15, len(balls))
    green = np.array((88, 118, 62)) + rng.normal(0, 14, 3)
    flower = any_colour(rng) if rng.random() < 0.3 else None

    def shape(camera: Camera) -> list[Polygon]:
        eye = np.array(camera.position) - (x, y, 0)
        order = np.argsort(-np.linalg.norm(balls - eye, axis=1))
        made = []
        for i in order:
            colour = flower if flower and i % 5 == 0 else tuple(int(c) for c in np.clip(green * shade[i], 0, 250))
            at = (x + balls[i, 0], y + balls[i, 1], balls[i, 2])
            made.append(furniture.ball(camera, at, 0.1 if colour == flower else 0.25, colour))
        return made

    return _thing(x, y, (float(reach), 0.3), high, shape)


def _parasol(rng: np.random.Generator, x: float, y: float) -> Thing:
    reach, height = rng.uniform(0.9, 1.8), rng.uniform(2.0, 2.6)
    colours = any_colour(rng), any_colour(rng)
    angle = np.arange(9) * np.pi / 4

    def shape(camera: Camera) -> list[Polygon]:
        rim = np.stack([reach * np.cos(angle), reach * np.sin(angle), np.full(9, height)], axis=1)
        faces = Faces()
        for i in range(8):
            faces.add([rim[i], rim[i + 1], (0, 0, height + 0.5)], colours[i % 2])
        post = furniture.pole(camera, (x, y, 0.05), (x, y, height + 0.4), 0.03, (200, 198, 190))
        return [post, *faces.polygons(camera, (x, y), 0.0)]

    return _thing(x, y, 0.3, height, shape)


def _pillar(rng: np.random.Generator, x: float, y: float) -> Thing:
    half, height = rng.uniform(0.15, 0.4), rng.uniform(2.5, 5)
    colour = any_colour(rng) if rng.random() < 0.5 else (172, 168, 160)

    def shape(camera: Camera) -> list[Polygon]:
        faces = Faces()
        furniture.block(faces, (-half, half), (-half, half), (0, height), colour)
        return faces.polygons(camera, (x, y), 0.0)

    return _thing(x, y, half, height, shape)
