"""A car or van as the picture sees it: bevelled solids with shaded faces, windows, wheels, lights and plates."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.looks import Colour, VehicleLook
from pipeline.demo.solids import Faces, Polygon

GLASS: Colour = (44, 54, 64)
TYRE: Colour = (28, 28, 30)
HUB: Colour = (150, 152, 156)
UNDERBODY: Colour = (22, 22, 24)


@dataclass(frozen=True)
class _Profile:
    """Side view of a body: heights in metres, places along it as shares of the length from its middle (front +0.5).

    belt_m     where the windows begin; sill_m where the body begins
    foot, top  (rear, front) of the cabin at the belt and at the roof
    glazed     (rear, front) of the side windows
    pillars    places of the dark posts between the side windows
    """

    sill_m: float
    belt_m: float
    foot: tuple[float, float]
    top: tuple[float, float]
    glazed: tuple[float, float]
    pillars: tuple[float, ...]
    cabin_inset_m: float
    wheel_m: float
    axles: tuple[float, float]


PROFILES = {
    "hatchback": _Profile(0.24, 0.9, (-0.5, 0.24), (-0.42, 0.06), (-0.44, 0.2), (-0.16,), 0.24, 0.31, (-0.31, 0.32)),
    "saloon": _Profile(0.23, 0.9, (-0.36, 0.22), (-0.2, 0.05), (-0.3, 0.18), (-0.08,), 0.25, 0.32, (-0.29, 0.31)),
    "estate": _Profile(0.24, 0.92, (-0.5, 0.22), (-0.45, 0.06), (-0.46, 0.18), (-0.26, -0.08), 0.23, 0.32, (-0.3, 0.3)),
    "van": _Profile(0.28, 1.15, (-0.5, 0.4), (-0.495, 0.25), (0.16, 0.37), (), 0.14, 0.34, (-0.3, 0.33)),
}  # fmt: skip


def vehicle(look: VehicleLook, camera: Camera, xy: np.ndarray, heading: float, braking: bool) -> list[Polygon]:
    """Return the polygons of a vehicle whose middle is at `xy` (metres), in painting order, hidden faces left out."""
    profile = PROFILES[look.kind]
    faces = Faces()
    half_length, half_width = look.length_m / 2, look.width_m / 2
    keel = ring(-half_length + 0.2, half_length - 0.2, half_width - 0.12, 0.1, 0.12)
    chassis = ring(-half_length + 0.1, half_length - 0.1, half_width - 0.06, 0.1, profile.sill_m + 0.1)
    faces.solid(keel, chassis, UNDERBODY)
    low = ring(-half_length + 0.04, half_length - 0.04, half_width - 0.05, 0.3, profile.sill_m)
    waist = ring(-half_length, half_length, half_width, 0.34, profile.sill_m + 0.32)
    belt = ring(-half_length + 0.05, half_length - 0.1, half_width - 0.03, 0.34, profile.belt_m)
    faces.solid(low, waist, look.paint)
    faces.solid(waist, belt, look.paint)
    _sides(faces, look, profile)
    _ends(faces, look, profile, braking)
    _cabin(faces, look, profile)
    return faces.polygons(camera, xy, heading)


def footprint(look: VehicleLook, xy: np.ndarray, heading: float) -> np.ndarray:
    """Return the corners (4, 2) of the ground a vehicle covers, metres, counter-clockwise."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (look.length_m / 2, look.width_m / 2)
    cos, sin = np.cos(heading), np.sin(heading)
    return corners @ np.array([[cos, sin], [-sin, cos]]) + xy


def ring(rear: float, front: float, half_width: float, bevel: float, z: float) -> np.ndarray:
    """Return a rectangle with cut corners (8, 3) at height z, counter-clockwise from above."""
    w, b = half_width, bevel
    xy = [
        (rear + b * 0.6, -w), (front - b, -w), (front, -w + b * 1.1), (front, w - b * 1.1), (front - b, w),
        (rear + b * 0.6, w), (rear, w - b), (rear, -w + b),
    ]  # fmt: skip
    return np.array([(*point, z) for point in xy])


def _sides(faces: Faces, look: VehicleLook, profile: _Profile) -> None:
    """Add wheels, arches, door seams and a van's stripe on both sides."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for side in (-1, 1):
        y = side * (look.width_m / 2 + 0.01)

        def disc(x: float, z: float, radius: float, y: float = y, side: int = side) -> np.ndarray:
            points = np.stack([x + radius * np.cos(angles), np.full(16, y), z + radius * np.sin(angles)], axis=1)
            return points if side < 0 else points[::-1]

        for place in profile.axles:
            x = place * look.length_m
            faces.add(disc(x, profile.wheel_m + 0.04, profile.wheel_m + 0.06), UNDERBODY, shaded=False)
            faces.add(disc(x, profile.wheel_m, profile.wheel_m), TYRE, shaded=False)
            faces.add(disc(x, profile.wheel_m, profile.wheel_m * 0.6), HUB, shaded=False)
            faces.add(disc(x, profile.wheel_m, profile.wheel_m * 0.2), TYRE, shaded=False)
        if look.stripe:
            faces.add(panel(side, y, -0.46, 0.3, 0.75, 1.0, look.length_m), look.stripe)
        seam = tuple(int(c * 0.55) for c in look.paint)
        for place in (profile.glazed[1] - 0.02, *profile.pillars):
            faces.add(panel(side, y, place - 0.004, place + 0.004, 0.38, profile.belt_m, look.length_m), seam)


def panel(side: int, y: float, rear: float, front: float, low: float, high: float, length: float) -> list:
    """Return an upright rectangle on a side; rear and front are shares of the length."""
    corners = [(rear * length, y, low), (front * length, y, low), (front * length, y, high), (rear * length, y, high)]
    return corners if side < 0 else corners[::-1]


def _ends(faces: Faces, look: VehicleLook, profile: _Profile, braking: bool) -> None:
    """Add lights, plates and the grille."""
    front, rear, width = look.length_m / 2 + 0.01, -look.length_m / 2 - 0.01, look.width_m / 2
    z = profile.sill_m + 0.36
    for side in (-1, 1):
        inner, outer = side * width * 0.45, side * width * 0.8
        left, right = max(inner, outer), min(inner, outer)
        faces.add(
            [(front, right, z), (front, left, z), (front, left, z + 0.13), (front, right, z + 0.13)],
            (236, 238, 230),
            False,
        )
        red = (238, 44, 36) if braking else (150, 26, 28)
        faces.add([(rear, left, z), (rear, right, z), (rear, right, z + 0.16), (rear, left, z + 0.16)], red, False)
    low = profile.sill_m + 0.1
    faces.add(
        [(front, -0.45, low), (front, 0.45, low), (front, 0.45, low + 0.18), (front, -0.45, low + 0.18)],
        (30, 30, 32),
        False,
    )
    for x, order in ((front + 0.01, 1), (rear - 0.01, -1)):
        plate = [(x, -0.26, low + 0.08), (x, 0.26, low + 0.08), (x, 0.26, low + 0.2), (x, -0.26, low + 0.2)]
        faces.add(plate[::order], (226, 226, 220), False)


def _cabin(faces: Faces, look: VehicleLook, profile: _Profile) -> None:
    """Add the part above the belt: posts and roof in paint, windows in glass."""
    length, roof_z = look.length_m, look.height_m
    foot_w, top_w = look.width_m / 2 - 0.06, look.width_m / 2 - profile.cabin_inset_m
    foot = ring(profile.foot[0] * length + 0.04, profile.foot[1] * length, foot_w, 0.1, profile.belt_m)
    top = ring(profile.top[0] * length, profile.top[1] * length, top_w, 0.12, roof_z)
    faces.solid(foot, top, look.paint)
    faces.add(top + np.array([0, 0, 0.005]), look.roof)
    base, peak = (profile.foot, foot_w, profile.belt_m), (profile.top, top_w, roof_z)

    def between(place: float, share: float, side: float) -> np.ndarray:
        """Return a point of the cabin's skin: `place` along the length at the belt, `share` of the way to the roof."""
        (rear0, front0), w0, z0 = base
        (rear1, front1), w1, z1 = peak
        along = (place - rear0) / (front0 - rear0)
        x = ((1 - share) * place + share * (rear1 + along * (front1 - rear1))) * length
        return np.array([x, side * ((1 - share) * w0 + share * w1 + 0.012), z0 + share * (z1 - z0)])

    low, high = 0.12, 0.86
    stops = [profile.glazed[0], *sorted(profile.pillars), profile.glazed[1]]
    for rear, front in pairwise(stops):
        for side in (-1, 1):
            corners = ((rear + 0.012, low), (front - 0.012, low), (front - 0.012, high), (rear + 0.012, high))
            pane = [between(place, share, side) for place, share in corners]
            faces.add(pane[::-side], GLASS)
    for end, out in ((1, 0.02), (0, -0.02)):
        place = profile.foot[end]
        bottom = 0.35 if look.kind == "van" and end == 0 else 0.1
        pane = [
            between(place, bottom, -0.86),
            between(place, bottom, 0.86),
            between(place, 0.9, 0.82),
            between(place, 0.9, -0.82),
        ]
        pane = [point + np.array([out, 0, 0.01]) for point in pane]
        faces.add(pane if end else pane[::-1], (58, 70, 82) if end else GLASS)
