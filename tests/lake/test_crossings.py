"""Golden crossings of a line, and the SQL against a slow program that walks every track step by step."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake.making import FPS, HEIGHT_PX, NOON_US, entry, fleet, line, rows, write

MARGIN_PX = 0.1 * HEIGHT_PX

# The line runs down the picture at x = 100 from y = 50 to y = 150: leftward is "in" (forward), rightward "out".
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
    "over and back within two seconds": (along_x(80, 90, 110, 120, 110, 90, 80), []),
    "over, back and over again within two seconds": (
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
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(lake, name):
    places, expected = GOLDEN[name]
    write(lake, {"gate-1": places})
    found = crossings(lake)
    assert [direction for direction, _ in found] == [direction for direction, _ in expected]
    assert [second for _, second in found] == pytest.approx([second for _, second in expected], abs=2e-6)


def test_columns_of_a_crossing(lake):
    write(lake, {"gate-1": along_x(80, 120)}, class_name="bicycle")
    (row,) = query(lake.url, "FROM crossings").to_pylist()
    assert list(row) == ["date", "camera_id", "line_id", "direction", "class", "tracklet_id", "crossed_at"]
    assert (row["camera_id"], row["line_id"], row["class"], row["tracklet_id"]) == (
        "gate",
        "bridge",
        "bicycle",
        "gate-1",
    )


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


def oracle(places: np.ndarray, at_us: np.ndarray, a, b) -> list[tuple[str, int]]:
    """Walk one track over one line, one step after another."""
    a, b = np.array(a, float), np.array(b, float)
    d = b - a
    length = np.hypot(*d)
    side = [(d[0] * (p[1] - a[1]) - d[1] * (p[0] - a[0])) / length for p in places]
    along = [float(np.dot(d, p - a)) / length**2 for p in places]
    found, decided, change = [], None, None
    for i in range(len(places)):
        if i and (side[i] < 0) != (side[i - 1] < 0):
            f = side[i - 1] / (side[i - 1] - side[i])
            change = (at_us[i - 1] + f * (at_us[i] - at_us[i - 1]), along[i - 1] + f * (along[i] - along[i - 1]))
        is_end = i in (0, len(places) - 1)
        if side[i] == 0 or not (is_end or abs(side[i]) >= MARGIN_PX):
            continue
        is_crossing = decided is not None and (side[i] < 0) != (decided < 0) and abs(side[i] - decided) >= MARGIN_PX
        if is_crossing and 0 <= change[1] <= 1:
            found.append(("in" if side[i] > 0 else "out", int(change[0])))
        decided = side[i]
    return without_excursions(found)


def without_excursions(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of crossings that follow on each other within 2 s, keep the surplus of one direction, its last ones."""
    episodes: list[list[tuple[str, int]]] = []
    for crossing in found:
        if episodes and crossing[1] - episodes[-1][-1][1] <= 2_000_000:
            episodes[-1].append(crossing)
        else:
            episodes.append([crossing])
    kept = []
    for episode in episodes:
        ins, outs = ([c for c in episode if c[0] == way] for way in ("in", "out"))
        surplus = len(ins) - len(outs)
        kept += ins[-surplus:] if surplus > 0 else outs[surplus:] if surplus < 0 else []
    return kept


def test_sql_agrees_with_the_oracle_on_random_walks(tmp_path):
    rng = np.random.default_rng(7)
    lines = [
        {"name": f"l{k}", "points": rng.uniform(20, 180, (2, 2)).round(1).tolist(), "forward": "in", "backward": "out"}
        for k in range(6)
    ]
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": lines}))
    tracks, frames = {}, {}
    for k in range(220):
        n = int(rng.integers(1, 60))
        steps = rng.normal(0, rng.choice([1.0, 4.0, 15.0]), (n, 2)) + rng.normal(0, 2, 2)
        # Halves of pixels are exact in float32, and often fall onto a line or its margin.
        tracks[f"t{k:03d}"] = np.round(2 * (rng.uniform(40, 160, 2) + np.cumsum(steps, axis=0))) / 2
        frames[f"t{k:03d}"] = np.cumsum(rng.integers(1, 4, n))
    write(lake, tracks, frames=frames)
    expected = set()
    for name, places in tracks.items():
        at_us = NOON_US + frames[name] * 1_000_000 // FPS
        for one in lines:
            expected |= {(name, one["name"], *x) for x in oracle(places, at_us, *one["points"])}
    found = query(lake.url, "SELECT tracklet_id, line_id, direction, epoch_us(crossed_at) AS us FROM crossings")
    rows_found = sorted(tuple(row.values()) for row in found.to_pylist())
    expected = sorted(expected)
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
