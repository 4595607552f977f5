"""The exemplars of one night and class group as files that a search maps into memory.

A partition is a folder:

vectors.f16    (E, 128) float16, exemplars freed of their camera's tint, those of one tracklet side by side
first.npy      (N + 1,) int64, tracklet n has the vectors first[n]:first[n + 1]
tracklets.npy  (N,) bytes, UTF-8, tracklet ids, ascending
lists.faiss    where there are more vectors than are compared one by one: the same as inverted lists, 8 bits a number
partition.json what it is, and what whoever made it wants to know again (`about`)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import LakeError
from pipeline.types import EMBEDDING_DIM

FORMAT = 1
"""Raised by one whenever an older program would misread a partition."""

PARTITION = "partition.json"
_VECTORS, _FIRST, _TRACKLETS, _LISTS = "vectors.f16", "first.npy", "tracklets.npy", "lists.faiss"

TRAINING_PER_LIST = 40
"""Vectors that train one list: FAISS asks for 39 at least (ClusteringParameters.min_points_per_centroid)."""

TRAINING_ROUNDS = 10
_SEED = 1
_BLOCK = 262_144


@dataclass(frozen=True, eq=False)
class Partition:
    """A saved partition, open.

    vector       (E, 128) float16, mapped
    first        (N + 1,) int64, mapped
    tracklet_id  (N,) bytes, mapped, ascending
    nprobe       lists looked into by a search, or None where there are none
    recall       share of the best tracklets that a search finds so, measured on a sample (see saving); 1 without lists
    about        what `write` was given
    """

    folder: Path
    vector: np.ndarray
    first: np.ndarray
    tracklet_id: np.ndarray
    nprobe: int | None
    recall: float
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.tracklet_id)

    @classmethod
    def open(cls, folder: Path) -> Partition:
        """Map a partition. Raises LakeError where it is not whole, or of another format."""
        try:
            head = json.loads((folder / PARTITION).read_text(encoding="utf-8"))
            if head["format"] != FORMAT:
                raise ValueError(f"format {head['format']}, expected {FORMAT}")
            n_vectors, nprobe = head["vectors"], head["nprobe"]
            first = np.load(folder / _FIRST, mmap_mode="r")
            tracklet_id = np.load(folder / _TRACKLETS, mmap_mode="r")
            if len(first) != len(tracklet_id) + 1 or first[-1] != n_vectors:
                raise ValueError(f"{len(tracklet_id)} tracklets and {n_vectors} vectors do not fit {_FIRST}")
            shape = (n_vectors, EMBEDDING_DIM)
            vector = np.memmap(folder / _VECTORS, np.float16, "r", shape=shape) if n_vectors else np.zeros(shape, "f2")
            if nprobe is not None and not (folder / _LISTS).is_file():
                raise ValueError(f"{_LISTS} is missing")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LakeError(f"{folder}: not a whole search index ({error}); remove it, it is made anew") from None
        return cls(folder, vector, first, tracklet_id, nprobe, head["recall"], head["about"])

    def row_of(self, tracklet_id: str) -> int | None:
        """Return the row of a tracklet, or None where it is not here."""
        wanted = np.bytes_(tracklet_id.encode())
        if len(wanted) > self.tracklet_id.dtype.itemsize:
            return None
        row = int(np.searchsorted(self.tracklet_id, wanted.astype(self.tracklet_id.dtype)))
        return row if row < len(self) and self.tracklet_id[row] == wanted else None

    def names(self, row: np.ndarray) -> np.ndarray:
        """Return the tracklet ids of rows (R,) as (R,) object (str)."""
        return np.array([name.decode() for name in self.tracklet_id[row]], dtype=object)

    def exemplars(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of tracklets (R,) one after another, float32 (E', 128), and where each begins (R + 1,)."""
        begin = np.asarray(self.first[row])
        size = np.asarray(self.first[row + 1]) - begin
        first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        place = np.repeat(begin - first[:-1], size) + np.arange(first[-1])
        return self.vector[place].astype(np.float32), first

    def nearest_vectors(
        self, query: np.ndarray, k: int, *, selected: np.ndarray | None = None, nprobe: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k vectors most like each query vector that its lists hold: similarity and row, (Q, k) both.

        query (Q, 128) float32; selected (N,) bool, the tracklets that may be found, None for all. Where the lists hold
        fewer than k, rows of -1 fill up. Similarities are to within rounding to 8 bits, see LISTS_ROUNDING.
        """
        import faiss

        options = {"nprobe": nprobe or self.nprobe}
        if selected is not None:
            bits = np.packbits(np.repeat(selected, np.diff(self.first)), bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        parameters = faiss.SearchParametersIVF(**options)
        return self._lists.search(np.ascontiguousarray(query, np.float32), k, params=parameters)

    @cached_property
    def _lists(self):
        import faiss

        return faiss.read_index(str(self.folder / _LISTS), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)


LISTS_ROUNDING = 0.005
"""More than 8-bit rounding moves a similarity: numbers of unit vectors of 128 span about 0.6, so a step is 0.0024, its
error 0.0007 (one sd), and that of a product with a unit vector the same; this is seven of it."""


def without_tint(vector: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Subtract a tint from unit vectors (E, 128), one for all (128,) or each its own (E, 128); make the rest unit long.

    A vector that its tint explains wholly keeps itself. Returns float32 (E, 128).
    """
    rest = vector.astype(np.float64) - tint
    length = np.linalg.norm(rest, axis=-1, keepdims=True)
    known = np.linalg.norm(vector.astype(np.float64), axis=-1, keepdims=True) > NOTHING_LEFT
    where = (length > NOTHING_LEFT) & known
    return np.divide(rest, length, out=vector.astype(np.float64), where=where).astype(np.float32)


NOTHING_LEFT = 1e-6
"""Shorter than this, what a tint leaves of a unit vector is rounding (as in evidence)."""


def write(
    folder: Path,
    tracklet_id: np.ndarray,
    size: np.ndarray,
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    exact_vectors: int,
    about: dict[str, Any],
) -> Partition:
    """Write a partition into an empty or new folder and open it. Its searches look into all lists, if there are any.

    tracklet_id    (N,) str, ascending; size (N,) int, exemplars of each, at least 1
    blocks         place (B,) int64 among all vectors, and vectors (B, 128) float32 freed of tint, in any order; memory
                   holds one block at a time
    exact_vectors  with more vectors than this there are lists too
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    n_vectors, n_lists = int(first[-1]), None
    _write_vectors(folder / _VECTORS, n_vectors, blocks)
    np.save(folder / _FIRST, first)
    names = np.char.encode(np.asarray(tracklet_id, str), "utf-8") if len(tracklet_id) else np.zeros(0, "S1")
    np.save(folder / _TRACKLETS, names)
    if n_vectors > exact_vectors:
        n_lists = _write_lists(
            folder / _LISTS, np.memmap(folder / _VECTORS, np.float16, "r").reshape(-1, EMBEDDING_DIM)
        )
    _write_head(folder, len(names), n_vectors, n_lists, 1.0, about)
    return Partition.open(folder)


def settle(partition: Partition, nprobe: int, recall: float) -> Partition:
    """Write down into how many lists searches shall look, and the recall that this gives; returns it opened anew."""
    _write_head(partition.folder, len(partition), len(partition.vector), nprobe, recall, partition.about)
    return Partition.open(partition.folder)


def _write_head(folder: Path, n_tracklets: int, n_vectors: int, nprobe: int | None, recall: float, about: dict) -> None:
    head = {"format": FORMAT, "tracklets": n_tracklets, "vectors": n_vectors, "nprobe": nprobe, "recall": recall}
    (folder / PARTITION).write_text(json.dumps({**head, "about": about}, indent=1) + "\n", encoding="utf-8")


def _write_vectors(path: Path, n_vectors: int, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    if n_vectors == 0:
        path.write_bytes(b"")
        return
    written = 0
    out = np.memmap(path, np.float16, "w+", shape=(n_vectors, EMBEDDING_DIM))
    for place, vector in blocks:
        out[place] = vector
        written += len(place)
    out.flush()
    if written != n_vectors:
        raise ValueError(f"{path}: expected {n_vectors} vectors, got {written}")


def _write_lists(path: Path, vector: np.ndarray) -> int:
    """Sort vectors into lists around centres, as FAISS's IVF does; returns how many lists there are."""
    import faiss

    n_lists = 2 ** int(np.log2(2 * np.sqrt(len(vector))))
    quantizer = faiss.IndexFlatIP(EMBEDDING_DIM)
    lists = faiss.IndexIVFScalarQuantizer(
        quantizer, EMBEDDING_DIM, n_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    lists.cp.spherical, lists.cp.niter, lists.cp.seed = True, TRAINING_ROUNDS, _SEED
    lists.cp.min_points_per_centroid = 1
    n_training = min(len(vector), TRAINING_PER_LIST * n_lists)
    chosen = np.linspace(0, len(vector) - 1, n_training).astype(np.int64)
    lists.train(vector[chosen].astype(np.float32))
    for start in range(0, len(vector), _BLOCK):
        lists.add(vector[start : start + _BLOCK].astype(np.float32))
    faiss.write_index(lists, str(path))
    return n_lists
