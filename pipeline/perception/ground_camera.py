"""Sizes in metres from a ground homography: the camera behind it is recovered, so heights can be measured too."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

HEADINGS = 8
"""Directions a block may face, evenly over half a turn."""


@dataclass(frozen=True, eq=False, slots=True)
class GroundCamera:
    """A camera above flat ground.

    homography  (3, 3) picture pixels -> metres on the ground
    matrix      (3, 4) homogeneous world points (metres, z up from the ground) -> picture pixels
    """

    homography: np.ndarray
    matrix: np.ndarray

    def height_px(self, foot_xy: np.ndarray, height_m: float) -> np.ndarray:
        """Return (N,) how many pixels tall upright things of `height_m` look that stand at picture points (N, 2)."""
        ground = _apply(self.homography, foot_xy)
        flat = np.concatenate([ground, np.ones((len(ground), 1))], axis=1)
        foot = flat @ self.matrix[:, [0, 1, 3]].T  # (N, 3)
        top = foot + height_m * self.matrix[:, 2]
        return foot[:, 1] / foot[:, 2] - top[:, 1] / top[:, 2]

    def solid_area_px(self, foot_xy: np.ndarray, length_width_height_m: tuple[float, float, float]) -> float:
        """Return the least area in pixels, over eight headings, of a block that stands around a picture point (2,)."""
        length, width, height = length_width_height_m
        x, y = _apply(self.homography, foot_xy[None])[0]
        corner = np.array([[a, b] for a in (-0.5, 0.5) for b in (-0.5, 0.5)]) * (length, width)
        areas = []
        for heading in np.arange(HEADINGS) * np.pi / HEADINGS:
            turn = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
            ground = corner @ turn + (x, y)
            points = np.array([[*at, z, 1.0] for at in ground for z in (0.0, height)]) @ self.matrix.T
            hull = cv2.convexHull((points[:, :2] / points[:, 2:]).astype(np.float32))
            areas.append(cv2.contourArea(hull))
        return float(min(areas))


def from_homography(homography: np.ndarray, width_px: int, height_px: int) -> GroundCamera | None:
    """Recover the camera of a ground homography, taking square pixels and the optical axis through the middle.

    The two columns of a plane's homography are images of perpendicular vectors of equal length, which gives the focal
    length (Zhang 2000, section 3.1); the vertical is their cross product. Returns None where the homography fits no
    such camera (straight down, or measured too badly): sizes on the ground still hold then, heights cannot be told.
    """
    to_centre = np.array([[1, 0, -width_px / 2], [0, 1, -height_px / 2], [0, 0, 1.0]])
    plane = to_centre @ np.linalg.inv(np.asarray(homography, float))
    plane /= np.linalg.norm(plane[:, 0])
    first, second = plane[:, 0], plane[:, 1]
    # Two equations in 1 / focal^2: coefficient * x + constant = 0.
    coefficient = np.array([first[:2] @ second[:2], first[:2] @ first[:2] - second[:2] @ second[:2]])
    constant = np.array([first[2] * second[2], first[2] ** 2 - second[2] ** 2])
    inverse_sq = -(coefficient @ constant) / max(coefficient @ coefficient, 1e-30)
    # Fields of view from 5 to 127 degrees across; real cameras lie inside.
    if not (0.25 * width_px) ** 2 <= 1 / max(inverse_sq, 1e-12) <= (11.5 * width_px) ** 2:
        return None
    focal = inverse_sq**-0.5
    rays = plane / np.array([[focal], [focal], [1.0]])
    rays /= np.linalg.norm(rays[:, 0])
    ground = _apply(np.asarray(homography, float), np.array([[width_px / 2, height_px - 1.0]]))[0]
    if rays[2] @ np.array([*ground, 1.0]) < 0:  # what the picture shows lies before the camera
        rays = -rays
    up = np.cross(rays[:, 0], rays[:, 1])
    up *= np.sign(-(up @ rays[:, 2])) or 1.0  # the camera itself is above the ground
    world = np.column_stack([rays[:, 0], rays[:, 1], up, rays[:, 2]])
    intrinsic = np.array([[focal, 0, width_px / 2], [0, focal, height_px / 2], [0, 0, 1]])
    return GroundCamera(np.asarray(homography, float), intrinsic @ world)


def width_m(homography: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
    """Return (N,) the length on the ground of the lower edge of each box (N, 4), metres."""
    left, right = _apply(homography, xyxy[:, [0, 3]]), _apply(homography, xyxy[:, [2, 3]])
    return np.linalg.norm(right - left, axis=1)


def _apply(matrix: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Map points (N, 2) by a homography (3, 3)."""
    mapped = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]
