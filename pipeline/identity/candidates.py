"""Which pairs of tracklets are compared: look-alikes in other cameras, inside the travel windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.kernels import lists as kernels
from pipeline.identity.looks import Looks
from pipeline.identity.neighbours import RECALL_QUERIES, ROUNDING, SPARE, Searcher, SearchLog, searchers
from pipeline.identity.threads import deal
from pipeline.identity.topology import Sightings, Topology

PROBE_BLOCK = 512
"""Most tracklets looked up together: FAISS gains nothing from more."""

LEAST_PROBES = 16
"""Fewer tracklets together, a hundred exemplars, save FAISS less time than gathering their references takes."""

BLOCKS_A_REACH = 8
"""A block of probes lasts at most this part of the longest travel time, so that it sees hardly more of the footage than
each of its probes would: a sixteenth more than both windows."""

SHARD_BLOCKS = 3
"""References of a shard in those of its first block. They matter where they are indexed: then all of them at once."""

MORE_THAN_EXPECTED = 2.0
"""Length of the first list as a multiple of that which would hold enough possible neighbours if these lay evenly."""

INDEXED_MORE = 4
"""Length of the list at which an index's recall is measured, in neighbours wanted: that many are asked for where a
quarter of the references are possible."""

MAX_LISTED = 2**22
"""Entries of the lists looked at together: 48 MiB."""

COUNTING_PROBES = 512
"""Tracklets whose possible partners are counted to estimate those of all: the count's error is a few per cent."""

Find = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""A search(query, k) among the references of a block, see Searcher.exact."""


def candidate_pairs(
    sightings: Sightings,
    sets: ExemplarSets | Looks,
    topology: Topology,
    neighbours: int,
    *,
    device: str,
    exact_vectors: int | None = None,
    recall: float = 1.0,
    log: SearchLog | None = None,
) -> np.ndarray:
    """Return the pairs (i, j), i < j, in which an exemplar of one is among the `neighbours` most similar exemplars of
    the other that are possible at all: (P, 2) int64, sorted. No pair outside the windows is returned.

    Exemplars are compared only inside shards: those of one camera (of all, where any two are linked) over a while with
    those of the cameras linked to it, around that time. Shards are dealt to the GPUs, or to the cores. Which shards, on
    what and by how many makes no difference to the answer, unless one has more than exact_vectors references: these are
    searched by an IVF index that finds the share `recall` of the most similar. The log tells what was done.
    """
    looks = Looks.of(sets)
    search = _Search(sightings, looks, topology, neighbours, exact_vectors, recall)
    workers = searchers(device, SearchLog() if log is None else log)
    found = deal(search.look_up, _shards(sightings, looks, topology), workers)
    key = np.concatenate([np.zeros(0, np.int64), *found])
    del found
    key.sort()
    key = key[np.append(True, key[1:] != key[:-1])] if len(key) else key
    pairs = np.empty((len(key), 2), np.int64)
    np.divmod(key, max(1, len(sightings)), out=(pairs[:, 0], pairs[:, 1]))
    return pairs


def count_possible(sightings: Sightings, topology: Topology) -> float:
    """Return about how many pairs of tracklets are possible; exact up to COUNTING_PROBES tracklets."""
    n_tracklets = len(sightings)
    n_probes = min(n_tracklets, COUNTING_PROBES)
    if n_probes == 0:
        return 0.0
    in_time = np.lexsort((np.arange(n_tracklets), sightings.started_at_us))
    probes = in_time[np.arange(n_probes) * n_tracklets // n_probes]
    n_possible = 0
    for probe in probes:
        possible = possible_pairs(sightings.take(np.array([probe])), sightings, topology)
        n_possible += int(np.count_nonzero(possible))
    return n_possible / n_probes * n_tracklets / 2


@dataclass(frozen=True, eq=False, slots=True)
class _Shard:
    """Probes, and the references among which all their possible partners are, both by start.

    probe (p,), reference (r,) int64 tracklets; block (B, 4) int64: from, to in probe and from, to in reference
    """

    probe: np.ndarray
    reference: np.ndarray
    block: np.ndarray


def _shards(sightings: Sightings, looks: Looks, topology: Topology) -> Iterator[_Shard]:
    """Yield shards so that every possible pair is in some, both ways round."""
    by_start = np.lexsort((np.arange(len(sightings)), sightings.started_at_us))
    in_camera = _rows_by_camera(sightings.camera, by_start, len(topology.cameras))
    if topology.everywhere:
        groups = [(by_start, by_start, range(len(topology.cameras)))]
    else:
        linked = topology.linked | topology.linked.T
        groups = (
            (probes, _merged([in_camera[other] for other in np.flatnonzero(linked[camera])], sightings), [camera])
            for camera, probes in enumerate(in_camera)
        )
    for probes, references, cameras in groups:
        if len(probes) and len(references):
            reach_us = max(topology.reach_us(camera) for camera in cameras)
            yield from _cut(probes, references, sightings, looks.size, reach_us)


def _rows_by_camera(camera: np.ndarray, by_start: np.ndarray, n_cameras: int) -> list[np.ndarray]:
    """Split rows, given by start, by their camera."""
    by_camera = by_start[np.argsort(camera[by_start], kind="stable")]
    return np.split(by_camera, np.cumsum(np.bincount(camera, minlength=n_cameras))[:-1])


def _merged(parts: list[np.ndarray], sightings: Sightings) -> np.ndarray:
    """Return the rows of all parts by start, ties by row."""
    rows = np.concatenate([np.zeros(0, np.int64), *parts])
    return rows[np.lexsort((rows, sightings.started_at_us[rows]))]


def _cut(
    probes: np.ndarray,
    references: np.ndarray,
    sightings: Sightings,
    size: np.ndarray,
    reach_us: int,
) -> Iterator[_Shard]:
    """Cut the night of a group of cameras into blocks of probes, and these into shards."""
    started, ended = sightings.started_at_us[probes], sightings.ended_at_us[probes]
    begins = sightings.started_at_us[references]
    gone = np.maximum.accumulate(sightings.ended_at_us[references])  # by then all up to here have ended
    n_vectors = np.concatenate([[0], np.cumsum(size[references])])

    def seen_from(start: int, stop: int) -> tuple[int, int]:
        first = np.searchsorted(gone, started[start] - reach_us, side="left")
        last = np.searchsorted(begins, ended[start:stop].max() + reach_us, side="right")
        return int(first), int(max(first, last))

    start, blocks, room = 0, [], 0
    while start < len(probes):
        until = np.searchsorted(started, started[start] + reach_us // BLOCKS_A_REACH, side="right")
        stop = min(len(probes), start + min(PROBE_BLOCK, max(LEAST_PROBES, int(until) - start)))
        first, last = seen_from(start, stop)
        if blocks and n_vectors[last] - n_vectors[blocks[0][2]] > room:
            yield _shard(probes, references, blocks)
            blocks = []
        if not blocks:
            room = SHARD_BLOCKS * (n_vectors[last] - n_vectors[first])
        blocks.append((start, stop, first, last))
        start = stop
    yield _shard(probes, references, blocks)


def _shard(probes: np.ndarray, references: np.ndarray, blocks: list[tuple[int, int, int, int]]) -> _Shard:
    block = np.array(blocks, np.int64)
    origin = (block[0, 0], block[:, 2].min())
    probe, reference = probes[origin[0] : block[-1, 1]], references[origin[1] : block[:, 3].max()]
    return _Shard(probe, reference, block - np.repeat(origin, 2))


@dataclass(frozen=True, eq=False, slots=True)
class _Search:
    """What the search of every shard needs to know; see candidate_pairs."""

    sightings: Sightings
    looks: Looks
    topology: Topology
    neighbours: int
    exact_vectors: int | None
    recall: float

    def look_up(self, searcher: Searcher, shard: _Shard) -> np.ndarray:
        """Return the pairs of one shard as i * N + j, (K,) int64, i < j; some pairs come from two shards."""
        indexed = self._indexed(searcher, shard)
        keys = [np.zeros(0, np.int64)]
        for start, stop, begin, end in shard.block.tolist():
            probe, reference = shard.probe[start:stop], shard.reference[begin:end]
            if indexed is not None:
                reference = shard.reference
            allowed = possible_pairs(self.sightings.take(probe), self.sightings.take(reference), self.topology)
            if indexed is None:  # those that are possible for none of the probes are not even gathered
                kept = np.flatnonzero(allowed.any(axis=0))
                reference, allowed = reference[kept], np.ascontiguousarray(allowed[:, kept])
            asking = np.flatnonzero(allowed.any(axis=1))
            if len(asking):
                vector, find = indexed or self._exactly(searcher, reference)
                found = self._partners(find, probe[asking], reference, vector, allowed[asking])
                p, r = np.nonzero(found)
                i, j = probe[asking[p]], reference[r]
                keys.append(np.minimum(i, j) * len(self.sightings) + np.maximum(i, j))
        return np.concatenate(keys)

    def _exactly(self, searcher: Searcher, reference: np.ndarray) -> tuple[np.ndarray, Find]:
        """Return the vectors of references and an exact search among them."""
        vector = self.looks.gather(reference, searcher.room)  # (R, D)
        return vector, lambda query, k: searcher.exact(query, vector, k)

    def _indexed(self, searcher: Searcher, shard: _Shard) -> tuple[np.ndarray, Find] | None:
        """Return all vectors of a shard and an IVF index over them, if a block has too many for exact search."""
        n_vectors = np.concatenate([[0], np.cumsum(self.looks.size[shard.reference])])
        most = (n_vectors[shard.block[:, 3]] - n_vectors[shard.block[:, 2]]).max()
        if self.exact_vectors is None or most <= self.exact_vectors:
            return None
        vector = self.looks.gather(shard.reference)
        asked = np.linspace(0, len(shard.probe) - 1, RECALL_QUERIES).round().astype(np.int64)
        sample = self.looks.take(shard.probe[np.unique(asked)])
        query = replace(sample, size=np.ones_like(sample.size)).gather(np.arange(len(sample)))
        return vector, searcher.indexed(vector, query, INDEXED_MORE * self.neighbours, self.recall)

    def _partners(
        self, find: Find, probe: np.ndarray, reference: np.ndarray, vector: np.ndarray, allowed: np.ndarray
    ) -> np.ndarray:
        """Tell (P, R) which references have an exemplar among the nearest allowed of a probe's."""
        size = self.looks.size[reference]
        n_allowed = (allowed @ size.astype(np.float32)).astype(np.int64)
        found = np.zeros_like(allowed)
        probe_of = np.repeat(np.arange(len(probe)), self.looks.size[probe])
        reference_of = np.repeat(np.arange(len(reference)), size)
        query = self.looks.gather(probe)
        k = min(len(vector), int(MORE_THAN_EXPECTED * self.neighbours * len(vector) / n_allowed.mean()) + SPARE)
        asking = np.arange(len(query))
        while len(asking):
            enough = np.zeros(len(asking), bool)
            at_once = max(1, MAX_LISTED // k)  # where many look the same, lists grow long
            for start in range(0, len(asking), at_once):
                some = asking[start : start + at_once]
                similarity, listed = find(query[some], k)
                kernels.choose(
                    query[some], probe_of[some], vector, reference_of, allowed, n_allowed, similarity, listed,
                    self.neighbours, ROUNDING, k >= len(vector), found, enough[start : start + at_once],
                )  # fmt: skip
            asking = asking[~enough]
            k = min(len(vector), 4 * k)
        return found


def possible_pairs(a: Sightings, b: Sightings, topology: Topology) -> np.ndarray:
    """Tell (A, B) uint8 which tracklets of a and of b topology.relate calls POSSIBLE."""
    out = np.empty((len(a), len(b)), np.uint8)
    columns = (*_columns(a), *_columns(b))
    ways = (topology.linked, topology.overlapping, topology.one_way, topology.min_travel_us, topology.max_travel_us)
    kernels.possible(*columns, *ways, out)
    return out


def _columns(sightings: Sightings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return sightings.camera, sightings.started_at_us, sightings.ended_at_us
