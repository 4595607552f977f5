"""People who do other than stand and walk: they ride, sit, point, carry, bend down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.figure import (
    FOOT,
    FOREARM,
    HIP,
    SHANK,
    SHOULDER,
    THIGH,
    UPPER_ARM,
    Parts,
    bag,
    dim,
    head,
    torso,
)
from pipeline.demo.looks import Colour, PersonLook
from pipeline.demo.solids import Polygon
from pipeline.demo.variety.two_wheeler import TwoWheelerLook


@dataclass(frozen=True)
class Rider(PersonLook):
    """Somebody on a machine. helmet is None where they wear none."""

    machine: TwoWheelerLook
    helmet: Colour | None
    upright: float


@dataclass(frozen=True)
class Gesture(PersonLook):
    """Somebody on foot in a posture of their own.

    seat_m       height of what they sit on, or None where they stand
    lean         radians forward
    arms         left, right: (radians the upper arm is raised forward, sideways, radians the elbow is bent)
    stride       radians between the thighs of who stands
    """

    seat_m: float | None
    lean: float
    arms: tuple[tuple[float, float, float], tuple[float, float, float]]
    stride: float


def draw_gesture(rng: np.random.Generator) -> dict:
    """Draw the fields of a Gesture beyond a person's look."""
    seated = rng.random() < 0.25

    def arm() -> tuple[float, float, float]:
        way = rng.random()
        if way < 0.35:  # hanging
            return float(rng.normal(0, 0.15)), float(abs(rng.normal(0.05, 0.08))), float(rng.uniform(0, 0.5))
        if way < 0.75:  # a telephone, a cup, crossed arms
            return float(rng.uniform(0.1, 0.7)), float(rng.uniform(-0.1, 0.3)), float(rng.uniform(1.2, 2.4))
        return float(rng.uniform(0.6, 2.8)), float(rng.uniform(0, 1.2)), float(rng.uniform(0, 1.0))

    return {
        "seat_m": float(rng.uniform(0.35, 0.55)) if seated else None,
        "lean": float(rng.uniform(0.0, 0.4) if seated or rng.random() < 0.85 else rng.uniform(0.5, 1.5)),
        "arms": (arm(), arm()),
        "stride": float(abs(rng.normal(0, 0.15))),
    }


def rider(look: Rider, camera: Camera, xy: np.ndarray, heading: float, phase: float) -> list[Polygon]:
    """Return the polygons of a rider whose machine's middle is at `xy` (metres)."""
    forward, right, up = axes(heading)
    machine, height = look.machine, look.height_m

    def at(place: np.ndarray, side: int = 1) -> np.ndarray:
        return place[0] * forward + side * place[1] * right + place[2] * up

    parts = Parts()
    hips = at(machine.saddle) + 0.05 * up
    lean = 0.12 + 0.5 * (1 - look.upright)
    shoulders = hips + (SHOULDER - HIP) * height * (np.cos(lean) * up + np.sin(lean) * forward)
    for side in (-1, 1):
        hip = hips + side * 0.06 * height * right
        foot = at(machine.pedal, side)
        if machine.kind == "bicycle":
            turn = phase + (np.pi if side > 0 else 0)
            foot = foot + 0.16 * (np.cos(turn) * forward + np.sin(turn) * up)
        outwards = forward + 0.15 * side * right
        _leg(parts, look, hip, foot + 0.08 * up, outwards, forward, 0.9 if side < 0 else 1.0)
        hand = at(machine.grip, side)
        shoulder = shoulders + side * 0.115 * height * look.build * right
        _arm_to(parts, look, shoulder, hand, side * right - 0.6 * up, 0.78 if side < 0 else 0.92)
    torso(parts, look, hips, shoulders, forward, right)
    head(parts, look, shoulders, forward)
    if look.helmet:
        skull = shoulders + 0.12 * height * up + 0.01 * forward
        parts.add(look.helmet, (skull, 0.125), (skull + 0.04 * up - 0.03 * forward, 0.12), nearer_m=0.05)
        if machine.kind != "bicycle":
            parts.add((30, 32, 36), (skull + 0.09 * forward, 0.06), nearer_m=0.1)
    bag(parts, look, shoulders, forward, right)
    return parts.polygons(camera, np.array([xy[0], xy[1], 0.0]))


def gesture(look: Gesture, camera: Camera, xy: np.ndarray, heading: float) -> list[Polygon]:
    """Return the polygons of somebody standing or sitting at `xy` (metres)."""
    forward, right, up = axes(heading)
    height = look.height_m
    parts = Parts()
    if look.seat_m is None:
        hips = HIP * height * (1 - 0.1 * look.stride) * up - 0.12 * np.sin(look.lean) * height * forward
    else:
        hips = (look.seat_m + 0.08) * up - 0.1 * forward
        corners = [(hips + x * right - y * forward, 0.03) for x in (-0.13, 0.13) for y in (-0.12, 0.05)]
        parts.add(dim(look.bag, 0.7), *((c - (0.13 + z) * up, r) for c, r in corners for z in (0, look.seat_m - 0.1)),
                  nearer_m=-0.1)  # fmt: skip
    shoulders = hips + (SHOULDER - HIP) * height * (np.cos(look.lean) * up + np.sin(look.lean) * forward)
    for side in (-1, 1):
        hip = hips + side * 0.052 * height * right
        step = 0.0 if look.seat_m is None else THIGH * height * 0.95
        foot = hip + (step + side * np.sin(look.stride) * 0.3 * height) * forward - 0.1 * (step > 0) * forward
        foot = foot * (1, 1, 0) + 0.07 * up
        _leg(parts, look, hip, foot, forward + 0.1 * up, forward, 0.9 if side < 0 else 1.0)
        raised, aside, bent = look.arms[0 if side < 0 else 1]
        shoulder = shoulders + side * 0.115 * height * look.build * right
        _arm(parts, look, shoulder, (raised, aside, bent), forward, side * right)
    torso(parts, look, hips, shoulders, forward, right)
    head(parts, look, shoulders, forward)
    if look.seat_m is None:
        bag(parts, look, shoulders, forward, right)
        parts.stand()
    return parts.polygons(camera, np.array([xy[0], xy[1], 0.0]))


def axes(heading: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return forward, right and up."""
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([cos, sin, 0.0]), np.array([sin, -cos, 0.0]), np.array([0.0, 0.0, 1.0])


def _leg(parts: Parts, look: PersonLook, hip, ankle, towards, forward, shade: float) -> None:
    """Add a leg from hip to ankle, the knee bent `towards`."""
    height, build = look.height_m, look.build
    knee, ankle = _joint(hip, ankle, THIGH * height, SHANK * height, towards)
    bare = look.skin if look.lower_kind in ("shorts", "skirt") else look.lower
    parts.add(look.shoes, (ankle, 0.036), (ankle + 0.8 * FOOT * height * forward - 0.04 * _UP, 0.034))
    parts.add(dim(bare, shade), (knee, 0.048 * build), (ankle, 0.036 * build), nearer_m=0.01)
    parts.add(dim(look.lower, shade), (hip, 0.078 * build), (knee, 0.054 * build), nearer_m=0.02)


def _arm_to(parts: Parts, look: PersonLook, shoulder, hand, towards, shade: float) -> None:
    """Add an arm from the shoulder to where the hand is, the elbow bent `towards`."""
    elbow, hand = _joint(shoulder, hand, UPPER_ARM * look.height_m, FOREARM * look.height_m, towards)
    _sleeves(parts, look, shoulder, elbow, hand, shade)


def _arm(parts: Parts, look: PersonLook, shoulder, angles: tuple[float, float, float], forward, outwards) -> None:
    """Add an arm by its angles."""
    raised, aside, bent = angles
    ahead, hang = np.sin(raised) * forward, -np.cos(raised) * _UP
    upper = np.cos(aside) * (ahead + hang) + np.sin(aside) * outwards
    further = np.sin(raised + bent) * forward - np.cos(raised + bent) * _UP
    lower = np.cos(aside) * further + 0.4 * np.sin(aside) * outwards
    elbow = shoulder + UPPER_ARM * look.height_m * upper
    _sleeves(parts, look, shoulder, elbow, elbow + FOREARM * look.height_m * lower, 0.88)


def _sleeves(parts: Parts, look: PersonLook, shoulder, elbow, hand, shade: float) -> None:
    build = look.build
    lower_arm = look.skin if look.upper_kind == "shirt" else look.upper
    parts.add(dim(lower_arm, shade), (elbow, 0.042 * build), (hand, 0.034), nearer_m=0.02)
    parts.add(dim(look.upper, shade), (shoulder, 0.055 * build), (elbow, 0.046 * build), nearer_m=0.02)
    parts.add(look.skin, (hand, 0.042), nearer_m=0.03)


def _joint(start, end, upper_m: float, lower_m: float, towards) -> tuple[np.ndarray, np.ndarray]:
    """Return the joint between two limbs and where the second ends: at `end`, or as near as they reach."""
    way = end - start
    length = np.linalg.norm(way)
    reach = min(length, 0.99 * (upper_m + lower_m))
    way = way / max(length, 1e-6)
    along = (upper_m**2 - lower_m**2 + reach**2) / (2 * reach)
    off = np.sqrt(max(upper_m**2 - along**2, 0.0))
    across = towards - (towards @ way) * way
    across = across / max(np.linalg.norm(across), 1e-6)
    return start + along * way + off * across, start + reach * way


_UP = np.array([0.0, 0.0, 1.0])
