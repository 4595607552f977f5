"""Ranking the tracklets of a saved partition, one by one and by lists."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity import exact
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.search import MAX_QUERY, search, thinned
from tests.identity.nights import Seen, look, town
from tests.identity.partitions import saved
from tests.identity.slow_comparing import similarity


def slow(query, partition):
    """Every tracklet's set similarity by loops: [(name, similarity)], best first, ties by name."""
    found = []
    for n, name in enumerate(partition.names(np.arange(len(partition)))):
        own = partition.vector[partition.first[n] : partition.first[n + 1]].astype(np.float64)
        alike = query.astype(np.float64) @ own.T
        found.append((name, np.float32((alike.max(axis=1).mean() + alike.max(axis=0).mean()) / 2)))
    return sorted(found, key=lambda one: (-one[1], one[0]))


def many(n_objects=60, seed=4):
    seen, who = town(seed=seed, n_objects=n_objects, noise=0.5, tint=0.0)
    order = np.argsort([one.name for one in seen])
    return seen, who[order]


@pytest.mark.parametrize(("seen", "top"), [([], 5), ([Seen("a", "c", 0, 1, look(1))], 0)])
def test_nothing_to_find(tmp_path, seen, top):
    assert len(search(look(0), saved(tmp_path, seen), top)) == 0


def test_no_query(tmp_path):
    partition = saved(tmp_path, [Seen("a", "c", 0, 1, look(1))])
    assert len(search(np.zeros((0, 128), np.float32), partition, 3)) == 0


@pytest.mark.parametrize("exact_vectors", [10**9, 1], ids=["one by one", "by lists"])
@pytest.mark.parametrize("top", [1, 4, 1000])
@pytest.mark.parametrize("n_query", [1, 3])
def test_equals_the_slow_one(tmp_path, exact_vectors, top, n_query):
    partition = saved(tmp_path, many()[0], exact_vectors=exact_vectors, recall=1.0)
    query = look(77, n=n_query, noise=1.0)
    hits = search(query, partition, top, nprobe=10**6, compared_anyway=0)
    want = slow(query, partition)[:top]
    assert partition.names(hits.row).tolist() == [name for name, _ in want]
    np.testing.assert_allclose(hits.similarity, [value for _, value in want], atol=1e-6)
    assert hits.settled


def test_is_the_similarity_that_identities_are_made_by(tmp_path):
    partition = saved(tmp_path, many()[0])
    sets = ExemplarSets(*partition.exemplars(np.arange(len(partition))))
    hits = search(sets.take(np.array([3])).vector, partition, len(partition))
    want = similarity(sets, np.full(len(sets), 3), np.arange(len(sets)))
    np.testing.assert_allclose(hits.similarity, want[hits.row], atol=1e-6)


@pytest.mark.parametrize("exact_vectors", [10**9, 1], ids=["one by one", "by lists"])
def test_the_same_object_comes_first(tmp_path, exact_vectors):
    seen, who = many(n_objects=30, seed=1)
    partition = saved(tmp_path, seen, exact_vectors=exact_vectors)
    for probe in range(0, len(seen), 9):
        query, _ = partition.exemplars(np.array([probe]))
        hits = search(query, partition, 10, compared_anyway=0)
        assert hits.row[0] == probe
        assert set(who[hits.row[: int((who == who[probe]).sum())]]) == {who[probe]}


@pytest.mark.parametrize("exact_vectors", [10**9, 1], ids=["one by one", "by lists"])
def test_only_what_is_selected_is_ranked(tmp_path, exact_vectors):
    seen, _ = many()
    partition = saved(tmp_path, seen, exact_vectors=exact_vectors)
    selected = np.arange(len(partition)) % 5 == 2
    query, _ = partition.exemplars(np.array([0]))
    hits = search(query, partition, 1000, selected=selected, nprobe=10**6, compared_anyway=0)
    want = [name for name, _ in slow(query, partition) if selected[partition.row_of(name)]]
    assert partition.names(hits.row).tolist() == want
    assert len(search(query, partition, 5, selected=np.zeros(len(partition), bool))) == 0


def test_lists_grow_until_one_of_many_exemplars_hides_nobody(tmp_path):
    seen = [Seen("many", "c", 0, 1, look(1, n=900)), *(Seen(f"t{n}", "c", 0, 1, look(n + 2)) for n in range(5))]
    partition = saved(tmp_path, seen, exact_vectors=1, recall=1.0)
    hits = search(look(1), partition, 6, nprobe=10**6, compared_anyway=0)
    assert len(hits) == 6 and hits.settled


@pytest.mark.parametrize("exact_vectors", [10**9, 1], ids=["one by one", "by lists"])
def test_ties_go_to_the_lower_tracklet_id(tmp_path, exact_vectors):
    seen = [Seen(name, "c", 0, 1, look(1)) for name in ("c-2", "c-10", "c-1", "b", "z")]
    partition = saved(tmp_path, seen, exact_vectors=exact_vectors)
    hits = search(look(1), partition, 3, nprobe=10**6, compared_anyway=0)
    assert partition.names(hits.row).tolist() == ["b", "c-1", "c-10"]


def test_few_selected_are_compared_one_by_one_and_so_without_loss(tmp_path):
    partition = saved(tmp_path, many()[0], exact_vectors=1)
    hits = search(look(3), partition, 5)
    assert (hits.settled, hits.recall) == (True, 1.0)


def test_a_query_of_another_width_is_refused(tmp_path):
    partition = saved(tmp_path, [Seen("a", "c", 0, 1, look(1))])
    with pytest.raises(ValueError, match=r"\(any, 128\), got \(1, 64\)"):
        search(np.zeros((1, 64), np.float32), partition, 3)


def test_an_identity_of_many_exemplars_is_thinned_evenly():
    vectors = np.arange(1000, dtype=np.float32)[:, None].repeat(128, axis=1)
    few = thinned(vectors)
    assert len(few) == MAX_QUERY and few[0, 0] == 0 and few[-1, 0] == 999
    assert np.ptp(np.diff(few[:, 0])) <= 1


def test_a_scan_in_blocks_equals_one_of_all(tmp_path, monkeypatch):
    seen, _ = many()
    partition = saved(tmp_path, seen)
    queries = [look(5, n=3, noise=1.0), look(6), look(7, n=2)]
    whole = exact.scan(queries, partition.vector, partition.first)
    monkeypatch.setattr(exact, "_VECTORS_AT_ONCE", 7)
    np.testing.assert_allclose(exact.scan(queries, partition.vector, partition.first), whole, atol=1e-6)
    for n, query in enumerate(queries):
        one = exact.similarity(query, partition.vector, np.asarray(partition.first))
        np.testing.assert_allclose(whole[:, n], one, atol=1e-6)
