"""Exact nearest neighbours by inner product: the only home of FAISS. On a GPU where there is one, else its CPU twin."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ConfigError

QUERY_BLOCK = 16384
"""Queries handed to FAISS at once; bounds the (queries, k) result and the work space."""

SPARE = 8
"""Neighbours looked up beyond k, so that rounding in FAISS cannot push a true neighbour off the end of the list."""

GPU_MAX_K = 2048
"""Longest list FAISS's GPU search returns (faiss wiki, "Faiss on the GPU", Limitations)."""

ROUNDING = 1e-5
"""More than float32 rounding moves the inner product of two 128-d unit vectors (128 * 2**-24 = 7.6e-6 at the very
worst, under 1e-6 in practice)."""


def nearest(query: np.ndarray, reference: np.ndarray, k: int, *, device: str = "auto") -> tuple[np.ndarray, np.ndarray]:
    """Return, for every query, its k most similar reference vectors.

    query (Q, D) float32, reference (N, D) float32 -> similarity (Q, min(k, N)) float32 and index (Q, min(k, N)) int64,
    best first, ties by index. Similarity is the inner product, summed in double precision and rounded once, so that
    the answer does not depend on device, block size or thread count.
    Raises ConfigError where device "cuda" is asked for and FAISS finds no GPU.
    """
    on_gpu = uses_gpu(device)
    n_reference, k = len(reference), min(k, len(reference))
    similarity = np.zeros((len(query), k), np.float32)
    index = np.zeros((len(query), k), np.int64)
    if k == 0 or len(query) == 0:
        return similarity, index
    query, reference = (np.ascontiguousarray(vectors, dtype=np.float32) for vectors in (query, reference))
    n_listed = min(k + SPARE, n_reference)
    search = _gpu_search if on_gpu and n_listed <= GPU_MAX_K else _cpu_search
    for start in range(0, len(query), QUERY_BLOCK):
        block = query[start : start + QUERY_BLOCK]
        listed = search(block, reference, n_listed)
        found, order = _rank(block, reference, listed)
        # Where the end of the list is as similar as the k-th, equals may lie beyond it: settle those rows in full.
        open_end = (found[:, -1] >= found[:, k - 1] - ROUNDING) & (n_listed < n_reference)
        similarity[start : start + len(block)], index[start : start + len(block)] = found[:, :k], order[:, :k]
        for row in np.flatnonzero(open_end):
            similarity[start + row], index[start + row] = _settle(block[row], reference, found[row, k - 1], k)
    return similarity, index


def uses_gpu(device: str) -> bool:
    """Tell whether a search on `device` ("auto", "cpu" or "cuda") runs on a GPU. Raises ConfigError, see `nearest`."""
    if device == "cpu":
        return False
    import faiss

    n_gpus = faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
    if device == "cuda" and n_gpus == 0:
        raise ConfigError("device: cuda is asked for, but FAISS finds no GPU; write `device: auto` or `device: cpu`")
    return n_gpus > 0


def _cpu_search(query: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    import faiss

    return faiss.knn(query, reference, k, metric=faiss.METRIC_INNER_PRODUCT)[1]


def _gpu_search(query: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    import faiss

    return faiss.knn_gpu(_gpu_resources(), query, reference, k, metric=faiss.METRIC_INNER_PRODUCT)[1]


_gpu_resources_of_process: list = []


def _gpu_resources():
    """Return this process's GPU work space, made at first use: making one costs more than a search."""
    if not _gpu_resources_of_process:
        import faiss

        _gpu_resources_of_process.append(faiss.StandardGpuResources())
    return _gpu_resources_of_process[0]


def _rank(query: np.ndarray, reference: np.ndarray, listed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recompute the similarity of listed neighbours (Q, K) in double precision; sort best first, ties by index."""
    similarity = np.empty(listed.shape, np.float32)
    rows_at_once = max(1, 2**24 // (listed.shape[1] * query.shape[1]))  # 128 MiB of doubles
    for start in range(0, len(query), rows_at_once):
        part = slice(start, start + rows_at_once)
        pairs = reference[listed[part]].astype(np.float64)  # (R, K, D)
        similarity[part] = np.einsum("rkd,rd->rk", pairs, query[part].astype(np.float64))
    order = np.lexsort((listed, -similarity), axis=1)
    return np.take_along_axis(similarity, order, 1), np.take_along_axis(listed, order, 1)


def _settle(query: np.ndarray, reference: np.ndarray, kth: float, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest of one query among all references that may reach its k-th similarity."""
    near = np.flatnonzero(reference @ query >= kth - ROUNDING)
    similarity, index = _rank(query[None], reference, near[None])
    return similarity[0, :k], index[0, :k]
