"""Join the tracklets of each night into identities, where they changed since the last time."""

from __future__ import annotations

from pipeline.config import FleetConfig, digest
from pipeline.identity.linking import link
from pipeline.lake.writer import Lake


def identify(config: FleetConfig, lake: Lake) -> int:
    """Bring the identities of every night of the lake up to date; returns how many were made anew.

    A night is linked again only when its units or the identity section changed: the run id is a digest of both.
    """
    keys_by_date: dict[str, list] = {}
    for entry in lake.ledger():
        keys_by_date.setdefault(entry.local_date, []).append([entry.segment_id, entry.key, entry.tracklets])
    known = lake.identity_runs()
    n_identities = 0
    for local_date, keys in sorted(keys_by_date.items()):
        run_id = digest(config.identity, sorted(keys))
        if known.get(local_date) == run_id:
            continue
        tracklets, camera_id = lake.read_tracklets(local_date)
        exemplars = lake.read_exemplars(local_date)
        identities = link(tracklets, camera_id, exemplars, config.identity, device=config.execution.device)
        lake.write_identities(
            local_date, identities.tracklet_id, identities.identity_id, identities.confidence, run_id=run_id
        )
        n_identities += len(set(identities.identity_id))
    return n_identities
