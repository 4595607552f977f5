from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.linking import link
from pipeline.types import COCO_CLASSES, Exemplars, class_group
from tests.identity.nights import CAR, PERSON, TRUCK, Seen, look, night, pairwise_f1, town, unit

ANYWHERE = IdentityConfig()
CHAIN = IdentityConfig(
    links=(
        LinkConfig(between=("cam0", "cam1"), min_travel_s=3, max_travel_s=25),
        LinkConfig(between=("cam1", "cam2"), max_travel_s=30, overlapping=True),
        LinkConfig(between=("cam2", "cam3"), max_travel_s=40),
    ),
    min_similarity=-1.0,  # joins whatever may be joined: only the cannot-links hold it back
)


def identities(seen, config=ANYWHERE, *, device="cpu"):
    """Return {tracklet name: identity} of a list of Seen."""
    found = link(*night(seen), config, device=device).identities
    return dict(zip(found.tracklet_id, found.identity_id))


def test_no_tracklets():
    found = link(*night([]), ANYWHERE, device="cpu").identities
    assert len(found) == 0
    assert (found.identity_id.dtype, found.confidence.dtype) == (object, np.float32)


def test_one_tracklet_is_one_identity():
    found = link(*night([Seen("a", "cam0", 0, 5, look(1, n=3))]), ANYWHERE, device="cpu").identities
    assert found.tracklet_id.tolist() == ["a"]
    assert found.confidence.tolist() == [1.0]  # nobody else it could be


def test_two_that_look_the_same_are_joined_and_two_that_do_not_are_not():
    seen = [
        Seen("a", "cam0", 0, 5, look(1, n=4, noise=0.1)),
        Seen("b", "cam1", 20, 25, look(1, n=4, noise=0.1)),
        Seen("c", "cam1", 22, 27, look(2, n=4, noise=0.1)),
    ]
    found = identities(seen)
    assert found["a"] == found["b"] != found["c"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Seen("b", "cam0", 4, 9, look(1)), "seen at once in one camera"),
        (Seen("b", "cam0", 20, 25, look(1)), "candidates are of two cameras"),
        (Seen("b", "cam1", 4, 9, look(1)), "at once in cameras not said to overlap"),
        (Seen("b", "cam1", 1000, 1005, look(1)), "outside the window"),
        (Seen("b", "cam1", 20, 25, look(1), CAR), "another class group"),
        (Seen("b", "cam1", 20, 25, look(1), n_observations=4), "too short to be judged"),
    ],
)
def test_the_same_look_is_not_enough(other, why):
    found = identities([Seen("a", "cam0", 0, 5, look(1)), other])
    assert found["a"] != found["b"], why


def test_a_van_that_one_camera_calls_a_truck_is_still_one():
    found = identities([Seen("a", "cam0", 0, 5, look(1), CAR), Seen("b", "cam1", 20, 25, look(1), TRUCK)])
    assert found["a"] == found["b"]


def test_overlapping_views_may_see_one_object_at_once():
    config = IdentityConfig(links=(LinkConfig(between=("cam0", "cam1"), overlapping=True),))
    found = identities([Seen("a", "cam0", 0, 5, look(1)), Seen("b", "cam1", 2, 9, look(1))], config)
    assert found["a"] == found["b"]


def test_a_track_broken_in_one_camera_is_mended_through_another():
    seen = [
        Seen("a1", "cam0", 0, 5, look(1)),
        Seen("a2", "cam0", 7, 12, look(1)),
        Seen("b", "cam1", 30, 40, look(1)),
    ]
    assert len(set(identities(seen).values())) == 1


def test_without_exemplars_its_own_embedding_is_compared():
    tracklets, camera_id, exemplars = night(
        [Seen("a", "cam0", 0, 5, look(1, n=2)), Seen("b", "cam1", 20, 25, look(1, n=2))]
    )
    none = Exemplars(*(getattr(exemplars, name)[:0] for name in Exemplars.__slots__))
    found = link(tracklets, camera_id, none, ANYWHERE, device="cpu").identities
    assert found.identity_id[0] == found.identity_id[1]


def test_short_tracklets_get_a_row_and_no_confidence():
    found = link(*night([Seen("a", "cam0", 0, 1, look(1), n_observations=1)]), ANYWHERE, device="cpu").identities
    assert (len(found), found.confidence[0]) == (1, 0)


def test_an_exemplar_of_nobody_is_refused():
    tracklets, camera_id, exemplars = night([Seen("a", "cam0", 0, 5, look(1))])
    stray = Exemplars(np.array(["z"], object), *(getattr(exemplars, name) for name in Exemplars.__slots__[1:]))
    with pytest.raises(ValueError, match="'z'"):
        link(tracklets, camera_id, stray, ANYWHERE, device="cpu")


def test_a_tracklet_given_twice_is_refused():
    twice = [Seen("a", "cam0", 0, 5, look(1)), Seen("a", "cam1", 20, 25, look(1))]
    with pytest.raises(ValueError, match="'a' twice"):
        link(*night(twice), ANYWHERE, device="cpu")


@pytest.mark.parametrize("n_objects", [6, 12, 30, 100])
def test_a_noisy_night_of_four_cameras_is_solved_by_its_own_threshold(n_objects):
    seen, who = town(seed=n_objects, n_objects=n_objects)
    found = identities(seen)
    assert pairwise_f1(who, np.array([found[s.name] for s in seen])) > 0.9


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_objects_tracked_twice_at_once_do_not_spoil_the_threshold(share):
    # A detector that splits objects: their halves pass for strangers that look alike.
    seen, who = town(seed=1, noise=0.8)
    rng = np.random.default_rng(0)
    doubles = [replace(s, name=f"{s.name}x", looks=unit(s.looks + 0.01)) for s in seen if rng.random() < share]
    doubles = [replace(s, looks=s.looks.astype(np.float32)) for s in doubles]
    found = identities([*seen, *doubles])
    assert pairwise_f1(who, np.array([found[s.name] for s in seen])) > 0.9


def test_confidence_is_a_probability_and_tells_right_from_wrong():
    seen, who = town(seed=3, noise=1.2, n_traits=10)
    found = link(*night(seen), ANYWHERE, device="cpu").identities
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    by_name = dict(zip((s.name for s in seen), who))
    truth = np.array([by_name[name] for name in found.tracklet_id])
    right = []
    for row in range(len(found)):
        mates = found.identity_id == found.identity_id[row]
        right.append((truth[mates] == truth[row]).all() and mates.sum() == (truth == truth[row]).sum())
    right = np.array(right)
    assert found.confidence[right].mean() > found.confidence[~right].mean()


def test_rows_in_any_order_give_the_same_answer():
    seen, _ = town(seed=4, noise=1.0)
    straight = link(*night(seen), ANYWHERE, device="cpu").identities
    reordered = [seen[n] for n in np.random.default_rng(0).permutation(len(seen))]
    shuffled = link(*night(reordered), ANYWHERE, device="cpu").identities
    again = link(*night(seen), ANYWHERE, device="cpu").identities
    for other in (shuffled, again):
        assert straight.tracklet_id.tolist() == other.tracklet_id.tolist() == sorted(s.name for s in seen)
        assert straight.identity_id.tolist() == other.identity_id.tolist()
        assert straight.confidence.tobytes() == other.confidence.tobytes()


def test_an_identity_keeps_its_id_when_a_later_tracklet_joins():
    seen = [Seen("b", "cam0", 0, 5, look(1)), Seen("a", "cam1", 20, 25, look(1))]
    later = Seen("0", "cam2", 60, 65, look(1))
    assert set(identities(seen).values()) == set(identities([*seen, later]).values())


def time_apart_s(a, b):
    """Start of the later minus end of the earlier (by start)."""
    first, then = sorted((a, b), key=lambda s: s.start_s)
    return then.start_s - first.end_s


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 25))
def test_cannot_links_hold_within_whole_identities(seed, n_tracklets):
    rng = np.random.default_rng(seed)
    seen = []
    for index in range(n_tracklets):
        start_s = int(rng.integers(0, 60))
        seen.append(
            Seen(
                f"t{index:02d}",
                f"cam{rng.integers(0, 4)}",
                start_s,
                start_s + int(rng.integers(0, 12)),
                look(int(rng.integers(0, 3)), n=2),
                int(rng.choice([PERSON, CAR, TRUCK])),
            )
        )
    found = identities(seen, CHAIN)
    windows = {frozenset(each.between): each for each in CHAIN.links}
    for p, a in enumerate(seen):
        for b in seen[:p]:
            if found[a.name] != found[b.name]:
                continue
            assert class_group(a.class_id) == class_group(b.class_id), COCO_CLASSES[a.class_id]
            window = windows.get(frozenset((a.camera, b.camera)))
            at_once = max(a.start_s, b.start_s) <= min(a.end_s, b.end_s)
            assert not at_once or (window is not None and window.overlapping)
            if window is not None and not at_once:
                assert window.min_travel_s <= time_apart_s(a, b) <= window.max_travel_s


def test_looks_that_tell_nothing_make_nobody_one():
    blank, first_axis = np.zeros((3, 128), np.float32), np.eye(1, 128, dtype=np.float32)
    seen, _ = town(seed=6)
    lost = [Seen(f"z{n}", f"cam{n % 4}", 100 * n, 100 * n + 5, blank if n % 2 else first_axis) for n in range(6)]
    found = link(*night([*seen, *lost]), ANYWHERE, device="cpu").identities
    identity = dict(zip(found.tracklet_id, found.identity_id))
    alone = [identity[one.name] for one in lost]
    assert len(set(alone)) == 6 and not set(alone) & {identity[one.name] for one in seen}
    assert {float(c) for name, c in zip(found.tracklet_id, found.confidence) if name.startswith("z")} == {0.0}
