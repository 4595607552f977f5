"""The homography of a ground plane, fitted to points marked in a picture and measured on the ground, and its error.

What is uncertain is where in the picture a point was marked, so the map from the ground into the picture is fitted:
first by the normalised DLT, then by least squares of the distances in pixels (Hartley and Zisserman 2004, algorithms
4.2 and 4.3). Its covariance is sigma^2 (J'J)^-1 (section 5.2), carried on to what is measured with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

LEAST_POINTS = 4
"""A homography has eight unknowns, a point gives two of them."""

DEGENERATE = 1e-6
"""Ratio of the DLT's eighth to its first singular value below which points leave the homography open: with three of
four on one line it is 0 but for rounding, and over 0.01 for points that surround an area."""

DIGITS = 10
"""Significant digits kept of a fitted homography, so that equal points give equal digests on every machine."""

_HORIZON = "the points lie on both sides of the horizon; check that every pixel stands beside its own place in metres"


class DegenerateError(ValueError):
    """The points do not fix a homography. The message says why, and what to do."""


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
    """A homography fitted to N points.

    homography    (3, 3) float64, picture pixels -> metres, its last entry 1 where that is not 0
    to_picture    (3, 3) float64, metres -> picture pixels
    residual_px   (N,)   float64, distance in the picture between where a point was marked and where it should lie
    sigma_px      float, standard deviation of a marked coordinate: as given, or as the residuals say where they are
                  larger or nothing is given; None where four points leave no residual and nothing is given
    covariance    (9, 9) float64, of to_picture row by row, its last entry held; None where sigma_px is
    """

    homography: np.ndarray
    to_picture: np.ndarray
    residual_px: np.ndarray
    sigma_px: float | None
    covariance: np.ndarray | None


def fit(pixels: np.ndarray, metres: np.ndarray, marking_error_px: float | None = None) -> Fit:
    """Fit a homography to N >= 4 pairs of points, pixels (N, 2) and metres (N, 2).

    Raises DegenerateError for fewer points, points that leave it open, and ground on both sides of the horizon.
    """
    pixels, metres = np.asarray(pixels, np.float64), np.asarray(metres, np.float64)
    n_points = len(pixels)
    if n_points < LEAST_POINTS:
        raise DegenerateError(f"{n_points} points do not fix a homography; mark at least {LEAST_POINTS}")
    to_unit, to_plane = _normaliser(pixels), _normaliser(metres)
    unit, plane = apply(to_unit, pixels), apply(to_plane, metres)
    start = _dlt(plane, unit)
    found = least_squares(_residuals, start[:8], args=(plane, unit), method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    shape = np.append(found.x, 1.0).reshape(3, 3)
    depth = plane @ shape[2, :2] + shape[2, 2]
    if not (depth > 0).all() and not (depth < 0).all():
        raise DegenerateError(_HORIZON)
    to_picture = np.linalg.inv(to_unit) @ shape @ to_plane
    residual_px = np.linalg.norm(apply(to_picture, metres) - pixels, axis=1)
    sigma_px = _sigma(residual_px, marking_error_px)
    covariance = None
    if sigma_px is not None:
        sigma_unit = sigma_px * to_unit[0, 0]
        of_shape = np.zeros((9, 9))
        of_shape[:8, :8] = sigma_unit**2 * np.linalg.inv(found.jac.T @ found.jac)
        # vec(A S B) = (A kron B') vec(S), row by row.
        carry = np.kron(np.linalg.inv(to_unit), to_plane.T)
        covariance = carry @ of_shape @ carry.T
    return Fit(_rounded(np.linalg.inv(to_picture)), to_picture, residual_px, sigma_px, covariance)


def apply(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Map points (N, 2) by a homography (3, 3)."""
    image = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ np.asarray(homography, np.float64).T
    return image[:, :2] / image[:, 2:]


def derivative(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return the derivative (N, 2, 2) of a homography (3, 3) at points (N, 2): rows are its two coordinates."""
    homography = np.asarray(homography, np.float64)
    image = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ homography.T
    place = image[:, :2] / image[:, 2:]
    return (homography[None, :2, :2] - place[:, :, None] * homography[None, 2:, :2]) / image[:, 2, None, None]


def across_error(found: Fit, line_px: np.ndarray) -> float | None:
    """Return the relative standard deviation of short ground distances across a line (2, 2), pixels, at its middle.

    Across is at right angles to the line on the ground, as traffic crosses it. The error is that of the calibration
    alone, propagated to first order. None where the covariance is not known.
    """
    if found.covariance is None:
        return None
    line_px = np.asarray(line_px, np.float64)
    middle = line_px.mean(axis=0, keepdims=True)
    to_ground = derivative(np.linalg.inv(found.to_picture), middle)[0]
    along = to_ground @ (line_px[1] - line_px[0])
    step_px = np.linalg.solve(to_ground, np.array([-along[1], along[0]]) / np.linalg.norm(along))

    def log_distance(entries: np.ndarray) -> float:
        turned = derivative(np.linalg.inv(entries.reshape(3, 3)), middle)[0]
        return float(np.log(np.linalg.norm(turned @ step_px)))

    entries = found.to_picture.ravel()
    steps = np.diag(1e-6 * np.maximum(np.abs(entries), 1e-6 * np.abs(entries).max()))
    slope = np.array([(log_distance(entries + h) - log_distance(entries - h)) / (2 * h.sum()) for h in steps])
    return float(np.sqrt(max(0.0, slope @ found.covariance @ slope)))


def _normaliser(xy: np.ndarray) -> np.ndarray:
    """Return the similarity (3, 3) that lays points (N, 2) about the origin at a mean distance of sqrt(2)."""
    middle = xy.mean(axis=0)
    distance = np.linalg.norm(xy - middle, axis=1).mean()
    if distance == 0:
        raise DegenerateError("all points are the same; mark at least four that surround the ground that is measured")
    scale = np.sqrt(2) / distance
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])


def _dlt(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the nine entries of the homography source -> target, the last of them 1. Raises DegenerateError."""
    ones, zeros = np.ones(len(source)), np.zeros((len(source), 3))
    homogeneous = np.column_stack([source, ones])
    first = np.concatenate([homogeneous, zeros, -target[:, :1] * homogeneous], axis=1)
    second = np.concatenate([zeros, homogeneous, -target[:, 1:] * homogeneous], axis=1)
    _, strength, directions = np.linalg.svd(np.concatenate([first, second]))
    entries = directions[-1]
    largest = np.abs(entries).max()
    if strength[7] < DEGENERATE * strength[0] or abs(np.linalg.det(entries.reshape(3, 3))) < DEGENERATE * largest**3:
        raise DegenerateError(
            "too many of the points are the same or lie on one line, in the picture or on the ground; mark at least "
            "four of which no three lie on a line"
        )
    if abs(entries[8]) < DEGENERATE * largest:
        raise DegenerateError(_HORIZON)
    return entries / entries[8]


def _residuals(entries: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return (apply(np.append(entries, 1.0).reshape(3, 3), source) - target).ravel()


def _sigma(residual_px: np.ndarray, marking_error_px: float | None) -> float | None:
    """Return the larger of what was said and what the residuals show."""
    freedom = 2 * len(residual_px) - 8
    shown = float(np.sqrt((residual_px**2).sum() / freedom)) if freedom > 0 else None
    return max((sigma for sigma in (shown, marking_error_px) if sigma is not None), default=None)


def _rounded(homography: np.ndarray) -> np.ndarray:
    scaled = homography / (homography[2, 2] if abs(homography[2, 2]) > 1e-12 else np.abs(homography).max())
    return np.array([[float(f"{value:.{DIGITS}g}") for value in row] for row in scaled])
