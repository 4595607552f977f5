"""Watched time for hand-made lakes: units with a begin and an end, and tracks that begin within."""

from __future__ import annotations

from pipeline.lake.writer import Lake
from tests.lake.making import entry, instant_us, no_rows, rows


def watch(
    lake: Lake, start: str, end: str, tracks: dict | None = None, *, at: str = "", camera: str = "gate", **options
) -> None:
    """Enter a unit that was watched from `start` to `end`, with tracks that begin at `at`."""
    segment = f"{camera}-{start}".replace(":", "").replace("+", "p")
    made = rows(tracks, segment_id=segment, started_at_us=instant_us(at or start), **options) if tracks else no_rows()
    unit = entry(segment, camera, started_at_us=instant_us(start), ended_at_us=instant_us(end))
    lake.write_unit(unit, start[:10], *made, None)
