from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.demo.crowd import crowd_night
from pipeline.errors import ConfigError
from pipeline.identity import neighbours
from pipeline.identity.candidates import candidate_pairs
from pipeline.identity.looks import Looks
from pipeline.identity.neighbours import IndexMade, SearchLog, nearest, searchers, uses_gpu
from pipeline.identity.threads import n_threads
from pipeline.identity.topology import Sightings, Topology
from tests.identity.nights import unit


def oracle(query, reference, k):
    """All similarities, sorted, ties by index."""
    similarity = (query.astype(np.float64) @ reference.astype(np.float64).T).astype(np.float32)
    index = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, index, 1), index


def vectors(seed, n):
    return unit(np.random.default_rng(seed).normal(size=(n, 128))).astype(np.float32)


@pytest.mark.parametrize(("n_query", "n_reference", "k"), [(0, 5, 3), (4, 0, 3), (4, 5, 0)])
def test_nothing_to_look_up(n_query, n_reference, k):
    similarity, index = nearest(vectors(0, n_query), vectors(1, n_reference), k, device="cpu")
    assert similarity.shape == index.shape == (n_query, min(k, n_reference))


@pytest.mark.parametrize(("n_query", "n_reference", "k"), [(1, 1, 1), (3, 2, 5), (7, 300, 10), (60, 40, 40)])
def test_equals_the_oracle(n_query, n_reference, k):
    query, reference = vectors(n_query, n_query), vectors(1000, n_reference)
    similarity, index = nearest(query, reference, k, device="cpu")
    want_similarity, want_index = oracle(query, reference, k)
    np.testing.assert_array_equal(index, want_index)
    np.testing.assert_allclose(similarity, want_similarity, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 70), st.integers(1, 5))
def test_ties_go_to_the_lower_index(seed, n_reference, k, n_looks):
    # Few distinct looks: most of the list is ties, and the k-th place falls inside a run of them.
    rng = np.random.default_rng(seed)
    reference = vectors(seed, n_looks)[rng.integers(0, n_looks, n_reference)]
    query = vectors(seed + 1, 3)
    similarity, index = nearest(query, reference, k, device="cpu")
    _, want = oracle(query, reference, k)
    np.testing.assert_array_equal(index, want)
    assert (np.diff(similarity, axis=1) <= 0).all()


def test_blocks_do_not_matter(monkeypatch):
    query, reference = vectors(1, 50), vectors(2, 90)
    whole = nearest(query, reference, 7, device="cpu")
    monkeypatch.setattr(neighbours, "QUERY_BLOCK", 8)
    blocks = nearest(query, reference, 7, device="cpu")
    for a, b in zip(whole, blocks):
        np.testing.assert_array_equal(a, b)


def clustered(seed, n, n_looks=40):
    rng = np.random.default_rng(seed)
    centre = np.random.default_rng(0).normal(size=(n_looks, 128))
    return unit(centre[rng.integers(0, n_looks, n)] + 0.7 * rng.normal(size=(n, 128))).astype(np.float32)


@pytest.mark.parametrize("recall", [0.8, 0.95, 1.0])
def test_an_index_finds_the_share_it_is_asked_for_and_says_so(recall):
    reference, query, log = clustered(1, 6000), clustered(2, 1500), SearchLog()
    similarity, index = nearest(query, reference, 10, device="cpu", exact_vectors=5999, recall=recall, log=log)
    (made,) = log.indexes
    assert (made.n_vectors, made.n_lists, made.k) == (6000, 309, 10)
    assert made.recall >= recall
    true, _ = oracle(query, reference, 10)
    assert np.mean(similarity >= true[:, -1:] - 1e-6) >= recall - 0.02  # measured on a third of these queries
    told = index >= 0
    np.testing.assert_array_equal(
        similarity[told],
        (query.astype(np.float64) @ reference.T.astype(np.float64)).astype(np.float32)[
            np.nonzero(told)[0], index[told]
        ],
    )
    assert log.text.startswith("IVF: 1 of 6000 vectors, 309 lists, ")
    assert log.seconds > 0


def test_an_index_made_twice_is_the_same():
    reference, query = clustered(1, 4000), clustered(2, 300)
    first, again = (nearest(query, reference, 10, device="cpu", exact_vectors=100, recall=0.9) for _ in range(2))
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a, b)


def test_up_to_exact_vectors_search_is_exact():
    reference, query, log = clustered(1, 900), clustered(2, 50), SearchLog()
    found = nearest(query, reference, 10, device="cpu", exact_vectors=900, recall=0.1, log=log)
    np.testing.assert_array_equal(found[1], oracle(query, reference, 10)[1])
    assert (log.indexes, log.text, log.products) == ([], "exact", 50 * 900)


def test_where_an_index_finds_too_few_the_rest_is_empty():
    reference = np.concatenate([clustered(1, 200), -clustered(1, 200)])
    similarity, index = nearest(clustered(2, 20), reference, 390, device="cpu", exact_vectors=10, recall=0.01)
    assert (index == -1).any()
    np.testing.assert_array_equal(index == -1, similarity == -np.inf)
    assert (similarity[:, 1:] <= similarity[:, :-1]).all()


def test_several_searchers_share_the_time_they_take():
    log = SearchLog()
    assert len(searchers("cpu", log)) == n_threads()
    log.add(1.0, 5)
    log.add(0.5, 6, [IndexMade(10, 3, 1, 4, 0.5), IndexMade(20, 3, 2, 4, 0.75)])
    assert (log.seconds, log.products) == (1.5, 11)
    assert "2 of 10 to 20 vectors, 3 lists, 1 to 2 probed, recall@4 at least 0.500" in log.text


def test_cuda_without_a_gpu_is_refused():
    if uses_gpu("auto"):
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigError, match="device: cuda"):
        nearest(vectors(0, 1), vectors(1, 1), 1, device="cuda")


@pytest.mark.gpu
def test_the_gpu_and_the_cpu_agree():
    if not uses_gpu("auto"):
        pytest.skip("FAISS finds no GPU")
    query, reference = vectors(1, 500), np.concatenate([vectors(2, 20_000), vectors(2, 20_000)])
    for k in (1, 30, 3000):
        for on_gpu, on_cpu in zip(
            nearest(query, reference, k, device="cuda"), nearest(query, reference, k, device="cpu")
        ):
            np.testing.assert_array_equal(on_gpu, on_cpu)


@pytest.mark.gpu
def test_candidates_found_on_gpus_and_on_the_cpu_are_the_same():
    if not uses_gpu("auto"):
        pytest.skip("FAISS finds no GPU")
    night = crowd_night(5000)
    names = tuple(sorted(set(night.camera_id)))
    camera = np.searchsorted(names, night.camera_id.astype(str)).astype(np.int32)
    tracklets = night.tracklets
    sightings = Sightings(camera, tracklets.started_at_us, tracklets.ended_at_us)
    sets = Looks.lay_out(tracklets.tracklet_id, tracklets.embedding, night.exemplars)
    topology = Topology.from_config(names, night.config)
    on_gpu, on_cpu = (candidate_pairs(sightings, sets, topology, 30, device=device) for device in ("cuda", "cpu"))
    np.testing.assert_array_equal(on_gpu, on_cpu)


@pytest.mark.gpu
def test_an_index_on_the_gpu_keeps_its_promise():
    if not uses_gpu("auto"):
        pytest.skip("FAISS finds no GPU")
    reference, query, log = clustered(1, 6000), clustered(2, 1500), SearchLog()
    similarity, _ = nearest(query, reference, 10, device="cuda", exact_vectors=100, recall=0.95, log=log)
    assert log.indexes[0].recall >= 0.95
    assert np.mean(similarity >= oracle(query, reference, 10)[0][:, -1:] - 1e-6) >= 0.93
