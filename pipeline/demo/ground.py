"""The ground of the town as one picture from above: asphalt, markings, pavements, the paved square, grass."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.demo import world

PX_PER_M = 16
SEED = 4711
"""The town itself is the same whatever the seed of its traffic."""

ASPHALT = (98, 99, 102)
PAVEMENT = (168, 163, 154)
SLAB = (178, 170, 156)
BAND = (150, 132, 116)
GRASS = (106, 126, 76)
KERB = (196, 193, 186)
MARKING = (222, 221, 214)


def to_ground_px(xy_m: np.ndarray) -> np.ndarray:
    """Return the place (..., 2) in the ground picture of points in metres; its first row is the town's north edge."""
    x = (np.asarray(xy_m, float)[..., 0] - world.GROUND_X_M[0]) * PX_PER_M
    y = (world.GROUND_Y_M[1] - np.asarray(xy_m, float)[..., 1]) * PX_PER_M
    return np.stack([x, y], axis=-1)


def paint_ground() -> np.ndarray:
    """Return the ground (H, W, 3) uint8 RGB, PX_PER_M pixels a metre, north up."""
    size_m = np.ptp(world.GROUND_X_M), np.ptp(world.GROUND_Y_M)
    picture = np.empty((int(size_m[1] * PX_PER_M), int(size_m[0] * PX_PER_M), 3), np.uint8)
    picture[:] = PAVEMENT
    _pattern(picture, (world.GROUND_X_M[0], -30, world.GROUND_X_M[1], 60), 0.5, 0.5, 7)
    edge = world.PAVEMENT_OUTER_M
    _rectangle(picture, -90, edge, world.SQUARE_X_M[0], 9.0, GRASS)
    _rectangle(picture, 49.5, edge, 90, 8.0, GRASS)
    _rectangle(picture, -90, -10.0, 90, -edge, GRASS)
    _square(picture)
    left, right = world.SIDE_STREET_X_M
    _rectangle(picture, left - 0.15, world.ROAD_HALF_WIDTH_M, right + 0.15, 60, KERB)
    half = world.ROAD_HALF_WIDTH_M
    _rectangle(picture, -90, -half - 0.15, 90, half + 0.15, KERB)
    _rectangle(picture, left, 0, right, 60, ASPHALT)
    _rectangle(picture, -90, -half, 90, half, ASPHALT)
    _markings(picture)
    rng = np.random.default_rng(SEED)
    return _weathered(picture, rng)


def _rectangle(picture: np.ndarray, x0: float, y0: float, x1: float, y1: float, colour) -> None:
    a, b = to_ground_px(np.array([(x0, y1), (x1, y0)])).round().astype(int)
    cv2.rectangle(picture, tuple(a.tolist()), tuple((b - 1).tolist()), colour, -1)


def _pattern(picture: np.ndarray, area: tuple, step_x: float, step_y: float, depth: int) -> None:
    """Draw the joints of slabs over an area (x0, y0, x1, y1), metres, and give every slab its own shade."""
    (left, top), (right, bottom) = to_ground_px(np.array([(area[0], area[3]), (area[2], area[1])])).astype(int)
    patch = picture[top:bottom, left:right].astype(np.int16)
    rng = np.random.default_rng(SEED + 1)
    columns, rows = int((area[2] - area[0]) / step_x) + 1, int((area[3] - area[1]) / step_y) + 1
    shade = rng.integers(-depth, depth + 1, (rows, columns)).astype(np.int16)
    size = (max(1, int(step_x * PX_PER_M)), max(1, int(step_y * PX_PER_M)))
    shade = np.kron(shade, np.ones((size[1], size[0]), np.int16))
    shade[:: size[1]] -= 16
    shade[:, :: size[0]] -= 16
    patch += shade[: patch.shape[0], : patch.shape[1], None]
    picture[top:bottom, left:right] = np.clip(patch, 0, 255)


def _square(picture: np.ndarray) -> None:
    """Pave the square: slabs in a grid of darker bands, rings around the fountain."""
    (x0, x1), (y0, y1) = world.SQUARE_X_M, world.SQUARE_Y_M
    _rectangle(picture, x0, y0, x1, 60, SLAB)
    for x in np.arange(x0 + 4, x1, 8.0):
        _rectangle(picture, x - 0.3, y0, x + 0.3, y1, BAND)
    for y in np.arange(y0 + 3.5, y1, 7.0):
        _rectangle(picture, x0, y - 0.3, x1, y + 0.3, BAND)
    middle = tuple(to_ground_px(np.array(world.FOUNTAIN[:2])).round().astype(int).tolist())
    for radius, colour in ((4.2, BAND), (3.6, SLAB), (2.9, BAND), (2.5, (192, 184, 170))):
        cv2.circle(picture, middle, int(radius * PX_PER_M), colour, -1, cv2.LINE_AA)
    _pattern(picture, (x0, y0, x1, 60), 0.75, 0.375, 6)


def _markings(picture: np.ndarray) -> None:
    """Paint the middle line, the zebra, stop lines and the give-way line."""
    left, right = world.ZEBRA_X_M
    side_left, side_right = world.SIDE_STREET_X_M
    for x in np.arange(-90, 90, 6.0):
        near_zebra = left - 5 < x + 3 and x < right + 5
        if not near_zebra and not side_left - 4 < x < side_right:
            _rectangle(picture, x, -0.07, x + 3, 0.07, MARKING)
    for y in np.arange(-world.ROAD_HALF_WIDTH_M + 0.25, world.ROAD_HALF_WIDTH_M - 0.4, 1.0):
        _rectangle(picture, left, y, right, y + 0.5, MARKING)
    half = world.ROAD_HALF_WIDTH_M
    _rectangle(picture, left - 1.3, -half + 0.2, left - 0.9, -0.15, MARKING)
    _rectangle(picture, right + 0.9, 0.15, right + 1.3, half - 0.2, MARKING)
    for x in np.arange(side_left + 0.2, (side_left + side_right) / 2 - 0.3, 0.6):
        _rectangle(picture, x, half + 0.3, x + 0.35, half + 0.7, MARKING)
    for y in np.arange(10, 60, 5.0):
        _rectangle(picture, 43.94, y, 44.06, y + 2.5, MARKING)


def _weathered(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add grain, stains, wheel tracks, patches of repair and manhole covers."""
    height, width = picture.shape[:2]
    light = np.zeros((height, width), np.float32)
    for cell_px, levels in ((3, 5.0), (24, 4.0), (140, 5.0)):
        coarse = rng.normal(0, levels, (height // cell_px + 2, width // cell_px + 2)).astype(np.float32)
        light += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for lane in (-world.LANE_CENTRE_M, world.LANE_CENTRE_M):
        for wheel in (-0.75, 0.75):
            row = int(to_ground_px(np.array([0, lane + wheel]))[1])
            light[row - 5 : row + 5] -= 5
    for _ in range(26):
        x, y = rng.uniform(-85, 85), rng.uniform(-3.0, 2.0)
        corner = to_ground_px(np.array([x, y])).astype(int)
        size = rng.integers(12, 60), rng.integers(8, 22)
        light[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] -= rng.uniform(4, 14)
    for x in np.arange(-80, 85, 17.0):
        place = to_ground_px(np.array([x, -0.9])).astype(int)
        cv2.circle(light, tuple(place.tolist()), 5, -26.0, -1)
    for x, y, size_m in world.TREES:  # damp, shaded ground beneath the trees
        place = to_ground_px(np.array([x, y])).astype(int)
        shade = np.zeros((height, width), np.float32)
        cv2.circle(shade, tuple(place.tolist()), int(size_m * 0.36 * PX_PER_M), 30.0, -1)
        reach = int(size_m * PX_PER_M)
        box = np.s_[max(0, place[1] - reach) : place[1] + reach, max(0, place[0] - reach) : place[0] + reach]
        light[box] -= cv2.GaussianBlur(shade[box], (0, 0), 9)
    return np.clip(picture + light[..., None], 0, 255).astype(np.uint8)
