"""Nearest neighbours by inner product: the home of FAISS. On GPUs where there are any, else on their CPU twin."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from pipeline.errors import ConfigError
from pipeline.identity.kernels import lists as kernels
from pipeline.identity.threads import deal, in_parts, n_threads

QUERY_BLOCK = 16384
"""Queries handed to FAISS at once; bounds the (queries, k) result and the work space."""

SPARE = 8
"""Neighbours looked up beyond k, so that rounding in FAISS cannot push a true neighbour off the end of the list."""

GPU_MAX_K = 2048
"""Longest list FAISS's GPU search returns (faiss wiki, "Faiss on the GPU", Limitations)."""

ROUNDING = 1e-5
"""More than float32 rounding moves the inner product of two 128-d unit vectors (128 * 2**-24 = 7.6e-6 at the very
worst, under 1e-6 in practice)."""

BLAS_FROM = 20
"""Queries from which FAISS uses matrix products, as it long did by default. Version 1.15.1 waits for about a thousand
(128,000 numbers), and a hundred take it 1.6 times as long. The setting holds for the whole process."""

LISTS_PER_ROOT = 4
"""An IVF index over N vectors has 4 sqrt(N) lists (faiss wiki, "Guidelines to choose an index")."""

TRAINING_PER_LIST = 64
"""Vectors of the sample that each list's centre is trained on: k-means wants at least 39 (faiss wiki, FAQ)."""

TRAINING_SEED = 1234

RECALL_QUERIES = 512
"""Queries on which recall is measured: its standard error is under 0.6 points even where lists are independent."""


@dataclass(frozen=True, slots=True)
class IndexMade:
    """An IVF index over n_vectors: its lists, how many are probed, and the share of the k nearest found on a sample."""

    n_vectors: int
    n_lists: int
    n_probed: int
    k: int
    recall: float


@dataclass
class SearchLog:
    """What the searches for one purpose did, filled in while they run.

    seconds   time inside FAISS. Where several workers search at once, each on its own core or GPU, their times are
              averaged: it is the time these calls would take alone.
    products  inner products that exact search computed
    indexes   the IVF indexes made
    """

    seconds: float = 0.0
    products: int = 0
    indexes: list[IndexMade] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, seconds: float, products: int = 0, indexes: Iterable[IndexMade] = ()) -> None:
        """Count one call, or the sum of several."""
        with self._lock:
            self.seconds += seconds
            self.products += products
            self.indexes += indexes

    @property
    def text(self) -> str:
        """How neighbours were found, in words."""
        if not self.indexes:
            return "exact"
        made = self.indexes
        of, lists, probed, k = (_span(getattr(i, name) for i in made) for name in IndexMade.__slots__[:4])
        least = min(index.recall for index in made)
        told = f"IVF: {len(made)} of {of} vectors, {lists} lists, {probed} probed, recall@{k} at least {least:.3f}"
        return f"{told} on a sample of the queries"


def _span(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    return str(found[0]) if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


class Searcher:
    """One core, all cores, or one GPU to search on. Not for several threads at once."""

    def __init__(self, gpu: int | None, threads: int, log: SearchLog, sharing: int = 1) -> None:
        self._gpu, self._threads, self._log, self._sharing = gpu, threads, log, sharing
        self._room = np.empty((0, 0), np.float32)

    def room(self, n_vectors: int, dim: int) -> np.ndarray:
        """Return space for vectors (N, D) float32, the same each time: new pages would cost more than filling them."""
        if len(self._room) < n_vectors or self._room.shape[1] != dim:
            self._room = np.empty((n_vectors + n_vectors // 4, dim), np.float32)
        return self._room[:n_vectors]

    def exact(self, query: np.ndarray, reference: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """List the k <= N most similar of reference (N, D) for each query (Q, D), to within ROUNDING.

        Both are float32 in C order. Returns similarity (Q, k) float32, descending, and index (Q, k) int64.
        """
        import faiss

        began = self._begin(faiss)
        if self._gpu is None or k > GPU_MAX_K:
            found = faiss.knn(query, reference, k, metric=faiss.METRIC_INNER_PRODUCT)
        else:
            resources = _resources(self._gpu)
            metric = faiss.METRIC_INNER_PRODUCT
            found = faiss.knn_gpu(resources, query, reference, k, metric=metric, device=self._gpu)
        self._end(began, products=len(query) * len(reference))
        return found

    def indexed(self, reference: np.ndarray, sample: np.ndarray, k: int, recall: float) -> Callable:
        """Make an IVF index over reference (N, D); return a search(query, k) that lists as `exact` does, less surely.

        Of every query's k nearest it finds the share `recall`, as measured on `sample` (S, D) against exact search:
        the smallest number of lists probed that reaches it, doubling from 1. Where fewer than k are found, index is -1
        and similarity -inf at the end.
        """
        import faiss

        n_vectors, dim = reference.shape
        true = self.exact(sample, reference, k)[0][:, -1:] - ROUNDING
        began = self._begin(faiss)
        n_lists = max(1, int(LISTS_PER_ROOT * n_vectors**0.5))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, n_lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.spherical = TRAINING_SEED, True
        chosen = np.arange(n_vectors)
        if n_vectors > TRAINING_PER_LIST * n_lists:
            chosen = np.random.default_rng(TRAINING_SEED).choice(n_vectors, TRAINING_PER_LIST * n_lists, replace=False)
            chosen.sort()
        index.train(np.ascontiguousarray(reference[chosen]))
        if self._gpu is not None:
            index = faiss.index_cpu_to_gpu(_resources(self._gpu), self._gpu, index)
        index.add(reference)
        probed, reached = 1, 0.0
        while True:
            index.nprobe = min(probed, n_lists)
            listed = index.search(sample, k)[0]
            reached = float(np.mean(listed >= true)) if listed.size else 1.0
            if reached >= recall or probed >= n_lists:
                break
            probed *= 2
        self._end(began, indexes=[IndexMade(n_vectors, n_lists, index.nprobe, k, reached)])

        def search(query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            if self._gpu is not None and k > GPU_MAX_K:
                return self.exact(query, reference, k)
            began = self._begin(faiss)
            similarity, found = index.search(query, k)
            self._end(began)
            return np.where(found < 0, -np.inf, similarity).astype(np.float32), found

        return search

    def _begin(self, faiss) -> float:
        if self._gpu is None:
            faiss.omp_set_num_threads(self._threads)  # of this thread alone
            faiss.cvar.distance_compute_blas_threshold = BLAS_FROM
        return time.perf_counter()

    def _end(self, began: float, products: int = 0, indexes: Iterable[IndexMade] = ()) -> None:
        self._log.add((time.perf_counter() - began) / self._sharing, products, indexes)


def searchers(device: str, log: SearchLog) -> list[Searcher]:
    """Return a searcher for every GPU, or without any for every core, to be used side by side.

    device is "auto", "cpu" or "cuda". Raises ConfigError where device "cuda" is asked for and FAISS finds no GPU.
    """
    n_gpus = gpus(device)
    if n_gpus:
        return [Searcher(gpu, n_threads(), log, n_gpus) for gpu in range(n_gpus)]
    return [Searcher(None, 1, log, n_threads()) for _ in range(n_threads())]


def nearest(
    query: np.ndarray,
    reference: np.ndarray,
    k: int,
    *,
    device: str = "auto",
    exact_vectors: int | None = None,
    recall: float = 1.0,
    log: SearchLog | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every query, its k most similar reference vectors.

    query (Q, D) float32, reference (N, D) float32 -> similarity (Q, min(k, N)) float32 and index (Q, min(k, N)) int64,
    best first, ties by index. Similarity is the inner product, summed in double precision and rounded once, so that
    the answer does not depend on device, block size or thread count.
    Beyond exact_vectors references they are searched by an IVF index that finds the share `recall` of them; where it
    finds fewer than k, similarity is -inf and index -1 at the end.
    Raises ConfigError where device "cuda" is asked for and FAISS finds no GPU.
    """
    log = SearchLog() if log is None else log
    n_gpus = gpus(device)
    n_reference, k = len(reference), min(k, len(reference))
    similarity = np.zeros((len(query), k), np.float32)
    index = np.zeros((len(query), k), np.int64)
    if k == 0 or len(query) == 0:
        return similarity, index
    query, reference = (np.ascontiguousarray(vectors, dtype=np.float32) for vectors in (query, reference))
    n_listed = min(k + SPARE, n_reference)
    if exact_vectors is not None and n_reference > exact_vectors:
        asked = np.linspace(0, len(query) - 1, min(len(query), RECALL_QUERIES)).round().astype(np.int64)
        search = Searcher(0 if n_gpus else None, n_threads(), log).indexed(reference, query[asked], k, recall)
        for block in _blocks(len(query)):
            found, order = _rank(query[block], reference, search(query[block], n_listed)[1])
            similarity[block], index[block] = found[:, :k], order[:, :k]
        return similarity, index

    def work(searcher: Searcher, block: slice) -> None:
        found, order = _rank(query[block], reference, searcher.exact(query[block], reference, n_listed)[1])
        # Where the end of the list is as similar as the k-th, equals may lie beyond it: settle those rows in full.
        open_end = (found[:, -1] >= found[:, k - 1] - ROUNDING) & (n_listed < n_reference)
        similarity[block], index[block] = found[:, :k], order[:, :k]
        for row in np.flatnonzero(open_end):
            at = block.start + row
            similarity[at], index[at] = _settle(query[at], reference, found[row, k - 1], k)

    if n_gpus > 1:
        deal(work, _blocks(len(query)), searchers(device, log))
    else:
        alone = Searcher(0 if n_gpus else None, n_threads(), log)
        for block in _blocks(len(query)):
            work(alone, block)
    return similarity, index


def gpus(device: str) -> int:
    """Return how many GPUs a search on `device` ("auto", "cpu" or "cuda") uses. Raises ConfigError, see `nearest`."""
    if device == "cpu":
        return 0
    import faiss

    n_gpus = faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
    if device == "cuda" and n_gpus == 0:
        raise ConfigError("device: cuda is asked for, but FAISS finds no GPU; write `device: auto` or `device: cpu`")
    return n_gpus


def uses_gpu(device: str) -> bool:
    """Tell whether a search on `device` ("auto", "cpu" or "cuda") runs on a GPU. Raises ConfigError, see `nearest`."""
    return gpus(device) > 0


_gpu_resources_of_process: dict[int, object] = {}


def _resources(gpu: int):
    """Return this process's work space on a GPU, made at first use: making one costs more than a search."""
    if gpu not in _gpu_resources_of_process:
        import faiss

        _gpu_resources_of_process[gpu] = faiss.StandardGpuResources()
    return _gpu_resources_of_process[gpu]


def _blocks(n_query: int) -> list[slice]:
    return [slice(start, min(start + QUERY_BLOCK, n_query)) for start in range(0, n_query, QUERY_BLOCK)]


def _rank(query: np.ndarray, reference: np.ndarray, listed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recompute the similarity of listed neighbours (Q, K), -1 for none; sort best first, ties by index."""
    similarity = np.empty(listed.shape, np.float32)

    def work(part: slice) -> None:
        kernels.products(query[part], reference, listed[part], similarity[part])

    in_parts(work, len(query), least=64)
    order = np.lexsort((listed, -similarity), axis=1)
    return np.take_along_axis(similarity, order, 1), np.take_along_axis(listed, order, 1)


def _settle(query: np.ndarray, reference: np.ndarray, kth: float, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest of one query among all references that may reach its k-th similarity."""
    near = np.flatnonzero(reference @ query >= kth - ROUNDING)
    similarity, index = _rank(query[None], reference, near[None])
    return similarity[0, :k], index[0, :k]
