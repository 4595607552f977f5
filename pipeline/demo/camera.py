"""Pinhole cameras: world metres to picture pixels, the exact homography of the ground, and how each camera colours.

Picture coordinates are continuous: x in [0, width], y in [0, height], y down; the middle of pixel (i, j) is
(i + 0.5, j + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Tone:
    """What a camera does to the light: applied as `255 * (gain * light) ** gamma`, then noise.

    gain        red, green, blue
    noise       standard deviation of the sensor's noise, 8-bit levels
    saturation  1 leaves colours as they are
    vignette    share of light lost in the corners
    """

    gain: tuple[float, float, float]
    gamma: float
    noise: float
    saturation: float
    vignette: float


@dataclass(frozen=True)
class Camera:
    """A camera at `position` (x, y, z metres), without roll.

    bearing_deg  direction of view on the ground plan, counter-clockwise from east
    tilt_deg     how far it looks down from the horizon
    """

    camera_id: str
    position: tuple[float, float, float]
    bearing_deg: float
    tilt_deg: float
    focal_px: float
    tone: Tone
    width_px: int = 640
    height_px: int = 360

    @cached_property
    def rotation(self) -> np.ndarray:
        """3x3, rows: the picture's right, its down, and the direction of view, in world axes."""
        bearing, tilt = np.radians((self.bearing_deg, self.tilt_deg))
        forward = np.array([np.cos(tilt) * np.cos(bearing), np.cos(tilt) * np.sin(bearing), -np.sin(tilt)])
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    @cached_property
    def matrix(self) -> np.ndarray:
        """3x4 projection of homogeneous world points (metres) to picture pixels (Hartley and Zisserman, eq. 6.11)."""
        intrinsic = np.array(
            [[self.focal_px, 0, self.width_px / 2], [0, self.focal_px, self.height_px / 2], [0, 0, 1]], float
        )
        rotation = self.rotation
        return intrinsic @ np.column_stack([rotation, -rotation @ np.array(self.position)])

    def project(self, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return picture points (..., 2) and depths (...) in metres along the view of world points (..., 3).

        Points at depth 0 or less lie behind the camera; their picture points mean nothing.
        """
        matrix = self.matrix
        homogeneous = xyz @ matrix[:, :3].T + matrix[:, 3]
        depth = homogeneous[..., 2]
        return homogeneous[..., :2] / np.where(depth == 0, 1e-9, depth)[..., None], depth

    def project_ground(self, xy_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Like `project`, of points (..., 2) on the ground."""
        return self.project(np.concatenate([xy_m, np.zeros_like(xy_m[..., :1])], axis=-1))

    @property
    def homography(self) -> np.ndarray:
        """3x3, picture pixels -> metres on the ground, scaled so that its last entry is 1."""
        inverse = np.linalg.inv(self.matrix[:, [0, 1, 3]])
        return inverse / inverse[2, 2]

    def sees_ground(self, xy_m: np.ndarray, margin_px: float = 0.0) -> np.ndarray:
        """Tell which ground points (..., 2) fall into the picture, `margin_px` or more from its edge -> (...) bool.

        Houses and other things in the way are not considered.
        """
        xy, depth = self.project_ground(xy_m)
        inside = (xy >= margin_px).all(-1) & (xy <= (self.width_px - margin_px, self.height_px - margin_px)).all(-1)
        return inside & (depth > 0)
