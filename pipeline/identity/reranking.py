"""k-reciprocal re-ranking: who is alike is told by whom both are like (Zhong, Zheng, Cao and Li, CVPR 2017).

Two sightings of one person have the same neighbours; a stranger who happens to look alike has others. Everything here
is sparse, from lists of neighbours, so that it works for tens of thousands of sightings without a square table; names
and equations are those of the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pipeline.identity.comparing import similarity as similarity_of_sets
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.neighbours import nearest

K1, K2, LAMBDA = 20, 6, 0.3
"""The paper's values for Market-1501 (section 4.4), whose people have about 20 pictures each: k1 wants to be about as
long as the list of right answers, k2 shorter."""

SHARED = 2 / 3
"""Share of a neighbour's own set that must be common for it to join (equation 5)."""

ROW_BLOCK = 4096
"""Items whose sets are put together at once."""

PAIR_BLOCK = 65536

Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Similarity (P,) in [-1, 1] of items i (P,) and j (P,)."""


@dataclass(frozen=True, eq=False, slots=True)
class Company:
    """The company each of N items keeps, as a weighting of all items (equations 7 and 11).

    weight  (N, N) sparse, float32; rows sum to 1
    column  the same by columns
    """

    weight: sparse.csr_array
    column: sparse.csr_array

    def __len__(self) -> int:
        return self.weight.shape[0]

    def overlap(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return 1 - Jaccard distance (equation 10) of items i (P,) and j (P,): (P,) float32, in [0, 1]."""
        common = np.zeros(len(i), np.float64)
        for start in range(0, len(i), PAIR_BLOCK):
            part = slice(start, start + PAIR_BLOCK)
            common[part] = self.weight[i[part]].minimum(self.weight[j[part]]).sum(axis=1)
        return _jaccard(common)

    def overlap_with_all(self, i: np.ndarray) -> np.ndarray:
        """Return the same of items i (R,) with every item: (R, N) float32."""
        common = np.zeros((len(i), len(self)), np.float64)
        for row, item in enumerate(i.tolist()):
            span = slice(self.weight.indptr[item], self.weight.indptr[item + 1])
            kept = self.column[self.weight.indices[span]]  # who else keeps the company of each of them
            most = np.repeat(self.weight.data[span], np.diff(kept.indptr))
            common[row] = np.bincount(kept.indices, np.minimum(kept.data, most), minlength=len(self))
        return _jaccard(common)


def _jaccard(common: np.ndarray) -> np.ndarray:
    """Sum of minima over sum of maxima, of weights that sum to 1 each."""
    return np.clip(common / (2.0 - common), 0, 1).astype(np.float32)


def similarity(
    vectors: np.ndarray, pairs: np.ndarray, *, k1: int = K1, k2: int = K2, lam: float = LAMBDA
) -> np.ndarray:
    """Re-rank pairs (P, 2) of vectors (N, D) float32, unit length: (P,) float32, in [-lam, 1].

    It is lam times the cosine and (1 - lam) times the overlap of company: equation 12 as a similarity, with 1 - cosine
    as the original distance. Items are their own first neighbours; of neighbours as like as another the lower comes
    first.
    """
    alike = _cosine(vectors)
    return blend(alike(pairs[:, 0], pairs[:, 1]), company(vectors, k1=k1, k2=k2).overlap(*pairs.T), lam)


def similarity_to_all(vectors: np.ndarray, kept: Company, rows: np.ndarray, *, lam: float = LAMBDA) -> np.ndarray:
    """Re-rank all N vectors for those at `rows` (R,): (R, N) float32; `kept` is `company(vectors)`."""
    return blend(np.clip(vectors[rows] @ vectors.T, -1, 1), kept.overlap_with_all(rows), lam)


def blend(alike: np.ndarray, overlap: np.ndarray, lam: float) -> np.ndarray:
    """Weigh similarity and overlap of company (equation 12), any shape, float32."""
    return (lam * alike + (1.0 - lam) * overlap).astype(np.float32)


def company(vectors: np.ndarray, *, k1: int = K1, k2: int = K2, device: str = "cpu") -> Company:
    """Return the company of each of N unit vectors (N, D) float32 among all of them."""
    index = nearest(vectors, vectors, k1 + 1, device=device)[1]
    return keep_company(_itself_first(index, k1), _cosine(vectors), k1=k1, k2=k2)


def company_of_sets(sets: ExemplarSets, pairs: np.ndarray, alike: np.ndarray, *, k1: int = K1, k2: int = K2) -> Company:
    """Return the company of each of N tracklets among their candidates.

    pairs (P, 2) int64, i < j, and their similarity (P,), as `candidates` and `evidence` give them: what travel windows
    rule out is nobody's neighbour.
    """
    i, j = np.concatenate([pairs, pairs[:, ::-1]]).T
    order = np.lexsort((j, -np.tile(alike, 2), i))
    place = np.arange(len(order)) - np.searchsorted(i[order], i[order])
    index = np.full((len(sets), k1 + 1), -1, np.int64)
    index[:, 0] = np.arange(len(sets))
    listed = order[place < k1]
    index[i[listed], place[place < k1] + 1] = j[listed]
    return keep_company(index, lambda a, b: similarity_of_sets(sets, a, b), k1=k1, k2=k2)


def keep_company(index: np.ndarray, alike: Alike, *, k1: int, k2: int) -> Company:
    """Put the company together from lists of neighbours (N, k1 + 1): itself first, then best first, -1 for none."""
    n_items = len(index)
    listed = _listed(index[:, : k1 + 1])
    mutual = listed.multiply(listed.T).tocsr()  # R(p, k1), equation 3
    near = _listed(index[:, : _half(k1) + 1])
    near = near.multiply(near.T).tocsr()  # R(q, k1 / 2)
    near_size = near.sum(axis=1)
    parts = [_weights(rows, _expanded(mutual[rows], near, near_size), alike, n_items) for rows in _blocks(n_items)]
    weight = sparse.vstack(parts, format="csr") if parts else sparse.csr_array((0, 0), dtype=np.float32)
    friends = _listed(index[:, : max(k2, 1)]).astype(np.float32)  # N(p, k2), itself in it: equation 11
    weight = (sparse.diags_array(1.0 / np.maximum(friends.sum(axis=1), 1.0)) @ friends @ weight).tocsr()
    weight = weight.astype(np.float32)
    weight.sort_indices()
    return Company(weight, weight.T.tocsr())


def _expanded(mutual: sparse.csr_array, near: sparse.csr_array, near_size: np.ndarray) -> sparse.csr_array:
    """Return R*(p, k1) of the items of `mutual` (R, N): with the sets of neighbours that share most (equation 5)."""
    common = (mutual @ near.T).multiply(mutual).tocoo()
    taken = common.data >= SHARED * near_size[common.col] - 1e-9
    joining = sparse.csr_array(
        (np.ones(int(taken.sum()), np.int32), (common.row[taken], common.col[taken])), shape=mutual.shape
    )
    return mutual + joining @ near


def _weights(rows: np.ndarray, members: sparse.csr_array, alike: Alike, n_items: int) -> sparse.csr_array:
    """Weigh the members (R, N) of the sets of items `rows` by exp(-distance), each row to a sum of 1 (equation 7)."""
    members = members.tocoo()
    i, j = rows[members.row], members.col.astype(np.int64)
    distance = np.zeros(len(i))
    for start in range(0, len(i), PAIR_BLOCK):
        part = slice(start, start + PAIR_BLOCK)
        distance[part] = 1.0 - alike(i[part], j[part])
    distance[i == j] = 0.0
    weight = np.exp(-distance)
    total = np.bincount(members.row, weight, minlength=len(rows))
    return sparse.csr_array((weight / total[members.row], (members.row, members.col)), shape=(len(rows), n_items))


def _half(k: int) -> int:
    """k / 2 as the authors round it: to the nearest, halves to even."""
    return round(k / 2)


def _itself_first(index: np.ndarray, k: int) -> np.ndarray:
    """Put every item at the head of its own list (N, K) and cut the lists to it and k others."""
    own = np.arange(len(index))[:, None]
    others_first = np.argsort(index == own, axis=1, kind="stable")
    others = np.take_along_axis(index, others_first, axis=1)
    n_others = np.count_nonzero(index != own, axis=1)[:, None]
    others = np.where(np.arange(index.shape[1]) < n_others, others, -1)
    return np.concatenate([own, others[:, :k]], axis=1)


def _listed(index: np.ndarray) -> sparse.csr_array:
    """Lists of neighbours (N, K), -1 for none, as a sparse 0/1 table (N, N)."""
    row, slot = np.nonzero(index >= 0)
    table = (np.ones(len(row), np.int32), (row, index[row, slot]))
    return sparse.csr_array(table, shape=(len(index), len(index)))


def _cosine(vectors: np.ndarray) -> Alike:
    return lambda i, j: np.clip(np.einsum("pd,pd->p", vectors[i], vectors[j]), -1, 1)


def _blocks(n_items: int) -> Iterator[np.ndarray]:
    for start in range(0, n_items, ROW_BLOCK):
        yield np.arange(start, min(start + ROW_BLOCK, n_items))
