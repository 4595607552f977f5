"""Who sets out in the town, when, by which way and how fast: people on footpaths, vehicles in lanes.

Agents are drawn one after another in order of departure, so a shorter night of the same seed is the beginning of a
longer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipeline.demo import world
from pipeline.demo.looks import PersonLook, VehicleLook, draw_person, draw_vehicle

WARM_UP_S = 100.0
"""Departures begin so long before the footage, so that the town is populated: the longest walk takes about as long."""

PERSON_EVERY_S = 6.5
VEHICLE_EVERY_S = 7.0
"""Mean time between departures: moderate traffic, about 510 vehicles an hour on the main road."""

COMPANION_SHARE = 0.06
"""Share of people who walk side by side with a companion."""

WALKING_MPS = (1.15, 1.7)
DRIVING_MPS = (6.8, 9.2)
"""Preferred speeds; the town is a 30 km/h zone. Walking after Weidmann 1993 (mean 1.34 m/s)."""

PAUSE_S = (3.0, 9.0)
PAUSE_SHARE = 0.45
"""How long, and how likely, somebody lingers at a place that invites to."""


@dataclass
class Agent:
    """One agent of the running simulation."""

    index: int
    look: PersonLook | VehicleLook
    route: world.Route
    preferred_mps: float
    s_m: float = 0.0
    speed_mps: float = 0.0
    side_m: float = 0.0  # to the right of the route
    preferred_side_m: float = 0.0
    phase: float = 0.0
    pauses: list[tuple[float, float]] = field(default_factory=list)  # (where, how long), in order
    wait_s: float = 0.0
    waiting_at_kerb: bool = False
    braking: bool = False
    xy: np.ndarray = field(default_factory=lambda: np.zeros(2))
    direction: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.0]))

    def place(self) -> None:
        """Bring `xy` and `direction` up to date with the way along the route."""
        point, self.direction = self.route.at(self.s_m)
        self.xy = point + self.side_m * np.array([self.direction[1], -self.direction[0]])


def departures(seed: int, kind: str, routes: list[world.Route]) -> Iterator[tuple[float, Agent]]:
    """Yield (departure second, agent) for ever, in order of departure."""
    rng = np.random.default_rng([seed, 1 if kind == "person" else 2])
    every_s = PERSON_EVERY_S if kind == "person" else VEHICLE_EVERY_S
    share = np.cumsum([route.weight for route in routes])
    now_s = -WARM_UP_S
    while True:
        # Half even, half at random: arrivals of a town, without the long droughts of a pure Poisson process.
        now_s += every_s * (0.5 + 0.5 * rng.exponential())
        route = routes[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]
        agent = _person(rng, route) if kind == "person" else _vehicle(rng, route)
        yield now_s, agent
        if kind == "person" and rng.random() < COMPANION_SHARE:
            companion = _person(rng, route)
            companion.preferred_mps, companion.pauses = agent.preferred_mps, list(agent.pauses)
            companion.side_m = companion.preferred_side_m = agent.side_m - 0.75
            yield now_s, companion


def _person(rng: np.random.Generator, route: world.Route) -> Agent:
    look = draw_person(rng)
    side_m = float(rng.uniform(0.25, 0.85))
    pauses = [
        (place + rng.uniform(-1, 1), rng.uniform(*PAUSE_S)) for place in route.pause_at if rng.random() < PAUSE_SHARE
    ]
    speed = float(np.clip(rng.normal(1.4, 0.14), *WALKING_MPS))
    agent = Agent(-1, look, route, speed, side_m=side_m, preferred_side_m=side_m, speed_mps=speed, pauses=pauses)
    agent.phase = float(rng.uniform(0, 2 * np.pi))
    return agent


def _vehicle(rng: np.random.Generator, route: world.Route) -> Agent:
    look = draw_vehicle(rng)
    speed = float(rng.uniform(*DRIVING_MPS))
    side_m = float(rng.normal(0, 0.12))
    return Agent(-1, look, route, speed, speed_mps=speed, side_m=side_m, preferred_side_m=side_m)
