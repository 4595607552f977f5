"""A person as the picture sees them: a jointed body of rounded limbs, from any side, in any phase of a step."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.looks import Colour, PersonLook
from pipeline.demo.solids import Polygon

_UNIT_CIRCLE = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)

# Proportions of the standing body as shares of its height, after Drillis and Contini 1966.
HIP, SHOULDER, HEAD = 0.52, 0.815, 0.93
THIGH, SHANK, FOOT = 0.245, 0.246, 0.10
UPPER_ARM, FOREARM = 0.172, 0.157
SWING_RAD_PER_MPS = 0.28
"""Amplitude of the thigh per walking speed: half a metre and more of stride at 1.4 m/s."""


def figure(look: PersonLook, camera: Camera, xy: np.ndarray, heading: float, phase: float, mps: float) -> list[Polygon]:
    """Return the polygons of a person standing or walking at `xy` (metres), the furthest part first."""
    forward = np.array([np.cos(heading), np.sin(heading), 0.0])
    right = np.array([np.sin(heading), -np.cos(heading), 0.0])
    parts = Parts()
    swing = min(SWING_RAD_PER_MPS * mps, 0.6)
    hips, shoulders = _legs(parts, look, forward, right, phase, swing)
    torso(parts, look, hips, shoulders, forward, right)
    _arms(parts, look, shoulders, forward, right, phase, swing)
    head(parts, look, shoulders, forward)
    bag(parts, look, shoulders, forward, right)
    parts.stand()
    return parts.polygons(camera, np.array([xy[0], xy[1], 0.0]))


class Parts:
    """Body parts gathered in any order: each the convex hull of a few balls (x, y, z, radius in metres)."""

    def __init__(self) -> None:
        self.balls: list[tuple[float, ...]] = []
        self.parts: list[tuple[slice, Colour, float]] = []
        self.lowest_m = 0.0

    def add(self, colour: Colour, *balls: tuple[np.ndarray, float], nearer_m: float = 0.0) -> None:
        """Add the hull of `balls`; `nearer_m` moves it forward in the painting order only."""
        start = len(self.balls)
        self.balls += [(*centre, radius) for centre, radius in balls]
        self.parts.append((slice(start, len(self.balls)), colour, nearer_m))

    def stand(self) -> None:
        """Put the lowest point on the ground."""
        balls = np.array(self.balls)
        self.lowest_m = (balls[:, 2] - balls[:, 3]).min()

    def polygons(self, camera: Camera, foot: np.ndarray) -> list[Polygon]:
        balls = np.array(self.balls)
        balls[:, 2] -= self.lowest_m
        centre, depth = camera.project(balls[:, :3] + foot)
        radius = balls[:, 3] * camera.focal_px / depth
        outline = (centre[:, None] + radius[:, None, None] * _UNIT_CIRCLE).astype(np.float32)  # (B, 12, 2)
        order = sorted(self.parts, key=lambda part: part[2] - depth[part[0]].sum() / (part[0].stop - part[0].start))
        return [
            (cv2.convexHull(outline[balls_of].reshape(-1, 2)).reshape(-1, 2), colour) for balls_of, colour, _ in order
        ]


def _legs(parts: Parts, look: PersonLook, forward, right, phase: float, swing: float):
    """Add legs and shoes; return the middle of the hips and of the shoulders."""
    height, build = look.height_m, look.build
    up = np.array([0.0, 0.0, 1.0])
    hips = HIP * height * up
    shoulders = SHOULDER * height * up + 0.02 * height * forward * min(1.0, swing * 2)
    for side in (-1, 1):
        angle = swing * np.sin(phase + (np.pi if side > 0 else 0))
        bend = 0.08 + 1.5 * swing * max(0.0, np.cos(phase + (np.pi if side > 0 else 0)))
        hip = hips + side * 0.052 * height * right
        knee = hip + THIGH * height * (np.sin(angle) * forward - np.cos(angle) * up)
        ankle = knee + SHANK * height * (np.sin(angle - bend) * forward - np.cos(angle - bend) * up)
        toe = ankle + FOOT * height * (np.cos(angle - bend) * forward + np.sin(angle - bend) * up) - 0.01 * up
        shade = 0.9 if side < 0 else 1.0
        shank = look.skin if look.lower_kind in ("shorts", "skirt") else look.lower
        parts.add(look.shoes, (ankle - 0.01 * up, 0.036), (toe, 0.032))
        parts.add(dim(shank, shade), (knee, 0.048 * build), (ankle, 0.036 * build), nearer_m=0.01)
        thigh = look.lower if look.lower_kind != "skirt" else look.skin
        parts.add(dim(thigh, shade), (hip, 0.078 * build), (knee, 0.052 * build), nearer_m=0.02)
    if look.lower_kind == "skirt":
        hem = hips - 0.2 * height * up
        parts.add(
            look.lower, (hips, 0.1 * build), (hem - 0.08 * right, 0.07), (hem + 0.08 * right, 0.07), nearer_m=0.06
        )
    return hips, shoulders


def torso(parts: Parts, look: PersonLook, hips, shoulders, forward, right) -> None:
    """Add trunk, coat tails and neck."""
    height, build = look.height_m, look.build
    up = np.array([0.0, 0.0, 1.0])
    wide, narrow = 0.098 * height * build * right, 0.062 * height * build * right
    low = hips - (0.02 if look.upper_kind != "coat" else 0.16) * height * up
    flare = 1.0 if look.upper_kind != "coat" else 1.25
    trunk = [
        (shoulders - wide, 0.062),
        (shoulders + wide, 0.062),
        (low - narrow * flare, 0.078),
        (low + narrow * flare, 0.078),
    ]
    parts.add(dim(look.upper, 0.84), *trunk, nearer_m=0.07)
    # The same trunk a little smaller and moved up: light falls from above.
    lit = [(c + 0.018 * up, r * 0.72) for c, r in trunk]
    parts.add(look.upper, *lit, nearer_m=0.075)
    if look.upper_kind == "jacket":
        parts.add(dim(look.upper, 0.6), (low + 0.08 * forward, 0.012), (shoulders + 0.07 * forward, 0.012))
        parts.add(
            (225, 222, 214),
            (shoulders + 0.065 * forward - 0.03 * up, 0.028),
            (shoulders + 0.07 * forward - 0.1 * up, 0.012),
        )
    parts.add(look.skin, (shoulders + 0.02 * up, 0.05), (shoulders + 0.1 * up, 0.048))


def _arms(parts: Parts, look: PersonLook, shoulders, forward, right, phase: float, swing: float) -> None:
    """Add arms, swinging against the legs."""
    height, build = look.height_m, look.build
    up = np.array([0.0, 0.0, 1.0])
    for side in (-1, 1):
        angle = -0.85 * swing * np.sin(phase + (np.pi if side > 0 else 0))
        shoulder = shoulders + side * (0.115 * height * build) * right - 0.01 * up
        elbow = shoulder + UPPER_ARM * height * (np.sin(angle) * forward - np.cos(angle) * up) + side * 0.02 * right
        lift = angle + 0.35
        hand = elbow + FOREARM * height * (np.sin(lift) * forward - np.cos(lift) * up)
        shade = 0.78 if side < 0 else 0.92
        lower_arm = look.skin if look.upper_kind == "shirt" else look.upper
        parts.add(dim(lower_arm, shade), (elbow, 0.042 * build), (hand, 0.034))
        parts.add(dim(look.upper, shade), (shoulder, 0.055 * build), (elbow, 0.046 * build), nearer_m=0.01)
        parts.add(look.skin, (hand - 0.03 * up, 0.04))


def head(parts: Parts, look: PersonLook, shoulders, forward) -> None:
    """Add head and hair: the face looks where the person walks."""
    height = look.height_m
    up = np.array([0.0, 0.0, 1.0])
    head = shoulders + (HEAD - SHOULDER) * height * up + 0.01 * forward
    face = head + 0.035 * forward - 0.012 * up
    parts.add(look.skin, (head, 0.092), (face - 0.035 * up, 0.07))
    if look.hair_kind == "bald":
        return
    crown = head - 0.022 * forward + 0.03 * up
    hair = [(crown, 0.098)]
    if look.hair_kind == "long":
        hair.append((head - 0.06 * forward - 0.13 * up, 0.075))
    if look.hair_kind == "cap":
        parts.add(
            dim(look.hair, 0.8), (crown + 0.03 * up, 0.06), (head + 0.13 * forward + 0.04 * up, 0.05), nearer_m=0.03
        )
    parts.add(look.hair, *hair, nearer_m=0.02)


def bag(parts: Parts, look: PersonLook, shoulders, forward, right) -> None:
    """Add what the person carries: seen well from one side and hardly from the other."""
    height = look.height_m
    up = np.array([0.0, 0.0, 1.0])
    side = look.bag_side * right
    if look.bag_kind == "backpack":
        top = shoulders - 0.15 * forward - 0.04 * up
        low = top - 0.2 * height * up
        corners = [(place + x * right, 0.06) for place in (top, low) for x in (-0.09, 0.09)]
        parts.add(dim(look.bag, 0.85), *corners, nearer_m=0.03)
        parts.add(look.bag, *((c + 0.02 * up - 0.03 * forward, r * 0.7) for c, r in corners), nearer_m=0.035)
    elif look.bag_kind == "shoulder":
        top = shoulders - 0.27 * height * up + 0.24 * side
        parts.add(
            look.bag, *((top + x * forward - z * up, 0.045) for x in (-0.1, 0.12) for z in (0, 0.14)), nearer_m=0.1
        )
        parts.add(
            dim(look.bag, 0.7),
            (shoulders - 0.08 * side + 0.08 * forward, 0.014),
            (top + 0.05 * forward, 0.014),
            nearer_m=0.12,
        )
    elif look.bag_kind == "tote":
        top = shoulders - 0.42 * height * up + 0.25 * side
        parts.add(
            look.bag, *((top + x * forward - z * up, 0.03) for x in (-0.12, 0.14) for z in (0, 0.24)), nearer_m=0.05
        )


def dim(colour: Colour, factor: float) -> Colour:
    return tuple(min(255, int(c * factor)) for c in colour)
