"""Boxes on the ground: where the cameras are calibrated, every tracklet is a path in metres that others can meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.boxes import bottom_centre

Homography = tuple[tuple[float, float, float], ...]

BOX_NOISE = 1 / 20
"""Standard deviation of a box's place as a share of its height (Wojke et al. 2017, reference implementation)."""

LEAST_NOISE_PX = 1.0
"""No box is placed better than to a pixel."""

MAX_SD_M = 10.0
"""Towards the horizon a pixel covers ever more ground; a place less certain than this tells nothing."""


@dataclass(frozen=True, eq=False, slots=True)
class GroundTracks:
    """M places of tracklets on one ground plane common to the cameras, sorted by (tracklet_id, captured_at_us).

    tracklet_id     (M,)      object (str)
    captured_at_us  (M,)      int64
    xy_m            (M, 2)    float64, metres
    cov_m2          (M, 2, 2) float64, covariance of xy_m, square metres
    """

    tracklet_id: np.ndarray
    captured_at_us: np.ndarray
    xy_m: np.ndarray
    cov_m2: np.ndarray

    def __post_init__(self) -> None:
        shapes = {"captured_at_us": (), "xy_m": (2,), "cov_m2": (2, 2)}
        for name, tail in shapes.items():
            got, wanted = getattr(self, name).shape, (len(self), *tail)
            if got != wanted:
                raise ValueError(f"GroundTracks.{name}: expected shape {wanted}, got {got}")

    def __len__(self) -> int:
        return len(self.tracklet_id)


def on_ground(
    tracklet_id: np.ndarray,
    camera_id: np.ndarray,
    captured_at_us: np.ndarray,
    xyxy: np.ndarray,
    homographies: Mapping[str, Homography],
) -> GroundTracks:
    """Lay the bottom centre of M boxes (M, 4), pixels, on the ground by each camera's homography (pixels -> metres).

    The covariance is that of the box, carried through the homography's derivative, so that the far ground is known
    less well, and less well along the line of sight than across it. Boxes of cameras without a homography, at or above
    the horizon, or less certain than MAX_SD_M are left out.
    """
    xy_m, cov_m2 = np.zeros((len(xyxy), 2)), np.zeros((len(xyxy), 2, 2))
    kept = np.zeros(len(xyxy), bool)
    noise_px = np.maximum(LEAST_NOISE_PX, BOX_NOISE * (xyxy[:, 3] - xyxy[:, 1]).astype(np.float64))
    for name in np.unique(camera_id.astype(str)):
        if name not in homographies:
            continue
        mine = np.flatnonzero(camera_id == name)
        foot = bottom_centre(xyxy[mine].astype(np.float64))
        place, jacobian, before = _through(np.array(homographies[name], np.float64), foot)
        spread = jacobian * noise_px[mine, None, None]
        cov = spread @ spread.transpose(0, 2, 1)
        sure = before & (np.trace(cov, axis1=1, axis2=2) <= MAX_SD_M**2)
        xy_m[mine], cov_m2[mine] = place, cov
        kept[mine] = sure
    order = np.lexsort((captured_at_us, tracklet_id.astype(str)))
    order = order[kept[order]]
    return GroundTracks(tracklet_id[order], captured_at_us[order], xy_m[order], cov_m2[order])


def _through(homography: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map points (P, 2): their places (P, 2), the derivatives there (P, 2, 2), and which lie before the horizon (P,).

    The ground lies on that side of the horizon on which the lowest of the points does.
    """
    image = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ homography.T  # (P, 3)
    depth = image[:, 2]
    before = depth * np.sign(depth[np.argmax(xy[:, 1])]) > 0
    depth = np.where(before, depth, 1.0)
    place = image[:, :2] / depth[:, None]
    jacobian = (homography[None, :2, :2] - place[:, :, None] * homography[None, 2:, :2]) / depth[:, None, None]
    return place, jacobian, before
