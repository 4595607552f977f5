"""The fit of a homography: exact on exact points, and errors that repeated marking bears out."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.homography import DegenerateError, across_error, apply, derivative, fit

# A camera 8 m up, looking down a road.
HOMOGRAPHY = np.array([[0.0333, -0.13, -68.45], [0.0654, -0.0747, -8.966], [0.0, 0.00806, 1.0]])
PIXELS = np.array([[103, 181], [384, 122], [401, 132], [476, 115], [300, 250], [50, 140], [600, 200]], float)
LINE = np.array([[103.4, 181.1], [384.0, 122.8]])


@pytest.mark.parametrize("n_points", [4, 5, 7])
def test_exact_points_give_the_homography_back(n_points):
    pixels = PIXELS[-n_points:]
    found = fit(pixels, apply(HOMOGRAPHY, pixels))
    assert apply(found.homography, PIXELS) == pytest.approx(apply(HOMOGRAPHY, PIXELS), abs=1e-5)
    assert found.residual_px.max() < 1e-9
    assert apply(found.to_picture, apply(found.homography, PIXELS)) == pytest.approx(PIXELS, abs=1e-5)


def test_four_points_alone_tell_no_error_but_a_marking_error_does():
    pixels, metres = PIXELS[-4:], apply(HOMOGRAPHY, PIXELS[-4:])
    assert fit(pixels, metres).covariance is None
    assert across_error(fit(pixels, metres), LINE) is None
    one, two = (across_error(fit(pixels, metres, sigma), LINE) for sigma in (1.0, 2.0))
    assert two == pytest.approx(2 * one)


def test_residuals_larger_than_the_marking_error_that_was_claimed_prevail():
    moved = PIXELS + np.random.default_rng(2).normal(scale=4.0, size=PIXELS.shape)
    found = fit(moved, apply(HOMOGRAPHY, PIXELS), marking_error_px=0.1)
    assert found.sigma_px == pytest.approx(np.sqrt((found.residual_px**2).sum() / (2 * len(PIXELS) - 8)))
    assert fit(PIXELS, apply(HOMOGRAPHY, PIXELS), marking_error_px=0.1).sigma_px == 0.1


def test_the_error_across_a_line_is_what_marking_again_and_again_gives():
    metres = apply(HOMOGRAPHY, PIXELS)
    middle = LINE.mean(axis=0, keepdims=True)
    to_ground = derivative(HOMOGRAPHY, middle)[0]
    along = to_ground @ (LINE[1] - LINE[0])
    step_px = np.linalg.solve(to_ground, np.array([-along[1], along[0]]) / np.linalg.norm(along))
    random = np.random.default_rng(0)
    fits = [fit(PIXELS + random.normal(size=PIXELS.shape), metres) for _ in range(300)]
    measured_m = [np.linalg.norm(derivative(one.homography, middle)[0] @ step_px) for one in fits]
    assert across_error(fit(PIXELS, metres, 1.0), LINE) == pytest.approx(np.std(measured_m), rel=0.15)
    assert np.mean([one.sigma_px**2 for one in fits]) == pytest.approx(1.0, rel=0.15)


def test_the_derivative_is_that_of_the_map():
    step = 1e-5
    slopes = [(apply(HOMOGRAPHY, PIXELS + h) - apply(HOMOGRAPHY, PIXELS - h)) / (2 * step) for h in step * np.eye(2)]
    assert derivative(HOMOGRAPHY, PIXELS) == pytest.approx(np.stack(slopes, axis=2), rel=1e-5)


SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (SQUARE[:3], "3 points do not fix a homography; mark at least 4"),
        ([[5, 5]] * 4, "all points are the same"),
        ([[0, 0], [10, 10], [20, 20], [50, 0]], "lie on one line"),
        ([[0, 0], [0, 0], [10, 0], [10, 10]], "are the same or lie on one line"),
        ([[0, 0], [10, 10], [10, 0], [0, 10]], "both sides of the horizon"),  # two points exchanged
    ],
)
def test_points_that_leave_it_open(pixels, sentence):
    with pytest.raises(DegenerateError, match=sentence):
        fit(np.array(pixels, float), SQUARE[: len(pixels)])
