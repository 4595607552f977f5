"""Which pairs of tracklets are compared: look-alikes in other cameras, inside the travel windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.neighbours import nearest
from pipeline.identity.topology import Relation, Sightings, Topology

PROBE_BLOCK = 1024
"""Tracklets looked up together; neighbours in time, so that the footage they are compared with is a short stretch."""

COUNTING_PROBES = 512
"""Tracklets whose possible partners are counted to estimate those of all: the count's error is a few per cent."""


def candidate_pairs(
    sightings: Sightings, sets: ExemplarSets, topology: Topology, neighbours: int, *, device: str
) -> np.ndarray:
    """Return the pairs (i, j), i < j, in which an exemplar of one is among the `neighbours` most similar exemplars of
    the other that are possible at all: (P, 2) int64, sorted. No pair outside the windows is returned.
    """
    found = [np.zeros((0, 2), np.int64)]
    for probe, reference in _shards(sightings, topology):
        pairs = _look_up(probe, reference, sightings, sets, topology, neighbours, device)
        found.append(np.unique(np.sort(pairs, axis=1), axis=0))
    return np.unique(np.concatenate(found), axis=0)


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
        own = sightings.take(np.array([probe]))
        n_possible += int(np.count_nonzero(topology.relate(own, sightings) == Relation.POSSIBLE))
    return n_possible / n_probes * n_tracklets / 2


def _shards(sightings: Sightings, topology: Topology) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (probe tracklets, reference tracklets) so that every possible pair is in some shard, both ways round."""
    if topology.everywhere:
        probe_cameras = [np.ones(len(topology.cameras), bool)]
        reference_cameras = probe_cameras
    else:
        probe_cameras = list(np.eye(len(topology.cameras), dtype=bool))
        reference_cameras = list(topology.linked | topology.linked.T)
    for probes_in, references_in in zip(probe_cameras, reference_cameras):
        probes = np.flatnonzero(probes_in[sightings.camera])
        references = np.flatnonzero(references_in[sightings.camera])
        if len(probes) == 0 or len(references) == 0:
            continue
        reach_us = max(topology.reach_us(camera) for camera in np.flatnonzero(probes_in))
        probes = probes[np.lexsort((probes, sightings.started_at_us[probes]))]
        for start in range(0, len(probes), PROBE_BLOCK):
            block = probes[start : start + PROBE_BLOCK]
            near = sightings.started_at_us[references] <= sightings.ended_at_us[block].max() + reach_us
            near &= sightings.ended_at_us[references] >= sightings.started_at_us[block].min() - reach_us
            if near.any():
                yield block, references[near]


def _look_up(
    probe: np.ndarray,
    reference: np.ndarray,
    sightings: Sightings,
    sets: ExemplarSets,
    topology: Topology,
    neighbours: int,
    device: str,
) -> np.ndarray:
    """Return (P, 2) pairs (probe, reference) of one shard, duplicates included.

    The nearest exemplars are filtered by the windows afterwards; an exemplar left with too few asks for a longer list.
    """
    probe_sets, reference_sets = sets.take(probe), sets.take(reference)
    probe_of, reference_of = probe[probe_sets.owner], reference[reference_sets.owner]
    asking = np.arange(len(probe_of))
    k = 2 * neighbours
    found = []
    while len(asking):
        _, index = nearest(probe_sets.vector[asking], reference_sets.vector, k, device=device)
        i = np.broadcast_to(probe_of[asking][:, None], index.shape)
        j = reference_of[index]
        possible = topology.relate(sightings.take(i), sightings.take(j)) == Relation.POSSIBLE
        possible &= np.cumsum(possible, axis=1) <= neighbours
        enough = (possible.sum(axis=1) == neighbours) | (k >= len(reference_of))
        chosen = possible & enough[:, None]
        found.append(np.stack([i[chosen], j[chosen]], axis=1))
        asking = asking[~enough]
        k *= 4
    return np.concatenate(found)
