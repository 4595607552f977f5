"""Counts of the page: a number where something is known, None where nobody knows, as in the lake's own answer."""

from __future__ import annotations

from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.reports.page.counts import counts
from pipeline.reports.page.period import read_period
from pipeline.reports.page.stays import stays
from tests.lake.making import fleet, line
from tests.reports.watching import watch

OUTWARD = [(80, 100), (120, 100)]


def counted(lake, **asked):
    with catalog.connect(lake.url) as connection:
        return counts(connection, read_period(connection, **asked))


def test_a_crossing_in_a_hole_leaves_the_other_cells_unknown(tmp_path):
    """The track lived through a hole of 2 s; with bins of 1 s, its crossing lies in one that no segment covers."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "lines": [line(forward="in", backward="out")]}))
    noon = "2026-03-01T12:00:00+00:00"
    watch(lake, noon, noon.replace("00+", "01+"))
    hole = {"at": noon, "frames": {"a": [9, 31]}}
    watch(lake, noon.replace("00+", "03+"), noon.replace("00+", "04+"), {"a": OUTWARD}, **hole)
    (row,) = counted(lake, by_s=1).lines
    assert [direction for direction, _ in row.columns] == ["in", "out"]
    assert [each.cells for each in row.rows] == [[0, 0], None, [None, 1], [0, 0]]
    assert (row.by_direction, row.totals, row.total) == ({"in": 0, "out": 1}, [0, 1], 1)


def test_what_nobody_watched_has_no_total(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()]}))
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00", {"a": OUTWARD})
    assert counted(lake).crossings == 1
    unwatched = counted(lake, first_date="2026-03-05", last_date="2026-03-05")
    assert (unwatched.crossings, unwatched.lines[0].total) == (None, None)


def test_a_zone_that_nobody_watched_is_not_one_that_nobody_entered(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "zones": [{"name": "bay", "polygon": [(0, 0), (9, 0), (9, 9)]}]}))
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00", {"a": OUTWARD})
    with catalog.connect(lake.url) as connection:
        (quiet,) = stays(connection, read_period(connection))
        (unknown,) = stays(connection, read_period(connection, first_date="2026-03-05", last_date="2026-03-05"))
    assert (quiet.watched, quiet.dwell, unknown.watched, unknown.dwell) == (True, [], False, [])
