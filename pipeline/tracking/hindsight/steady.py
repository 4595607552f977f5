"""Boxes of a moving camera in the coordinates of one picture, so that standing things stand still, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.tracking import kalman
from pipeline.tracking.block import STILL
from pipeline.tracking.hindsight.rows import Boxes, Frames


@dataclass(frozen=True, eq=False, slots=True)
class Steadied:
    """Frames in a row, and where boxes in them lie in the picture of the last one.

    into_last  (F, 2, 3) float64, takes each frame into the last; None where the camera stands
    """

    frames: Frames
    into_last: np.ndarray | None

    @staticmethod
    def of(frames: Frames) -> Steadied:
        """Return frames so."""
        return Steadied(frames, into_last(frames.warp))

    def measured(self, boxes: Boxes) -> np.ndarray:
        """Return boxes (N) as measurements (N, 4), cx, cy, aspect, height, in the picture of the last frame."""
        measurement = kalman.from_xyxy(boxes.xyxy)
        if self.into_last is None:
            return measurement
        return moved(measurement, self.into_last[self.frames.at(boxes.step)])

    def in_picture(self, measurement: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return the corners (N, 4) of such measurements in the pictures of the frames at `index` (N,)."""
        if self.into_last is not None:
            measurement = moved(measurement, inverse(self.into_last[index]))
        return kalman.to_xyxy(measurement)


def into_last(warp: np.ndarray) -> np.ndarray | None:
    """Return (F, 2, 3) what takes each of F frames in a row into the last one; None where the camera never moved.

    warp (F, 2, 3) takes the frame before into each frame; the first one's is not read.
    """
    if (warp[1:] == STILL).all():
        return None
    into = np.empty_like(warp)
    into[-1:] = STILL
    for frame in range(len(warp) - 1, 0, -1):
        later = into[frame]
        into[frame - 1, :, :2] = later[:, :2] @ warp[frame, :, :2]
        into[frame - 1, :, 2] = later[:, :2] @ warp[frame, :, 2] + later[:, 2]
    return into


def moved(measurement: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Carry measurements (N, 4), cx, cy, aspect, height, by one affine motion (N, 2, 3) each.

    Heights grow by the motion's mean scale; an upright box stays upright, as in kalman.warp.
    """
    scale = np.sqrt(np.abs(np.linalg.det(affine[:, :, :2])))
    centre = (affine[:, :, :2] @ measurement[:, :2, None])[:, :, 0] + affine[:, :, 2]
    return np.column_stack([centre, measurement[:, 2], measurement[:, 3] * scale])


def inverse(affine: np.ndarray) -> np.ndarray:
    """Return the motions back (N, 2, 3)."""
    back = np.linalg.inv(affine[:, :, :2])
    return np.concatenate([back, -back @ affine[:, :, 2:]], axis=2)
