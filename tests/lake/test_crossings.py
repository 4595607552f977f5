"""What counts as a crossing: golden cases by name, and the SQL against a slow program that walks every track."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.lake import crossed
from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES
from tests.lake import slow_crossings
from tests.lake.making import FPS, NOON_US, entry, fleet, instant_us, line, rows, write

# The line runs down the picture at x = 100 from y = 50 to y = 150: leftward is "in" (forward), rightward "out". Boxes
# are 40 px high, so that a place is sure from 4 px on.
LINE = line(forward="in", backward="out")


def along_x(*xs: float, y: float = 100.0) -> list[tuple[float, float]]:
    return [(x, y) for x in xs]


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [LINE]}))
    return lake


def crossings(lake) -> list[tuple[str, float]]:
    """Direction and second of every crossing, in time."""
    table = query(lake.url, "SELECT direction, epoch_us(crossed_at) AS us FROM crossings ORDER BY us")
    return [(row["direction"], (row["us"] - NOON_US) / 1e6) for row in table.to_pylist()]


GOLDEN = {
    "straight": (along_x(80, 90, 110, 120), [("out", 0.15)]),
    "straight, the other way": (along_x(120, 110, 90, 80), [("in", 0.15)]),
    "interpolated at a quarter of the step": (along_x(80, 95, 115, 130), [("out", 0.125)]),
    "in one step": (along_x(60, 140), [("out", 0.05)]),
    "diagonal": ([(80, 60), (90, 70), (110, 90), (120, 100)], [("out", 0.15)]),
    "U-turn before the line": (along_x(70, 90, 70), []),
    "U-turn beyond the line": (along_x(80, 90, 110, *[120] * 25, 110, 90, 80), [("out", 0.15), ("in", 2.85)]),
    "over and back within a second": (along_x(80, 90, *[120] * 10, 90, 80), []),
    "over and back after a second": (along_x(80, 90, *[120] * 11, 90, 80), [("out", 0.1 + 0.1 / 3), ("in", 1.2667)]),
    "over for a second, back for less, and over again": (
        along_x(80, 90, *[110] * 12, 90, 90, 110, 110),
        [("out", 0.15)],
    ),
    "over, back and over again within a second": (
        along_x(80, 90, 110, 120, 110, 90, 80, 90, 110, 120),
        [("out", 0.75)],
    ),
    "touching and back": (along_x(80, 100, 80), []),
    "grazing by less than the jitter and back": (along_x(80, 98, 102, 98, 80), []),
    "standing on the line, jittering, going on": (
        along_x(80, 99, 101, 99, 101, 99, 101, 120),
        [("out", 0.55)],
    ),
    "standing on the line, jittering, turning back": (along_x(80, 99, 101, 99, 101, 99, 80), []),
    "jittering on the line all its life": (along_x(99, 101, 99, 101, 99, 101), []),
    "ends just beyond the line, as at the picture's edge": (along_x(80, 95, 102), [("out", 0.1 + 0.1 * 5 / 7)]),
    "ends on the line": (along_x(80, 95, 100), []),
    "begins just before the line, as at the picture's edge": (along_x(98, 105, 120), [("out", 0.1 * 2 / 7)]),
    "passes beyond the line's lower end": (along_x(80, 90, 110, 120, y=151), []),
    "passes just within the line's lower end": (along_x(80, 90, 110, 120, y=149), [("out", 0.15)]),
    "diagonal miss beyond the upper end": ([(80, 70), (90, 50), (110, 40), (120, 20)], []),
    "round the end, then back through the line": (
        [(80, 170), (120, 170), (120, 100), (80, 100)],
        [("in", 0.25)],
    ),
    "along the line without crossing": ([(90, y) for y in range(40, 160, 10)], []),
    "one place only": (along_x(101), []),
    "never near": (along_x(10, 20, 30), []),
    "begins on the line and leaves it": (along_x(100, 110, 120), []),
    "begins on the line, jitters to the other side and leaves it": (along_x(101, 99, 101, 110, 120), []),
    "a box that flickers over the line and back": (along_x(70, 80, 90, 130, 90, 80, 130, 70), []),
    "a box that flickers back while it crosses": (along_x(80, 90, 110, 90, 110, 120), [("out", 0.35)]),
    "to and fro over the line's lower end": (
        [(80, 145), (120, 145), (120, 160), (80, 160), (80, 145), (120, 145), (140, 145)],
        [("out", 0.45)],
    ),
    "through the line and back round its end": ([(80, 140), (120, 140), (120, 160), (80, 160)], [("out", 0.05)]),
}


@pytest.fixture(scope="module")
def golden_crossings(tmp_path_factory):
    """What was found, of every golden case: all are tracks of one lake."""
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("golden")))
    lake.write_fleet(fleet({"id": "gate", "lines": [LINE]}))
    write(lake, {name: places for name, (places, _) in GOLDEN.items()})
    sql = "SELECT tracklet_id, direction, epoch_us(crossed_at) AS us FROM crossings ORDER BY us"
    found = {name: [] for name in GOLDEN}
    for row in query(lake.url, sql).to_pylist():
        found[row["tracklet_id"]].append((row["direction"], (row["us"] - NOON_US) / 1e6))
    return found


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(golden_crossings, name):
    _, expected = GOLDEN[name]
    found = golden_crossings[name]
    assert [direction for direction, _ in found] == [direction for direction, _ in expected]
    assert [second for _, second in found] == pytest.approx([second for _, second in expected], abs=4e-5)


def test_columns_of_a_crossing(lake):
    write(lake, {"gate-1": [(80, 90), (120, 110)]}, class_name="bicycle")
    (row,) = query(lake.url, "FROM crossings").to_pylist()
    assert list(row) == [
        "date", "camera_id", "line_id", "gate_id", "direction", "class", "tracklet_id", "crossed_at", "x", "y",
    ]  # fmt: skip
    assert [str(row[name]) for name in ("date", "camera_id", "line_id", "gate_id", "class", "tracklet_id")] == [
        "2026-03-01", "gate", "bridge", "bridge", "bicycle", "gate-1",
    ]  # fmt: skip
    assert (row["x"], row["y"]) == pytest.approx((100, 100))


def test_the_class_is_that_of_the_whole_life(lake):
    observations, tracklets, exemplars = rows({"gate-1": along_x(80, 90, 110, 120)}, class_name="car")
    flickering = np.full(len(observations), COCO_CLASSES.index("truck"), np.int16)
    lake.write_unit(
        entry(), "2026-03-01", dataclasses.replace(observations, class_id=flickering), tracklets, exemplars, None
    )
    assert query(lake.url, "SELECT class FROM crossings")["class"].to_pylist() == ["car"]


def test_a_line_may_settle_by_frames(tmp_path):
    """Four boxes beyond the line do not hold where five must; how long they took does not matter."""
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [{**LINE, "settle_frames": 5}]}))
    tracks = {f"t{n}": along_x(80, *[120] * n, 80) for n in (4, 5)}
    write(lake, tracks, frames={"t4": [0, 10, 20, 30, 40, 50], "t5": range(7)})
    found = query(lake.url, "SELECT tracklet_id, direction FROM crossings ORDER BY crossed_at").to_pylist()
    assert [tuple(row.values()) for row in found] == [("t5", "out"), ("t5", "in")]


def test_times_between_frames_of_a_variable_rate(lake):
    write(lake, {"gate-1": along_x(60, 90, 110, 120)}, frames={"gate-1": [0, 3, 23, 24]})
    assert crossings(lake) == [("out", pytest.approx(1.3))]


def test_another_anchor_crosses_at_another_time(tmp_path):
    """Boxes of 40 px walk down the picture: their middles reach a line 20 px later than their feet."""
    level = {"points": ((50, 100), (150, 100)), "forward": "down", "backward": "up"}
    lines = [{"name": "feet", **level}, {"name": "middle", **level, "anchor": (0.5, 0.5)}]
    lines.append({"name": "corner", **level, "points": ((105, 100), (150, 100)), "anchor": (1.0, 0.0)})
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": lines}))
    write(lake, {"gate-1": [(100, y) for y in range(60, 200, 10)]})
    sql = "SELECT line_id, direction, epoch_us(crossed_at) AS us, x, y FROM crossings ORDER BY us"
    found = [tuple(row.values()) for row in query(lake.url, sql).to_pylist()]
    assert found == [
        ("feet", "down", NOON_US + 400_000, 100, 100),
        ("middle", "down", NOON_US + 600_000, 100, 100),
        ("corner", "down", NOON_US + 800_000, 110, 100),
    ]


def test_a_crossing_at_midnight_is_of_the_local_date(tmp_path):
    """The segment begins on 1 March in Berlin; the line is crossed a little after midnight there."""
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [LINE], "time_zone": "Europe/Berlin"}))
    began_us = instant_us("2026-03-01T23:59:59.900+01:00")
    made = rows({"gate-1": along_x(80, 90, 110, 120)}, started_at_us=began_us)
    lake.write_unit(entry(started_at_us=began_us, ended_at_us=began_us + 400_000), "2026-03-01", *made, None)
    sql = "SELECT date::VARCHAR FROM crossings_between({})"
    with connect(lake.url) as connection:
        for dates, found in {
            "NULL, NULL": ["2026-03-02"], "'2026-03-02', '2026-03-02'": ["2026-03-02"], "NULL, '2026-03-01'": [],
        }.items():  # fmt: skip
            assert [day for (day,) in connection.execute(sql.format(dates)).fetchall()] == found


def test_a_track_over_two_segments_crosses_once_between_them(lake):
    """The track's rows lie in two files of two dates; the step over the line is the one between them."""
    first, *_ = rows({"gate-1": along_x(60, 80)})
    _, tracklets, exemplars = rows({"gate-1": along_x(60, 80)})
    second, *_ = rows({"gate-1": along_x(120, 140)}, segment_id="gate-2", started_at_us=NOON_US + 200_000)
    nothing = tracklets.__class__(*(getattr(tracklets, f)[:0] for f in tracklets.__dataclass_fields__))
    no_exemplar = exemplars.__class__(*(getattr(exemplars, f)[:0] for f in exemplars.__dataclass_fields__))
    lake.write_unit(entry("gate-1"), "2026-03-01", first, nothing, no_exemplar, b"s")
    assert crossings(lake) == []
    lake.write_unit(entry("gate-2"), "2026-03-02", second, tracklets, exemplars, None)
    assert crossings(lake) == [("out", pytest.approx(0.15))]
    with connect(lake.url) as connection:
        for first_date, last_date, n in [
            ("2026-03-01", "2026-03-01", 1),
            ("2026-03-02", None, 0),
            (None, "2026-03-01", 1),
        ]:
            sql = "SELECT count(*) FROM crossings_between($1, $2)"
            assert connection.execute(sql, [first_date, last_date]).fetchall() == [(n,)]


@pytest.mark.parametrize(
    ("settle_frames", "is_stored", "anchor"),
    [(None, False, (0.5, 1.0)), (None, True, (0.5, 1.0)), (4, True, (0.5, 1.0)), (None, True, (0.25, 0.375))],
)
def test_sql_agrees_with_the_oracle_on_random_walks(tmp_path, settle_frames, is_stored, anchor):
    """Extents tell which boxes need not be read, whatever point of them crosses; a tenth of the tracks jump."""
    rng = np.random.default_rng(7)
    lines = [
        {
            "name": f"l{k}",
            "points": rng.uniform(20, 180, (2, 2)).round(1).tolist(),
            "forward": "in",
            "backward": "out",
            "settle_frames": settle_frames,
            "anchor": anchor,
        }
        for k in range(6)
    ]
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": lines}))
    tracks, frames = {}, {}
    for k in range(220):
        n = int(rng.integers(1, 60))
        steps = rng.normal(0, rng.choice([1.0, 4.0, 15.0]), (n, 2)) + rng.normal(0, 2, 2)
        steps[rng.integers(n)] *= 20 if k % 10 == 0 else 1
        # Halves of pixels are exact in float32, and often fall onto a line or its margin.
        tracks[f"t{k:03d}"] = np.round(2 * (rng.uniform(40, 160, 2) + np.cumsum(steps, axis=0))) / 2
        frames[f"t{k:03d}"] = np.cumsum(rng.integers(1, 4, n))
    observations, tracklets, exemplars = rows(tracks, frames=frames)
    # Heights flicker too: the top edge jumps, and with it how far from a line a place is sure.
    tall = np.round(2 * rng.uniform(20, 80, len(observations))).astype(np.float32) / 2
    xyxy = observations.xyxy.copy()
    xyxy[:, 1] = xyxy[:, 3] - tall
    lake.write_unit(entry(), "2026-03-01", dataclasses.replace(observations, xyxy=xyxy), tracklets, exemplars, None)
    expected = []
    for name in tracks:
        at_us = NOON_US + frames[name] * 1_000_000 // FPS
        box = xyxy[observations.tracklet_id == name].astype(float)
        size = box[:, 2:] - box[:, :2]
        for one in lines:
            place = box[:, :2] + np.array(anchor) * size
            walked = slow_crossings.crossings(place, size[:, 1], at_us, one["points"], settle_frames)
            expected += [(name, one["name"], way, us) for way, us, _ in walked]
    if is_stored:
        assert crossed.refresh(lake.url).written == len(lines)
    found = query(lake.url, "SELECT tracklet_id, line_id, direction, epoch_us(crossed_at) AS us FROM crossings")
    rows_found, expected = sorted(tuple(row.values()) for row in found.to_pylist()), sorted(expected)
    assert len(expected) > 150
    assert [row[:3] for row in rows_found] == [row[:3] for row in expected]
    assert max(abs(x[3] - y[3]) for x, y in zip(rows_found, expected)) <= 1


def test_a_line_may_count_some_classes_only(tmp_path):
    for classes, expected in ((["car", "bus"], 1), (["person"], 0), (None, 1)):
        lake = Lake.open_or_create(str(tmp_path / str(classes)))
        one = {**LINE, **({"classes": classes} if classes else {})}
        lake.write_fleet(fleet({"id": "gate", "lines": [one]}))
        write(lake, {"gate-1": along_x(80, 90, 110, 120)})
        assert len(crossings(lake)) == expected
        streams = query(lake.url, "SELECT sum(count) AS n FROM traffic_counts(900, NULL, NULL)").to_pylist()
        assert (streams[0]["n"] or 0) == expected


def test_the_jitter_allowed_grows_with_the_box(lake):
    """3 px beyond the line and back is a crossing of something small, and jitter of something large."""
    walk = along_x(80, 98, *[103] * 25, 98, 80)
    write(lake, {"gate-1": walk}, height_px=20.0)
    assert [direction for direction, _ in crossings(lake)] == ["out", "in"]
    write(lake, {"gate-1": walk}, height_px=60.0)
    assert crossings(lake) == []
