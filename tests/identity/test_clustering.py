from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.identity.clustering import agglomerate
from pipeline.identity.topology import Relation
from tests.identity import slow_clustering

STRANGER = 0.05


def everything_possible(i, j):
    return np.full(len(i), Relation.POSSIBLE, np.int8)


def run(n_items, edges, relate=everything_possible, min_similarity=0.5):
    pairs = np.array(sorted(edges), np.int64).reshape(-1, 2)
    similarity = np.array([edges[tuple(pair)] for pair in pairs.tolist()])
    return agglomerate(n_items, pairs, similarity, relate, stranger_score=STRANGER, least=min_similarity).label.tolist()


def slow(n_items, edges, matrix, min_similarity):
    """Average link by looking at every pair of clusters again after every join."""
    clusters = [[item] for item in range(n_items)]
    while True:
        best = None
        for p, a in enumerate(clusters):
            for q in range(p + 1, len(clusters)):
                cells = [(min(x, y), max(x, y)) for x in a for y in clusters[q]]
                if any(matrix[cell] == Relation.NEVER for cell in cells) or not any(cell in edges for cell in cells):
                    continue
                values = [edges.get(cell, STRANGER) for cell in cells if matrix[cell] == Relation.POSSIBLE]
                average = sum(values) / len(values)
                if average >= min_similarity and (best is None or average > best[0] + 1e-12):
                    best = (average, p, q)
        if best is None:
            label = np.zeros(n_items, int)
            for members in clusters:
                label[members] = min(members)
            return label.tolist()
        _, p, q = best
        clusters[p] += clusters.pop(q)
        clusters.sort(key=min)


def test_no_items():
    assert run(0, {}) == []


def test_one_item():
    assert run(1, {}) == [0]


def test_a_chain_does_not_drag_its_ends_together():
    # 0-1 and 2-3 are sure; 1-2 alone would chain them, the average over all four pairs does not.
    assert run(4, {(0, 1): 0.9, (2, 3): 0.9, (1, 2): 0.8}) == [0, 0, 2, 2]


def test_untold_pairs_are_no_evidence():
    # A track broken in two by an occlusion: 0 and 2 are of one camera, never compared, and both are like 1.
    def relate(i, j):
        untold = (np.minimum(i, j) == 0) & (np.maximum(i, j) == 2)
        return np.where(untold, np.int8(Relation.UNTOLD), np.int8(Relation.POSSIBLE))

    assert run(3, {(0, 1): 0.9, (1, 2): 0.8}, relate) == [0, 0, 0]


def test_a_cannot_link_holds_through_others():
    def relate(i, j):
        never = (np.minimum(i, j) == 0) & (np.maximum(i, j) == 2)
        return np.where(never, np.int8(Relation.NEVER), np.int8(Relation.POSSIBLE))

    assert run(3, {(0, 1): 0.8, (1, 2): 0.9}, relate, min_similarity=0.0) == [0, 1, 1]


def test_ties_go_to_the_lower_items():
    never_two_of_0_1_2 = lambda i, j: np.where(  # noqa: E731
        (i < 3) & (j < 3), np.int8(Relation.NEVER), np.int8(Relation.POSSIBLE)
    )
    assert run(4, {(0, 3): 0.7, (1, 3): 0.7, (2, 3): 0.7}, never_two_of_0_1_2) == [0, 1, 2, 0]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from([0.1, 0.3, 0.5]))
def test_equals_the_slow_one_and_keeps_apart_what_must_be(seed, n_items, min_similarity):
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.choice([-1, 0, 1, 1, 1], (n_items, n_items)), 1)
    matrix = matrix + matrix.T
    possible = [tuple(cell) for cell in np.argwhere(np.triu(matrix == 1, 1)).tolist()]
    edges = {cell: float(rng.uniform(-0.2, 1)) for cell in possible if rng.random() < 0.7}
    label = run(n_items, edges, lambda i, j: matrix[i, j].astype(np.int8), min_similarity)
    assert label == slow(n_items, edges, matrix, min_similarity)
    together = np.equal.outer(label, label)
    assert not (together & (matrix == Relation.NEVER)).any()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.sampled_from([0, 4, 64]), st.booleans())
def test_labels_and_merges_equal_those_made_one_by_one(seed, n_items, steps, started):
    # Scores in 4 or 64 steps: ties everywhere, and sums without rounding.
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.choice([-1, 0, 1, 1, 1, 1], (n_items, n_items)), 1)
    matrix = matrix + matrix.T
    pairs = np.argwhere(np.triu(matrix == 1, 1))
    pairs = pairs[rng.random(len(pairs)) < rng.choice([0.3, 0.7, 1])]
    score = rng.uniform(-0.3, 1, len(pairs))
    score = np.round(score * steps) / steps if steps else score
    start = np.arange(n_items)
    for _ in range(3 * started):
        low, high = np.sort(start[rng.integers(0, n_items, 2)])
        start[start == high] = low
    options = {
        "stranger_score": float(rng.choice([0, 0.25, 0.5])),
        "least": float(rng.choice([-0.25, 0.125, 0.3125, 0.5])),
        "start": start if started else None,
    }
    relate = lambda i, j: matrix[i, j].astype(np.int8)  # noqa: E731
    found = agglomerate(n_items, pairs, score, relate, **options)
    want = slow_clustering.agglomerate(n_items, pairs, score, relate, **options)
    for column in ("label", "i", "j"):
        np.testing.assert_array_equal(getattr(found, column), getattr(want, column))
    np.testing.assert_allclose(found.average, want.average, atol=1e-6)


def test_a_large_graph_equals_one_by_one_and_float32_scores_are_welcome():
    rng = np.random.default_rng(4)
    person = rng.integers(0, 300, 1200)
    i, j = rng.integers(0, 1200, (2, 30_000))
    pairs = np.unique(np.sort(np.stack([i, j], axis=1)[i != j], axis=1), axis=0)
    alike = person[pairs[:, 0]] == person[pairs[:, 1]]
    score = np.where(alike, rng.normal(0.7, 0.1, len(pairs)), rng.normal(0.2, 0.2, len(pairs))).astype(np.float32)
    arguments = (1200, pairs, score, everything_possible)
    found = agglomerate(*arguments, stranger_score=0.2, least=0.45)
    want = slow_clustering.agglomerate(*arguments, stranger_score=0.2, least=0.45)
    assert len(found.i) > 100
    for column in ("label", "i", "j"):
        np.testing.assert_array_equal(getattr(found, column), getattr(want, column))


def test_extreme_scores_do_not_overflow():
    # A vetoed pair counts as log odds of minus a million.
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    found = agglomerate(3, pairs, np.array([5.0, -1e30, 1e30]), everything_possible, stranger_score=-3.0, least=0.0)
    assert found.label.tolist() == [0, 1, 1]
