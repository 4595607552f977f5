"""Crops out of a lake: cut from the footage where its boxes say, and what is certain of them."""

import dataclasses

import numpy as np
import pytest

from jobs import embedder_data
from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.training import lake_crops
from pipeline.training.crops import Crops, Relations
from pipeline.training.lake_crops import Seen

CROP_HW = (64, 32)


@pytest.fixture(scope="module")
def seen(finished_lake) -> Seen:
    return embedder_data.seen_in(str(finished_lake), CROP_HW)


def test_every_tracklet_large_enough_gives_crops(seen, finished_lake):
    assert len(seen.tracklet_id) > 5
    counts = np.bincount(seen.crops.identity, minlength=len(seen.tracklet_id))
    assert counts.min() >= 1
    assert counts.max() <= embedder_data.MOST_EACH
    assert seen.crops.images.shape[1:] == (3, *CROP_HW)
    assert not seen.missing
    with catalog.connect(str(finished_lake)) as connection:
        known = {row[0] for row in connection.execute("SELECT tracklet_id FROM tracklets").fetchall()}
    assert set(seen.tracklet_id) <= known
    assert set(seen.crops.camera) == {0, 1}


def test_certain_pairs_were_there_at_once_in_one_camera(seen, finished_lake):
    assert len(seen.together)
    with catalog.connect(str(finished_lake)) as connection:
        rows = connection.execute("SELECT tracklet_id, camera_id, captured_at FROM observations").fetchall()
    when = {}
    for name, camera, at in rows:
        when.setdefault(name, set()).add((camera, at))
    for a, b in seen.tracklet_id[seen.together].tolist():
        assert len(when[a] & when[b]) >= lake_crops.TOGETHER


def test_some_tracklets_are_numbered_anew(seen):
    chosen = np.arange(len(seen.tracklet_id)) % 2 == 0
    half = lake_crops.tracklets_of(seen, chosen)
    assert half.tracklet_id.tolist() == seen.tracklet_id[chosen].tolist()
    for at, name in enumerate(half.tracklet_id):
        before = np.flatnonzero(seen.tracklet_id == name)[0]
        mine = half.crops.images[half.crops.identity == at]
        assert np.array_equal(mine, seen.crops.images[seen.crops.identity == before])
    pairs = {frozenset(pair) for pair in seen.tracklet_id[seen.together].tolist()}
    assert {frozenset(pair) for pair in half.tracklet_id[half.together].tolist()} <= pairs


def tracklets(identities: list, together: list) -> Seen:
    n = len(identities)
    identity = np.repeat(np.arange(n), 2)
    crops = Crops(
        np.zeros((2 * n, 3, 4, 4), np.uint8), identity, np.tile([0, 1], n), identity * 0, np.full(2 * n, "person")
    )
    at = np.arange(n)
    return Seen(crops, at.astype(str), at, at, np.array(identities, object), np.array(together).reshape(-1, 2), ())


def test_confident_identities_are_joined():
    crops, relations, n_joined = lake_crops.merged(tracklets(["x", None, "x", "y", "y"], [(0, 1), (1, 3)]))
    assert n_joined == 2
    of = crops.identity[::2].tolist()
    assert of[0] == of[2] != of[1]
    assert of[3] == of[4]
    assert relations.different(np.array([of[0], of[1], of[3]])).tolist() == [
        [False, True, False],
        [True, False, True],
        [False, True, False],
    ]


def test_an_identity_that_was_in_two_places_at_once_is_not_joined():
    crops, relations, n_joined = lake_crops.merged(tracklets(["x", "x", "x", "y", "y"], [(0, 1)]))
    assert n_joined == 1
    assert len(set(crops.identity[:6].tolist())) == 3
    assert relations.different(crops.identity[[0, 2]]).tolist() == [[False, True], [True, False]]


def test_without_footage_it_says_so(kept_lake):
    with pytest.raises(UserError, match="no longer there"):
        embedder_data.seen_in(str(kept_lake), CROP_HW)


def test_relations_of_nobody():
    assert Relations(np.zeros((0, 2), np.int64)).rivals() == {}


def footage(n: int) -> Seen:
    """Tracklets of n seconds, one beginning every 5 s and staying 12 s, each there at once with the next two."""
    first = np.arange(n // 5) * 5_000_000
    pairs = [(i, j) for i in range(len(first)) for j in (i + 1, i + 2) if j < len(first)]
    made = tracklets([None] * len(first), pairs)
    return dataclasses.replace(made, first_us=first, last_us=first + 12_000_000)


def test_the_last_part_of_the_footage_is_held_out():
    seen = footage(300)
    material = embedder_data.of_lake(seen, "lake", joined=False)
    n_train, n_validation = int(material.train.identity.max()) + 1, len(np.unique(material.validation.identity))
    assert n_train + n_validation < 60  # those there on both sides of the cut are in neither
    assert 10 <= n_validation <= 14
    assert len(material.relations.certain) == 2 * n_train - 3
    early, late = material.validation.camera == 0, material.validation.camera == 1
    assert early.sum() == late.sum() == n_validation
    of = material.validation.identity
    apart = np.abs(of[:, None] - of[None])
    assert np.array_equal(material.compared, apart <= 2)


def test_perfect_vectors_score_one_and_equal_ones_less():
    material = embedder_data.of_lake(footage(300), "lake", joined=False)
    perfect = np.eye(128, dtype=np.float32)[material.validation.identity]
    assert material.validate(perfect)["mAP"] == 1
    assert material.validate(np.ones_like(perfect) / 128**0.5)["mAP"] < 0.9


def test_many_tracklets_validate_with_fewer_crops_each(monkeypatch):
    seen = footage(300)
    rows = np.repeat(np.arange(len(seen.crops)), 5)
    seen = dataclasses.replace(seen, crops=seen.crops.take(rows))
    whole = embedder_data.of_lake(seen, "lake", joined=False).validation
    names = np.unique(whole.identity)
    assert len(whole) == 10 * len(names)
    for most, each in ((3 * len(names), 3), (1, 2)):
        monkeypatch.setattr(embedder_data, "MOST_VALIDATION", most)
        material = embedder_data.of_lake(seen, "lake", joined=False)
        assert np.bincount(material.validation.identity).tolist() == [each] * len(names)
        assert material.compared.shape == (each * len(names),) * 2
        perfect = np.eye(128, dtype=np.float32)[material.validation.identity]
        assert material.validate(perfect)["mAP"] == 1


def test_late_tracklets_of_one_crop_each_are_refused():
    seen = footage(300)
    seen = dataclasses.replace(seen, crops=seen.crops.take(np.arange(0, len(seen.crops), 2)))
    with pytest.raises(UserError, match=r"^lake: expected somebody held out .* pictures of two cameras"):
        embedder_data.of_lake(seen, "lake", joined=False)


def test_too_little_footage_is_refused():
    with pytest.raises(UserError, match="process more footage"):
        embedder_data.of_lake(footage(15), "lake", joined=False)
