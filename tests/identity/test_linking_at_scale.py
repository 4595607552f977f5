"""Linking nights of thousands: the answer depends on their content alone, and memory on their vectors."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo.crowd import crowd_night, pairwise_scores
from pipeline.identity import candidates, neighbours, threads
from pipeline.identity.linking import link
from pipeline.identity.neighbours import SearchLog
from pipeline.types import Exemplars, Tracklets


@pytest.fixture(scope="module")
def night():
    return crowd_night(2500)


@pytest.fixture(scope="module")
def linked(night):
    return link(night.tracklets, night.camera_id, night.exemplars, night.config, device="cpu")


def equal(one, other):
    for part in ("identities", "evidence"):
        for column in getattr(type(getattr(one, part)), "__slots__", ()):
            np.testing.assert_array_equal(getattr(getattr(one, part), column), getattr(getattr(other, part), column))


def test_people_are_found_again(night, linked):
    order = np.argsort(night.tracklets.tracklet_id)
    scores = pairwise_scores(night.object_id[order], linked.identities.identity_id.astype(str))
    assert scores["f1"] > 0.95
    assert [group.search for group in linked.groups] == ["exact"]


@pytest.mark.parametrize("count", [1, 3])
def test_threads_and_blocks_make_no_difference(night, linked, count, monkeypatch):
    for module in (threads, neighbours):
        monkeypatch.setattr(module, "n_threads", lambda: count)
    monkeypatch.setattr(candidates, "LEAST_PROBES", 5 * count)
    equal(link(night.tracklets, night.camera_id, night.exemplars, night.config, device="cpu"), linked)


def test_rows_in_any_order_make_no_difference(night, linked):
    rng = np.random.default_rng(0)
    by, at = rng.permutation(len(night.tracklets)), rng.permutation(len(night.exemplars))
    tracklets = Tracklets(*(getattr(night.tracklets, name)[by] for name in Tracklets.__slots__))
    exemplars = Exemplars(*(getattr(night.exemplars, name)[at] for name in Exemplars.__slots__))
    found = link(tracklets, night.camera_id[by], exemplars, night.config, device="cpu")
    equal(found, linked)


def test_the_log_is_filled_and_an_index_is_reported(night, linked):
    log = SearchLog()
    config = night.config.model_copy(update={"exact_vectors": 300, "recall": 0.95})
    found = link(night.tracklets, night.camera_id, night.exemplars, config, device="cpu", log=log)
    assert log.seconds > 0
    assert log.indexes
    assert found.groups[0].search.startswith("IVF: ")
    same = pairwise_scores(linked.identities.identity_id.astype(str), found.identities.identity_id.astype(str))
    assert same["f1"] > 0.95
