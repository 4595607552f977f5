"""How far a lake is: hours seen and done, gaps, failures and speed, one row a camera."""

from __future__ import annotations

from pipeline.lake import catalog

_CAMERAS = """
SELECT *, CASE WHEN wall_s > 0 THEN frames / wall_s END AS frames_per_s FROM coverage ORDER BY camera_id
"""
_MOTION = """
SELECT camera_id, sum(motion_unknown)::BIGINT AS motion_unknown FROM ledger GROUP BY camera_id
"""
_FAILURES = """
SELECT camera_id, segment_id, url, reason FROM ledger WHERE status = 'quarantined' ORDER BY ALL
"""


def status(lake_url: str) -> list[dict]:
    """Return one row a camera, sorted by id: the columns of the view `coverage`, frames a second, its failures, and
    `motion_unknown`: frames in which how a moving camera moved could not be told."""
    with catalog.connect(lake_url) as connection:
        rows = catalog.select(connection, _CAMERAS).to_pylist()
        unknown = {row["camera_id"]: row["motion_unknown"] for row in catalog.select(connection, _MOTION).to_pylist()}
        failures = catalog.select(connection, _FAILURES).to_pylist()
    return [
        {
            **row,
            "motion_unknown": unknown.get(row["camera_id"], 0),
            "failures": [f for f in failures if f["camera_id"] == row["camera_id"]],
        }
        for row in rows
    ]
