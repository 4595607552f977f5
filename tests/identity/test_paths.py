from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.paths import STEP_US, lay_paths
from tests.identity.nights import US
from tests.identity.walks import SD_M, tracks, walk


def names(*values):
    return np.array(values, dtype=object)


def test_no_tracklets_and_no_places():
    assert len(lay_paths(names(), tracks())) == 0
    alone = lay_paths(names("a"), tracks())
    assert alone.known.tolist() == [False] and alone.size.tolist() == [0]


def test_a_straight_walk():
    paths = lay_paths(names("a"), tracks(walk("a", 10, 14, (1, 2), (1.5, -0.5))))
    assert (paths.start[0], paths.size[0]) == (10 * US // STEP_US, 21)
    place, cov = paths.at(np.array([0]), np.array([12 * US // STEP_US]))
    assert place[0] == pytest.approx([4.0, 1.0]) and cov[0] == pytest.approx(SD_M**2 * np.eye(2))
    assert (paths.entry.at_us[0], paths.exit.at_us[0]) == (10 * US, 14 * US)
    assert paths.entry.xy_m[0] == pytest.approx([1, 2]) and paths.exit.xy_m[0] == pytest.approx([7, 0])
    assert paths.entry.v_mps[0] == pytest.approx([1.5, -0.5]) and paths.exit.v_mps[0] == pytest.approx([1.5, -0.5])
    assert paths.exit.v_cov[0] == pytest.approx(2 * SD_M**2 / 2.0**2 * np.eye(2))  # two looks, two seconds apart


def test_between_places_the_path_is_straight():
    name, at_us, xy = walk("a", 0, 4, (0, 0), (1, 0))
    gap = (at_us < 1 * US) | (at_us > 3 * US)
    paths = lay_paths(names("a"), tracks((name, at_us[gap], xy[gap])))
    assert paths.at(np.array([0]), np.array([2 * US // STEP_US]))[0][0] == pytest.approx([2.0, 0.0])


def test_a_turn_shows_in_the_velocity_of_that_end_only():
    _, first_us, first = walk("a", 0, 5, (0, 0), (1, 0))
    _, then_us, then = walk("a", 5.1, 10, (5, 0.1), (0, 1))
    paths = lay_paths(names("a"), tracks(("a", np.concatenate([first_us, then_us]), np.concatenate([first, then]))))
    assert paths.entry.v_mps[0] == pytest.approx([1, 0]) and paths.exit.v_mps[0] == pytest.approx([0, 1])


def test_a_single_place_has_no_velocity_and_the_nearest_step():
    paths = lay_paths(names("a"), tracks(("a", np.array([1_090_000]), np.array([[3.0, 4.0]]))))
    assert (paths.start[0], paths.size[0]) == (5, 1)
    assert paths.at(np.array([0]), np.array([5]))[0][0] == pytest.approx([3, 4])
    assert np.isinf(paths.exit.v_cov).all()


def test_others_places_are_passed_over():
    paths = lay_paths(names("b", "c"), tracks(walk("a", 0, 1, (0, 0), (1, 0)), walk("c", 0, 1, (9, 9), (0, 0))))
    assert paths.known.tolist() == [False, True]
    assert paths.at(np.array([1]), np.array([0]))[0][0] == pytest.approx([9, 9])
