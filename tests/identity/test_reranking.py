"""k-reciprocal re-ranking against the paper, done slowly with sets."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity import reranking
from pipeline.identity.evidence import ExemplarSets
from tests.identity.nights import unit


def slowly(vectors: np.ndarray, k1: int, k2: int, lam: float) -> np.ndarray:
    """Equations 1 to 12 of the paper as Python sets: similarity (N, N), 1 - d*."""
    everyone = range(len(vectors))
    d = 1 - np.clip(vectors.astype(np.float64) @ vectors.T.astype(np.float64), -1, 1)

    def nearest(p, k):
        others = sorted((g for g in everyone if g != p), key=lambda g: (d[p, g], g))
        return {p, *others[:k]}

    def reciprocal(p, k):
        return {g for g in nearest(p, k) if p in nearest(g, k)}

    weight = np.zeros(d.shape)
    for p in everyone:
        robust = set(reciprocal(p, k1))
        for q in reciprocal(p, k1):
            half = reciprocal(q, round(k1 / 2))
            if len(reciprocal(p, k1) & half) >= 2 / 3 * len(half):
                robust |= half
        for g in robust:
            weight[p, g] = np.exp(-d[p, g]) if g != p else 1.0
        weight[p] /= weight[p].sum()
    expanded = np.array([np.mean([weight[g] for g in nearest(p, k2 - 1)], axis=0) for p in everyone])
    jaccard = np.array([[1 - np.minimum(a, b).sum() / np.maximum(a, b).sum() for b in expanded] for a in expanded])
    return 1 - ((1 - lam) * jaccard + lam * d)


def people(seed: int, n: int = 40, n_people: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n_people, 16))
    return unit(own[rng.integers(0, n_people, n)] + 0.7 * rng.normal(size=(n, 16))).astype(np.float32)


@pytest.mark.parametrize(("k1", "k2", "lam"), [(20, 6, 0.3), (5, 2, 0.0), (7, 3, 0.8), (3, 1, 0.3), (60, 50, 0.3)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_paper_done_slowly(seed, k1, k2, lam):
    vectors = people(seed)
    expected = slowly(vectors, k1, k2, lam)
    every = np.stack(np.meshgrid(np.arange(40), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2)
    found = reranking.similarity(vectors, every, k1=k1, k2=k2, lam=lam).reshape(40, 40)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    kept = reranking.company(vectors, k1=k1, k2=k2)
    some = np.array([3, 0, 39])
    np.testing.assert_allclose(reranking.similarity_to_all(vectors, kept, some, lam=lam), expected[some], atol=2e-6)


def test_nobody_and_one_alone():
    nobody = np.zeros((0, 16), np.float32)
    assert reranking.similarity(nobody, np.zeros((0, 2), np.int64)).shape == (0,)
    assert reranking.company(nobody).overlap_with_all(np.zeros(0, np.int64)).shape == (0, 0)
    one = people(0, n=1)
    assert reranking.similarity(one, np.array([[0, 0]])).tolist() == pytest.approx([1.0])


def test_blocks_change_nothing(monkeypatch):
    vectors = people(5)
    pairs = np.random.default_rng(0).integers(0, 40, (200, 2))
    whole = reranking.similarity(vectors, pairs)
    monkeypatch.setattr(reranking, "ROW_BLOCK", 7)
    monkeypatch.setattr(reranking, "PAIR_BLOCK", 11)
    np.testing.assert_allclose(reranking.similarity(vectors, pairs), whole, atol=1e-7)


def test_symmetric_and_one_with_itself():
    vectors = people(6)
    i, j = np.triu_indices(40)
    kept = reranking.company(vectors)
    np.testing.assert_allclose(kept.overlap(i, j), kept.overlap(j, i), atol=1e-7)
    np.testing.assert_allclose(kept.overlap(np.arange(40), np.arange(40)), 1, atol=1e-6)
    assert (kept.overlap(i, j) >= 0).all() and (kept.overlap(i, j) <= 1).all()


def test_many_copies_of_one_picture_are_one_company():
    copies = np.repeat(people(1, n=1), 30, axis=0)
    kept = reranking.company(copies, k1=5, k2=2)  # an item is its own neighbour, though five others come before it
    assert (kept.weight.diagonal() > 0).all()


def test_a_stranger_who_looks_alike_but_keeps_other_company_falls_behind():
    """Item 0 is likest to item 6, but that one has six who are liker to it."""
    axes = np.eye(16, dtype=np.float32)
    own = [unit(axes[0] + 0.8 * axes[2 + n]) for n in range(6)]
    others = [unit(axes[1] + 0.3 * axes[8 + n]) for n in range(6)]
    vectors = np.array([*own, unit(0.65 * own[0] + 0.75 * axes[1]), *others], np.float32)
    pairs = np.array([[0, 1], [0, 6]])
    cosine = np.einsum("pd,pd->p", *(vectors[side] for side in pairs.T))
    assert cosine[0] < cosine[1]
    mine, strangers = reranking.similarity(vectors, pairs, k1=5, k2=3)
    assert mine > strangers


def test_tracklets_are_neighbours_only_where_they_are_candidates():
    vectors = people(7, n=24)
    sets = ExemplarSets(vectors, np.arange(25))
    i, j = np.triu_indices(24, 1)
    every = np.stack([i, j], axis=1)
    alike = np.einsum("pd,pd->p", vectors[i], vectors[j])
    of_all = reranking.company_of_sets(sets, every, alike, k1=6, k2=3).overlap(i, j)
    np.testing.assert_allclose(of_all, reranking.company(vectors, k1=6, k2=3).overlap(i, j), atol=1e-5)
    apart = (i < 12) == (j < 12)  # two halves of a town between which nobody can have gone
    within = reranking.company_of_sets(sets, every[apart], alike[apart], k1=6, k2=3)
    assert within.overlap(i[~apart], j[~apart]).max() == 0
    nobody = reranking.company_of_sets(sets, np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
    assert nobody.overlap(i, j).max() == 0
