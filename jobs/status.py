"""How far a lake is: hours seen and done, gaps, failures and speed, one row a camera."""

from __future__ import annotations

from itertools import pairwise

from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake

GAP_S = 1.0
"""A pause between two segments counts as a gap from here on; recorders lose a frame or two between files."""


def status(lake: Lake) -> list[dict]:
    """Return one row a camera, sorted by id."""
    by_camera: dict[str, list[LedgerEntry]] = {}
    for entry in lake.ledger():
        by_camera.setdefault(entry.camera_id, []).append(entry)
    return [_row(camera_id, entries) for camera_id, entries in sorted(by_camera.items())]


def _row(camera_id: str, entries: list[LedgerEntry]) -> dict:
    timed = sorted((e for e in entries if e.started_at_us is not None), key=lambda e: e.started_at_us)
    known = [e for e in timed if e.ended_at_us is not None]
    done = [e for e in known if e.status == "done"]
    failed = [e for e in entries if e.status == "quarantined"]
    gaps_s = [(b.started_at_us - a.ended_at_us) / 1e6 for a, b in pairwise(known)]
    gaps_s = [gap for gap in gaps_s if gap > GAP_S]
    wall_s, frames = sum(e.wall_s for e in done), sum(e.frames for e in done)
    done_s = sum(e.ended_at_us - e.started_at_us for e in done) / 1e6
    return {
        "camera_id": camera_id,
        "hours_seen": sum(e.ended_at_us - e.started_at_us for e in known) / 3.6e9,
        "hours_done": done_s / 3600,
        "first_us": timed[0].started_at_us if timed else None,
        "last_us": known[-1].ended_at_us if known else None,
        "segments": len(entries),
        "gaps": len(gaps_s),
        "gap_hours": sum(gaps_s) / 3600,
        "failures": [{"segment_id": e.segment_id, "url": e.url, "reason": e.reason} for e in failed],
        "frames": frames,
        "tracklets": sum(e.tracklets for e in entries),
        "frames_per_s": frames / wall_s if wall_s else None,
        "times_real_time": done_s / wall_s if wall_s else None,
    }
