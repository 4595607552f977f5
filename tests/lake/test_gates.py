"""Passages of gates: lines of one gate count as one."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import FleetConfig
from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake import slow_crossings
from tests.lake.making import NOON_US, entry, fleet, instant_us, rows, write

# Two lines down the picture, 40 px apart, of one gate, and one that stands alone; rightward is "out" over all of them.
WAYS = {"forward": "in", "backward": "out"}
PAIR = [
    {"name": "first", "points": ((100, 50), (100, 150)), "gate": "door", **WAYS},
    {"name": "second", "points": ((140, 50), (140, 150)), "gate": "door", **WAYS},
    {"name": "alone", "points": ((300, 50), (300, 150)), **WAYS},
]
# A gate bent at (100, 100): drawn so that a track near the bend can cross both parts.
BENT = [
    {"name": "upper", "points": ((100, 50), (110, 105)), "gate": "bend", **WAYS},
    {"name": "lower", "points": ((110, 95), (100, 150)), "gate": "bend", **WAYS},
]


def along_x(*xs: float, y: float = 100.0) -> list[tuple[float, float]]:
    return [(x, y) for x in xs]


def passages(lake, view: str = "gate_crossings") -> dict[str, list[tuple]]:
    """Gate, direction, line and second of every passage, by track, in time."""
    columns = "tracklet_id, gate_id, direction, line_id, epoch_us(crossed_at) AS us"
    sql = f"SELECT {columns} FROM {view} ORDER BY us, line_id"
    found: dict[str, list[tuple]] = {}
    for row in query(lake.url, sql).to_pylist():
        place = (row["gate_id"], row["direction"], row["line_id"], round((row["us"] - NOON_US) / 1e6, 3))
        found.setdefault(row["tracklet_id"], []).append(place)
    return found


TRACKS = {
    "through": (along_x(80, 90, 110, 120, 130, 150, 160), [("door", "out", "first", 0.15)]),
    "through, the other way": (along_x(160, 130, 120, 90, 80), [("door", "in", "second", 0.067)]),
    "in between and back at once": (along_x(80, 120, 80), []),
    "in between, a while, and back": (
        along_x(80, *[120] * 20, 80),
        [("door", "out", "first", 0.05), ("door", "in", "first", 2.05)],
    ),
    "through both, a while, and back through both": (
        along_x(80, 120, *[160] * 20, 120, 80),
        [("door", "out", "first", 0.05), ("door", "in", "second", 2.15)],
    ),
    "over both, back over both at once": (along_x(80, 120, 160, 120, 80), []),
    "a line alone is its own gate": (along_x(280, 320, 330), [("alone", "out", "alone", 0.05)]),
    "both gates": (
        along_x(80, 120, 160, 200, 240, 280, 320),
        [("door", "out", "first", 0.05), ("alone", "out", "alone", 0.55)],
    ),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("gates")))
    lake.write_fleet(fleet({"id": "gate", "lines": PAIR}))
    write(lake, {name: places for name, (places, _) in TRACKS.items()})
    return passages(lake)


@pytest.mark.parametrize("name", TRACKS)
def test_golden(found, name):
    assert found.get(name, []) == TRACKS[name][1]


def test_a_gate_round_a_corner_counts_once_at_the_corner(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": BENT}))
    write(lake, {"bend": along_x(80, 95, 104, 112, 120, 130), "upper": along_x(80, 95, 120, 130, y=70)})
    assert {name: len(rows) for name, rows in passages(lake, "crossings").items()} == {"bend": 2, "upper": 1}
    assert {name: [row[:2] for row in rows] for name, rows in passages(lake).items()} == {
        "bend": [("bend", "out")], "upper": [("bend", "out")],
    }  # fmt: skip


def test_over_one_line_and_back_over_the_other_at_once_is_no_passage(tmp_path):
    """Over the upper part, back over the lower: both lines were crossed for good, the gate was not."""
    lake = Lake.open_or_create(str(tmp_path))
    corner = [
        {"name": "side", "points": ((100, 50), (100, 100)), "gate": "corner", **WAYS},
        {"name": "bottom", "points": ((100, 100), (200, 100)), "gate": "corner", **WAYS},
    ]
    lake.write_fleet(fleet({"id": "gate", "lines": corner}))
    across = [(80, 80), (90, 80), (108, 88)]
    tracks = {
        "cuts the corner": [*across, (115, 110), (120, 120)],
        "stays inside": [*across, *[(115, 90)] * 12, (115, 110), (120, 120)],
    }
    write(lake, tracks)
    assert {name: len(rows) for name, rows in passages(lake, "crossings").items()} == dict.fromkeys(tracks, 2)
    found = passages(lake)
    assert list(found) == ["stays inside"]
    assert [row[1:3] for row in found["stays inside"]] == [("out", "side"), ("in", "bottom")]


def test_a_passage_over_midnight_counts_once(tmp_path):
    """The first line is crossed before midnight, the second after: one passage, of the day of the first."""
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": PAIR}))
    began_us = instant_us("2026-03-01T23:59:59.900+00:00")
    made = rows({"gate-1": along_x(90, 110, 130, 150, 170)}, started_at_us=began_us)
    lake.write_unit(entry(started_at_us=began_us, ended_at_us=began_us + 500_000), "2026-03-01", *made, None)
    sql = "SELECT count(*) FROM gate_crossings_between($1, $1)"
    with connect(lake.url) as connection:
        counted = [connection.execute(sql, [f"2026-03-0{day}"]).fetchone()[0] for day in (1, 2)]
        lines = connection.execute("SELECT date::VARCHAR FROM crossings ORDER BY crossed_at").fetchall()
    assert lines == [("2026-03-01",), ("2026-03-02",)]
    assert counted == [1, 0]


def test_sql_agrees_with_the_oracle_on_random_walks(tmp_path):
    rng = np.random.default_rng(11)
    lines = [
        {"name": f"l{k}", "points": rng.uniform(20, 180, (2, 2)).round(1).tolist(), "gate": f"g{k % 2}", **WAYS}
        for k in range(6)
    ]
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": lines}))
    tracks = {
        f"t{k:03d}": rng.uniform(40, 160, 2) + np.cumsum(rng.normal(0, 9, (int(rng.integers(5, 90)), 2)), axis=0)
        for k in range(80)
    }
    write(lake, tracks)
    observations, *_ = rows(tracks)
    expected = []
    for name in tracks:
        mine = observations.tracklet_id == name
        box = observations.xyxy[mine].astype(float)
        walked = {}
        for one in lines:
            feet = np.column_stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3]])
            crossed = slow_crossings.crossings(
                feet, box[:, 3] - box[:, 1], observations.captured_at_us[mine], one["points"]
            )
            walked.setdefault(one["gate"], []).extend((us, one["name"], way) for way, us, _ in crossed)
        for gate, crossed in walked.items():
            expected += [(name, gate, way, one) for _, one, way in slow_crossings.gate_passages(crossed)]
    found = [(name, *row[:3]) for name, rows_found in passages(lake).items() for row in rows_found]
    n_lines = sum(map(len, passages(lake, "crossings").values()))
    assert sorted(found) == sorted(expected)
    assert 50 < len(expected) < n_lines - 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backward": "away"}, "the lines 'first' and 'second' of gate 'door' must have the same two directions"),
        ({"settle_frames": 3}, "must have the same settle_frames; got None and 3"),
        ({"gate": None, "name": "door"}, "the line 'door' is called like a gate that it is no part of"),
    ],
)
def test_gates_that_contradict_themselves_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        FleetConfig.model_validate(
            {"cameras": [{"id": "gate", "footage": "x.mp4", "lines": [PAIR[0], {**PAIR[1], **change}]}]}
        )
