"""Join the tracklets of each night into identities, where they changed since the last time."""

from __future__ import annotations

import numpy as np

from pipeline.config import FleetConfig, digest
from pipeline.identity.ground import GroundTracks, Homography, on_ground
from pipeline.identity.linking import link
from pipeline.identity.paths import STEP_US
from pipeline.lake import catalog
from pipeline.lake.writer import Lake

# One box a step of a path is enough.
_PLACES = """
SELECT tracklet_id, camera_id, epoch_us(captured_at) AS at_us, x1, y1, x2, y2
FROM observations
WHERE list_contains($cameras, camera_id)
  AND tracklet_id IN (SELECT tracklet_id FROM tracklets WHERE date = CAST($local_date AS DATE))
QUALIFY row_number() OVER (PARTITION BY tracklet_id, epoch_us(captured_at) // $step_us ORDER BY captured_at) = 1
ORDER BY tracklet_id, captured_at
"""


def identify(config: FleetConfig, lake: Lake) -> int:
    """Bring the identities of every night of the lake up to date; returns how many were made anew.

    A night is linked again only when its units, the identity section or a camera's homography changed: the run id is a
    digest of them.
    """
    homographies = _homographies(config)
    keys_by_date: dict[str, list] = {}
    for entry in lake.ledger():
        keys_by_date.setdefault(entry.local_date, []).append([entry.segment_id, entry.key, entry.tracklets])
    known = lake.identity_runs()
    n_identities = 0
    for local_date, keys in sorted(keys_by_date.items()):
        run_id = digest(config.identity, homographies, sorted(keys))
        if known.get(local_date) == run_id:
            continue
        tracklets, camera_id = lake.read_tracklets(local_date)
        exemplars = lake.read_exemplars(local_date)
        ground = _ground_tracks(lake, local_date, homographies) if homographies else None
        identities = link(
            tracklets, camera_id, exemplars, config.identity, ground=ground, device=config.execution.device
        ).identities
        lake.write_identities(
            local_date, identities.tracklet_id, identities.identity_id, identities.confidence, run_id=run_id
        )
        n_identities += len(set(identities.identity_id))
    return n_identities


def _homographies(config: FleetConfig) -> dict[str, Homography]:
    """Return the homography of every camera that shares the common ground plane, by camera id."""
    if config.identity.ground_plane == "per camera":
        return {}
    return {camera.id: camera.homography for camera in config.cameras if camera.homography is not None}


def _ground_tracks(lake: Lake, local_date: str, homographies: dict[str, Homography]) -> GroundTracks:
    """Read where the tracklets of a night stood."""
    params = {"cameras": sorted(homographies), "local_date": local_date, "step_us": STEP_US}
    table = catalog.query(lake.url, _PLACES, params)
    xyxy = np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
    names, cameras = (np.array(table[name].to_pylist(), dtype=object) for name in ("tracklet_id", "camera_id"))
    return on_ground(names, cameras, table["at_us"].to_numpy().astype(np.int64), xyxy, homographies)
