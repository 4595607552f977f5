"""The ground plan of the town, in metres: x points east, y north, z up; the origin is the middle of the main road.

```
                 alley   north block                side street
   north-west  |  |  :        square       :  north-east  | |   east
   block       |  |  :   kiosk, fountain   :  block       | |   block
   ------------+--+------ north pavement ---------------- + + -------
   ============================ main road ====||zebra||==============
   ---------------------- south pavement ----------------------------
                           south row of houses
```
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROAD_HALF_WIDTH_M = 3.5
LANE_CENTRE_M = 1.75
PAVEMENT_OUTER_M = 6.5
PAVEMENT_CENTRE_M = 5.0

SQUARE_X_M = (-15.0, 17.0)
SQUARE_Y_M = (PAVEMENT_OUTER_M, 31.0)

SIDE_STREET_X_M = (41.0, 47.0)
SIDE_STREET_PAVEMENT_M = 2.5

ZEBRA_X_M = (30.0, 34.0)
ZEBRA_CENTRE_M = 32.0

GROUND_X_M = (-90.0, 90.0)
GROUND_Y_M = (-30.0, 60.0)
"""What is painted; no camera sees further."""


@dataclass(frozen=True)
class Route:
    """A way through the town, as a dense polyline.

    xy          (K, 2) float64, metres, one point every STEP_M
    weight      how often it is chosen, relative to the others of its kind
    pause_at    places (metres along it) where a walker may stop for a while
    zebra_at    (first kerb, far kerb) in metres along it, or None where it does not use the zebra
    yield_at    where a vehicle gives way to the main road (metres along it), or None
    """

    name: str
    xy: np.ndarray
    weight: float
    pause_at: tuple[float, ...] = ()
    zebra_at: tuple[float, float] | None = None
    yield_at: float | None = None

    STEP_M = 0.25

    @property
    def length_m(self) -> float:
        return (len(self.xy) - 1) * self.STEP_M

    def at(self, s_m: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return the points (..., 2) at `s_m` metres along the route and the unit directions (..., 2) there."""
        place = np.clip(np.asarray(s_m, float) / self.STEP_M, 0, len(self.xy) - 1.001)
        index = place.astype(int)
        share = (place - index)[..., None]
        step = self.xy[index + 1] - self.xy[index]
        direction = step / np.linalg.norm(step, axis=-1, keepdims=True)
        return self.xy[index] + share * step, direction

    def nearest(self, x_m: float, y_m: float) -> float:
        """Return how far along the route (metres) its point nearest to a place lies."""
        return float(np.argmin(((self.xy - (x_m, y_m)) ** 2).sum(1)) * self.STEP_M)


def _dense(corners: list[tuple[float, float]], radius_m: float) -> np.ndarray:
    """Turn corner points into a polyline with one point every STEP_M and corners rounded over `radius_m`."""
    points = np.array(corners, float)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    n_points = int(length[-1] / Route.STEP_M) + 1
    place = np.arange(n_points) * Route.STEP_M
    straight = np.stack([np.interp(place, length, points[:, axis]) for axis in (0, 1)], axis=1)
    # Averaging a polyline twice over the radius rounds its corners and leaves the straight parts where they are.
    width = max(1, round(radius_m / Route.STEP_M)) | 1
    kernel = np.ones(width) / width
    for _ in range(2):
        padded = np.concatenate([_ends(straight, width // 2, first=True), straight, _ends(straight, width // 2)])
        straight = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)
    return straight


def _ends(points: np.ndarray, count: int, first: bool = False) -> np.ndarray:
    """Continue a polyline straight on by `count` points before its first or after its last point."""
    if first:
        return points[0] - (points[1] - points[0]) * np.arange(count, 0, -1)[:, None]
    return points[-1] + (points[-1] - points[-2]) * np.arange(1, count + 1)[:, None]


def _walk(name: str, corners: list, weight: float, pauses: tuple = (), zebra: bool = False) -> list[Route]:
    """Make a footpath in both directions; `pauses` are places near it where one may linger."""
    routes = []
    for suffix, points in (("", corners), ("-back", corners[::-1])):
        bare = Route(name + suffix, _dense(points, radius_m=2.0), weight)
        zebra_at = None
        if zebra:
            kerbs = [bare.nearest(ZEBRA_CENTRE_M, side * (ROAD_HALF_WIDTH_M + 0.7)) for side in (-1, 1)]
            zebra_at = (min(kerbs), max(kerbs))
        pause_at = tuple(bare.nearest(*place) for place in pauses)
        routes.append(Route(bare.name, bare.xy, weight, pause_at, zebra_at))
    return routes


def footpaths() -> list[Route]:
    """Return every way people take, each in both directions."""
    north, south = PAVEMENT_CENTRE_M, -PAVEMENT_CENTRE_M
    side = SIDE_STREET_X_M[0] - 1.3
    kiosk, fountain = (6.5, 12.2), (0.5, 13.6)
    zebra = [(ZEBRA_CENTRE_M, south), (ZEBRA_CENTRE_M, north)]
    west, east = (-66, north), (72, south)
    alley, up_side_street = [(-13, 48), (-12.5, 29)], [(side, north), (side, 40)]
    diagonal = [(-10, north), (-3, 10), (14, 26.5), (15, 33), (15, 45)]
    return [
        *_walk("pavement", [west, *up_side_street], 1.6),
        *_walk("square-diagonal", [west, *diagonal], 1.6, (fountain,)),
        *_walk("alley", [*alley, (-5.5, 14.2), (7, 12), (13, north), *up_side_street], 0.8, (kiosk,)),
        *_walk(
            "alley-zebra", [*alley, (-6, 13.4), (8, 10.6), (15, north), *zebra[::-1], east], 0.9, (kiosk,), zebra=True
        ),
        *_walk("long-way", [west, *zebra[::-1], east], 1.5, zebra=True),
        *_walk("south-side", [(-66, south), *zebra, *up_side_street], 0.6, zebra=True),
    ]


def lanes() -> list[Route]:
    """Return every way vehicles take; they keep to the right."""
    west_lane, east_lane = LANE_CENTRE_M, -LANE_CENTRE_M
    middle = sum(SIDE_STREET_X_M) / 2
    down, up = middle - 1.5, middle + 1.5
    out = Route("side-out", _dense([(down, 58), (down, west_lane), (-85, west_lane)], radius_m=4.0), 0.6)
    turn = Route("side-in", _dense([(-85, east_lane), (up, east_lane), (up, 58)], radius_m=4.0), 0.6)
    return [
        Route("eastbound", _dense([(-85, east_lane), (85, east_lane)], 1.0), 1.5),
        Route("westbound", _dense([(85, west_lane), (-85, west_lane)], 1.0), 1.5),
        Route(out.name, out.xy, out.weight, yield_at=out.nearest(down, 8.5)),
        Route(turn.name, turn.xy, turn.weight, yield_at=turn.nearest(up - 5.5, east_lane)),
    ]


@dataclass(frozen=True)
class Facade:
    """A house front from `left` to `right` as one sees it from the street; `seed` chooses its look."""

    left: tuple[float, float]
    right: tuple[float, float]
    height_m: float
    seed: int


FACADES = (
    Facade((-90, 9.0), (-15, 9.0), 11.0, 1),  # north-west block, towards the road
    Facade((-15, 9.0), (-15, 60.0), 11.0, 2),  # its side on the alley and the square
    Facade((-10.5, 31.0), (13.0, 31.0), 13.0, 3),  # north block
    Facade((-10.5, 60.0), (-10.5, 31.0), 13.0, 4),
    Facade((17.0, 60.0), (17.0, 8.0), 10.5, 5),  # north-east block, towards the square
    Facade((17.0, 8.0), (38.5, 8.0), 10.5, 6),
    Facade((38.5, 8.0), (38.5, 60.0), 10.5, 7),
    Facade((49.5, 60.0), (49.5, 8.0), 12.0, 8),  # east block
    Facade((49.5, 8.0), (90.0, 8.0), 12.0, 9),
    Facade((90.0, -10.0), (-90.0, -10.0), 11.5, 10),  # south row
)

TREES = (
    (-34.0, 7.6, 4.6), (-43.0, 7.7, 5.2), (-51.5, 7.6, 4.8), (-26.0, 7.6, 4.6), (-6.0, 25.6, 5.0), (-9.8, 12.6, 4.6),
    (13.2, 20.4, 5.0), (20.5, 7.1, 4.4), (56.5, 7.2, 4.8), (65.0, 7.2, 4.6), (44.0, -7.9, 4.2), (3.0, -7.8, 4.4),
)  # fmt: skip
"""Foot (x, y) and height of each tree, metres."""

LAMPS = ((-38.6, -3.8), (-3.6, 3.8), (27.6, 3.8), (37.0, -3.8), (-22.0, 3.8), (4.5, 23.5))
"""Foot of each lamp post, metres."""

KIOSK = (8.8, 15.6, 3.2, 2.4)
"""Middle x, middle y, width along x and depth along y of the kiosk, metres."""

FOUNTAIN = (-1.6, 17.8, 1.7)
"""Middle x, y and radius of the fountain, metres."""

BENCHES = ((-10.4, 17.6), (2.6, 21.6), (-4.4, 22.6))
