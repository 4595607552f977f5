"""Places to look at: the demo town, and streets, squares, crossings and car parks made up on the spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pipeline.demo import furniture, world
from pipeline.demo.backdrop import Floor
from pipeline.demo.camera import Camera
from pipeline.demo.paint import Sprite, overlap
from pipeline.demo.scene import town_floor
from pipeline.demo.variety import clutter, shots, surfaces
from pipeline.demo.world import Facade, Route

MOST_THINGS = 14
FACADE_SEEDS = 24
"""So many different house fronts there are: few enough to be kept once painted."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a world plays.

    footpaths, lanes  ways of people and of vehicles
    bays              (B, 3): x, y in metres and heading of places to park
    standing          paints what stands still in a camera's picture
    in_open           tells which points (N, 2) are not inside a house, or None where there are none to be inside of
    """

    floor: Floor
    fronts: tuple[Facade, ...]
    footpaths: list[Route]
    lanes: list[Route]
    bays: np.ndarray
    standing: Callable[[Camera], list[Sprite]]
    in_open: Callable[[np.ndarray], np.ndarray] | None


def town(rng: np.random.Generator) -> Place:
    """Return the demo town, its houses painted anew in half of the worlds."""
    fronts = world.FACADES
    if rng.random() < 0.5:
        fronts = tuple(replace(front, seed=front.seed + 100 * int(rng.integers(1, 4))) for front in fronts)
    kerb = world.ROAD_HALF_WIDTH_M + rng.uniform(-0.8, 1.3)
    bays = [(x, side * kerb, 0.0 if side < 0 else np.pi) for side in (-1, 1) for x in np.arange(-62, 75, 5.6)]
    things = [clutter.draw(rng, xy) for xy in shots.open_spots(rng, int(rng.integers(0, 2 * MOST_THINGS)))]

    def standing(camera: Camera) -> list[Sprite]:
        return furniture.furniture(camera) + _seen(camera, [thing(camera) for thing in things])

    return Place(_town_floor(), fronts, world.footpaths(), world.lanes(), np.array(bays), standing, shots.in_open)


@cache
def _town_floor() -> Floor:
    return town_floor()


def made_up(rng: np.random.Generator) -> Place:
    """Make a place up: zero, one or two straight roads, perhaps a car park, houses here and there."""
    picture = surfaces.bare_ground(rng)
    lanes: list[Route] = []
    footpaths = [_way("across", rng.uniform(-20, 20, 2), rng.uniform(0, 2 * np.pi)) for _ in range(rng.integers(1, 4))]
    bays = np.zeros((0, 3))
    fronts: list[Facade] = []
    n_roads = int(rng.choice((0, 1, 2), p=(0.25, 0.5, 0.25)))
    heading = rng.uniform(0, np.pi)
    for number in range(n_roads):
        road = _Road(rng, heading + number * rng.uniform(0.9, 2.2))
        road.paint(rng, picture)
        lanes += road.lanes()
        footpaths += road.footpaths()
        bays = np.concatenate([bays, road.bays(rng)])
        fronts += road.fronts(rng) if number == 0 else []
    if n_roads == 0:
        fronts += _fronts_around(rng)
    if rng.random() < (0.6 if n_roads == 0 else 0.1):
        bays = np.concatenate([bays, _car_park(rng, picture)])
    trees = rng.uniform(-25, 25, (rng.integers(0, 5), 2))
    lamps = rng.uniform(-20, 20, (rng.integers(0, 5), 2))
    benches = rng.uniform(-18, 18, (rng.integers(0, 4), 2))
    things = [clutter.draw(rng, xy) for xy in rng.uniform(-22, 22, (rng.integers(0, MOST_THINGS), 2))]
    heights = rng.uniform(3.0, 7.0, len(trees))

    def standing(camera: Camera) -> list[Sprite]:
        made = [
            furniture.standing(camera, (x, y), 0.25, lambda x=x, y=y, h=h: furniture.tree(camera, x, y, h), h)
            for (x, y), h in zip(trees.tolist(), heights.tolist(), strict=True)
        ]
        made += [
            furniture.standing(camera, (x, y), 0.12, lambda x=x, y=y: furniture.lamp(camera, x, y), 5.0)
            for x, y in lamps.tolist()
        ]
        made += [
            furniture.standing(camera, (x, y), (0.9, 0.3), lambda x=x, y=y: furniture.bench(camera, x, y), 1.0)
            for x, y in benches.tolist()
        ]
        made += [thing(camera) for thing in things]
        return _seen(camera, made)

    return Place(
        surfaces.floor(surfaces.weathered(rng, picture)), tuple(fronts), footpaths, lanes, bays, standing, None
    )


def _seen(camera: Camera, sprites: list[Sprite | None]) -> list[Sprite]:
    """Return those that reach into a camera's picture."""
    frame = (0, 0, camera.width_px, camera.height_px)
    return [sprite for sprite in sprites if sprite is not None and overlap(sprite.box, frame)]


class _Road:
    """A straight road with lanes to both sides of its middle."""

    def __init__(self, rng: np.random.Generator, heading: float) -> None:
        self.heading = heading
        self.along = np.array([np.cos(heading), np.sin(heading)])
        self.right = np.array([np.sin(heading), -np.cos(heading)])
        self.middle = rng.uniform(-7, 7) * self.right
        self.lanes_a_side = int(rng.choice((1, 1, 2)))
        self.lane_m = rng.uniform(2.8, 3.8)
        self.half_m = self.lanes_a_side * self.lane_m + rng.uniform(0, 2.2)
        self.pavement_m = rng.uniform(1.5, 5.0)
        self.keeps_right = rng.random() < 0.7

    def _line(self, shift_m: float) -> np.ndarray:
        return self.middle + shift_m * self.right + np.linspace(-60, 60, 481)[:, None] * self.along

    def paint(self, rng: np.random.Generator, picture: np.ndarray) -> None:
        whole, marking = self._line(0.0)[::40], (rng.uniform(170, 240) * np.ones(3)).tolist()
        surfaces.stroke(picture, whole, 2 * (self.half_m + self.pavement_m), surfaces.base_colour(rng).tolist())
        surfaces.stroke(picture, whole, 2 * self.half_m + 0.3, surfaces.base_colour(rng).tolist())
        asphalt = surfaces.base_colour(rng) if rng.random() < 0.3 else np.ones(3) * rng.uniform(60, 130)
        surfaces.stroke(picture, whole, 2 * self.half_m, asphalt.tolist())
        if rng.random() < 0.7:
            for start in np.arange(-58, 58, rng.uniform(4, 9)):
                dash = self.middle + np.array([[start], [start + 2.5]]) * self.along
                for lane in range(1 - self.lanes_a_side, self.lanes_a_side):
                    surfaces.stroke(picture, dash + lane * self.lane_m * self.right, 0.14, marking)
        if rng.random() < 0.35:
            for shift in (-self.half_m + 0.2, self.half_m - 0.2):
                surfaces.stroke(picture, whole, 0.14, marking, shift)
        if rng.random() < 0.4:
            at = self.middle + rng.uniform(-12, 12) * self.along
            for shift in np.arange(-self.half_m + 0.3, self.half_m - 0.3, 1.0):
                bar = at + shift * self.right + np.array([[-1.8], [1.8]]) * self.along
                surfaces.stroke(picture, bar, 0.5, marking)

    def lanes(self) -> list[Route]:
        made = []
        for lane in range(self.lanes_a_side):
            for side in (-1, 1):
                line = self._line(side * (lane + 0.5) * self.lane_m)
                made.append(Route("lane", line if (side > 0) == self.keeps_right else line[::-1], 1.0))
        return made

    def footpaths(self) -> list[Route]:
        lines = [self._line(side * (self.half_m + self.pavement_m / 2)) for side in (-1, 1)]
        return [Route("pavement", line[::turn], 1.0) for line in lines for turn in (1, -1)]

    def bays(self, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < 0.35:
            return np.zeros((0, 3))
        shift = self.half_m + rng.uniform(-1.2, 1.2)
        steep = float(rng.choice((0.0, 0.0, 0.6, np.pi / 2)))
        step = 2.9 if steep else 5.4
        made = []
        for side in (-1, 1):
            for s in np.arange(-34, 34, step):
                place = self.middle + side * (shift + (1.2 if steep else 0)) * self.right + s * self.along
                made.append((*place, self.heading + steep + (np.pi if side < 0 else 0)))
        return np.array(made)

    def fronts(self, rng: np.random.Generator) -> list[Facade]:
        made = []
        for side in (-1, 1):
            if rng.random() < 0.3:
                continue
            back = self.half_m + self.pavement_m + rng.uniform(0.5, 8)
            ends = self._line(side * back)[[0, -1]]
            made.append(_front(rng, ends if side < 0 else ends[::-1]))
        return made


def _front(rng: np.random.Generator, ends: np.ndarray) -> Facade:
    seed = int(rng.integers(1, FACADE_SEEDS))
    # Few lengths and heights, so that painted fronts can be kept.
    middle, along = ends.mean(0), (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    left, right = (tuple(np.round(middle + side * 40.0 * along, 6).tolist()) for side in (-1, 1))
    return Facade(left, right, (7.0, 11.0)[seed % 2], seed)


def _fronts_around(rng: np.random.Generator) -> list[Facade]:
    """Put up to three fronts around the middle."""
    made = []
    for _ in range(rng.integers(0, 4)):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(14, 34)
        towards, right = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])
        made.append(_front(rng, away * towards + np.array([[-1.0], [1.0]]) * right))
    return made


def _way(name: str, through: np.ndarray, heading: float) -> Route:
    along = np.array([np.cos(heading), np.sin(heading)])
    return Route(name, through + np.linspace(-30, 30, 241)[:, None] * along, 1.0)


def _car_park(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Mark rows of bays; return them (B, 3)."""
    heading, corner = rng.uniform(0, 2 * np.pi), rng.uniform(-16, 4, 2)
    along = np.array([np.cos(heading), np.sin(heading)])
    right = np.array([along[1], -along[0]])
    colour = (rng.uniform(170, 240) * np.ones(3)).tolist()
    made = []
    for row in range(rng.integers(1, 4)):
        for number in range(rng.integers(4, 10)):
            place = corner + number * 2.6 * right + row * (5.2 + 6.0 * (row // 2)) * along
            edge = place + 1.3 * right + np.array([[-2.5], [2.5]]) * along
            surfaces.stroke(picture, edge, 0.12, colour)
            made.append((*place, heading + (np.pi if rng.random() < 0.4 else 0)))
    return np.array(made)
