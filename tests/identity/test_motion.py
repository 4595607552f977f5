from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_t

from pipeline.identity.motion import DEGREES_OF_FREEDOM, PERSON, VEHICLE, log_meeting, log_passage, mobility, too_fast
from tests.identity.walks import SD_M, ends


def passage(dt_s, place, v, *, how=PERSON, gone_v=(1.34, 0.0), sd_v=0.1):
    return float(log_passage(ends([0], [(0, 0)], [gone_v], sd_v=sd_v), ends([dt_s], [place], [v], sd_v=sd_v), how)[0])


def test_no_pairs():
    assert log_passage(ends([], [], []), ends([], [], []), PERSON).shape == (0,)
    assert log_meeting(np.zeros((0, 2)), np.zeros((0, 2, 2)), PERSON)[0].shape == (0,)


def test_a_meeting_is_students_distribution():
    gap, cov = np.array([[0.4, -0.3]]), np.array([[[0.3, 0.1], [0.1, 0.2]]])
    log_density, length_sq = log_meeting(gap, cov, PERSON)
    scale = cov[0] + 2 * PERSON.extent_m**2 * np.eye(2)
    assert log_density[0] == pytest.approx(multivariate_t(shape=scale, df=DEGREES_OF_FREEDOM).logpdf(gap[0]))
    assert length_sq[0] == pytest.approx(gap[0] @ np.linalg.inv(scale) @ gap[0])


def test_a_passage_against_simulated_walkers():
    """The mean and spread the density is built of are those of a velocity that forgets itself in small steps."""
    rng = np.random.default_rng(0)
    dt_s, n, step_s = 8.0, 40_000, 0.02
    v_sd, keeps_s = PERSON.v_sd_mps, PERSON.keeps_s
    xy, v = np.zeros((n, 2)), np.tile([1.0, 0.5], (n, 1))
    for _ in range(round(dt_s / step_s)):
        xy += v * step_s
        v += -v / keeps_s * step_s + v_sd * np.sqrt(2 * step_s / keeps_s) * rng.normal(size=(n, 2))
    state = np.concatenate([xy, v], axis=1)
    scale = np.cov(state.T)
    scale[:2, :2] += 2 * PERSON.extent_m**2 * np.eye(2)
    want = multivariate_t(loc=state.mean(axis=0), shape=scale, df=DEGREES_OF_FREEDOM)
    sure = {"sd_m": 1e-6, "sd_v": 1e-6}
    for came in ((6, 3, 1, 0.5), (2, 5, -0.5, 1.0), (9, -2, 0, 0)):
        gone = ends([0], [(0, 0)], [(1.0, 0.5)], **sure)
        found = log_passage(gone, ends([dt_s], [came[:2]], [came[2:]], **sure), PERSON)[0]
        assert found == pytest.approx(want.logpdf(came), abs=0.1)


def test_who_walks_on_is_expected_ahead():
    ahead, behind, aside = (passage(3, place, (1.34, 0)) for place in ((4, 0), (-4, 0), (0, 4)))
    assert ahead > aside > behind
    assert passage(3, (4, 0), (1.34, 0)) > passage(3, (4, 0), (-1.34, 0))


def test_a_minute_later_the_direction_says_little():
    def weight(dt_s):
        return passage(dt_s, (5, 0), (1.34, 0)) - passage(dt_s, (-5, 0), (1.34, 0))

    assert weight(120) < 0.1 * weight(4)


def test_an_unknown_velocity_is_any_usual_one():
    alone = [passage(3, place, (0, 0), sd_v=np.inf) for place in ((3, 0), (0, 3), (-3, 0))]
    assert alone == pytest.approx([alone[0]] * 3)


@pytest.mark.parametrize(
    ("place", "dt_s", "how", "expected"),
    [
        ((60, 0), 5, PERSON, True),  # 12 m/s on foot
        ((25, 0), 5, PERSON, False),  # running
        ((60, 0), 5, VEHICLE, False),
        ((400, 0), 5, VEHICLE, True),  # 290 km/h
        ((0.5, 0), 0, PERSON, False),  # within the error of both places
        ((3, 0), 0, PERSON, True),
    ],
)
def test_too_fast(place, dt_s, how, expected):
    gone, came = ends([0], [(0, 0)], [(0, 0)], sd_m=SD_M), ends([dt_s], [place], [(0, 0)], sd_m=SD_M)
    assert too_fast(gone, came, how).tolist() == [expected]


def test_what_is_not_a_person_drives():
    assert (mobility("person"), mobility("vehicle"), mobility("boat")) == (PERSON, VEHICLE, VEHICLE)
