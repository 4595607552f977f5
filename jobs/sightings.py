"""Where identities were seen, and what to say where there is no such identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from jobs.decided import Fact
from pipeline.errors import UserError
from pipeline.lake import catalog

_SIGHTINGS = """
SELECT
    tracklet_id, date::VARCHAR AS local_date, camera_id, segment_id, class,
    epoch_us(started_at) AS started_at_us, epoch_us(ended_at) AS ended_at_us, confidence
FROM identities JOIN tracklets USING (tracklet_id, date)
WHERE identity_id = $identity_id
ORDER BY started_at, tracklet_id
"""

_IDENTITY_OF = "SELECT identity_id FROM identities WHERE tracklet_id = $name"

_ALIKE = """
SELECT identity_id
FROM (SELECT DISTINCT identity_id FROM identities)
ORDER BY levenshtein(identity_id, $name), identity_id
LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Sighting(Fact):
    """A tracklet of an identity, and the belief that it belongs to it."""

    confidence: float


def sightings(connection: catalog.Connection, lake_url: str, identity_id: str) -> list[Sighting]:
    """Return the tracklets of an identity in time. Raises UserError where there is no such identity."""
    rows = catalog.select(connection, _SIGHTINGS, {"identity_id": identity_id}).to_pylist()
    if not rows:
        raise UserError(_unknown(connection, lake_url, identity_id))
    return [Sighting(*row.values()) for row in rows]


def instant(at_us: int) -> str:
    """Return an instant as people read it."""
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _unknown(connection: catalog.Connection, lake_url: str, name: str) -> str:
    of_tracklet = catalog.select(connection, _IDENTITY_OF, {"name": name})[0].to_pylist()
    alike = catalog.select(connection, _ALIKE, {"name": name})[0].to_pylist()
    if of_tracklet:
        hint = f"that is a tracklet, and its identity is {of_tracklet[0]}"
    elif alike:
        hint = f"the most similar id is {alike[0]}"
    else:
        hint = "the lake has no identities yet"
    return (
        f"{lake_url}: no identity {name!r}; {hint}; list them with "
        f'`nightfleet sql {lake_url} "SELECT DISTINCT identity_id FROM identity_sightings"`'
    )
