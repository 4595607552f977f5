"""Where cameras hang and what they see: near the demo's own views, elsewhere in the town, or anywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.demo.camera import Camera, Tone
from pipeline.demo.views import VIEWS

SIZES = ((640, 360), (640, 480), (768, 432), (512, 288), (480, 270), (416, 416), (960, 540), (352, 288))
SIZE_WEIGHT = (10, 1.5, 1, 1, 1, 0.7, 0.7, 0.7)
HEIGHT_M = (3.0, 14.0)
TILT_DEG = (10.0, 60.0)
WIDE_M = (9.0, 42.0)
"""How much a picture shows from left to right at the spot it looks at."""
FOCAL_PX = (300.0, 1150.0)
"""For a picture 640 wide."""
NEUTRAL = Tone((1.0, 1.0, 1.0), 1.0, 0.0, 1.0, 0.0)
"""What the weather does to the light comes later (weather.py)."""

OPEN = (
    (-62.0, -9.6, 76.0, 7.6), (-14.0, 7.0, 16.5, 30.5), (39.0, 7.0, 49.0, 45.0),
)  # fmt: skip
"""Where a camera can hang in the town, x0, y0, x1, y1: over the main road, the square, the side street."""


def near_views(rng: np.random.Generator, count: int) -> list[Camera]:
    """Return cameras of the town a few metres and degrees from where the demo has them."""
    made = []
    for number, chosen in enumerate(rng.permutation(len(VIEWS))[:count]):
        near = VIEWS[chosen].camera
        x, y, z = near.position
        y = float(np.clip(y + rng.normal(0, 1.5), *((-9.6, 12.0) if y < 0 else (20.0, 30.8))))
        moved = (x + rng.normal(0, 2.5), y, float(np.clip(z + rng.normal(0, 1.0), *HEIGHT_M)))
        made.append(
            _sized(
                rng,
                replace(
                    near,
                    camera_id=f"camera-{number + 1}",
                    position=moved,
                    bearing_deg=near.bearing_deg + rng.normal(0, 6),
                    tilt_deg=near.tilt_deg + rng.normal(0, 3),
                    focal_px=near.focal_px * rng.uniform(0.88, 1.15),
                    tone=NEUTRAL,
                ),
            )
        )
    return made


def in_town(rng: np.random.Generator, count: int) -> list[Camera]:
    """Return cameras that look at one spot of the town from different sides."""
    x0, y0, x1, y1 = OPEN[int(rng.choice(len(OPEN), p=(0.6, 0.25, 0.15)))]
    target = rng.uniform((x0, y0), (x1, y1))
    made = []
    while len(made) < count:
        camera = _towards(rng, len(made) + 1, target + rng.normal(0, 3, 2))
        x, y, _ = camera.position
        if any(a <= x <= c and b <= y <= d for a, b, c, d in OPEN):
            made.append(camera)
        else:
            target = target + rng.normal(0, 1, 2)  # where no camera can see a spot, the next spot
    return made


def anywhere(rng: np.random.Generator, count: int) -> list[Camera]:
    """Return cameras that look at the middle of a made-up place."""
    target = rng.uniform(-7, 7, 2)
    return [_towards(rng, number + 1, target + rng.normal(0, 3, 2)) for number in range(count)]


def _towards(rng: np.random.Generator, number: int, target: np.ndarray) -> Camera:
    """Return a camera of any height and tilt whose view passes over `target`."""
    height_m, tilt_deg = rng.uniform(*HEIGHT_M), TILT_DEG[0] + np.ptp(TILT_DEG) * rng.beta(1.3, 2.2)
    away = min(height_m / np.tan(np.radians(tilt_deg)), rng.uniform(14, 32))
    bearing = rng.uniform(0, 2 * np.pi)
    x, y = target - away * np.array([np.cos(bearing), np.sin(bearing)])
    wide_m = np.exp(rng.uniform(*np.log(WIDE_M)))
    focal = float(np.clip(640 * np.hypot(away, height_m) / wide_m, *FOCAL_PX))
    position = (float(x), float(y), float(height_m))
    return _sized(
        rng, Camera(f"camera-{number}", position, float(np.degrees(bearing)), float(tilt_deg), focal, NEUTRAL)
    )


def _sized(rng: np.random.Generator, camera: Camera) -> Camera:
    """Return the camera with a picture of any size, seeing as much."""
    share = np.array(SIZE_WEIGHT) / sum(SIZE_WEIGHT)
    width, height = SIZES[int(rng.choice(len(SIZES), p=share))]
    focal = camera.focal_px * np.hypot(width, height) / np.hypot(640, 360)
    return replace(camera, focal_px=float(focal), width_px=width, height_px=height)


def ground_seen(rng: np.random.Generator, camera: Camera, count: int, furthest_m: float) -> np.ndarray:
    """Draw ground points (count, 2) that a camera sees, even over its picture, none further than `furthest_m`."""
    pixel = rng.uniform((0, 0), (camera.width_px, camera.height_px), (count * 4, 2))
    # A figure's feet may be below the picture's edge: some stand a little nearer than is seen.
    pixel[:, 1] *= 1.08
    homogeneous = np.column_stack([pixel, np.ones(len(pixel))]) @ camera.homography.T
    xy = homogeneous[:, :2] / homogeneous[:, 2:]
    depth = camera.project_ground(xy)[1]
    good = (depth > 1.5) & (np.linalg.norm(xy - camera.position[:2], axis=1) < furthest_m)
    return xy[good][:count]


def open_spots(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw points (count, 2) on the town's streets and squares."""
    corners = np.array(OPEN)
    chosen = corners[rng.choice(len(OPEN), count, p=(0.5, 0.35, 0.15))]
    return rng.uniform(chosen[:, :2], chosen[:, 2:])


def in_open(xy: np.ndarray) -> np.ndarray:
    """Tell which points (N, 2) of the town lie on its streets and squares, not in its houses."""
    return np.any([(xy >= (a, b)).all(1) & (xy <= (c, d)).all(1) for a, b, c, d in OPEN], axis=0)
