"""Proof that ids and vectors are nowhere in a lake: every file of it is read and searched.

Parquet files are searched cell by cell, saved states array by array, all else byte by byte.
"""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import erasures
from pipeline.lake.erasures import Erasure
from pipeline.lake.writer import Lake
from pipeline.types import EMBEDDING_DIM, Observations

STATES, INDEX, OTHER = "states", "index", "other files"
"""Places that are no tables."""

_WORD = re.compile(rb"[A-Za-z0-9_.:+\-]{6,}")
"""What an id is made of; no id is shorter."""

_SAVED = b"PK"
"""How a file of arrays (npz) begins."""


class Search:
    """What is searched for.

    vectors  those known by their bytes; the record has digests of all of them
    boxes    those erased, by camera: an equal vector of another moment is somebody else's equal look, as where the same
             footage was recorded twice
    """

    def __init__(
        self, erasure: Erasure, vectors: Iterable[bytes] = (), boxes: Mapping[str, Observations] | None = None
    ) -> None:
        self._frames = {camera: np.unique(rows.captured_at_us) for camera, rows in (boxes or {}).items()}
        self._names = frozenset(erasure.names)
        self._digests = frozenset(erasure.vectors)
        self._vectors = tuple(vectors)
        self._dates = frozenset(erasure.dates)
        covered = self._digests <= {erasures.vector_digest(vector) for vector in self._vectors}
        begins = [int.from_bytes(vector[:8], sys.byteorder) for vector in self._vectors]
        self._begins = np.unique(np.array(begins, np.uint64)) if covered else None  # of an earlier go, digests alone
        self._known: dict[str, bool] = {}
        self.shared: set[bytes] = set()  # vectors that somebody else's row holds too: equal looks

    def names(self, names: Iterable[str | None]) -> np.ndarray:
        """Tell of N ids whether they are searched for, (N,) bool."""
        names = list(names)
        for name in set(names) - self._known.keys():
            self._known[name] = name is not None and erasures.name_digest(name) in self._names
        return np.array([self._known[name] for name in names], bool)

    def vectors(self, rows: np.ndarray) -> list[bytes | None]:
        """Return of N vectors (N, 128) the bytes of each that is searched for, else None."""
        if not self._digests:
            return [None] * len(rows)
        rows = np.ascontiguousarray(rows)
        likely = np.arange(len(rows))
        if self._begins is not None:  # a digest takes 2 us, and few vectors begin like one searched for
            begins = np.ascontiguousarray(rows.view(np.uint8)[:, :8]).view(np.uint64)[:, 0]
            likely = np.flatnonzero(np.isin(begins, self._begins))
        found: list[bytes | None] = [None] * len(rows)
        for row in likely[rows[likely].any(axis=1)].tolist():
            content = rows[row].tobytes()
            found[row] = content if erasures.vector_digest(content) in self._digests else None
        return found

    def elsewhen(self, table: pa.Table) -> np.ndarray:
        """Tell of each row of kept detections whether nobody erased was seen by its camera then, (N,) bool."""
        cameras = table["camera_id"].to_pylist()
        frames = self._frames.get(cameras[0], np.zeros(0, np.int64)) if cameras else np.zeros(0, np.int64)
        known = len(self._frames) > 0
        return known & ~np.isin(table["captured_at"].cast(pa.int64()).to_numpy(), frames)

    def words(self, content: bytes) -> int:
        """Count the ids among the words of a file."""
        return int(self.names(word.decode() for word in _WORD.findall(content)).sum())

    def raw(self, path: str, content: bytes) -> list[bytes]:
        """Return the vectors known by their bytes that stand anywhere in a file; none in the index of a night that
        nothing of theirs was filed under."""
        parts = path.split("/")
        if parts[0] == INDEX and len(parts) > 2 and parts[1].removeprefix("date=") not in self._dates:
            return []
        return [vector for vector in self._vectors if vector in content]


def found(lake: Lake, search: Search) -> Counter[str]:
    """Count what is still there, by place: a table's name, or one of STATES, INDEX, OTHER. Reads the whole lake."""
    by_name: Counter[str] = Counter()
    by_vector: list[tuple[str, bytes]] = []
    for path in lake.storage.files("", ""):
        path = path.removeprefix("./")
        content = lake.storage.read(path)
        if content is None or path.startswith(f"{erasures.FOLDER}/"):
            continue
        names, vectors = _in_file(path, content, search)
        place = place_of(path)
        by_name[place] += names
        by_vector += [(place, vector) for vector in vectors]
    for place, vector in by_vector:
        by_name[place] += vector not in search.shared
    return by_name


def place_of(path: str) -> str:
    """Return the place that a file's path below the lake belongs to."""
    head = path.split("/")[0]
    if path.endswith(".parquet") and head != INDEX:
        return head
    return {"_state": STATES, INDEX: INDEX}.get(head, OTHER)


def _in_file(path: str, content: bytes, search: Search) -> tuple[int, list[bytes]]:
    """Return how many ids a file holds, and the vectors in it."""
    if path.endswith(".parquet"):
        return _in_table(pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False), search)
    start = content.find(_SAVED, 0, 256) if path.endswith((".state", ".motion")) else -1
    if start >= 0:
        return _in_arrays(content[start:], search)
    if path.endswith(".npy"):
        return _in_array(np.load(io.BytesIO(content), allow_pickle=False), search)
    return search.words(content), search.raw(path, content)


def _in_table(table: pa.Table, search: Search) -> tuple[int, list[bytes]]:
    """Return the rows with an id, and the vectors in rows without one; those of others' rows are taken as shared."""
    metadata = b" ".join(part for pair in (table.schema.metadata or {}).items() for part in pair)
    n_metadata, named = search.words(metadata), np.zeros(len(table), bool)
    for column in table.columns:
        if pa.types.is_string(column.type):
            coded = column.combine_chunks().dictionary_encode()
            hit = search.names(coded.dictionary.to_pylist())
            if hit.any():
                codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
                named |= (codes >= 0) & hit[codes]
    others = np.full(len(table), "tracklet_id" in table.schema.names)
    if {"camera_id", "captured_at"} <= set(table.schema.names):
        others |= search.elsewhen(table)
    vectors = []
    for rows in _vector_columns(table):
        for row, vector in enumerate(search.vectors(rows)):
            if vector is not None and not named[row]:
                (search.shared.add if others[row] else vectors.append)(vector)
    return n_metadata + int(named.sum()), vectors


def _vector_columns(table: pa.Table) -> Iterator[np.ndarray]:
    for column in table.columns:
        vectors = pa.types.is_fixed_size_list(column.type) and column.type.list_size == EMBEDDING_DIM
        if vectors and not column.null_count:
            yield column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, EMBEDDING_DIM)


def _in_arrays(content: bytes, search: Search) -> tuple[int, list[bytes]]:
    n_names, vectors = 0, []
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        for name in arrays.files:
            n_here, here = _in_array(arrays[name], search)
            n_names += n_here
            vectors += here
    return n_names, vectors


def _in_array(array: np.ndarray, search: Search) -> tuple[int, list[bytes]]:
    if array.dtype.kind in "US":
        texts = array.reshape(-1) if array.dtype.kind == "U" else np.char.decode(array.reshape(-1), "utf-8")
        return int(search.names(texts.tolist()).sum()), []
    if array.dtype.kind == "f" and array.shape[-1:] == (EMBEDDING_DIM,):
        return 0, [vector for vector in search.vectors(array.reshape(-1, EMBEDDING_DIM)) if vector]
    return 0, []
