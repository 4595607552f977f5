"""Where else was this one: tracklets ranked by likeness to a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.neighbours import nearest
from pipeline.types import Exemplars


@dataclass(frozen=True, eq=False, slots=True)
class Hits:
    """K tracklets, best first, ties by tracklet_id.

    tracklet_id  (K,) object (str)
    similarity   (K,) float32, inner product of the best pair of a query vector and an exemplar
    """

    tracklet_id: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.tracklet_id)


def search(query: np.ndarray, exemplars: Exemplars, top: int, *, device: str = "auto") -> Hits:
    """Return the `top` tracklets most like a query of one or more vectors (Q, 128) of the same object.

    Exact: the list of exemplars looked up grows until it holds `top` tracklets. Fewer come back where fewer exist.
    Raises ValueError for a query of another width, ConfigError where device "cuda" is asked for and there is no GPU.
    """
    width = exemplars.embedding.shape[1]
    if query.ndim != 2 or query.shape[1] != width:
        raise ValueError(f"query: expected shape (any, {width}), got {query.shape}")
    name, owner = np.unique(exemplars.tracklet_id.astype(str), return_inverse=True)
    by_owner = np.argsort(owner, kind="stable")  # exemplars in the order of their tracklets: ties by index are by id
    owner, vector = owner[by_owner], exemplars.embedding[by_owner]
    top = min(max(top, 0), len(name))
    if top == 0 or len(query) == 0:
        return Hits(np.zeros(0, object), np.zeros(0, np.float32))
    k = 4 * top  # most tracklets hold several exemplars of one look
    while True:
        similarity, index = nearest(query, vector, k, device=device)
        best = np.full(len(name), -np.inf, np.float32)
        np.maximum.at(best, owner[index], similarity)
        # A tracklet outside a query's list is at most as like it as the list's end: what beats every end is settled.
        end = -np.inf if index.shape[1] == len(vector) else similarity[:, -1].max()
        if np.count_nonzero(best > end) >= top:
            break
        k *= 4
    order = np.lexsort((name, -best))[:top]
    return Hits(name[order].astype(object), best[order])
