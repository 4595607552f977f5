"""Walks on the ground for the tests of this folder: tracklets whose places are known."""

from __future__ import annotations

import numpy as np

from pipeline.identity.ground import GroundTracks
from pipeline.identity.paths import Ends
from tests.identity.nights import US

SD_M = 0.2


def walk(name, start_s, end_s, start_m, v_mps, *, fps=10):
    """Return (name, instants, places) of somebody who walks straight on."""
    t_s = np.arange(round((end_s - start_s) * fps) + 1) / fps
    at_us = np.round((start_s + t_s) * US).astype(np.int64)
    return name, at_us, np.array(start_m, float) + t_s[:, None] * np.array(v_mps, float)


def tracks(*walks) -> GroundTracks:
    """Put walks together, each place known to SD_M along both axes."""
    walks = sorted(walks, key=lambda one: one[0])
    names = np.array([name for name, at_us, _ in walks for _ in at_us], dtype=object)
    at_us = np.concatenate([np.zeros(0, np.int64), *(at_us for _, at_us, _ in walks)])
    xy_m = np.concatenate([np.zeros((0, 2)), *(xy for _, _, xy in walks)])
    return GroundTracks(names, at_us, xy_m, np.broadcast_to(SD_M**2 * np.eye(2), (len(names), 2, 2)).copy())


def ends(at_s, xy_m, v_mps, *, sd_m=SD_M, sd_v=0.1) -> Ends:
    """Return one end of P paths; the velocity is not known where sd_v is infinite."""
    n = len(at_s)
    v_cov = np.full((n, 2, 2), np.inf) if np.isinf(sd_v) else np.broadcast_to(sd_v**2 * np.eye(2), (n, 2, 2))
    return Ends(
        np.round(np.array(at_s, float) * US).astype(np.int64),
        np.array(xy_m, float).reshape(n, 2),
        np.broadcast_to(sd_m**2 * np.eye(2), (n, 2, 2)),
        np.array(v_mps, float).reshape(n, 2),
        v_cov,
    )
