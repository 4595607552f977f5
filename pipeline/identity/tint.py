"""What each camera adds to what it sees."""

from __future__ import annotations

import numpy as np

from pipeline.identity.kernels import looks as kernels
from pipeline.identity.looks import Looks
from pipeline.identity.threads import in_parts

PARTS = 16
"""Sums are taken over so many parts of the night and then added, whatever the number of threads: so they are the same
on every machine."""


def bias(looks: Looks, camera: np.ndarray, n_cameras: int) -> np.ndarray:
    """Return what each camera adds to what it sees, (C, D) float64: the mean of all it saw.

    camera (N,) int, camera of each tracklet, whose mean look is one vote. The mean of few tracklets is mostly those
    tracklets themselves, so both the mean of the whole and each camera's departure from it are shrunk by the
    positive-part James-Stein rule: weight max(0, 1 - noise / length**2), noise being the squared standard error of the
    mean. A lone tracklet stays as it is. A camera that saw nothing has the mean of the whole. looks are read as they
    lie in the table: neither the vectors nor the means of the tracklets are copied.
    Source: James and Stein 1961; Efron and Morris 1973. Removing camera means: Gu et al. 2020, "1st place solution to
    VisDA-2020", section 2.4.
    """
    n_tracklets, dim = len(looks), looks.vector.shape[1]
    camera = np.ascontiguousarray(camera, dtype=np.int64)
    total, squares = np.zeros((PARTS, n_cameras, dim)), np.zeros((PARTS, n_cameras))

    def add_up(parts: slice) -> None:
        for part in range(parts.start, parts.stop):
            own = slice(n_tracklets * part // PARTS, n_tracklets * (part + 1) // PARTS)
            columns = (looks.vector, looks.start[own], looks.size[own], camera[own])
            kernels.sums_by_camera(*columns, total[part], squares[part])

    in_parts(add_up, PARTS)
    total, squares = total.sum(axis=0), squares.sum(axis=0)
    count = np.bincount(camera, minlength=n_cameras)
    tint = np.zeros((n_cameras, dim))
    if n_tracklets == 0:
        return tint
    centre = total.sum(axis=0) / n_tracklets
    for index in np.flatnonzero(count):
        mean = total[index] / count[index]
        departure = mean - centre
        tint[index] = departure * _shrinkage(departure, mean, squares[index], int(count[index]))
    return tint + centre * _shrinkage(centre, centre, squares.sum(), n_tracklets)


def _shrinkage(shift: np.ndarray, mean: np.ndarray, squares: float, count: int) -> float:
    """Return the James-Stein weight of a shift (D,) that `count` vectors of this mean and sum of squares support."""
    length_sq = float(shift @ shift)
    if count < 2 or length_sq == 0.0:
        return 0.0
    noise_sq = max(0.0, float(squares) - count * float(mean @ mean)) / (count - 1) / count
    return max(0.0, 1.0 - noise_sq / length_sq)
