"""Bicycles, motorcycles and scooters: tubes and hulls on two wheels, seen from any side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.figure import Parts
from pipeline.demo.looks import Colour
from pipeline.demo.solids import Polygon
from pipeline.demo.variety.wardrobe import any_colour

RUBBER: Colour = (30, 30, 32)
METAL: Colour = (150, 152, 156)
DARK: Colour = (46, 46, 50)
KINDS = ("bicycle", "motorcycle", "scooter")
SEGMENTS = 14
"""Straight pieces of a wheel."""


@dataclass(frozen=True)
class TwoWheelerLook:
    """One machine without its rider. kind is "bicycle", "motorcycle" or "scooter"; lengths in metres.

    box         colour of a box or basket over the rear wheel, or None
    saddle_m    height of the saddle; grip_m of the handlebar's ends
    """

    kind: str
    length_m: float
    width_m: float
    height_m: float
    paint: Colour
    trim: Colour
    saddle_m: float
    grip_m: float
    box: Colour | None

    @property
    def class_name(self) -> str:
        return "bicycle" if self.kind == "bicycle" else "motorcycle"

    @property
    def saddle(self) -> np.ndarray:
        """Where the rider sits: forward, right, up in metres from the middle of the machine."""
        return np.array([-0.11 * self.length_m, 0.0, self.saddle_m])

    @property
    def grip(self) -> np.ndarray:
        """The right end of the handlebar, in the same axes."""
        return np.array([0.21 * self.length_m, 0.27 if self.kind == "bicycle" else 0.36, self.grip_m])

    @property
    def pedal(self) -> np.ndarray:
        """Where the right foot rests, or the middle of its circle on a bicycle."""
        forward = {"bicycle": -0.03, "motorcycle": -0.04, "scooter": 0.1}[self.kind] * self.length_m
        return np.array([forward, 0.13 if self.kind == "bicycle" else 0.2, 0.3])


def draw(rng: np.random.Generator, kind: str) -> TwoWheelerLook:
    """Draw a machine's look."""
    length, saddle, grip = {
        "bicycle": (1.72, 0.92, 1.02), "motorcycle": (2.05, 0.8, 1.05), "scooter": (1.8, 0.76, 1.02),
    }[kind]  # fmt: skip
    size = rng.uniform(0.92, 1.08)
    common = ((26, 26, 30), (190, 40, 36), (40, 60, 110), (200, 200, 198), (60, 100, 70), (120, 124, 128))
    paint = common[rng.integers(len(common))] if rng.random() < 0.6 else any_colour(rng)
    box_share = {"bicycle": 0.25, "motorcycle": 0.3, "scooter": 0.45}[kind]
    grip_m = float((grip + rng.uniform(-0.06, 0.1)) * size)
    return TwoWheelerLook(
        kind, float(length * size), 0.55 if kind == "bicycle" else 0.75, grip_m + 0.12, paint,
        any_colour(rng) if rng.random() < 0.4 else DARK, float(saddle * size), grip_m,
        any_colour(rng) if rng.random() < box_share else None,
    )  # fmt: skip


def two_wheeler(look: TwoWheelerLook, camera: Camera, xy: np.ndarray, heading: float) -> list[Polygon]:
    """Return the polygons of a machine whose middle stands at `xy` (metres), the furthest part first."""
    parts = _Frame(heading)
    if look.kind == "bicycle":
        _bicycle(parts, look)
    else:
        _motorcycle(parts, look)
    return parts.polygons(camera, np.array([xy[0], xy[1], 0.0]))


class _Frame(Parts):
    """Parts given in a machine's own axes: forward, right, up."""

    def __init__(self, heading: float) -> None:
        super().__init__()
        cos, sin = np.cos(heading), np.sin(heading)
        self.axes = np.array([[cos, sin, 0], [sin, -cos, 0], [0, 0, 1]])

    def hull(self, colour: Colour, *balls: tuple[float, float, float, float], nearer_m: float = 0.0) -> None:
        """Add the hull of balls (forward, right, up, radius)."""
        self.add(colour, *((np.array(ball[:3]) @ self.axes, ball[3]) for ball in balls), nearer_m=nearer_m)

    def wheel(self, x: float, radius: float, tyre: float, colour: Colour) -> None:
        """Add a wheel in the machine's plane."""
        angle = np.linspace(0, 2 * np.pi, SEGMENTS + 1)
        rim = radius - tyre
        ring = [(x + rim * np.cos(a), 0.0, radius + rim * np.sin(a), tyre) for a in angle]
        for one, following in pairwise(ring):
            self.hull(colour, one, following)
        self.hull(METAL, (x, 0.0, radius, 0.035))


def _bicycle(parts: _Frame, look: TwoWheelerLook) -> None:
    half, wheel = look.length_m / 2, 0.19 * look.length_m
    rear, front = -half + wheel, half - wheel
    saddle, grip = look.saddle, look.grip
    crank = (look.pedal[0], 0.0, 0.29)
    neck = (grip[0] - 0.02, 0.0, look.grip_m - 0.16)
    seat = (saddle[0] + 0.03, 0.0, saddle[2] - 0.12)
    for x in (rear, front):
        parts.wheel(x, wheel, 0.022, RUBBER)
    tube = 0.02
    for a, b in ((crank, neck), (seat, neck), (crank, seat), ((rear, 0.0, wheel), crank), ((rear, 0.0, wheel), seat)):
        parts.hull(look.paint, (*a, tube), (*b, tube), nearer_m=0.02)
    parts.hull(look.paint, (*neck, tube), (front, 0.0, wheel, 0.018), nearer_m=0.02)
    parts.hull(METAL, (*neck, 0.016), (grip[0], 0.0, look.grip_m, 0.016))
    for side in (-1, 1):
        parts.hull(DARK, (grip[0], 0.0, look.grip_m, 0.016), (grip[0] - 0.05, side * grip[1], look.grip_m, 0.02))
        parts.hull(METAL, (*crank, 0.02), (crank[0] + side * 0.12, side * 0.08, 0.29 - side * 0.12, 0.02))
    parts.hull(DARK, (saddle[0] - 0.1, 0, saddle[2] - 0.03, 0.07), (saddle[0] + 0.14, 0, saddle[2] - 0.03, 0.03))
    if look.box:
        parts.hull(
            look.box,
            *((rear + x, y, z, 0.03) for x in (-0.15, 0.2) for y in (-0.14, 0.14) for z in (0.8, 1.05)),
            nearer_m=0.05,
        )


def _motorcycle(parts: _Frame, look: TwoWheelerLook) -> None:
    half = look.length_m / 2
    wheel, tyre = (0.3, 0.07) if look.kind == "motorcycle" else (0.22, 0.06)
    rear, front = -half + wheel, half - wheel
    saddle, grip = look.saddle, look.grip
    for x in (rear, front):
        parts.wheel(x, wheel, tyre, RUBBER)
    for side in (-1, 1):
        parts.hull(METAL, (front, side * 0.09, wheel, 0.03), (grip[0], side * 0.1, look.grip_m - 0.15, 0.03))
        parts.hull(DARK, (grip[0], 0.0, look.grip_m - 0.05, 0.03), (grip[0] - 0.06, side * grip[1], look.grip_m, 0.025))
        mirror = (grip[0] + 0.02, side * (grip[1] - 0.06), look.grip_m + 0.1, 0.045)
        parts.hull(DARK, mirror)
    parts.hull((232, 230, 214), (grip[0] + 0.16, 0, look.grip_m - 0.16, 0.09))
    if look.kind == "motorcycle":
        parts.hull(DARK, (rear, 0.0, wheel, 0.05), (-0.2, 0.0, 0.4, 0.08), nearer_m=0.03)
        parts.hull(look.paint, (0.2, 0.0, 0.6, 0.05), (grip[0] - 0.04, 0.0, look.grip_m - 0.15, 0.05), nearer_m=0.03)
        parts.hull(
            DARK, *((x, y, z, 0.1) for x in (-0.22, 0.26) for y in (-0.1, 0.1) for z in (0.32, 0.55)), nearer_m=0.05
        )
        parts.hull(look.paint, (0.05, 0, saddle[2] + 0.06, 0.13), (0.32, 0, saddle[2] + 0.08, 0.15), nearer_m=0.06)
        parts.hull(METAL, (-0.1, 0.2, 0.28, 0.04), (rear - 0.05, 0.2, 0.36, 0.06), nearer_m=0.05)
        if look.trim != DARK:  # a fairing
            parts.hull(
                look.trim, (0.3, -0.16, 0.5, 0.08), (0.3, 0.16, 0.5, 0.08), (grip[0] + 0.1, 0, look.grip_m, 0.12),
                (grip[0] + 0.2, 0, 0.75, 0.1), nearer_m=0.07,
            )  # fmt: skip
    else:
        shield = [(grip[0] + 0.02, y, z, 0.05) for y in (-0.17, 0.17) for z in (0.35, look.grip_m - 0.16)]
        parts.hull(look.paint, *shield, nearer_m=0.04)
        parts.hull(look.trim, (0.05, -0.14, 0.27, 0.05), (0.05, 0.14, 0.27, 0.05), (0.35, 0, 0.27, 0.05))
        body = [(x, y, z, 0.06) for x in (saddle[0] - 0.35, 0.0) for y in (-0.12, 0.12) for z in (0.38, 0.6)]
        parts.hull(look.paint, *body, nearer_m=0.04)
        parts.hull(look.paint, (front - 0.1, 0, 2 * wheel, 0.06), (front + 0.16, 0, 2 * wheel - 0.04, 0.05))
    parts.hull(
        DARK, (saddle[0] - 0.4, 0, saddle[2] - 0.02, 0.1), (saddle[0] + 0.22, 0, saddle[2] - 0.05, 0.1), nearer_m=0.05
    )
    parts.hull((170, 26, 28), (rear - 0.12, 0, saddle[2] - 0.1, 0.05))
    if look.box:
        corners = [(rear - 0.12 + x, y, saddle[2] + 0.08 + z, 0.04)
                   for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (0.0, 0.36)]  # fmt: skip
        parts.hull(look.box, *corners, nearer_m=0.08)
