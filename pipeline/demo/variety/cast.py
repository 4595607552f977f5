"""Who is in a world: walkers, groups, crowds, queues of vehicles, parked rows. Nobody is inside another.

Nothing is simulated: everybody goes straight on, or along a route, at their own speed, so that a world can be looked at
at any instant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.looks import PersonLook, VehicleLook
from pipeline.demo.simulation import Motion
from pipeline.demo.variety import lorry, two_wheeler, wardrobe
from pipeline.demo.variety.places import Place
from pipeline.demo.variety.posture import Gesture, Rider, draw_gesture
from pipeline.demo.variety.shapes import Look
from pipeline.demo.variety.ways import Ways, ahead, along
from pipeline.demo.world import Route

PEOPLE = ((0, 6), (6, 22), (22, 50), (50, 90))
PEOPLE_WEIGHT = (0.7, 3.0, 3.5, 1.5)
VEHICLES = ((0, 4), (4, 18), (18, 48))
VEHICLES_WEIGHT = (1.0, 3.0, 2.5)
"""How many are tried, and how often it is so; who would stand inside another is left out."""

GESTURE_SHARE = 0.65
"""Share of those who stand that do something, or sit."""

PERSON_DISC_M = 0.24
"""Nobody's middle is nearer than two of these to another's: a dense crowd."""
STEP_M = 0.84
"""Length of a double step as a share of a person's height, as in walking.py."""


@dataclass(frozen=True, eq=False)
class Part:
    """One object and its way: xy (T, 2), heading (T,), speed in metres per second; NaN while it is not there."""

    kind: str
    look: Look
    xy: np.ndarray
    heading: np.ndarray
    speed_mps: float
    braking: bool = False
    phase: float = 0.0


class Casting:
    """Fills a place with people and vehicles for T instants.

    at_s (C, T / C) are the seconds at which each of C cameras takes its pictures, one camera after the other.
    """

    def __init__(self, rng: np.random.Generator, place: Place, cameras: list[Camera], at_s: np.ndarray) -> None:
        self.rng, self.place, self.at_s = rng, place, at_s.ravel()
        self.ways = Ways(rng, place, cameras, at_s)
        self.parts: list[Part] = []
        self._discs = np.zeros((at_s.size, 0, 3))

    def fill(self) -> Motion:
        """Return who is where at each instant."""
        rng = self.rng
        n_vehicles = int(rng.integers(*_weighted(rng, VEHICLES, VEHICLES_WEIGHT)))
        while n_vehicles > 0:
            n_vehicles -= self._vehicles(n_vehicles)
        n_people = int(rng.integers(*_weighted(rng, PEOPLE, PEOPLE_WEIGHT)))
        while n_people > 0:
            n_people -= self._people(n_people)
        return self._motion()

    def _motion(self) -> Motion:
        parts, n_times = self.parts, len(self.at_s)
        order = self.rng.permutation(len(parts))  # ids tell nothing
        chosen = [parts[i] for i in order]

        def table(columns: list[np.ndarray], tail: tuple = ()) -> np.ndarray:
            return np.stack(columns, axis=1) if columns else np.zeros((n_times, 0, *tail))

        ones = np.ones(n_times)
        return Motion(
            kind=[part.kind for part in chosen],
            looks=[part.look for part in chosen],
            xy=table([part.xy for part in chosen], (2,)),
            heading=table([part.heading for part in chosen]),
            speed=table([part.speed_mps * ones for part in chosen]),
            phase=table([_phase(part, self.at_s) for part in chosen]),
            braking=table([np.full(n_times, part.braking) for part in chosen]).astype(bool),
        )

    # People ---------------------------------------------------------------------------------------------------------

    def _people(self, wanted: int) -> int:
        """Add a walker, a pair, or a group; return how many were tried."""
        rng = self.rng
        if rng.random() < 0.35 and self.place.footpaths:
            self._on_route(self.place.footpaths[rng.integers(len(self.place.footpaths))])
            return 1
        spot = self.ways.spot()
        if spot is None:
            return 1
        heading = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.55:
            speed = _walking_speed(rng)
            self._add(_walker(rng, *self.ways.straight(spot, heading, speed), speed), PERSON_DISC_M)
            return 1
        size = min(wanted, int(rng.integers(2, 10)))
        speed = 0.0 if rng.random() < 0.55 else _walking_speed(rng)
        spread = rng.uniform(0.4, 0.9) * np.sqrt(size)
        for _ in range(size):
            place = spot + rng.normal(0, spread, 2)
            towards = np.arctan2(*(spot - place)[::-1]) + rng.normal(0, 0.5)
            turned = towards if speed == 0 else heading + rng.normal(0, 0.08)
            self._add(_walker(rng, *ahead(place, turned, speed, self.at_s), speed), PERSON_DISC_M)
        return size

    def _on_route(self, route: Route) -> None:
        rng = self.rng
        speed = _walking_speed(rng)
        xy, direction, there = along(route, self.ways.on_route(route, speed), rng.normal(0, 0.7))
        xy[~there] = np.nan
        heading = np.arctan2(direction[:, 1], direction[:, 0])
        self._add(_walker(rng, xy, heading, speed), PERSON_DISC_M)

    # Vehicles -------------------------------------------------------------------------------------------------------

    def _vehicles(self, wanted: int) -> int:
        """Add a queue or a flow in a lane, a parked row, a rack, or one anywhere; return how many were tried."""
        rng, place = self.rng, self.place
        way = rng.random()
        if way < 0.5 and place.lanes:
            return self._flow(place.lanes[rng.integers(len(place.lanes))], min(wanted, int(rng.integers(1, 8))))
        if way < 0.8 and len(place.bays):
            first = rng.integers(len(place.bays))
            row = place.bays[first : first + min(wanted, int(rng.integers(1, 7)))]
            for x, y, heading in row:
                if rng.random() < 0.85:
                    turned = heading + rng.normal(0, 0.03) + (np.pi if rng.random() < 0.3 else 0)
                    spot = np.array([x, y]) + rng.normal(0, 0.15, 2)
                    self._machine(self._draw(parked=True), *ahead(spot, turned, 0.0, self.at_s), 0.0)
            return max(1, len(row))
        spot = self.ways.spot()
        if spot is None:
            return 1
        heading = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.3:
            return self._rack(spot, heading, min(wanted, int(rng.integers(1, 7))))
        if rng.random() < 0.4:
            kind = two_wheeler.KINDS[int(rng.choice(3, p=(0.6, 0.2, 0.2)))]
            speed = rng.uniform(0.5, 6)
            self._machine(two_wheeler.draw(rng, kind), *self.ways.straight(spot, heading, speed), speed, ridden=True)
        else:
            speed = 0.0 if rng.random() < 0.5 else rng.uniform(1, 8)
            self._machine(self._draw(), *self.ways.straight(spot, heading, speed), speed)
        return 1

    def _draw(self, parked: bool = False) -> Look:
        """Draw what drives in a lane, or stands in a bay."""
        rng = self.rng
        way = rng.random()
        if way < 0.09:
            return lorry.draw_lorry(rng)
        if way < 0.17 and not parked:
            return lorry.draw_bus(rng)
        if way < 0.34 and not parked:
            return two_wheeler.draw(rng, two_wheeler.KINDS[int(rng.choice(3, p=(0.5, 0.28, 0.22)))])
        return wardrobe.car(rng)

    def _rack(self, spot: np.ndarray, heading: float, count: int) -> int:
        """Put two-wheelers side by side, nobody on them."""
        rng = self.rng
        kind = two_wheeler.KINDS[int(rng.choice(3, p=(0.7, 0.15, 0.15)))]
        aside = rng.uniform(0.6, 1.1) * np.array([np.sin(heading), -np.cos(heading)])
        for number in range(count):
            way = ahead(spot + number * aside, heading + rng.normal(0, 0.1), 0.0, self.at_s)
            self._machine(two_wheeler.draw(rng, kind), *way, 0.0)
        return count

    def _flow(self, lane: Route, count: int) -> int:
        rng = self.rng
        jam = rng.random() < 0.55
        speed = float(rng.uniform(0, 2.5) if jam else rng.uniform(4, 10))
        s_m = self.ways.on_route(lane, speed)
        for _ in range(count):
            look = self._draw()
            narrow = isinstance(look, two_wheeler.TwoWheelerLook)
            s_m = s_m - look.length_m / 2
            xy, direction, there = along(lane, s_m, rng.normal(0, 0.7 if narrow else 0.15))
            xy[~there] = np.nan
            heading = np.arctan2(direction[:, 1], direction[:, 0])
            self._machine(look, xy, heading, speed, jam and rng.random() < 0.7, ridden=True)
            s_m = s_m - look.length_m / 2 - (rng.uniform(0.7, 3.5) if jam else rng.uniform(4, 20))
        return count

    def _machine(
        self, look: Look, xy: np.ndarray, heading: np.ndarray, speed_mps: float, braking: bool = False,
        ridden: bool = False,
    ) -> None:  # fmt: skip
        """Add a vehicle; on two wheels with who rides it, where somebody does."""
        rng = self.rng
        kind = "car" if isinstance(look, VehicleLook) else look.class_name
        added = self._add(Part(kind, look, xy, heading, speed_mps, braking), look.width_m / 2 * 0.95)
        if not (added and ridden and isinstance(look, two_wheeler.TwoWheelerLook)):
            return
        helmeted = rng.random() < (0.4 if look.kind == "bicycle" else 0.85)
        helmet = wardrobe.any_colour(rng) if helmeted else None
        more = {"machine": look, "helmet": helmet, "upright": float(rng.uniform(0.3, 1.0))}
        person = wardrobe.extended(_grown(rng), Rider, more)
        # On the machine's own spot: no disc of its own.
        self.parts.append(Part("person", person, xy, heading, speed_mps, phase=float(rng.uniform(0, 2 * np.pi))))

    # Room -----------------------------------------------------------------------------------------------------------

    def _add(self, part: Part, disc_m: float) -> bool:
        """Take an object into the world unless it would at some instant stand inside another."""
        shifts = np.zeros(1)
        if not isinstance(part.look, PersonLook):
            reach = max(0.0, part.look.length_m / 2 - disc_m)
            shifts = np.linspace(-reach, reach, max(2, int(np.ceil(reach / disc_m)) + 1))
        ahead = np.stack([np.cos(part.heading), np.sin(part.heading)], axis=1)
        centres = part.xy[:, None] + shifts[:, None] * ahead[:, None]  # (T, K, 2)
        apart = np.linalg.norm(centres[:, :, None] - self._discs[:, None, :, :2], axis=-1)
        if (apart < disc_m + self._discs[:, None, :, 2]).any():  # NaN, who is not there, is in nobody's way
            return False
        discs = np.concatenate([centres, np.full((*centres.shape[:2], 1), disc_m)], axis=2)
        self._discs = np.concatenate([self._discs, discs], axis=1)
        self.parts.append(part)
        return True


def _grown(rng: np.random.Generator) -> PersonLook:
    """Draw somebody tall enough for a saddle."""
    look = wardrobe.person(rng)
    return replace(look, height_m=max(look.height_m, 1.45))


def _walker(rng: np.random.Generator, xy: np.ndarray, heading: np.ndarray, speed_mps: float) -> Part:
    look = wardrobe.person(rng)
    if speed_mps == 0 and rng.random() < GESTURE_SHARE:
        look = wardrobe.extended(look, Gesture, draw_gesture(rng))
    return Part("person", look, xy, heading, speed_mps, phase=float(rng.uniform(0, 2 * np.pi)))


def _phase(part: Part, at_s: np.ndarray) -> np.ndarray:
    if part.kind != "person":
        return np.zeros(len(at_s))
    return part.phase + 2 * np.pi * part.speed_mps * at_s / (STEP_M * part.look.height_m)


def _walking_speed(rng: np.random.Generator) -> float:
    if rng.random() < 0.2:
        return 0.0
    return float(rng.uniform(2.2, 3.5) if rng.random() < 0.06 else np.clip(rng.normal(1.3, 0.3), 0.4, 2.2))


def _weighted(rng: np.random.Generator, choices: tuple, weight: tuple):
    return choices[int(rng.choice(len(choices), p=np.array(weight) / sum(weight)))]
