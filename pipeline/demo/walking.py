"""How people move: they keep to the right, step aside for each other, may pause, and wait at the zebra for vehicles."""

from __future__ import annotations

import numpy as np

from pipeline.demo import world
from pipeline.demo.agents import Agent
from pipeline.demo.driving import MAX_BRAKING_MPS2

PERSON_RADIUS_M = 0.25


def step_people(people: list[Agent], vehicles: list[Agent], dt_s: float) -> None:
    """Move everyone on foot by one frame."""
    if not people:
        return
    xy = np.array([p.xy for p in people])
    for i, person in enumerate(people):
        wanted_mps, wanted_side_m = _intention(person, vehicles, dt_s)
        relative = np.delete(xy, i, axis=0) - person.xy
        wanted_mps, wanted_side_m = _make_way(person, relative, wanted_mps, wanted_side_m)
        change = np.clip(wanted_mps - person.speed_mps, -2.5 * dt_s, 1.5 * dt_s)
        person.speed_mps = max(0.0, person.speed_mps + float(change))
        sideways = np.clip(wanted_side_m - person.side_m, -0.55 * dt_s, 0.55 * dt_s)
        person.side_m += float(sideways)
        before, step_m = person.xy, person.speed_mps * dt_s
        person.s_m += step_m
        person.place()
        # On the outside of a corner a metre of route is more than a metre of ground.
        walked_m = float(np.hypot(*(person.xy - before)))
        person.s_m -= step_m * max(0.0, 1 - step_m / max(walked_m, step_m, 1e-9))
        # One cycle is two steps; a step is about 0.42 of the body height at walking speed.
        person.phase += 2 * np.pi * person.speed_mps * dt_s / (0.84 * person.look.height_m)
        person.place()


def _intention(person: Agent, vehicles: list[Agent], dt_s: float) -> tuple[float, float]:
    """Return the speed and the place beside the route this person would like, heeding pauses and the zebra."""
    person.waiting_at_kerb = False
    if person.wait_s > 0:
        person.wait_s -= dt_s
        return 0.0, person.side_m
    if person.pauses and person.s_m >= person.pauses[0][0]:
        person.wait_s = person.pauses.pop(0)[1]
        return 0.0, person.side_m
    if person.route.zebra_at:
        to_kerb_m = person.route.zebra_at[0] - person.s_m
        if 0 <= to_kerb_m < 1.8:
            person.waiting_at_kerb = True
            if to_kerb_m < 0.7 and not _zebra_is_safe(vehicles):
                return 0.0, person.side_m
    return person.preferred_mps, person.preferred_side_m


def _zebra_is_safe(vehicles: list[Agent]) -> bool:
    """Tell whether no moving vehicle is so close to the zebra that it could not stop."""
    for vehicle in vehicles:
        if abs(vehicle.xy[1]) > world.ROAD_HALF_WIDTH_M or abs(vehicle.direction[0]) < 0.5:
            continue
        ahead_m = (world.ZEBRA_CENTRE_M - vehicle.xy[0]) * np.sign(vehicle.direction[0])
        front_m = ahead_m - 2.0 - vehicle.look.length_m / 2
        if -4.0 - vehicle.look.length_m < front_m < 0.3 or (
            vehicle.speed_mps > 0.5 and 0 <= front_m < vehicle.speed_mps**2 / (2 * MAX_BRAKING_MPS2) + 2.5
        ):
            return False
    return True


def _make_way(person: Agent, relative: np.ndarray, mps: float, side_m: float) -> tuple[float, float]:
    """Step aside for others ahead (relative (M, 2), metres), and slow down where that is not enough."""
    if not len(relative):
        return mps, side_m
    ahead = relative @ person.direction
    right = relative @ np.array([person.direction[1], -person.direction[0]])
    near = (ahead > -0.2) & (ahead < 2.6) & (np.abs(right) < 0.75)
    if near.any():
        blocker = int(np.flatnonzero(near)[np.argmin(ahead[near])])
        away = -1.0 if right[blocker] > 0 else 1.0
        side_m = float(np.clip(person.side_m + right[blocker] + away * 0.85, -1.25, 1.25))
        if 0 < ahead[blocker] < 0.95 and abs(right[blocker]) < 2 * PERSON_RADIUS_M:
            mps = min(mps, 0.35)
    return mps, side_m
