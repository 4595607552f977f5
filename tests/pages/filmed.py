"""A small lake over real video whose every frame says which one it is: two cameras, one of them with a gap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.footage import fingerprint
from pipeline.lake.writer import Lake
from tests.footage.clips import BLOCK_PX, COLUMNS, write_clip
from tests.lake.making import NOON_US, entry, fleet, line, rows

SCALE = 2
WIDTH_PX, HEIGHT_PX = COLUMNS * BLOCK_PX * SCALE, 3 * BLOCK_PX * SCALE
"""320 x 192; the frame's number is in the upper two thirds, everybody walks in the lower one."""

WALKER, VAN = "gate-20260301T120000.000Z-1", "gate-20260301T120005.000Z-2"
WALKER_AGAIN = "yard-20260301T120004.000Z-7"
IDENTITY = "id-5ca1ab1e00000000"
GATE_FRAMES = 30
LATER_MS = [0, 40, 110, 150, 200, 240, 280, 320, 340, 400]
"""Frame times of gate's second file, of varying rate."""

LATER_S, YARD_S = 5, 4
"""Seconds after noon at which that file and yard's begin; gate's first lasts three."""

LINE = line("gap", ((160, 150), (160, 191)), forward="out", backward="in")
ZONE = {"name": "bay", "polygon": [(280, 160), (318, 160), (318, 190), (280, 190)]}


def walker(frame: int) -> tuple[float, float]:
    """Where the walker stands in a frame of gate's first file: over the line between frames 17 and 18."""
    return 20.0 + 8 * frame, 188.0


def make(folder: Path, *, forward: str = "out") -> Path:
    """Write footage and lake below a folder; returns the lake's."""
    footage, lake = folder / "footage", Lake.open_or_create(str(folder / "lake"))
    cameras = [
        {"id": "gate", "time_zone": "Europe/Berlin", "lines": [{**LINE, "forward": forward}], "zones": [ZONE]},
        {"id": "yard", "time_zone": "Europe/Berlin"},
    ]
    lake.write_fleet(fleet(*cameras))
    first = write_clip(footage / "first.mp4", GATE_FRAMES, scale=SCALE, b_frames=2)
    made = rows({WALKER: [walker(k) for k in range(GATE_FRAMES)]}, segment_id="gate-1", class_name="person")
    _enter(lake, "gate-1", "gate", first, 0, 3_000_000, made)
    later = write_clip(footage / "later.mp4", times_ms=LATER_MS, scale=SCALE, first_index=100)
    _enter(lake, "gate-2", "gate", later, LATER_S * 10**6, 2_000_000, _still_van())
    yard = write_clip(footage / "yard.mp4", 20, scale=SCALE, first_index=200)
    places = {WALKER_AGAIN: [(60.0 + 5 * k, 180.0) for k in range(20)]}
    made = rows(places, segment_id="yard-1", class_name="person", started_at_us=NOON_US + YARD_S * 10**6)
    _enter(lake, "yard-1", "yard", yard, YARD_S * 10**6, 2_000_000, made)
    names = np.array([WALKER, WALKER_AGAIN], dtype=object)
    whose = np.array([IDENTITY] * 2, dtype=object)
    lake.write_identities("2026-03-01", names, whose, np.array([0.9, 0.8], np.float32), "r")
    return folder / "lake"


def _still_van():
    """Rows of a van that stands at x = 300 in every frame of gate's second file."""
    start_us = NOON_US + LATER_S * 10**6
    still = {VAN: [(300.0, 188.0)] * len(LATER_MS)}
    observations, tracklets, exemplars = rows(still, segment_id="gate-2", started_at_us=start_us, class_name="truck")
    at_us = start_us + np.array(LATER_MS, np.int64) * 1000
    return (
        replace(observations, captured_at_us=at_us),
        replace(tracklets, ended_at_us=at_us[-1:]),
        exemplars,
    )


def _enter(lake: Lake, segment: str, camera: str, video: Path, after_us: int, lasts_us: int, made) -> None:
    started_at_us = NOON_US + after_us
    when = {"started_at_us": started_at_us, "ended_at_us": started_at_us + lasts_us}
    unit = entry(segment, camera, url=str(video), fingerprint=fingerprint.of_file(str(video)), **when)
    lake.write_unit(unit, "2026-03-01", *made, None)
