"""Reports with known answers: movements, occupancy, trips and peak hours worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from pipeline.reports.tabular import KINDS, make
from tests.lake.making import fleet, line
from tests.reports.watching import watch

DAY = "2026-03-01"
NAMES = {"forward": "in", "backward": "out"}
ZONE = {"name": "bay", "polygon": [(0, 0), (200, 0), (200, 200), (0, 200)]}


def upright(name: str, x: float, **more) -> dict:
    return {**line(name, ((x, 50), (x, 150)), **NAMES), **more}


def instant(clock: str, date: str = DAY) -> str:
    return f"{date}T{clock}+00:00"


def walk(*xs: float, step: float = 2) -> list[tuple[float, float]]:
    """Places from each x to the next at y = 100, a step a frame."""
    places = [(xs[0], 100.0)]
    for a, b in itertools.pairwise(xs):
        n = round(abs(b - a) / step)
        places += [(a + (b - a) * k / n, 100.0) for k in range(1, n + 1)]
    return places


def answer(lake: Lake, name: str, table: str | None = None, **asked) -> list[dict]:
    with connect(lake.url) as connection:
        tables = make(connection, name, **asked).tables
    return tables[table or next(iter(tables))].to_pylist()


def picked(rows: list[dict], *columns: str) -> list[tuple]:
    return [tuple(row[column] for column in columns) for row in rows]


def new_lake(folder, *cameras: dict) -> Lake:
    lake = Lake.open_or_create(str(folder / "lake"))
    lake.write_fleet(fleet(*cameras))
    return lake


@pytest.fixture(scope="module")
def junction(tmp_path_factory) -> Lake:
    """Three gates in a row, the last of two lines; a track through, one that turns round, one past the first alone."""
    lines = [
        upright("west", 100),
        upright("east", 200),
        upright("ramp", 290, gate="exit"),
        upright("lane", 300, gate="exit"),
    ]
    lake = new_lake(tmp_path_factory.mktemp("junction"), {"id": "gate", "time_zone": "Europe/Berlin", "lines": lines})
    tracks = {"through": walk(60, 260), "turned": walk(60, 160, 60), "once": walk(60, 160), "left": walk(160, 360)}
    watch(lake, instant("12:00:00"), instant("12:15:00"), tracks)
    watch(lake, instant("12:30:00"), instant("12:45:00"), {"later": walk(60, 160)})
    return lake


def test_every_report_of_an_empty_lake_is_empty(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "empty"))
    with connect(lake.url) as connection:
        for name in KINDS:
            assert all(table.num_rows == 0 for table in make(connection, name).tables.values()), name


def test_lines_of_one_gate_count_once(junction):
    by_line = {(row["line_id"], row["direction"]): row["count"] for row in answer(junction, "traffic", "totals")}
    assert (by_line["ramp", "out"], by_line["lane", "out"]) == (1, 1)
    by_gate = {(row["gate_id"], row["direction"]): row["count"] for row in answer(junction, "gates", "totals")}
    assert by_gate == {
        **{("exit", "in"): 0, ("exit", "out"): 1, ("east", "in"): 0, ("east", "out"): 2},
        **{("west", "in"): 1, ("west", "out"): 4},
    }


def test_movements_through_and_back_and_past_one_gate(junction):
    rows = answer(junction, "turns")
    ways = ("from_gate", "from_direction", "to_gate", "to_direction")
    seen = {}
    for row in rows:
        seen.setdefault(tuple(row[way] for way in ways), []).append((row["bin_local"][11:16], row["count"]))
    clocks = ("13:00", "13:15", "13:30")
    assert seen == {
        ("east", "out", "exit", "out"): list(zip(clocks, (1, None, 0))),
        ("west", "out", "east", "out"): list(zip(clocks, (1, None, 0))),
        ("west", "out", "west", "in"): list(zip(clocks, (1, None, 0))),
        ("west", "out", None, None): list(zip(clocks, (1, None, 1))),
    }
    totals = answer(junction, "turns", "totals")
    assert [row["count"] for row in totals] == [1, 1, 1, 2]
    assert answer(junction, "turns", first="2026-03-02") == []


def test_occupancy_by_hand(tmp_path):
    """In 12:00 a stands from 12:01 to 12:02 all its life; b comes at 12:01:30.1 and goes at 12:02:00.1; d stands from
    12:14:30 to 12:15:30, of which the second half lies in a bin that was watched by half."""
    lake = new_lake(tmp_path, {"id": "gate", "time_zone": "UTC", "zones": [ZONE]})
    inside, outside = (100, 100), (300, 100)
    standing = {"a": [inside] * 2, "b": [outside, inside, inside, outside]}
    frames = {"a": [0, 600], "b": [300, 301, 601, 602]}
    watch(lake, instant("12:00:00"), instant("12:10:00"), standing, at=instant("12:01:00"), frames=frames)
    watch(
        lake,
        instant("12:10:00"),
        instant("12:22:30"),
        {"d": [inside] * 2},
        at=instant("12:14:30"),
        frames={"d": [0, 600]},
    )
    watch(lake, instant("12:45:00"), instant("13:00:00"))
    rows = answer(lake, "occupancy")
    figures = ("max_occupancy", "entered", "left", "coverage_pct")
    assert picked(rows, *figures) == [(2, 1, 1, 100), (1, 0, 0, 50), (None, None, None, 0), (0, 0, 0, 100)]
    means = [row["mean_occupancy"] for row in rows]
    assert means[:2] == [pytest.approx(120 / 900, abs=1e-3), pytest.approx(30 / 450, abs=1e-3)]
    assert means[2:] == [None, 0]
    (dwell,) = answer(lake, "dwell")
    assert (dwell["visits"], dwell["lower_bounds"]) == (3, 2)
    stays = answer(lake, "dwell", "stays", first=f"{DAY}T12:01", last=f"{DAY}T12:14")
    assert picked(stays, "tracklet_id", "is_lower_bound") == [("a", True), ("b", False)]
    assert stays[0]["entered_local"] == "2026-03-01T12:01:00+00:00"


def test_who_came_in_the_day_before_is_inside_at_midnight(tmp_path):
    lake = new_lake(tmp_path, {"id": "gate", "time_zone": "UTC", "zones": [ZONE]})
    stay = {"tracks": {"a": [(100, 100)] * 2}, "frames": {"a": [0, 6000]}}
    watch(lake, instant("23:45:00"), instant("00:15:00", "2026-03-02"), at=instant("23:55:00"), **stay)
    first, *rest = answer(lake, "occupancy", first="2026-03-02", last="2026-03-02")
    assert (first["mean_occupancy"], first["max_occupancy"], first["entered"]) == (pytest.approx(1 / 3), 1, 0)
    assert len(rest) == 95 and {row["max_occupancy"] for row in rest} == {None}


@pytest.fixture(scope="module")
def journeys(tmp_path_factory) -> Lake:
    """P goes from gate to yard in 60 s, and after an hour again, in 20 s; both see Q at once for 5 s; R stays."""
    both = {"time_zone": "Europe/Berlin", "lines": [upright("bridge", 100)]}
    lake = new_lake(tmp_path_factory.mktemp("journeys"), {"id": "gate", **both}, {"id": "yard", **both})
    ten_s = [*range(0, 101, 10)]
    sightings = {
        "p1": ("gate", "12:00:00", walk(80, 120, step=4)),
        "p2": ("yard", "12:01:10", walk(80, 120, step=4)),
        "p3": ("gate", "13:00:00", walk(80, 120, step=4)),
        "p4": ("yard", "13:00:30", walk(120, 80, step=4)),
        "q1": ("gate", "12:10:05", walk(20, 60, step=4)),
        "q2": ("yard", "12:10:10", walk(80, 120, step=4)),
        "r1": ("gate", "12:20:00", walk(80, 120, step=4)),
    }
    for name, (camera, clock, places) in sightings.items():
        hour, minute, _ = clock.split(":")
        end = instant(f"{hour}:{int(minute) + 5:02d}:00")
        watch(lake, instant(clock), end, {name: places}, camera=camera, frames={name: ten_s})
    ids = np.array(sorted(sightings), dtype=object)
    whose = np.array([name[0].upper() for name in sorted(sightings)], dtype=object)
    lake.write_identities(DAY, ids, whose, np.ones(len(ids), np.float32), "run")
    return lake


def test_trips_are_cut_where_nobody_saw_the_identity_for_long(journeys):
    flow = ("origin_camera_id", "destination_camera_id", "count")
    assert picked(answer(journeys, "od"), *flow) == [("gate", "gate", 1), ("gate", "yard", 3)]
    assert picked(answer(journeys, "od", gap_min=120), *flow) == [("gate", "gate", 1), ("gate", "yard", 2)]
    assert picked(answer(journeys, "od", gap_min=0), *flow)[0] == ("gate", "gate", 3)
    early = answer(journeys, "od", last=f"{DAY}T13:05")  # on the site's clock
    assert picked(early, *flow) == [("gate", "yard", 1)]
    assert early[0]["median_s"] == pytest.approx(80)
    assert answer(journeys, "od", cameras=["yard"]) == [r for r in answer(journeys, "od") if "yard" in r.values()]


def test_trips_between_gates_of_two_cameras(journeys):
    """Q passed no gate in the first camera, R none in a second."""
    rows = answer(journeys, "od", "gates")
    ends = ("from_camera_id", "from_gate", "from_direction", "to_camera_id", "to_gate", "to_direction", "count")
    assert picked(rows, *ends) == [
        ("gate", "bridge", "out", "yard", "bridge", "in", 1),
        ("gate", "bridge", "out", "yard", "bridge", "out", 1),
    ]
    assert rows[1]["median_s"] == pytest.approx(70, abs=0.1)


def test_travel_times_and_pairs_that_overlap(journeys):
    (row,) = answer(journeys, "travel-times")
    assert picked([row], "from_camera_id", "to_camera_id", "count", "overlapping") == [("gate", "yard", 3, 1)]
    # -5, 20 and 60 s: the 85th percentile lies at 1.7 steps, 20 + 0.7 * 40
    assert [row[key] for key in ("min_s", "median_s", "p85_s")] == pytest.approx([-5, 20, 48])
    back = answer(journeys, "travel-times", gap_min=120)[1]
    assert (back["from_camera_id"], back["count"]) == ("yard", 1)


def test_the_peak_hour_by_hand(tmp_path):
    """Quarters of 2, 4, 1, 3 and 5: the second four have 13, so PHF = 13 / (4 * 5). Without a whole hour, nothing."""
    lake = new_lake(tmp_path, {"id": "gate", "time_zone": "Europe/Berlin", "lines": [line(**NAMES)]})
    for quarter, n in enumerate((2, 4, 1, 3, 5)):
        start, end = (instant(f"{12 + k // 4}:{k % 4 * 15:02d}:00") for k in (quarter, quarter + 1))
        watch(lake, start, end, {f"q{quarter}-{k}": walk(60, 140, step=8) for k in range(n)})
    watch(lake, instant("12:00:00", "2026-03-02"), instant("12:59:00", "2026-03-02"), {"x": walk(60, 140, step=8)})
    rows = [row for row in answer(lake, "peak") if row["direction"] == "out"]
    figures = ("class_group", "hour_local", "volume", "peak_15min", "phf")
    whole = ("2026-03-01T13:15:00+01:00", 13, 5, pytest.approx(0.65))
    none = (None, None, None, None)
    assert picked(rows, *figures) == [("all", *whole), ("vehicle", *whole), ("all", *none), ("vehicle", *none)]
    quiet = [row for row in answer(lake, "peak", last=DAY) if row["direction"] == "in"]
    assert picked(quiet, "volume", "phf") == [(0, None)] * 2


def test_a_gap_that_makes_no_sense_is_refused(journeys):
    with pytest.raises(UserError, match="expected minutes of 0 or more"):
        answer(journeys, "od", gap_min=-1)
