"""Seconds of presence in cells of the picture."""

from __future__ import annotations

from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake.making import fleet, write


def test_presence_of_who_stands_walks_and_is_lost_from_sight(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate"}, {"id": "quay"}))
    assert query(lake.url, "FROM heat('gate', 10, NULL, NULL)").to_pylist() == []
    write(
        lake,
        {
            "gate-1": [(15, 25)] * 11,  # a second on one spot
            "gate-2": [(15, 25), (25, 25), (35, 25)],  # a tenth of a second in each, none in the last
            "gate-3": [(95, 45), (95, 45)],  # five seconds apart: one counts
        },
        frames={"gate-3": [0, 50]},
    )
    rows = query(lake.url, "FROM heat('gate', 10, NULL, NULL)").to_pylist()
    assert [(row["class"], row["x"], row["y"], round(row["presence_s"], 6)) for row in rows] == [
        ("car", 10.0, 20.0, 1.1),
        ("car", 20.0, 20.0, 0.1),
        ("car", 90.0, 40.0, 1.0),
    ]
    with connect(lake.url) as connection:
        assert connection.execute("FROM heat('quay', 10, NULL, NULL)").fetchall() == []
        assert len(connection.execute("FROM heat('gate', 10, '2026-03-01', '2026-03-01')").fetchall()) == 3
        assert connection.execute("FROM heat('gate', 10, '2026-03-02', NULL)").fetchall() == []
