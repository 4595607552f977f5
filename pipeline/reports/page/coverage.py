"""What was watched: a strip of time a camera, its hours, its gaps and why, and the files that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.axis import Tick, TimeAxis
from pipeline.reports.page.period import Period, day_start, days_between, next_day

MOST_STRETCHES = 240
"""Stretches in one camera's strip; what is shorter than the axis over this is drawn with its neighbour."""

MOST_LISTED = 60
"""Gaps and failed files written out; the rest are counted."""

MISSING, FAILED, WATCHED = "no footage", "failed", "watched"

_LEDGER = """
SELECT camera_id, segment_id, url, status, reason, started_at, ended_at, frames, tracklets, bad_packets, motion_unknown
FROM ledger ORDER BY camera_id, started_at, segment_id
"""

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a camera's strip: left edge and width as shares of the axis, and what it is."""

    left: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Time of a camera without counts."""

    camera_id: str
    start_local: str
    end_local: str
    seconds: float
    kind: str


@dataclass(frozen=True, slots=True)
class CameraCoverage:
    """One camera's row: seconds watched of those expected, its strip, and what it found."""

    camera_id: str
    zone: str
    watched_s: float
    expected_s: float
    gaps: int
    longest_gap_s: float
    failed_files: int
    tracklets: int
    bad_packets: int
    motion_unknown: int
    strip: list[Piece]

    @property
    def percent(self) -> float | None:
        """Watched of expected time, in per cent."""
        return None if self.expected_s == 0 else min(100.0, 100 * self.watched_s / self.expected_s)

    @property
    def troubled(self) -> bool:
        """Whether something is missing that the reader should know of."""
        return bool(self.failed_files) or self.watched_s < 0.99 * self.expected_s or self.expected_s == 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """The section."""

    cameras: list[CameraCoverage]
    gaps: list[Gap]
    failures: list[dict[str, Any]]
    ticks: list[Tick]
    axis_title: str
    watched_s: float
    expected_s: float

    @property
    def troubled(self) -> list[str]:
        """Cameras of which something is missing."""
        return [camera.camera_id for camera in self.cameras if camera.troubled]

    @property
    def percent(self) -> float | None:
        """Watched of expected time over all cameras, in per cent."""
        return None if self.expected_s == 0 else min(100.0, 100 * self.watched_s / self.expected_s)


def coverage(connection: Connection, period: Period) -> Coverage:
    """Return what was watched in a period.

    Expected is all of the period where both its ends were asked for. Else it is, on each date, the time from the first
    to the last footage that any of the cameras has, whether it could be processed or not: what no camera recorded is
    nobody's gap.
    """
    units = [row for row in catalog.select(connection, _LEDGER).to_pylist() if row["camera_id"] in period.zones]
    timed = [row for row in units if row["started_at"] is not None]
    usual = [] if period.whole else _expected(timed, period)
    axis = None if period.shown is None else TimeAxis(*period.shown, period.zone)
    watched: dict[str, list[Stretch]] = {camera: [] for camera in period.cameras}
    for row in catalog.select(connection, "FROM watched").to_pylist():
        if row["camera_id"] in watched:
            watched[row["camera_id"]].append((row["started_at"], row["ended_at"]))
    cameras, gaps = [], []
    for camera in period.cameras:
        mine = [row for row in units if row["camera_id"] == camera]
        expected = [period.limits(camera)] if period.whole else usual
        made, holes = _camera(camera, period, mine, meet(watched[camera], expected), expected, axis)
        cameras.append(made)
        gaps += holes
    failed = [row for row in units if row["status"] != "done" and _inside(row, period)]
    return Coverage(
        cameras=cameras,
        gaps=gaps,
        failures=[_failure(row, period) for row in failed],
        ticks=[] if axis is None else axis.ticks(),
        axis_title="" if axis is None else axis.title(),
        watched_s=sum(camera.watched_s for camera in cameras),
        expected_s=sum(camera.expected_s for camera in cameras),
    )


def meet(a: Sequence[Stretch], b: Sequence[Stretch]) -> list[Stretch]:
    """Return the time that lies in both of two ordered lists of stretches."""
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            found.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return found


def without(a: Sequence[Stretch], b: Sequence[Stretch]) -> list[Stretch]:
    """Return the time that lies in the first of two ordered lists of stretches and not in the second."""
    left = []
    for start, end in a:
        for taken_from, taken_to in b:
            if taken_to <= start or taken_from >= end:
                continue
            if start < taken_from:
                left.append((start, taken_from))
            start = taken_to
        if start < end:
            left.append((start, end))
    return left


def merged(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return stretches in order, those that touch made one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _expected(timed: list[dict], period: Period) -> list[Stretch]:
    """Return, for each local date, the time from the first to the last footage of any camera."""
    if period.start is None:
        return []
    windows = []
    spans = [(row["started_at"], row["ended_at"]) for row in timed]
    for day in days_between(period.first_date, period.last_date):
        limits = [(day_start(day, period.zone), day_start(next_day(day), period.zone))]
        inside = meet(merged(spans), limits)
        if inside:
            windows.append((inside[0][0], inside[-1][1]))
    return merged(windows)


def _camera(
    camera: str, period: Period, units: list[dict], seen: list[Stretch], expected: list[Stretch], axis: TimeAxis | None
) -> tuple[CameraCoverage, list[Gap]]:
    quarantined = merged(
        [(row["started_at"], row["ended_at"]) for row in units if row["status"] != "done" and row["started_at"]]
    )
    missing = without(expected, seen)
    failed = meet(missing, quarantined)
    absent = without(missing, failed)
    zone = period.zones[camera]
    gaps = [_gap(camera, zone, stretch, FAILED) for stretch in failed]
    gaps += [_gap(camera, zone, stretch, MISSING) for stretch in absent]
    here = [row for row in units if _inside(row, period)]
    made = CameraCoverage(
        camera_id=camera,
        zone=zone,
        watched_s=_length_s(seen),
        expected_s=_length_s(expected),
        gaps=len(gaps),
        longest_gap_s=max((gap.seconds for gap in gaps), default=0.0),
        failed_files=sum(row["status"] != "done" for row in here),
        tracklets=sum(row["tracklets"] for row in here),
        bad_packets=sum(row["bad_packets"] for row in here),
        motion_unknown=sum(row["motion_unknown"] for row in here),
        strip=[] if axis is None else _strip(axis, {WATCHED: seen, FAILED: failed, MISSING: absent}),
    )
    return made, sorted(gaps, key=lambda gap: gap.start_local)


def _strip(axis: TimeAxis, kinds: dict[str, list[Stretch]]) -> list[Piece]:
    """Return stretches as pieces of a strip; a gap stays visible however short, so failures are drawn on top."""
    pieces = []
    for kind, stretches in kinds.items():
        edges = [[axis.share(start), axis.share(end)] for start, end in stretches]
        joined: list[list[float]] = []
        for left, right in edges:
            if joined and len(edges) > MOST_STRETCHES and left - joined[-1][1] < 1 / MOST_STRETCHES:
                joined[-1][1] = right
            else:
                joined.append([left, right])
        pieces += [Piece(left, right - left, kind) for left, right in joined]
    return pieces


def _gap(camera: str, zone: str, stretch: Stretch, kind: str) -> Gap:
    local = [at.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds") for at in stretch]
    return Gap(camera, *local, (stretch[1] - stretch[0]).total_seconds(), kind)


def _failure(row: dict, period: Period) -> dict[str, Any]:
    at = row["started_at"]
    zone = ZoneInfo(period.zones[row["camera_id"]])
    return {
        "camera_id": row["camera_id"],
        "file": row["url"].rstrip("/").rsplit("/", 1)[-1],
        "started_local": None if at is None else at.astimezone(zone).isoformat(timespec="seconds"),
        # The reason begins with the whole place of the file; a report goes to people whom that place does not concern.
        "reason": row["reason"].replace(row["url"], row["url"].rstrip("/").rsplit("/", 1)[-1]),
    }


def _inside(row: dict, period: Period) -> bool:
    """Tell whether a unit belongs to the period; where its clock is unknown it does."""
    limits = period.limits(row["camera_id"])
    return (
        row["started_at"] is None or limits is None or (row["started_at"] < limits[1] and row["ended_at"] > limits[0])
    )


def _length_s(stretches: Sequence[Stretch]) -> float:
    return sum((end - start).total_seconds() for start, end in stretches)
