"""Which lost track goes on as which new one."""

from __future__ import annotations

import numpy as np

from pipeline.tracking import kalman
from pipeline.tracking.hindsight import relinking
from pipeline.tracking.hindsight.relinking import Ends

HEIGHT = 100.0


def ends(*of: tuple[float, float, float], group: int = 0) -> Ends:
    """Return ends of (clock, x, speed towards the gap), well known, all at one height and on one level."""
    mean, cov = kalman.initiate(np.array([[x, 50.0, 0.4, HEIGHT] for _, x, _ in of]).reshape(-1, 4))
    mean[:, 4] = [speed for _, _, speed in of]
    cov[:] = [HEIGHT / 40, 0.0, 0.2]
    cov[..., 0] **= 2
    return Ends(
        np.array([clock for clock, _, _ in of], float),
        mean,
        cov,
        np.full(len(of), group, np.int16),
        np.zeros((len(of), 128)),
    )


def odds(lost: Ends, new: Ends, longest: float = 60) -> np.ndarray:
    return relinking.motion_log_odds(lost, new, longest)


def test_no_ends():
    assert odds(ends(), ends((1, 0, 0))).shape == (0, 1)
    row, column = relinking.choose(np.zeros((0, 3)))
    assert len(row) == len(column) == 0


def test_whoever_comes_out_where_they_were_going_is_the_same():
    lost, new = ends((10, 100, 2)), ends((30, 140, -2), (30, 60, -2), (30, 140, 2))
    found = odds(lost, new)[0]
    assert found[0] > 1 and found[0] > found[2] > found[1]  # right place and way; place only; neither


def test_nobody_is_joined_to_the_past_the_present_or_too_late():
    lost = ends((10, 100, 0))
    found = odds(lost, ends((10, 100, 0), (9, 100, 0), (11, 100, 0), (70, 100, 0), (70.5, 100, 0)))[0]
    assert (found[[0, 1, 4]] < -1e6).all() and (found[[2, 3]] > -20).all()


def test_a_person_is_never_joined_to_a_vehicle():
    assert odds(ends((10, 100, 0)), ends((12, 100, 0), group=1))[0, 0] < -1e6


def test_evidence_is_the_same_in_a_picture_twice_as_large():
    lost, new = ends((10, 100, 2)), ends((30, 150, -1))

    def larger(of: Ends) -> Ends:
        mean, cov = of.mean.copy(), of.cov.copy()
        mean[:, [0, 1, 3, 4, 5, 7]] *= 2
        cov[:, [0, 1, 3]] *= 4
        return Ends(of.at, mean, cov, of.group, of.look)

    np.testing.assert_allclose(odds(lost, new), odds(larger(lost), larger(new)), rtol=1e-9)


def test_the_choice_is_the_best_for_all_and_takes_nothing_against_the_odds():
    row, column = relinking.choose(np.array([[5.0, 4.0], [4.5, -2.0]]))
    assert list(zip(row, column)) == [(0, 1), (1, 0)]  # 8.5, though 5 alone is the greatest
    row, column = relinking.choose(np.array([[-1.0, 0.0], [-3.0, 2.0]]))
    assert list(zip(row, column)) == [(1, 1)]
