from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.identity import neighbours
from pipeline.identity.neighbours import nearest, uses_gpu
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
