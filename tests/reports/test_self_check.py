"""The self-check over a lake in which one track ends on the line and another goes on there."""

from __future__ import annotations

import pytest

from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from pipeline.reports import self_check
from tests.conftest import json_of, nightfleet
from tests.lake.making import entry, fleet, line, rows
from tests.lake.test_counting_doubts import LATER, THROUGH, along


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()]}, {"id": "quay", "lines": [line()]}))
    tracks = {
        **THROUGH,
        "gate-1": along(*range(10, 117, 5)),  # ends just beyond the line: counted
        "gate-2": along(*range(10, 392, 5), y=90),  # goes through: counted
        "gate-3": along(*range(10, 86, 5), y=140),  # ends before the line
    }
    frames = {name: range(LATER, LATER + len(places)) for name, places in tracks.items()}
    frames["gate-3"] = range(LATER + 200, LATER + 200 + len(tracks["gate-3"]))
    lake.write_unit(entry(), "2026-03-01", *rows(tracks, frames=frames), None)
    return lake


def test_lines_cameras_and_every_doubt(lake):
    with connect(lake.url) as connection:
        report = self_check.make(connection)
        gate, quay = report.tables["lines"].to_pylist()
        assert (gate["crossings"], gate["doubtful"], gate["doubtful_pct"]) == (2, 1, 50.0)
        assert (gate["perhaps_missed"], gate["begin_or_end_on_line"]) == (1, 2)
        assert set(quay.values()) == {"quay", "bridge", None}  # never watched: nobody knows
        camera, _ = report.tables["cameras"].to_pylist()
        assert (camera["tracks"], camera["vanish_in_mid_scene"], camera["appear_in_mid_scene"]) == (7, 2, 0)
        doubts = report.tables["doubts"].to_pylist()
        assert {(row["kind"], row["tracklet_id"]) for row in doubts} == {
            ("ends on line", "gate-1"),
            ("vanishes in mid-scene", "gate-1"),
            ("ends on line", "gate-3"),
            ("vanishes in mid-scene", "gate-3"),
        }
        assert doubts[0]["at_local"].startswith("2026-03-01T12:00:12")
        later = self_check.make(connection, first="2026-03-01T13:00", cameras=["gate"])
        assert [table.num_rows for table in later.tables.values()] == [1, 1, 0]
        for name in ("lines", "cameras"):
            assert set(later.tables[name].to_pylist()[0].values()) <= {"gate", "bridge", None}
        quiet = self_check.make(connection, first="2026-03-01T12:00:50", last="2026-03-01T12:01", cameras=["gate"])
        assert quiet.tables["lines"]["crossings"].to_pylist() == quiet.tables["cameras"]["tracks"].to_pylist() == [0]


def test_the_command(lake, tmp_path):
    printed = nightfleet("report", "self-check", lake.url)
    assert printed.returncode == 0, printed.stderr
    assert "Crossings by tracks that are in doubt" in printed.stdout
    assert len(json_of(nightfleet("report", "self-check", lake.url, "--json"))["doubts"]) == 4
    out = tmp_path / "doubts.csv"
    assert nightfleet("report", "self-check", lake.url, "--format", "csv", "--out", out).returncode == 0
    assert out.read_text().startswith('"camera_id","line_id","crossings","doubtful"')
