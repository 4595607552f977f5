"""What anything that may be in a made-up world looks like in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.figure import figure
from pipeline.demo.looks import PersonLook, VehicleLook
from pipeline.demo.paint import OVERSAMPLING, Sprite, bounds, make_sprite
from pipeline.demo.scene import SQUARE
from pipeline.demo.solids import Polygon
from pipeline.demo.variety import wardrobe
from pipeline.demo.variety.lorry import LargeLook, large
from pipeline.demo.variety.posture import Gesture, Rider, gesture, rider
from pipeline.demo.variety.two_wheeler import TwoWheelerLook, two_wheeler
from pipeline.demo.vehicle import footprint, vehicle

Look = PersonLook | VehicleLook | TwoWheelerLook | LargeLook

LARGEST_PX = 1400
CANVAS_PX = 1200
"""What is larger than the first is not painted; beyond the second, edges are less smooth."""

NUDGE_M = 0.05
"""A rider and their machine stand on one spot; the rider counts as so much nearer to the camera."""


@dataclass(frozen=True)
class Pose:
    """What an object is doing: phase of its step (radians), speed (metres per second), brake lights."""

    phase: float
    speed_mps: float
    braking: bool


def base(look: Look, xy: np.ndarray, heading: float) -> np.ndarray:
    """Return the corners (4, 2) of the ground an object stands on, metres, counter-clockwise."""
    return xy + 0.2 * SQUARE if isinstance(look, PersonLook) else footprint(look, xy, heading)


def height_m(look: Look) -> float:
    """Return how high an object reaches at most."""
    if isinstance(look, Rider):
        return look.machine.saddle_m + 0.62 * look.height_m
    return look.height_m * (1.35 if isinstance(look, Gesture) else 1.03)  # an arm may be raised


def reach_m(look: Look) -> float:
    """Return how far from the middle of its foot an object reaches at most, in any direction."""
    across = 1.5 if isinstance(look, PersonLook) else np.hypot(look.length_m, look.width_m) / 2
    return float(across + height_m(look))


def painted(look: Look, camera: Camera, xy: np.ndarray, heading: float, pose: Pose) -> Sprite | None:
    """Paint an object at `xy` (metres), or return None where it is too near to paint."""
    shape = _shape(look, camera, xy, heading, pose)
    box = bounds(shape)
    longest = float(max(box[2:] - box[:2]))
    if longest > LARGEST_PX:
        return None
    oversampling = int(np.clip(CANVAS_PX / longest, 1, OVERSAMPLING))
    pattern = getattr(look, "pattern", None)
    stands_on = base(look, xy, heading)
    if isinstance(look, Rider):
        towards = np.array(camera.position[:2]) - xy
        stands_on = xy + 0.02 * SQUARE + NUDGE_M * towards / np.linalg.norm(towards)
    return make_sprite(shape, stands_on, oversampling, wardrobe.finish(pattern) if pattern else None)


def _shape(look: Look, camera: Camera, xy: np.ndarray, heading: float, pose: Pose) -> list[Polygon]:
    if isinstance(look, Rider):
        return rider(look, camera, xy, heading, pose.phase)
    if isinstance(look, Gesture):
        return gesture(look, camera, xy, heading)
    if isinstance(look, PersonLook):
        return figure(look, camera, xy, heading, pose.phase, pose.speed_mps)
    if isinstance(look, TwoWheelerLook):
        return two_wheeler(look, camera, xy, heading)
    if isinstance(look, LargeLook):
        return large(look, camera, xy, heading, pose.braking)
    return vehicle(look, camera, xy, heading, pose.braking)
