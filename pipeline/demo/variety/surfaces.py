"""Grounds and skies of any kind: asphalt, slabs, grass, sand, tiles, stained, worn and marked."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.demo.backdrop import Floor
from pipeline.demo.variety.wardrobe import any_colour

HALF_M = 36.0
PX_PER_M = 14
"""A made-up ground is this large; beyond, it is mirrored."""

GREYS = ((98, 99, 102), (128, 126, 122), (168, 163, 154), (74, 76, 80), (186, 180, 168), (150, 132, 116))
GREENS = ((106, 126, 76), (88, 108, 60), (134, 140, 92))


def base_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw the colour of a ground: mostly greys and browns, now and then anything."""
    if rng.random() < 0.2:
        return np.array(any_colour(rng), float)
    if rng.random() < 0.15:
        return np.array(GREENS[rng.integers(len(GREENS))], float)
    grey = np.array(GREYS[rng.integers(len(GREYS))], float)
    return np.clip(grey * rng.uniform(0.55, 1.35) + rng.normal(0, 8, 3), 15, 240)


def bare_ground(rng: np.random.Generator) -> np.ndarray:
    """Paint a ground (H, W, 3) float32 without roads."""
    size = int(2 * HALF_M * PX_PER_M)
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = base_colour(rng)
    for _ in range(rng.integers(0, 5)):  # lawns, other pavings
        middle, reach = rng.uniform(0, size, 2), rng.uniform(40, 300)
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        corners = middle + reach * rng.uniform(0.5, 1.2, (len(angle), 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
        cv2.fillPoly(picture, [corners.astype(np.int32)], base_colour(rng).tolist())
    if rng.random() < 0.7:
        picture += _tiles(rng, size)[..., None]
    return picture


def _tiles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the shades (H, W) of slabs and their joints, in a random direction of north or east."""
    across, along = (int(max(4, rng.uniform(0.3, 2.5) * PX_PER_M)) for _ in range(2))
    shade = rng.normal(0, rng.uniform(0, 12), (size // along + 1, size // across + 1)).astype(np.float32)
    tiles = np.repeat(np.repeat(shade, along, 0), across, 1)[:size, :size]
    joint = rng.uniform(-30, 12)
    tiles[::along] += joint
    tiles[:, ::across] += joint
    if rng.random() < 0.3:
        tiles = cv2.warpAffine(
            tiles,
            cv2.getRotationMatrix2D((size / 2, size / 2), float(rng.uniform(0, 90)), 1),
            (size, size),
            borderMode=cv2.BORDER_REFLECT,
        )
    return tiles


def stroke(picture: np.ndarray, xy_m: np.ndarray, width_m: float, colour, shift_m: float = 0.0) -> None:
    """Paint a line along points (K, 2) in metres, `shift_m` to its right."""
    step = np.gradient(xy_m, axis=0)
    right = np.stack([step[:, 1], -step[:, 0]], axis=1) / np.linalg.norm(step, axis=1, keepdims=True)
    points = ground_px(xy_m + shift_m * right)
    cv2.polylines(picture, [np.round(points).astype(np.int32)], False, colour, max(1, round(width_m * PX_PER_M)))


def ground_px(xy_m: np.ndarray) -> np.ndarray:
    """Return the places (..., 2) in a made-up ground of points in metres."""
    return (np.asarray(xy_m, float) * (1, -1) + HALF_M) * PX_PER_M


def weathered(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Return the ground (H, W, 3) uint8 with grain, stains, shadows of things outside the picture, and cracks."""
    size = picture.shape[0]
    light = np.zeros((size, size), np.float32)
    for cell_px, most in ((2, 12.0), (9, 9.0), (40, 12.0), (160, 18.0)):
        coarse = rng.standard_normal((size // cell_px + 2, size // cell_px + 2), np.float32) * rng.uniform(0, most)
        light += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    for _ in range(rng.integers(0, 12)):  # patches, puddles, hard shadows
        middle, reach = rng.uniform(0, size, 2), rng.uniform(5, 130)
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
        corners = middle + reach * rng.uniform(0.4, 1.2, (len(angle), 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
        patch = np.zeros((size, size), np.uint8)
        cv2.fillPoly(patch, [corners.astype(np.int32)], 1)
        light += patch * np.float32(rng.normal(-8, 22))
    return np.clip(picture * (1 + light[..., None] / 160), 0, 255).astype(np.uint8)


def floor(picture: np.ndarray) -> Floor:
    """Return a made-up ground as what a camera's backdrop is painted from."""
    return Floor(picture, PX_PER_M, -HALF_M, HALF_M, None)


def sky(rng: np.random.Generator, size: tuple[int, int], horizon_px: int) -> np.ndarray:
    """Paint a sky (horizon_px, W, 3) uint8 with whatever stands at the horizon."""
    width = size[0]
    above, below = base_colour(rng), rng.uniform(150, 245) + rng.normal(0, 12, 3)
    share = np.linspace(0, 1, horizon_px)[:, None, None]
    picture = np.ascontiguousarray(np.broadcast_to((1 - share) * above + share * below, (horizon_px, width, 3)))
    for _ in range(rng.integers(0, 25)):
        left, wide, high = rng.uniform(-20, width), rng.uniform(5, 120), rng.exponential(0.4) * horizon_px
        corner = (int(left), int(horizon_px - high))
        cv2.rectangle(picture, corner, (int(left + wide), horizon_px), base_colour(rng).tolist(), -1)
    coarse = rng.standard_normal((6, 10)).astype(np.float32) * 9
    cloud = cv2.resize(coarse, (width, horizon_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + cloud[..., None], 0, 255).astype(np.uint8)
