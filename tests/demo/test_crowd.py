from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo.crowd import EXEMPLARS, crowd_night, pairwise_scores
from pipeline.identity.topology import Relation, Sightings, Topology


@pytest.mark.parametrize("n_tracklets", [1, 7, 3000])
def test_a_night_has_the_size_asked_for(n_tracklets):
    night = crowd_night(n_tracklets)
    assert len(night.tracklets) == len(night.object_id) == n_tracklets
    assert night.exemplars.embedding.shape == (n_tracklets * EXEMPLARS, 128)
    np.testing.assert_allclose(np.linalg.norm(night.exemplars.embedding, axis=1), 1, atol=1e-5)
    assert (np.diff(night.tracklets.tracklet_id.astype(str).argsort()) == 1).all()
    assert len(set(night.tracklets.tracklet_id)) == n_tracklets


def test_the_same_seed_is_the_same_night_and_another_is_another():
    one, again, other = crowd_night(500), crowd_night(500), crowd_night(500, seed=2)
    np.testing.assert_array_equal(one.exemplars.embedding, again.exemplars.embedding)
    np.testing.assert_array_equal(one.object_id, again.object_id)
    assert (one.exemplars.embedding != other.exemplars.embedding).any()


def test_the_fleet_grows_with_the_night():
    assert len(set(crowd_night(1000).camera_id)) < len(set(crowd_night(9000).camera_id))


def test_nearly_nobody_breaks_the_windows_of_the_town():
    night = crowd_night(4000)
    names = tuple(sorted(set(night.camera_id)))
    camera = np.searchsorted(names, night.camera_id.astype(str)).astype(np.int32)
    sightings = Sightings(camera, night.tracklets.started_at_us, night.tracklets.ended_at_us)
    by_person = np.lexsort((sightings.started_at_us, night.object_id))
    same = night.object_id[by_person[1:]] == night.object_id[by_person[:-1]]
    a, b = by_person[:-1][same], by_person[1:][same]
    relation = Topology.from_config(names, night.config).relate(sightings.take(a), sightings.take(b))
    assert len(a) > 1000
    assert np.mean(relation == Relation.POSSIBLE) > 0.95
    assert np.mean(relation == Relation.NEVER) < 0.01


@pytest.mark.parametrize(
    ("truth", "found", "precision", "recall"),
    [
        ([], [], 1, 1),
        ([1, 2], ["a", "b"], 1, 1),
        ([1, 1, 1], ["a", "a", "b"], 1, 1 / 3),
        ([1, 1, 2], ["a", "a", "a"], 1 / 3, 1),
    ],
)
def test_pairs_are_scored(truth, found, precision, recall):
    scores = pairwise_scores(np.array(truth), np.array(found))
    assert scores["precision"] == pytest.approx(precision)
    assert scores["recall"] == pytest.approx(recall)
    assert scores["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
