"""Golden stays in a zone."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake.making import NOON_US, entry, fleet, instant_us, rows, write

SQUARE = {"name": "bay", "polygon": [(100, 100), (200, 100), (200, 200), (100, 200)]}
# A notch is cut out of this one from above: (150, 120) is in its bounding box, and outside.
NOTCHED = {
    "name": "notched",
    "polygon": [(100, 100), (140, 100), (150, 180), (160, 100), (200, 100), (200, 200), (100, 200)],
}
IN, OUT = (150.0, 190.0), (50.0, 190.0)


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "zones": [SQUARE]}))
    return lake


def stays(lake) -> list[tuple[float, float]]:
    sql = "SELECT epoch_us(entered_at) AS a, epoch_us(left_at) AS b, dwell_s FROM zone_visits ORDER BY a"
    found = query(lake.url, sql).to_pylist()
    assert all(row["dwell_s"] == pytest.approx((row["b"] - row["a"]) / 1e6) for row in found)
    return [((row["a"] - NOON_US) / 1e6, (row["b"] - NOON_US) / 1e6) for row in found]


@pytest.mark.parametrize(
    ("places", "frames", "expected"),
    [
        ([OUT] * 5, None, []),
        ([OUT] * 3 + [IN] * 11 + [OUT] * 4, None, [(0.3, 1.3)]),
        ([IN] * 4, None, [(0.0, 0.3)]),
        ([IN], None, [(0.0, 0.0)]),
        # Outside for ten frames of a tenth of a second and back is the edge's jitter; for eleven it is a second stay.
        ([IN] * 3 + [OUT] * 9 + [IN] * 3, None, [(0.0, 1.4)]),
        ([IN] * 3 + [OUT] * 10 + [IN] * 3, None, [(0.0, 0.2), (1.3, 1.5)]),
        # Not seen at all for five seconds: nothing says that it left.
        ([IN] * 4, [0, 1, 52, 53], [(0.0, 5.3)]),
        # Seen outside once within a long hole: it had left.
        ([IN, IN, OUT, IN], [0, 1, 20, 52], [(0.0, 0.1), (5.2, 5.2)]),
    ],
)
def test_golden(lake, places, frames, expected):
    write(lake, {"gate-1": places}, frames={"gate-1": frames} if frames else None)
    assert stays(lake) == [pytest.approx(stay) for stay in expected]


def test_a_track_that_begins_or_ends_inside_was_not_seen_to_enter_or_leave(lake):
    tracks = {
        "through": [OUT, IN, IN, OUT],
        "began": [IN, IN, OUT],
        "ended": [OUT, IN, IN],
        "stood": [IN, IN],
        "twice": [OUT, *[IN] * 3, *[OUT] * 15, *[IN] * 3],
    }
    write(lake, tracks)
    sql = "SELECT tracklet_id, began_inside, ended_inside FROM zone_visits ORDER BY tracklet_id, entered_at"
    assert [tuple(row.values()) for row in query(lake.url, sql).to_pylist()] == [
        ("began", True, False), ("ended", False, True), ("stood", True, True), ("through", False, False),
        ("twice", False, False), ("twice", False, True),
    ]  # fmt: skip
    sql = 'SELECT tracklet_id, event, epoch_us("at") AS us FROM zone_events ORDER BY tracklet_id, us'
    found = [(r["tracklet_id"], r["event"], (r["us"] - NOON_US) / 1e6) for r in query(lake.url, sql).to_pylist()]
    assert found == [
        ("began", "leave", 0.1), ("ended", "enter", 0.1), ("through", "enter", 0.1), ("through", "leave", 0.2),
        ("twice", "enter", 0.1), ("twice", "leave", 0.3), ("twice", "enter", 1.9),
    ]  # fmt: skip


def test_a_zone_may_be_asked_of_another_point_of_the_box(tmp_path):
    """Boxes are 40 px high: a foot below the zone, and a middle within."""
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "zones": [SQUARE, {**SQUARE, "name": "heads", "anchor": (0.5, 0.5)}]}))
    write(lake, {"gate-1": [(150, 215)] * 3})
    assert query(lake.url, "SELECT zone_id FROM zone_visits")["zone_id"].to_pylist() == ["heads"]


def test_events_are_of_their_own_date(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "zones": [SQUARE]}))
    began_us = instant_us("2026-03-01T23:59:59.900+00:00")
    made = rows({"gate-1": [OUT, IN, IN, IN, OUT]}, started_at_us=began_us)
    lake.write_unit(entry(started_at_us=began_us, ended_at_us=began_us + 500_000), "2026-03-01", *made, None)
    began_us += 86_400_000_000
    made = rows({"gate-2": [OUT, IN, IN, IN, OUT]}, started_at_us=began_us - 200_000, segment_id="gate-2")
    lake.write_unit(entry("gate-2", started_at_us=began_us - 200_000, ended_at_us=began_us), "2026-03-02", *made, None)
    with connect(lake.url) as connection:
        expected = {"01": [], "02": ["gate-1 enter", "gate-1 leave", "gate-2 enter"], "03": ["gate-2 leave"]}
        for day, events in expected.items():
            sql = "SELECT tracklet_id || ' ' || event FROM zone_events_between($1, $1) ORDER BY \"at\""
            assert [found for (found,) in connection.execute(sql, [f"2026-03-{day}"]).fetchall()] == events


def test_inside_is_by_the_even_odd_rule(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "zones": [NOTCHED]}))
    rng = np.random.default_rng(3)
    points = rng.uniform(80, 220, (400, 2)).round(1).astype(np.float32)
    write(lake, {f"t{k:03d}": [tuple(p)] for k, p in enumerate(points)})
    found = set(query(lake.url, "SELECT tracklet_id FROM zone_visits")["tracklet_id"].to_pylist())
    from matplotlib.path import Path

    polygon = Path(np.array([*NOTCHED["polygon"], NOTCHED["polygon"][0]], float), closed=True)
    expected = {f"t{k:03d}" for k in np.flatnonzero(polygon.contains_points(points.astype(float)))}
    assert 50 < len(expected) < 350
    assert found == expected


def test_dwell_summary_has_a_row_for_a_zone_nobody_entered(lake):
    write(lake, {"gate-1": [OUT]})
    (row,) = query(lake.url, "FROM zone_dwell(NULL, NULL)").to_pylist()
    assert (row["zone_id"], row["class"], row["visits"], row["total_s"], row["mean_s"]) == ("bay", None, 0, 0.0, None)
    write(lake, {"gate-1": [IN] * 11, "gate-2": [IN] * 31})
    (row,) = query(lake.url, "FROM zone_dwell(NULL, NULL)").to_pylist()
    assert (row["class"], row["visits"], row["total_s"], row["mean_s"], row["longest_s"]) == ("car", 2, 4.0, 2.0, 3.0)


def test_dwell_is_unknown_where_nobody_watched(lake):
    write(lake, {"gate-1": [IN] * 11})  # watched for a minute from noon UTC
    for period in ("'2026-03-02', NULL", "NULL, '2026-02-28'", "'2026-03-01T12:01', '2026-03-01T13:00'"):
        (row,) = query(lake.url, f"FROM zone_dwell({period})").to_pylist()
        assert set(row.values()) == {"gate", "bay", None}, period
    (row,) = query(lake.url, "FROM zone_dwell('2026-03-01T12:00:30', '2026-03-01T13:00')").to_pylist()
    assert (row["visits"], row["lower_bounds"], row["total_s"]) == (0, 0, 0.0)
