from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.identity.clustering import agglomerate
from pipeline.identity.topology import Relation

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
