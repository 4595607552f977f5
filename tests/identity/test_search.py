from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.search import search
from tests.identity.nights import Seen, look, night, town


def exemplars_of(seen):
    return night(seen)[2]


def slow(query, exemplars, top):
    best = {}
    for name, vector in zip(exemplars.tracklet_id, exemplars.embedding):
        value = max(float(vector.astype(float) @ one.astype(float)) for one in query)
        best[name] = max(best.get(name, -2), value)
    return sorted(best.items(), key=lambda item: (-np.float32(item[1]), item[0]))[:top]


@pytest.mark.parametrize(("seen", "query", "top"), [([], look(0), 5), ([Seen("a", "c", 0, 1, look(1))], look(1), 0)])
def test_nothing_to_find(seen, query, top):
    assert len(search(query, exemplars_of(seen), top, device="cpu")) == 0


def test_no_query():
    exemplars = exemplars_of([Seen("a", "c", 0, 1, look(1))])
    assert len(search(np.zeros((0, 128), np.float32), exemplars, 3, device="cpu")) == 0


def test_the_same_object_comes_first():
    seen, who = town(seed=1, noise=0.5, tint=0.2)
    exemplars = exemplars_of(seen)
    for probe in range(0, len(seen), 9):
        hits = search(seen[probe].looks, exemplars, 10, device="cpu")
        n_same = int((who == who[probe]).sum())
        names = [s.name for s in seen]
        assert hits.tracklet_id[0] == seen[probe].name
        assert {who[names.index(name)] for name in hits.tracklet_id[:n_same]} == {who[probe]}


@pytest.mark.parametrize("top", [1, 4, 1000])
@pytest.mark.parametrize("n_query", [1, 3])
def test_equals_the_slow_one(top, n_query):
    seen, _ = town(seed=2, n_objects=12)
    exemplars, query = exemplars_of(seen), look(77, n=n_query, noise=1.0)
    hits = search(query, exemplars, top, device="cpu")
    want = slow(query, exemplars, top)
    assert hits.tracklet_id.tolist() == [name for name, _ in want]
    np.testing.assert_allclose(hits.similarity, [value for _, value in want], atol=1e-6)


def test_many_exemplars_of_one_tracklet_do_not_hide_the_others():
    seen = [Seen("many", "c", 0, 1, look(1, n=200)), *(Seen(f"t{n}", "c", 0, 1, look(n + 2)) for n in range(5))]
    assert len(search(look(1), exemplars_of(seen), 6, device="cpu")) == 6


def test_ties_go_to_the_lower_tracklet_id():
    seen = [Seen(name, "c", 0, 1, look(1)) for name in ("c", "a", "b")]
    assert search(look(1), exemplars_of(seen), 2, device="cpu").tracklet_id.tolist() == ["a", "b"]


def test_a_query_of_another_width_is_refused():
    exemplars = exemplars_of([Seen("a", "c", 0, 1, look(1))])
    with pytest.raises(ValueError, match=r"\(any, 128\), got \(1, 64\)"):
        search(np.zeros((1, 64), np.float32), exemplars, 3)
