"""How vehicles move: they follow the one ahead, stop for people at the zebra and give way when turning."""

from __future__ import annotations

import numpy as np

from pipeline.demo import world
from pipeline.demo.agents import Agent

MAX_BRAKING_MPS2 = 3.0
ACCELERATION_MPS2 = 1.8
HEADWAY_S = 1.2
STANDSTILL_GAP_M = 2.0
"""Parameters of the intelligent driver model for town traffic (Treiber, Hennecke and Helbing 2000)."""

SIDEWAYS_MPS2 = 2.0
"""Comfortable in a bend."""


def step_vehicles(vehicles: list[Agent], people: list[Agent], dt_s: float) -> None:
    """Move every vehicle by one frame."""
    zebra_used = any(
        p.waiting_at_kerb or (p.route.zebra_at and p.route.zebra_at[0] <= p.s_m <= p.route.zebra_at[1]) for p in people
    )
    for vehicle in vehicles:
        gap_m, approach_mps = _leader(vehicle, vehicles)
        stops_m = [vehicle.route.nearest(_stop_line_x(vehicle), vehicle.xy[1])] if zebra_used else []
        if vehicle.route.yield_at is not None and not _main_road_is_clear(vehicle, vehicles):
            stops_m.append(vehicle.route.yield_at)
        for stop_m in stops_m:
            to_stop_m = stop_m - vehicle.s_m - vehicle.look.length_m / 2
            can_stop = to_stop_m > vehicle.speed_mps**2 / (2 * MAX_BRAKING_MPS2 * 1.3)
            if can_stop and to_stop_m < gap_m and _is_on_road(vehicle, stop_m):
                gap_m, approach_mps = max(to_stop_m + STANDSTILL_GAP_M - 0.3, 0.05), vehicle.speed_mps
        wanted = _curve_speed(vehicle)
        desired_gap = STANDSTILL_GAP_M + max(
            0.0,
            vehicle.speed_mps * HEADWAY_S
            + vehicle.speed_mps * approach_mps / (2 * np.sqrt(ACCELERATION_MPS2 * MAX_BRAKING_MPS2)),
        )
        acceleration = ACCELERATION_MPS2 * (1 - (vehicle.speed_mps / wanted) ** 4 - (desired_gap / gap_m) ** 2)
        acceleration = float(np.clip(acceleration, -2 * MAX_BRAKING_MPS2, ACCELERATION_MPS2))
        vehicle.braking = acceleration < -0.6 or (vehicle.speed_mps < 0.2 and acceleration <= 0.05)
        new_mps = max(0.0, vehicle.speed_mps + acceleration * dt_s)
        vehicle.s_m += (vehicle.speed_mps + new_mps) / 2 * dt_s
        vehicle.speed_mps = new_mps
        vehicle.place()


def _leader(vehicle: Agent, vehicles: list[Agent]) -> tuple[float, float]:
    """Return the free gap to the vehicle ahead on the same way (metres) and the closing speed."""
    gap_m, approach_mps = 1e3, 0.0
    start = int(vehicle.s_m / vehicle.route.STEP_M)
    ahead = vehicle.route.xy[start : start + round(45 / vehicle.route.STEP_M)]
    if not len(ahead):
        return gap_m, approach_mps
    for other in vehicles:
        if other is vehicle or other.direction @ vehicle.direction < 0.2:
            continue
        distance_sq = ((ahead - other.xy) ** 2).sum(1)
        index = int(distance_sq.argmin())
        if index == 0 or distance_sq[index] > 1.3**2:
            continue
        gap = index * vehicle.route.STEP_M - (vehicle.look.length_m + other.look.length_m) / 2
        if gap < gap_m:
            gap_m, approach_mps = max(gap, 0.05), vehicle.speed_mps - other.speed_mps
    return gap_m, approach_mps


def _stop_line_x(vehicle: Agent) -> float:
    """Return the x of the line before the zebra at which this vehicle would stop."""
    if vehicle.direction[0] < -0.5 or vehicle.route.name == "side-out":
        return world.ZEBRA_X_M[1] + 1.0
    return world.ZEBRA_X_M[0] - 1.0


def _is_on_road(vehicle: Agent, stop_m: float) -> bool:
    """Tell whether the stop lies ahead."""
    return stop_m > vehicle.s_m


def _main_road_is_clear(vehicle: Agent, vehicles: list[Agent]) -> bool:
    """Tell whether no westbound vehicle on the main road is near the mouth of the side street."""
    left, right = world.SIDE_STREET_X_M
    for other in vehicles:
        westbound = other.direction[0] < -0.7 and 0 < other.xy[1] < world.ROAD_HALF_WIDTH_M
        if other is not vehicle and westbound and left - 3.0 < other.xy[0] < right + 2.5 * other.speed_mps + 4.0:
            return False
    return True


def _curve_speed(vehicle: Agent) -> float:
    """Return the wanted speed, lower where the next metres bend."""
    _, here = vehicle.route.at(vehicle.s_m + 1.0)
    _, there = vehicle.route.at(vehicle.s_m + 6.0)
    turn = np.arccos(np.clip(here @ there, -1, 1)) / 5.0
    return min(vehicle.preferred_mps, float(np.sqrt(SIDEWAYS_MPS2 / max(turn, 1e-3))))
