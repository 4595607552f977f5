"""How large people look at each place of a picture: by the camera's calibration, or by the configured width."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pipeline.config import MotionConfig
from pipeline.perception import ground_camera
from pipeline.types import CameraView

SMALLEST_CAR_M = (3.5, 1.6, 1.4)
"""Length, width and height of a small car (A-segment: Fiat 500 3.57 x 1.63 x 1.49)."""

ROUNDED = 0.75
"""A car's outline as a share of its block's: bonnet and windscreen are lower than the roof."""


class Scale(Protocol):
    """Sizes in pixels of people who stand on the lower edges of boxes."""

    def widest_person_px(self, xyxy: np.ndarray) -> np.ndarray:
        """Return (N,) the width above which a box (N, 4) is no single person."""
        ...

    def height_px(self, xyxy: np.ndarray, height_m: float) -> np.ndarray:
        """Return (N,) how tall an upright thing of `height_m` looks on the lower edge of each box (N, 4)."""
        ...

    def smallest_vehicle_area_px(self, box: np.ndarray) -> float:
        """Return the area below which nothing that stands on the lower edge of a box (4,) is a vehicle seen whole."""
        ...


class GroundScale:
    """Sizes by a homography picture -> metres."""

    def __init__(self, config: MotionConfig, view: CameraView) -> None:
        self._widest_m = config.person_max_width_m
        self._homography = np.array(view.homography, float)
        self._camera = ground_camera.from_homography(self._homography, view.width_px, view.height_px)

    def widest_person_px(self, xyxy: np.ndarray) -> np.ndarray:
        """Return (N,) pixels; the scale is taken along each box's own lower edge."""
        return self._widest_m * self._px_per_m(xyxy)

    def height_px(self, xyxy: np.ndarray, height_m: float) -> np.ndarray:
        """Return (N,) pixels; as tall as wide where the homography fits no camera, which holds for distant views."""
        if self._camera is None:
            return height_m * self._px_per_m(xyxy)
        foot = np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1)
        return self._camera.height_px(foot, height_m)

    def smallest_vehicle_area_px(self, box: np.ndarray) -> float:
        """Return pixels; 0 where the homography fits no camera."""
        if self._camera is None:
            return 0.0
        foot = np.array([(box[0] + box[2]) / 2, box[3]], float)
        return ROUNDED * self._camera.solid_area_px(foot, SMALLEST_CAR_M)

    def _px_per_m(self, xyxy: np.ndarray) -> np.ndarray:
        width_m = ground_camera.width_m(self._homography, xyxy)
        return (xyxy[:, 2] - xyxy[:, 0]) / np.maximum(width_m, 1e-9)


class PixelScale:
    """Sizes of a camera without a homography: one scale for the whole picture, that of its nearest people."""

    def __init__(self, config: MotionConfig) -> None:
        self._widest_px = config.person_max_width_px
        self._px_per_m = config.person_max_width_px / config.person_max_width_m

    def widest_person_px(self, xyxy: np.ndarray) -> np.ndarray:
        """Return (N,) the configured width."""
        return np.full(len(xyxy), self._widest_px)

    def height_px(self, xyxy: np.ndarray, height_m: float) -> np.ndarray:
        """Return (N,) the height at the configured scale: people further away look smaller than this."""
        return np.full(len(xyxy), height_m * self._px_per_m)

    def smallest_vehicle_area_px(self, box: np.ndarray) -> float:
        """Return 0: how far away it is nobody knows."""
        return 0.0


def of_camera(config: MotionConfig, view: CameraView) -> Scale:
    """Return the scale of a camera, by its homography where it has one."""
    return PixelScale(config) if view.homography is None else GroundScale(config, view)
