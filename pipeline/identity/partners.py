"""How many partners a tracklet has on average in each other camera, before anyone looks."""

from __future__ import annotations

import numpy as np

from pipeline.identity.candidates import possible_pairs
from pipeline.identity.kernels import passing as kernels
from pipeline.identity.topology import Sightings, Topology

PROBES_A_CAMERA = 32
"""Tracklets of each camera whose possible partners are counted: the mean is then known to a tenth or two."""

MAX_PROBES = 8192
"""Tracklets counted for in all, in a fleet of many cameras."""


def mean_partners(sightings: Sightings, topology: Topology) -> np.ndarray:
    """Return (C, C) float64: how many tracklets of the second camera one of the first can have met, on average."""
    n_cameras = len(topology.cameras)
    count, n_probes = np.zeros((n_cameras, n_cameras)), np.zeros(n_cameras)
    if len(sightings) == 0:
        return count
    by_start = np.lexsort((np.arange(len(sightings)), sightings.started_at_us))
    in_time = sightings.take(by_start)
    longest_us = int((in_time.ended_at_us - in_time.started_at_us).max())
    in_camera = np.argsort(in_time.camera, kind="stable")
    first = np.searchsorted(in_time.camera[in_camera], np.arange(n_cameras + 1))
    for camera in range(n_cameras):
        own = in_camera[first[camera] : first[camera + 1]]
        wanted = min(len(own), PROBES_A_CAMERA, max(1, MAX_PROBES // n_cameras))
        reach_us = topology.reach_us(camera)
        for probe in own[np.arange(wanted) * len(own) // max(1, wanted)].tolist():
            low = np.searchsorted(in_time.started_at_us, in_time.started_at_us[probe] - reach_us - longest_us)
            high = np.searchsorted(in_time.started_at_us, in_time.ended_at_us[probe] + reach_us, side="right")
            near = slice(int(low), int(high))
            own_row = in_time.take(np.array([probe]))
            allowed = possible_pairs(own_row, in_time.take(np.arange(near.start, near.stop)), topology)
            kernels.count_partners(camera, in_time.camera, near.start, near.stop, allowed[0], count)
        n_probes[camera] = wanted
    return count / np.maximum(n_probes, 1)[:, None]
