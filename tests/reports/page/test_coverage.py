"""Stretches of time: what lies in both, what is left, and the strip that shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.reports.page.coverage import coverage, meet, merged, without
from pipeline.reports.page.period import read_period
from tests.lake.making import fleet
from tests.reports.watching import watch

START = datetime(2026, 3, 1, tzinfo=UTC)


def stretches(*pairs):
    return [(START + timedelta(minutes=a), START + timedelta(minutes=b)) for a, b in pairs]


def minutes(found) -> set[int]:
    """Every minute that lies in one of some stretches."""
    whole = [range(int((a - START).total_seconds() // 60), int((b - START).total_seconds() // 60)) for a, b in found]
    return {minute for each in whole for minute in each}


@pytest.mark.parametrize("seed", range(8))
def test_stretches_are_sets_of_minutes(seed):
    rng = np.random.default_rng(seed)
    a, b = (
        merged(
            stretches(*((x, x + n) for x, n in zip(rng.integers(0, 90, k).tolist(), rng.integers(1, 20, k).tolist())))
        )
        for k in rng.integers(0, 6, 2)
    )
    assert minutes(meet(a, b)) == minutes(a) & minutes(b)
    assert minutes(without(a, b)) == minutes(a) - minutes(b)
    assert all(first[1] < second[0] for first, second in pairwise(a))


def made(lake, **asked):
    with catalog.connect(lake.url) as connection:
        return coverage(connection, read_period(connection, **asked))


def test_what_no_camera_recorded_is_nobodys_gap(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate"}, {"id": "yard"}, {"id": "idle"}))
    for day in (1, 2):
        watch(lake, f"2026-03-0{day}T08:00:00+00:00", f"2026-03-0{day}T18:00:00+00:00")
    watch(lake, "2026-03-01T09:00:00+00:00", "2026-03-01T20:00:00+00:00", camera="yard")
    found = made(lake)
    assert [(c.camera_id, c.watched_s / 3600, c.expected_s / 3600) for c in found.cameras] == [
        ("gate", 20, 22),
        ("idle", 0, 22),
        ("yard", 11, 22),
    ]
    assert [(gap.camera_id, gap.start_local[:13], gap.seconds / 3600) for gap in found.gaps] == [
        ("gate", "2026-03-01T18", 2),
        ("idle", "2026-03-01T08", 12),
        ("idle", "2026-03-02T08", 10),
        ("yard", "2026-03-01T08", 1),
        ("yard", "2026-03-02T08", 10),
    ]
    assert found.troubled == ["gate", "idle", "yard"]
    alone = made(lake, cameras=["gate"], first_date="2026-03-02")
    assert (alone.percent, alone.gaps, alone.watched_s) == (100.0, [], 36_000)


def test_all_of_a_period_asked_for_was_to_be_watched(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "time_zone": "Europe/Berlin"}, {"id": "far", "time_zone": "Asia/Tokyo"}))
    watch(lake, "2026-03-29T00:00:00+01:00", "2026-03-29T10:00:00+02:00")  # a day of 23 h
    watch(lake, "2026-03-29T08:00:00+09:00", "2026-03-29T10:00:00+09:00", camera="far")
    found = made(lake, first_date="2026-03-29", last_date="2026-03-29")
    assert [(c.watched_s / 3600, c.expected_s / 3600, c.gaps) for c in found.cameras] == [(2, 24, 2), (9, 23, 1)]
    assert found.gaps[-1].start_local == "2026-03-29T10:00:00+02:00"
    assert found.troubled == ["far", "gate"]
    with catalog.connect(lake.url) as connection:
        bins = catalog.select(connection, "FROM camera_bins(3600, '2026-03-29', '2026-03-29')").to_pylist()
        assert sum(each["bin_s"] for each in bins) == found.expected_s
        assert read_period(connection, by_s=10, first_date="2026-03-29", last_date="2026-03-29").bin_s == 900
    nothing = made(lake, first_date="2026-04-01", last_date="2026-04-01")
    assert (nothing.percent, len(nothing.gaps), len(nothing.ticks) > 1) == (0, 2, True)


def test_a_strip_of_many_pieces_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.reports.page.coverage.MOST_STRETCHES", 8)
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate"}))
    for k in range(12):
        at = START + timedelta(minutes=2 * k)
        watch(lake, at.isoformat(), (at + timedelta(minutes=1)).isoformat())
    (camera,) = made(lake).cameras
    assert camera.gaps == 11
    assert len(camera.strip) < 6
