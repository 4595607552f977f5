"""Somebody known from another night, and somebody who only looks a little like it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity import returns
from pipeline.identity.calibration import Calibration
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.returns import EXEMPLARS, Appearances, recognise, settle
from tests.identity.nights import look

DAY_US = 86_400_000_000
FITTED = Calibration(0.5, 0.0, 0.1, 0.8, 0.05, -5.0, "mixture")
LENIENT = Calibration(0.5, 0.0, 0.2, 0.8, 0.1, -5.0, "mixture")
UNFITTED = Calibration(0.7, 0.0, None, None, None, 0.0, "few pairs")
CONFIGURED = Calibration(0.99, 0.0, 0.1, 0.8, 0.05, -5.0, "configured")


def seen(names: dict[str, tuple[str, int]], *, day: int = 0, noise: float = 0.3, n: int = 6) -> Appearances:
    """Appearances of tracklets {tracklet: (identity, seed of its looks)}, one every 100 s of a day."""
    looks = [
        look(seed, n=n, noise=noise) if noise == 0 else shaken(seed, n, noise, (day, row))
        for row, (_, seed) in enumerate(names.values())
    ]
    size = len(looks)
    start = day * DAY_US + 100_000_000 * np.arange(size, dtype=np.int64)
    text = [np.array([*values, None], object)[:-1] for values in (names, (identity for identity, _ in names.values()))]
    return Appearances.gather(
        text[1],
        text[0],
        np.array(["gate"] * size, object),
        start,
        start + 10_000_000,
        ExemplarSets(np.concatenate([np.zeros((0, 128), np.float32), *looks]), np.arange(size + 1) * n),
    )


def shaken(seed: int, n: int, noise: float, key: tuple[int, int]) -> np.ndarray:
    """Return n views of the object `seed`, other ones for another key."""
    rng = np.random.default_rng([seed, *key])
    views = look(seed) + noise * rng.normal(size=(n, 128)) / np.sqrt(128)
    return (views / np.linalg.norm(views, axis=1, keepdims=True)).astype(np.float32)


def known(tonight, other, calibration=FITTED, *, reach_us=900_000_000, rivals=None, **options) -> dict[str, str]:
    found = recognise(tonight, other, calibration, reach_us=reach_us, neighbours=10, device="cpu", **options)
    settled = settle(found, rivals or max(len(tonight), len(other)))
    assert all(one.probability >= 0.5 for one in settled.values())
    return {name: one.known_id for name, one in settled.items()}


def test_nobody_against_nobody():
    nobody, somebody = seen({}), seen({"a": ("id-a", 1)})
    assert len(nobody) == 0
    for tonight, other in ((nobody, nobody), (somebody, nobody), (nobody, somebody)):
        assert known(tonight, other) == {}


def test_an_identity_is_known_by_few_exemplars_of_all_its_tracklets():
    one = seen({f"t{k}": ("id-a", 1) for k in range(5)} | {"x": ("id-b", 2)})
    assert one.identity_id.tolist() == ["id-a", "id-b"]
    assert one.sets.size.tolist() == [EXEMPLARS, 6]
    assert set(one.exemplar_of[:EXEMPLARS].tolist()) == set(range(5)) and one.first.tolist() == [0, 5, 6]


def test_who_comes_back_is_known_and_a_look_alike_is_not():
    before = seen({"a": ("id-a", 1), "b": ("id-b", 2)})
    now = seen({"c": ("new-1", 1), "d": ("new-2", 3)}, day=1)
    assert known(now, before) == {"new-1": "id-a"}
    alike = look(2)[0] + 1.6 * look(3)[0]
    middle = Appearances.gather(
        *(np.array([name], object) for name in ("new-3", "e", "gate")),
        *(np.array([DAY_US + k], np.int64) for k in (0, 1)),
        ExemplarSets((alike / np.linalg.norm(alike))[None].astype(np.float32), np.array([0, 1])),
    )
    one = recognise(middle, before, LENIENT, reach_us=0, neighbours=10, device="cpu")
    assert 0.4 < one[0].similarity < 0.6, "somewhat alike"
    assert settle(one, 10_000) == {}, "but among ten thousand that is nothing to go by"


def test_the_evidence_names_tracklets_and_the_time_between():
    before, now = seen({"a": ("id-a", 1)}), seen({"x": ("new", 9), "b": ("new", 1)}, day=1)
    (one,) = recognise(now, before, FITTED, reach_us=0, neighbours=10, device="cpu")
    assert (one.known_tracklet_id, one.tracklet_id, one.known_first) == ("a", "b", True)
    assert one.travel_s == 86_400 + 100 - 10
    (back,) = recognise(before, now, FITTED, reach_us=0, neighbours=10, device="cpu")
    assert (back.known_tracklet_id, back.known_first, back.travel_s) == ("b", False, one.travel_s)
    assert back.similarity == pytest.approx(one.similarity)


def test_each_is_taken_for_one_at_most():
    before = seen({"a": ("id-a", 1)})
    twins = seen({"b": ("new-1", 1), "c": ("new-2", 1)}, day=1)
    assert len(known(twins, before)) == 1, "the better of the two"
    both_days = [
        one
        for day in (1, 2)
        for one in recognise(seen({"c": ("new", 1)}, day=3), seen({"a": (f"id-{day}", 1)}, day=day), FITTED,
                             reach_us=0, neighbours=10, device="cpu")
    ]  # fmt: skip
    assert len(both_days) == 2 and len(settle(both_days, 2)) == 1


def test_within_reach_of_a_travel_window_looks_alone_are_not_asked():
    before, now = seen({"a": ("id-a", 1)}), seen({"b": ("new", 1)})
    assert known(now, before) == {}, "seen at once"
    later = seen({"x": ("id-x", 5), "y": ("id-y", 6), "b": ("new", 1)})
    assert known(later, before, reach_us=190_000_000) == {}
    assert known(later, before, reach_us=189_999_999) == {"new": "id-a"}


def test_what_people_took_apart_stays_apart():
    before, now = seen({"a": ("id-a", 1)}), seen({"b": ("new", 1)}, day=1)
    assert known(now, before, barred={("new", "id-a")}) == {}


@pytest.mark.parametrize(("noise", "expected"), [(0.1, {"new": "id-a"}), (0.5, {})])
def test_without_a_fit_only_repeats_of_one_picture_count(noise, expected):
    before, now = seen({"a": ("id-a", 1)}, noise=noise), seen({"b": ("new", 1)}, day=1, noise=noise)
    assert known(now, before, UNFITTED) == expected


def test_a_configured_least_similarity_is_obeyed():
    before, now = seen({"a": ("id-a", 1)}), seen({"b": ("new", 1)}, day=1)
    assert known(now, before, CONFIGURED) == {}


def test_the_more_could_be_meant_the_more_alike_they_must_be():
    before, now = seen({"a": ("id-a", 1)}, noise=1.2), seen({"b": ("new", 1)}, day=1, noise=1.2)
    assert known(now, before, rivals=2) == {"new": "id-a"}
    assert known(now, before, rivals=10**18) == {}


def test_a_similarity_does_not_depend_on_the_company():
    """Sets of other sizes beside a pair must not move a bit of it."""
    one = seen({"a": ("id-a", 1)}, day=0, n=3)
    for n_others in (1, 7, 40):
        crowd = {"a": ("id-a", 1), **{f"b{nth}": ("id-b", 2) for nth in range(n_others)}}
        other = {"c": ("new", 1), **{f"d{nth}": ("new-d", 3) for nth in range(n_others)}}
        known_alone, alone = one, seen({"c": ("new", 1)}, day=1, n=3)
        (expected,) = recognise(alone, known_alone, LENIENT, reach_us=0, neighbours=10, device="cpu")
        in_company = recognise(
            seen(other, day=1, n=3), seen(crowd, day=0, n=3), LENIENT, reach_us=0, neighbours=10, device="cpu"
        )
        (found,) = [one for one in in_company if one.identity_id == "new"]
        assert found.similarity == expected.similarity and found.log_ratio == expected.log_ratio


def test_many_identities_are_searched_as_configured(monkeypatch):
    """Beyond exact_vectors an index may find fewer than asked for, and says so with -1."""
    asked = []

    def nearest(query, reference, k, **options):
        asked.append(options)
        index = np.full((len(query), k), -1, np.int64)
        index[:, 0] = np.argmax(query @ reference.T, axis=1)
        return np.zeros(index.shape, np.float32), index

    monkeypatch.setattr(returns, "nearest", nearest)
    now, before = (
        seen({f"t{n}": (f"{name}-{n}", n) for n in range(5)}, day=day) for name, day in (("new", 1), ("id", 0))
    )
    found = known(now, before, exact_vectors=3, recall=0.9)
    assert found == {f"new-{n}": f"id-{n}" for n in range(5)}
    assert asked == [{"device": "cpu", "exact_vectors": 3, "recall": 0.9}] * 2
