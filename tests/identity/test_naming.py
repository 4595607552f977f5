"""Names that stay, and new ones that nobody bears yet."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.linking import identity_ids
from pipeline.identity.naming import identity_name, inherited, new_names


def names(label, former, start=None, **options) -> dict[int, str]:
    start = np.arange(len(label)) if start is None else np.array(start)
    return inherited(np.array(label, np.int64), former, start.astype(np.int64), **options)


def test_nobody_inherits_nothing():
    assert names([], []) == {}
    assert names([0, 1], [None, None]) == {}


@pytest.mark.parametrize(
    ("label", "former", "expected"),
    [
        ([0, 0, 1], ["x", "x", "y"], {0: "x", 1: "y"}),
        ([0, 1, 1], ["x", "x", "x"], {1: "x"}),  # split: the greater part
        ([0, 0, 0], ["x", "y", "y"], {0: "y"}),  # joined: the greater part
        ([0, 0, 0, 0], ["y", "x", "x", "y"], {0: "y"}),  # a tie: the one seen earlier
        ([0, 1], ["x", "x"], {0: "x"}),
        ([0, 0, 0, 1, 1], ["x", "x", "y", "x", "y"], {0: "x", 1: "y"}),
        ([0, 0, 1, 1, 1], ["x", "x", "x", "x", "x"], {1: "x"}),
    ],
)
def test_most_tracklets_in_common_wins_one_to_one(label, former, expected):
    assert names(label, former) == expected
    order = np.random.default_rng(0).permutation(len(label))
    shuffled = names(np.array(label)[order], [former[k] for k in order], start=order)
    assert shuffled == expected, "whatever the order of the rows"


def test_names_taken_elsewhere_or_barred_go_to_the_next():
    assert names([0, 0, 0], ["x", "x", "y"], taken={"x"}) == {0: "y"}
    assert names([0, 1], ["x", "x"], barred=[(0, "x")]) == {1: "x"}


def test_a_new_name_is_that_of_linking_unless_somebody_bears_it():
    linked = identity_ids(np.array(["a"], object), np.array([0]), np.array([0]))
    assert new_names(["a"], lambda asked: set()) == linked.tolist() == [identity_name("a")]
    borne = {identity_name("a"), identity_name("a", 1)}
    assert new_names(["b", "a"], borne.intersection) == [identity_name("b"), identity_name("a", 2)]
    assert new_names([], borne.intersection) == []
