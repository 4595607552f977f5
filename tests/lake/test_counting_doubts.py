"""What makes a count doubtful, one hand-made case each."""

from __future__ import annotations

import pytest

from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake.making import entry, fleet, line, rows

LINE = line(forward="in", backward="out")  # x = 100, from y = 50 to y = 150
LATER = 100  # frames after noon: not where footage begins


def along(*xs, y=100.0):
    return [(x, y) for x in xs]


# Four that go through the whole picture, so that its edges are known: x from 0 to 400, y from 20 to 400.
THROUGH = {
    "gate-a": along(*range(10, 392, 10), y=400),
    "gate-b": along(*range(390, 8, -10), y=399),
    "gate-c": [(300, y) for y in range(60, 402, 10)],
    "gate-d": [(310, y) for y in range(400, 58, -10)],
}


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [LINE]}))
    return lake


def doubts(lake, tracks, *, starts=None) -> list[tuple]:
    """Write tracks that begin at noon + LATER frames (or `starts`), and return what is doubtful about them."""
    everything = {**THROUGH, **tracks}
    frames = {
        name: range((starts or {}).get(name, LATER), (starts or {}).get(name, LATER) + len(places))
        for name, places in everything.items()
    }
    lake.write_unit(entry(), "2026-03-01", *rows(everything, frames=frames), None)
    sql = "SELECT kind, line_id, tracklet_id, other_tracklet_id, about FROM counting_doubts(NULL, NULL)"
    return [tuple(row.values()) for row in query(lake.url, sql).to_pylist()]


def test_nothing_is_doubtful_about_who_goes_through_the_picture(lake):
    assert doubts(lake, {}) == []


def test_who_ends_on_the_line(lake):
    found = doubts(lake, {"gate-1": along(*range(10, 92, 5))})
    assert found[0] == ("ends on line", "bridge", "gate-1", None, "not counted there")
    assert [row[0] for row in found[1:]] == ["vanishes in mid-scene"]


def test_who_ends_just_beyond_it_was_counted(lake):
    found = doubts(lake, {"gate-1": along(*range(10, 117, 5))})
    assert ("ends on line", "bridge", "gate-1", None, "counted there") in found


def test_who_begins_beside_the_end_of_the_line_does_not_touch_it(lake):
    found = doubts(lake, {"gate-1": along(*range(100, 392, 5), y=175)})
    assert [row[0] for row in found] == ["appears in mid-scene"]


def test_a_crossing_of_few_boxes(lake):
    found = doubts(lake, {"gate-1": along(10, 60, 90, 110, 140, 180)})
    assert ("few boxes", "bridge", "gate-1", None, "detected 6 times") in found


def test_an_id_switch_near_the_line(lake):
    tracks = {"gate-1": along(*range(10, 76, 5)), "gate-2": along(*range(90, 392, 5))}
    found = doubts(lake, tracks, starts={"gate-2": LATER + 14 + 3})
    assert ("id switch", "bridge", "gate-1", "gate-2", "another begins 0.4 s later") in found
    assert ("begins on line", "bridge", "gate-2", None, "counted there") in found


@pytest.mark.parametrize(
    ("second", "start"),
    [
        (along(*range(90, 392, 5)), LATER + 14 + 20),  # two seconds later
        (along(*range(90, 392, 5), y=150), LATER + 14),  # elsewhere
    ],
)
def test_another_track_is_no_id_switch(lake, second, start):
    found = doubts(lake, {"gate-1": along(*range(10, 76, 5)), "gate-2": second}, starts={"gate-2": start})
    assert "id switch" not in [row[0] for row in found]


def test_where_footage_begins_nothing_appears_in_mid_scene(lake):
    assert doubts(lake, {"gate-1": along(*range(200, 392, 10), y=300)}, starts={"gate-1": 5}) == []
    found = doubts(lake, {"gate-1": along(*range(200, 392, 10), y=300)}, starts={"gate-1": 50})
    assert [row[0] for row in found] == ["appears in mid-scene"]


def test_dates_limit_it(lake):
    doubts(lake, {"gate-1": along(*range(10, 92, 5))})
    with connect(lake.url) as connection:
        for first, last, n in [("2026-03-01", "2026-03-01", 2), ("2026-03-02", None, 0), (None, "2026-02-28", 0)]:
            assert len(connection.execute("FROM counting_doubts($1, $2)", [first, last]).fetchall()) == n
