"""Bins and occupancy against slow, obvious oracles: minute by minute on the wall clock, visit by visit."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from tests.lake.making import fleet
from tests.reports.watching import watch

MINUTE = timedelta(minutes=1)
ZONE = {"name": "bay", "polygon": [(0, 0), (200, 0), (200, 200), (0, 200)]}
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29)),
    ("Europe/Berlin", datetime(2026, 10, 25)),
    ("America/St_Johns", datetime(2026, 11, 1)),
    ("Australia/Lord_Howe", datetime(2026, 4, 5)),
    ("America/Santiago", datetime(2026, 9, 6)),  # midnight itself is skipped
    ("America/Santiago", datetime(2026, 4, 4)),  # 23:00 comes twice
    ("Antarctica/Troll", datetime(2026, 3, 29)),  # two hours are skipped
    ("Asia/Kathmandu", datetime(2026, 3, 1)),
]


def oracle(time_zone: str, day: datetime, bin_s: int, watched: list[tuple[datetime, datetime]]) -> list[tuple]:
    """(local start with offset, minutes, minutes watched) of each bin of a local date, counted minute by minute."""
    zone, minutes, seen, starts = ZoneInfo(time_zone), Counter(), Counter(), {}
    at = day.replace(tzinfo=UTC) - timedelta(hours=15)
    for _ in range(3 * 24 * 60):
        local = at.astimezone(zone)
        if local.date() == day.date():
            nominal = (local.hour * 3600 + local.minute * 60) // bin_s
            key = (local.utcoffset(), nominal)
            starts.setdefault(key, (at, local.isoformat()))
            minutes[key] += 1
            seen[key] += any(start <= at < end for start, end in watched)
        at += MINUTE
    return [(starts[key][1], minutes[key], seen[key]) for key in sorted(starts, key=lambda key: starts[key][0])]


@pytest.mark.parametrize(("time_zone", "day"), CHANGES, ids=lambda value: str(value)[:20])
def test_bins_of_a_day_are_those_counted_minute_by_minute(tmp_path, time_zone, day):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "time_zone": time_zone}))
    rng = np.random.default_rng(7)
    edges = np.sort(rng.choice(3 * 24 * 60, 8, replace=False)) - 15 * 60
    stretches = [
        (day.replace(tzinfo=UTC) + int(a) * MINUTE, day.replace(tzinfo=UTC) + int(b) * MINUTE)
        for a, b in edges.reshape(4, 2)
    ]
    for start, end in stretches:
        watch(lake, start.isoformat(), end.isoformat())
    with connect(lake.url) as connection:
        for bin_s in (60, 900, 3600, 6 * 3600, 86400):
            rows = connection.execute(
                "SELECT bin_local, bin_s, coverage_pct FROM camera_bins($1, $2, $2)", [bin_s, day.date().isoformat()]
            ).fetchall()
            made = [(label, length / 60, round(share / 100 * length / 60, 6)) for label, length, share in rows]
            assert made == oracle(time_zone, day, bin_s, stretches), bin_s


def test_without_dates_nothing_lies_outside_the_fleets_watched_time(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(
        fleet({"id": "gate", "time_zone": "Europe/Berlin"}, {"id": "pier", "time_zone": "America/St_Johns"})
    )
    watch(lake, "2026-03-01T11:10:00+00:00", "2026-03-01T12:05:00+00:00")
    with connect(lake.url) as connection:
        rows = connection.execute(
            "SELECT camera_id, bin_local, coverage_pct > 0 FROM camera_bins(3600, NULL, NULL)"
        ).fetchall()
        assert rows == [
            ("gate", "2026-03-01T12:00:00+01:00", True),
            ("gate", "2026-03-01T13:00:00+01:00", True),
            ("pier", "2026-03-01T07:00:00-03:30", False),
            ("pier", "2026-03-01T08:00:00-03:30", False),
        ]
        assert connection.execute("FROM camera_bins(3600, '2026-03-02', NULL)").fetchall() == []


def test_occupancy_is_what_the_visits_add_up_to(tmp_path):
    """Random stays over a hole in the footage: the time inside is that of the visits in the bin's watched time."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "time_zone": "UTC", "zones": [ZONE]}))
    rng = np.random.default_rng(3)
    tracks, frames = {}, {}
    for k in range(40):
        begin, length = int(rng.integers(0, 8000)), int(rng.integers(0, 900))
        tracks[f"t{k}"] = [(300, 100), (100, 100), (100, 100), (300, 100)] if k % 3 else [(100, 100), (100, 100)]
        frames[f"t{k}"] = (
            [begin, begin + 1, begin + 1 + length, begin + 2 + length] if k % 3 else [begin, begin + length]
        )
        frames[f"t{k}"] = list(dict.fromkeys(frames[f"t{k}"]))
        tracks[f"t{k}"] = tracks[f"t{k}"][: len(frames[f"t{k}"])]
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T12:06:00+00:00", tracks, frames=frames)
    watch(lake, "2026-03-01T12:08:00+00:00", "2026-03-01T12:16:00+00:00")
    with connect(lake.url) as connection:
        visits = connection.execute(
            "SELECT epoch_us(entered_at), epoch_us(left_at), began_inside, ended_inside FROM zone_visits"
        ).fetchall()
        watched = connection.execute("SELECT epoch_us(started_at), epoch_us(ended_at) FROM watched").fetchall()
        rows = connection.sql("FROM zone_occupancy(60, NULL, NULL)").to_arrow_table().to_pylist()
    parts = [
        (max(a, c), min(b, d)) for a, b, *_ in visits for c, d in watched if max(a, c) <= min(b, d)
    ]  # of visits, in watched time
    assert len(visits) == 40 and len(rows) == 16
    for row in rows:
        start = int(row["bin_start"].timestamp() * 1e6)
        end = start + 60_000_000
        inside_us = sum(max(0, min(b, end) - max(a, start)) for a, b in parts)
        if row["coverage_pct"] == 0:
            assert [row[key] for key in ("mean_occupancy", "max_occupancy", "entered", "left")] == [None] * 4
            continue
        assert row["mean_occupancy"] == pytest.approx(inside_us / (row["coverage_pct"] / 100 * 60e6))
        moments = [start, *(a for a, _ in parts if start <= a < end)]
        before = sum(a < start <= b for a, b in parts)
        most = max([before, *(sum(a <= at <= b for a, b in parts) for at in moments[1:])])
        assert row["max_occupancy"] == most
        assert row["entered"] == sum(start <= a < end and not began for a, _, began, _ in visits)
        assert row["left"] == sum(start <= b < end and not ended for _, b, _, ended in visits)
