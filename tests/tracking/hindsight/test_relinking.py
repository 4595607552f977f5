"""Which lost track goes on as which new one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

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
    """Return the log odds (L, N), minus infinity for pairs that are no candidates."""
    row, column = relinking.candidates(lost, new, longest)
    found = np.full((len(lost), len(new)), -np.inf)
    found[row, column] = relinking.motion_log_odds(lost, new, row, column)
    return found


def test_no_ends():
    assert odds(ends(), ends((1, 0, 0))).shape == (0, 1)
    assert len(relinking.choose(*[np.zeros(0, np.int64)] * 2, np.zeros(0))) == 0


def test_whoever_comes_out_where_they_were_going_is_the_same():
    lost, new = ends((10, 100, 2)), ends((30, 140, -2), (30, 60, -2), (30, 140, 2))
    found = odds(lost, new)[0]
    assert found[0] > 1 and found[0] > found[2] > found[1]  # right place and way; place only; neither


def test_nobody_is_joined_to_the_past_the_present_or_too_late():
    lost = ends((10, 100, 0))
    found = odds(lost, ends((10, 100, 0), (9, 100, 0), (11, 100, 0), (70, 100, 0), (70.5, 100, 0)))[0]
    assert (found[[0, 1, 4]] == -np.inf).all() and (found[[2, 3]] > -20).all()


def test_a_person_is_never_joined_to_a_vehicle():
    assert odds(ends((10, 100, 0)), ends((12, 100, 0), group=1))[0, 0] == -np.inf


def test_evidence_is_the_same_in_a_picture_twice_as_large():
    lost, new = ends((10, 100, 2)), ends((30, 150, -1))

    def larger(of: Ends) -> Ends:
        mean, cov = of.mean.copy(), of.cov.copy()
        mean[:, [0, 1, 3, 4, 5, 7]] *= 2
        cov[:, [0, 1, 3]] *= 4
        return Ends(of.at, mean, cov, of.group, of.look)

    np.testing.assert_allclose(odds(lost, new), odds(larger(lost), larger(new)), rtol=1e-9)


def chosen(gain: np.ndarray) -> list[tuple[int, int]]:
    row, column = (index.ravel() for index in np.indices(gain.shape))
    taken = relinking.choose(row, column, gain.ravel())
    return list(zip(row[taken].tolist(), column[taken].tolist()))


def test_the_choice_is_the_best_for_all_and_takes_nothing_against_the_odds():
    assert chosen(np.array([[5.0, 4.0], [4.5, -2.0]])) == [(0, 1), (1, 0)]  # 8.5, though 5 alone is the greatest
    assert chosen(np.array([[-1.0, 0.0], [-3.0, 2.0]])) == [(1, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_in_blocks_is_that_of_the_whole_matrix(seed):
    rng = np.random.default_rng(seed)
    gain = rng.normal(-2, 2, (12, 9))  # few above 0, so it falls into blocks
    row, column = linear_sum_assignment(np.maximum(gain, 0), maximize=True)
    assert chosen(gain) == [(i, j) for i, j in zip(row.tolist(), column.tolist()) if gain[i, j] > 0]


def test_hopeless_pairs_are_no_candidates_and_their_odds_would_be_against():
    rng = np.random.default_rng(0)
    lost = ends(*((float(rng.integers(0, 60)), rng.uniform(0, 3000), rng.normal(0, 3)) for _ in range(60)))
    new = ends(*((float(rng.integers(0, 90)), rng.uniform(0, 3000), rng.normal(0, 3)) for _ in range(60)))
    found = odds(lost, new)
    gap = new.at[None, :] - lost.at[:, None]
    row, column = np.nonzero((gap > 0) & (gap <= 60) & (found == -np.inf))
    assert len(row) > 100 and (found > -np.inf).sum() > 50
    assert (relinking.motion_log_odds(lost, new, row, column) < -1).all()


def test_a_crowd_of_short_tracks_is_looked_through_in_parts():
    """4,000 lost and 4,000 new ones in one minute: as matrices that would be many gigabytes."""
    rng = np.random.default_rng(0)
    lost = ends(*((float(rng.integers(0, 120)), rng.uniform(0, 2000), rng.normal(0, 2)) for _ in range(4000)))
    new = ends(*((float(rng.integers(60, 180)), rng.uniform(0, 2000), rng.normal(0, 2)) for _ in range(4000)))
    tracemalloc.start()
    pairs = relinking.candidates(lost, new, 60)
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert len(pairs[0]) > 0 and peak_mib < 600
