"""House fronts: shops below, windows above, every house its own colour."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.world import Facade

PX_PER_M = 20
STOREY_M = 3.3
WALLS = (
    (214, 202, 178), (196, 160, 130), (172, 180, 184), (206, 182, 132), (178, 188, 166), (218, 212, 202),
    (186, 138, 118), (200, 190, 196),
)  # fmt: skip
AWNINGS = ((150, 52, 48), (52, 92, 84), (58, 78, 120), (196, 158, 74), (110, 110, 112))


@lru_cache(maxsize=80)
def paint_facade(width_m: float, height_m: float, seed: int) -> np.ndarray:
    """Return a front (H, W, 3) uint8 RGB, PX_PER_M pixels a metre, roof up; it is kept: not to be written into."""
    height, width = int(height_m * PX_PER_M), int(width_m * PX_PER_M)
    picture = np.zeros((height, width, 3), np.uint8)
    rng = np.random.default_rng(seed)
    x, wall = 0.0, -1
    while x < width_m:
        house_m = min(rng.uniform(7, 11), width_m - x)
        if width_m - x - house_m < 4:
            house_m = width_m - x
        wall = int((wall + rng.integers(1, len(WALLS))) % len(WALLS))
        _house(picture[:, int(x * PX_PER_M) : int((x + house_m) * PX_PER_M)], WALLS[wall], rng)
        x += house_m
    grain = rng.normal(0, 3.5, (height, width, 1)) + cv2.resize(
        rng.normal(0, 4, (height // 30 + 2, width // 30 + 2)), (width, height), interpolation=cv2.INTER_CUBIC
    ).reshape(height, width, 1)
    # The foot of a wall is darker: less sky, and splashed.
    shade = np.interp(np.arange(height)[::-1] / PX_PER_M, (0, 0.5, 3, 12), (0.78, 0.9, 1.0, 1.02))[:, None, None]
    return np.clip(picture * shade + grain, 0, 255).astype(np.uint8)


def _house(picture: np.ndarray, wall: tuple, rng: np.random.Generator) -> None:
    """Paint one house into its strip of the front (a view)."""
    height, width = picture.shape[:2]
    picture[:] = wall
    picture[:, :2] = np.array(wall) * 0.7
    plinth = tuple(int(c * 0.72) for c in wall)
    _box(picture, 0, 0.0, width / PX_PER_M, 0.45, plinth)
    if rng.random() < 0.6:
        _shop(picture, width / PX_PER_M, rng)
    else:
        _windows(picture, 1.0, width / PX_PER_M, wall, rng, door=True)
    _box(picture, 0, STOREY_M - 0.1, width / PX_PER_M, STOREY_M + 0.12, tuple(min(255, int(c * 1.1)) for c in wall))
    floor = 1
    while (floor + 1) * STOREY_M < height / PX_PER_M + 1.0:
        _windows(picture, floor * STOREY_M + 0.95, width / PX_PER_M, wall, rng)
        floor += 1


def _box(picture: np.ndarray, x0: float, z0: float, x1: float, z1: float, colour) -> None:
    """Fill a rectangle given in metres from the lower left corner."""
    height = picture.shape[0]
    a = int(x0 * PX_PER_M), int(height - z1 * PX_PER_M)
    b = int(x1 * PX_PER_M) - 1, int(height - z0 * PX_PER_M) - 1
    cv2.rectangle(picture, a, b, tuple(int(c) for c in colour), -1)


def _shop(picture: np.ndarray, width_m: float, rng: np.random.Generator) -> None:
    """Paint a shop window with awning and door."""
    frame = ((52, 50, 48), (92, 70, 52), (60, 78, 74))[rng.integers(3)]
    awning = AWNINGS[rng.integers(len(AWNINGS))]
    _box(picture, 0.6, 0.0, width_m - 0.6, 2.9, frame)
    door = rng.uniform(0.8, max(0.9, width_m - 2.2))
    x = 0.75
    while x < width_m - 1.2:
        pane = min(1.5, width_m - 0.75 - x)
        is_door = x <= door < x + pane
        colour = np.array((62, 72, 80)) + rng.integers(-8, 22)
        _box(picture, x, 0.05 if is_door else 0.5, x + pane - 0.12, 2.2, colour)
        if not is_door and rng.random() < 0.7:  # goods on display
            for _ in range(3):
                at = x + rng.uniform(0.1, max(0.11, pane - 0.5))
                _box(picture, at, 0.55, at + 0.25, 0.55 + rng.uniform(0.3, 0.9), rng.integers(90, 200, 3))
        x += pane
    _box(picture, 0.5, 2.25, width_m - 0.5, 2.85, awning)
    for stripe in np.arange(0.5, width_m - 0.7, 0.7):
        _box(picture, stripe, 2.25, stripe + 0.35, 2.62, tuple(min(255, int(c * 0.5 + 110)) for c in awning))


def _windows(picture: np.ndarray, sill_m: float, width_m: float, wall: tuple, rng, door: bool = False) -> None:
    """Paint a row of windows (and a door into it)."""
    count = max(2, int(width_m / 2.1))
    step = width_m / count
    shutters = rng.random() < 0.35
    frame = (228, 226, 218) if rng.random() < 0.7 else (96, 76, 60)
    door_at = int(rng.integers(count)) if door else -1
    for i in range(count):
        x = (i + 0.5) * step
        if i == door_at:
            _box(picture, x - 0.65, 0, x + 0.65, 2.5, frame)
            _box(picture, x - 0.52, 0, x + 0.52, 2.35, ((96, 60, 42), (56, 74, 66), (70, 74, 88))[rng.integers(3)])
            continue
        _box(picture, x - 0.56, sill_m - 0.12, x + 0.56, sill_m - 0.02, [min(255, c * 1.12) for c in wall])
        _box(picture, x - 0.5, sill_m, x + 0.5, sill_m + 1.45, frame)
        glass = np.array((70, 84, 96)) + rng.integers(-14, 30)
        for left in (x - 0.43, x + 0.03):
            _box(picture, left, sill_m + 0.07, left + 0.4, sill_m + 1.38, glass)
            if rng.random() < 0.4:
                _box(picture, left, sill_m + 0.5, left + 0.4, sill_m + 1.38, (196, 192, 182))
        if shutters:
            for left in (x - 0.9, x + 0.52):
                _box(picture, left, sill_m, left + 0.36, sill_m + 1.45, [c * 0.55 for c in wall])


def hang(picture: np.ndarray, camera: Camera, facade: Facade, scale: int) -> np.ndarray:
    """Paint a front into a picture that is `scale` times the camera's size, over what is there.

    Returns which of its pixels (H, W) bool the front covers: none where it is seen from behind.
    """
    left, right = np.array(facade.left, float), np.array(facade.right, float)
    along = (right - left) / np.linalg.norm(right - left)
    eye = np.array(camera.position[:2])
    if along[0] * (eye - left)[1] - along[1] * (eye - left)[0] > 0:
        return np.zeros(picture.shape[:2], bool)  # seen from behind
    # Picture of the front -> world -> picture of the camera, as one homography.
    to_world = np.zeros((4, 3))
    to_world[:2, 0] = along / PX_PER_M
    to_world[:2, 2] = left
    to_world[2, 1:] = -1 / PX_PER_M, facade.height_m
    to_world[3, 2] = 1
    if _beside_the_picture(camera, facade):
        return np.zeros(picture.shape[:2], bool)
    zoom = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
    width_m = round(float(np.hypot(facade.right[0] - facade.left[0], facade.right[1] - facade.left[1])), 3)
    height, width = int(facade.height_m * PX_PER_M), int(width_m * PX_PER_M)
    to_front = np.linalg.inv(zoom @ camera.matrix @ to_world)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    u, v, inverse_depth = (row[0] * x + row[1] * y + row[2] for row in to_front.astype(np.float32))
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = u / inverse_depth, v / inverse_depth
        mask = (inverse_depth > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    if mask.any():
        texture = paint_facade(width_m, facade.height_m, facade.seed)
        hung = cv2.remap(
            texture, np.where(mask, u, 0), np.where(mask, v, 0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        picture[mask] = hung[mask]
    return mask


def _beside_the_picture(camera: Camera, facade: Facade) -> bool:
    """Tell whether a front is surely not in the picture."""
    corners = np.array([(*end, z) for end in (facade.left, facade.right) for z in (0.0, facade.height_m)])
    points, depth = camera.project(corners)
    if (depth < 0).all():
        return True
    low, high = points.min(0), points.max(0)
    outside = (high < -2).any() or (low > (camera.width_px + 2, camera.height_px + 2)).any()
    return bool((depth > 0.1).all() and outside)
