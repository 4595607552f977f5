"""The life of the town, one step per frame: where everybody is at every instant of the footage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo import world
from pipeline.demo.agents import WARM_UP_S, Agent, departures
from pipeline.demo.driving import step_vehicles
from pipeline.demo.looks import PersonLook, VehicleLook
from pipeline.demo.walking import step_people


@dataclass(frozen=True, eq=False)
class Motion:
    """Where everything is in each of T frames; N objects in order of departure. NaN while not in the town.

    kind        (N,) str, "person" or "car"; looks (N,) list of PersonLook or VehicleLook
    xy          (T, N, 2) float64, metres: between the feet, or the middle of the vehicle
    heading     (T, N) float64, radians counter-clockwise from east
    speed       (T, N) float64, metres per second
    phase       (T, N) float64, radians of the walking cycle; 0 for vehicles
    braking     (T, N) bool, brake lights on
    """

    kind: list[str]
    looks: list[PersonLook | VehicleLook]
    xy: np.ndarray
    heading: np.ndarray
    speed: np.ndarray
    phase: np.ndarray
    braking: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.xy)


def simulate(seed: int, duration_s: float, fps: float) -> Motion:
    """Let the town live for `duration_s` seconds of footage; one simulation step per frame."""
    dt_s = 1.0 / fps
    n_warm = round(WARM_UP_S * fps)
    n_frames = round(duration_s * fps)
    walkers = departures(seed, "person", world.footpaths())
    drivers = departures(seed, "car", world.lanes())
    next_walker, next_driver = next(walkers), next(drivers)
    people: list[Agent] = []
    vehicles: list[Agent] = []
    everyone: list[tuple[str, Agent]] = []
    rows = []
    for step in range(n_warm + n_frames):
        now_s = (step - n_warm) * dt_s
        while next_walker[0] <= now_s:
            people.append(_enter(everyone, "person", next_walker[1]))
            next_walker = next(walkers)
        while next_driver[0] <= now_s and _entry_is_clear(next_driver[1], vehicles):
            vehicles.append(_enter(everyone, "car", next_driver[1]))
            next_driver = next(drivers)
        step_people(people, vehicles, dt_s)
        step_vehicles(vehicles, people, dt_s)
        people = [p for p in people if p.s_m < p.route.length_m]
        vehicles = [v for v in vehicles if v.s_m < v.route.length_m]
        if step >= n_warm:
            rows.append([(a.index, *a.xy, *a.direction, a.speed_mps, a.phase, a.braking) for a in people + vehicles])
    return _table(rows, everyone)


def _table(rows: list[list[tuple]], everyone: list[tuple[str, Agent]]) -> Motion:
    """Turn the rows of every frame into the arrays of a Motion, leaving out who was gone before the footage began."""
    seen = sorted({row[0] for frame in rows for row in frame})
    column = {index: position for position, index in enumerate(seen)}
    values = np.full((len(rows), len(seen), 7), np.nan)
    for t, frame in enumerate(rows):
        for index, *rest in frame:
            values[t, column[index]] = rest
    return Motion(
        kind=[everyone[index][0] for index in seen],
        looks=[everyone[index][1].look for index in seen],
        xy=values[..., 0:2],
        heading=np.arctan2(values[..., 3], values[..., 2]),
        speed=values[..., 4],
        phase=values[..., 5],
        braking=values[..., 6] == 1,
    )


def _enter(everyone: list, kind: str, agent: Agent) -> Agent:
    """Number an agent and put it at the start of its route."""
    agent.index = len(everyone)
    everyone.append((kind, agent))
    agent.place()
    return agent


def _entry_is_clear(newcomer: Agent, vehicles: list[Agent]) -> bool:
    start = newcomer.route.xy[0]
    return all(np.hypot(*(vehicle.xy - start)) > 14.0 for vehicle in vehicles)
