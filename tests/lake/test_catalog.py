"""Views over whole units, and a connection that reaches nothing but the lake."""

from __future__ import annotations

import datetime

import pytest

from pipeline.errors import LakeError, UserError
from pipeline.lake import laying, schema
from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake.making import NOON_US, entry, fleet, line, no_rows, rows

WALK = {"gate-a": [(10, 100), (20, 100), (30, 100)], "gate-b": [(50, 80), (50, 90)]}
EVERYTHING = (
    *schema.TABLES,
    "watched",
    "gaps",
    "coverage",
    "line_days",
    "crossings",
    "gate_crossings",
    "zone_visits",
    "zone_events",
    "identity_sightings",
    "origin_destination",
    "passages_computed(NULL, NULL)",
    "crossings_between(NULL, NULL)",
    "gate_crossings_between(NULL, NULL)",
    "zone_visits_between(NULL, NULL)",
    "zone_events_between(NULL, NULL)",
    "zone_dwell(NULL, NULL)",
    "traffic_counts(900, NULL, NULL)",
    "similar_tracklets('gate-a', 5)",
)


@pytest.fixture
def lake(tmp_path):
    return Lake.open_or_create(str(tmp_path / "lake"))


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_view_of_an_empty_lake_has_its_columns_and_no_rows(lake, name):
    table = query(lake.url, f"FROM {name}")
    assert table.num_rows == 0
    if name in schema.TABLES:
        assert set(schema.TABLES[name].names) <= set(table.column_names)


def test_an_empty_and_a_filled_lake_have_the_same_columns(lake):
    described = {}
    for _ in range(2):
        with connect(lake.url) as connection:
            for name in EVERYTHING:
                columns = [(d[0], str(d[1])) for d in connection.execute(f"FROM {name}").description]
                described.setdefault(name, []).append(columns)
                connection.execute(f"FROM {name}").fetchall()
        lake.write_unit(entry(), "2026-03-01", *rows(WALK), None)
        lake.write_fleet(fleet({"id": "gate", "lines": [line()]}))
        tracklets = rows(WALK)[1]
        lake.write_identities("2026-03-01", tracklets.tracklet_id, tracklets.tracklet_id, tracklets.mean_score, "r")
    for name, (empty, filled) in described.items():
        assert empty == filled, name


def test_only_entered_units_are_seen(lake):
    lake.write_unit(entry("gate-1"), "2026-03-01", *rows(WALK), None)
    lake.write_unit(entry("gate-2"), "2026-03-01", *rows({"gate-c": [(1, 2)]}, segment_id="gate-2"), None)
    lake.storage.remove("ledger/date=2026-03-01/camera=gate/gate-1.parquet")
    for table in schema.PER_SEGMENT:
        assert query(lake.url, f"SELECT DISTINCT tracklet_id FROM {table}")[0].to_pylist() == ["gate-c"]


def test_tracks_that_end_in_a_quarantined_unit_are_not_lost(lake):
    """A file that cannot be decoded still ends the tracks that reached it: its unit has rows, and they count."""
    unit = entry(status="quarantined", reason="truncated")
    lake.write_unit(unit, "2026-03-01", *rows(WALK), None)
    assert query(lake.url, "SELECT count(*) FROM tracklets")[0].to_pylist() == [2]
    assert query(lake.url, "FROM watched").num_rows == 0


def test_types_and_partition_columns(lake):
    lake.write_unit(entry("01-1", "01"), "2026-03-01", *rows(WALK), None)
    with connect(lake.url) as connection:
        types = {d[0]: str(d[1]) for d in connection.execute("FROM embeddings").description}
        assert (types["embedding"], types["date"], types["camera"]) == ("FLOAT[128]", "DATE", "VARCHAR")
        assert connection.execute("SELECT DISTINCT camera, date FROM observations").fetchall() == [
            ("01", datetime.date(2026, 3, 1))
        ]
        similarity = "array_cosine_similarity(a.embedding, b.embedding)"
        pairs = connection.execute(f"SELECT {similarity} FROM embeddings a JOIN embeddings b USING (tracklet_id)")
        assert [s for (s,) in pairs.fetchall()] == pytest.approx([1, 1], abs=1e-5)


def test_instants_are_utc_unless_asked_otherwise(lake):
    lake.write_unit(entry(), "2026-03-01", *no_rows(), None)
    sql = "SELECT started_at::VARCHAR FROM ledger"
    assert query(lake.url, sql)[0].to_pylist() == ["2026-03-01 12:00:00+00"]
    assert query(lake.url, sql, time_zone="Europe/Berlin")[0].to_pylist() == ["2026-03-01 13:00:00+01"]
    with pytest.raises(UserError, match="Mars/Base"):
        connect(lake.url, time_zone="Mars/Base")


def test_parameters_are_bound(lake):
    lake.write_unit(entry(), "2026-03-01", *rows(WALK), None)
    assert query(lake.url, "SELECT count(*) FROM observations WHERE tracklet_id = ?", ["gate-a"])[0].to_pylist() == [3]
    named = query(lake.url, "SELECT $x + 1 AS y", {"x": 1})
    assert named["y"].to_pylist() == [2]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY observations TO '{lake}/stolen.csv'",
        "WITH x AS (COPY observations TO '{lake}/stolen.csv') SELECT * FROM x",
        "WITH x AS (INSERT INTO ledger FROM ledger RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM ledger RETURNING *) SELECT count(*) FROM x",
        "SELECT * FROM query('COPY observations TO ''{lake}/stolen.csv''')",
        "EXPLAIN ANALYZE COPY observations TO '{lake}/stolen.csv'",
        "SELECT 1; COPY observations TO '{lake}/stolen.csv'",
        "SELECT 1) ; COPY observations TO '{lake}/stolen.csv'; SELECT (1",
        "DROP VIEW observations",
        "SET VARIABLE x = 1",
        "ATTACH '{lake}/stolen.csv'",
        "PIVOT ledger ON status USING count(*)",
        "",
        "-- nothing",
    ],
)
def test_nothing_but_a_select_passes(lake, sql):
    lake.write_unit(entry(), "2026-03-01", *rows(WALK), None)
    before = lake.storage.files("", "")
    with pytest.raises(UserError) as error:
        query(lake.url, sql.replace("{lake}", lake.url))
    assert "\n" not in str(error.value)
    assert lake.storage.files("", "") == before


@pytest.mark.parametrize(
    "sql", ["SELECT 1;", "SELECT 1 -- one", "SELECT 1; -- one", "FROM range(1)", "VALUES (0)", "DESCRIBE ledger"]
)
def test_selects_pass_however_they_end(lake, sql):
    assert query(lake.url, sql).num_rows >= 1


def test_files_outside_the_lake_are_out_of_reach(lake, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for path in (secret, f"{lake.url}/../secret.csv", f"{lake.url}2/secret.csv"):
        with pytest.raises(UserError, match="cannot"):
            query(lake.url, f"SELECT * FROM read_csv('{path}')")
    with connect(lake.url) as connection, pytest.raises(Exception, match="locked"):
        connection.execute("SET enable_external_access = true")


def test_a_mistake_in_the_query_is_one_sentence(lake):
    for sql, said in (("SELECT colour FROM ledger", "colour"), ("SELEC 1", "SELEC"), ("FROM nowhere", "nowhere")):
        with pytest.raises(UserError, match=said) as error:
            query(lake.url, sql)
        assert "\n" not in str(error.value)


def test_what_is_no_lake_cannot_be_asked(tmp_path):
    with pytest.raises(LakeError, match="not a lake"):
        query(str(tmp_path), "SELECT 1")


@pytest.mark.parametrize("victim", ["gate-1", "gate-2"])
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:500] + b"x" * 2500])
def test_a_damaged_file_is_named(lake, victim, damage):
    for name in ("gate-1", "gate-2"):
        made = rows({f"{name}-{k}": [(k, 5.0)] * 20 for k in range(20)}, segment_id=name)
        lake.write_unit(entry(name), "2026-03-01", *made, None)
    path = f"observations/date=2026-03-01/camera=gate/{victim}.parquet"
    lake.storage.write(path, damage(lake.storage.read(path)))
    with pytest.raises(LakeError, match=rf"{path}: not a whole Parquet file .*remove the ledger's file"):
        query(lake.url, "SELECT * FROM observations")


def test_a_remote_lake_is_asked_in_the_same_way(tmp_path):
    lake = Lake.open_or_create(f"memory://catalog{tmp_path}")
    lake.write_unit(entry(), "2026-03-01", *rows(WALK), None)
    lake.write_fleet(fleet({"id": "gate"}))
    assert query(lake.url, "SELECT count(*) FROM observations")[0].to_pylist() == [5]
    outside = Lake.open_or_create(f"memory://elsewhere{tmp_path}")
    outside.write_unit(entry(), "2026-03-01", *rows(WALK), None)
    path = outside.storage.location("observations/date=2026-03-01/camera=gate/gate-1.parquet")
    with pytest.raises(UserError, match="cannot"):
        query(lake.url, f"SELECT * FROM read_parquet('{path}')")


def test_coverage_watched_and_gaps(lake):
    minute = 60_000_000
    for k, (start_min, end_min, status) in enumerate(
        [(0, 10, "done"), (10, 20, "done"), (20, 30, "quarantined"), (45, 60, "done")]
    ):
        unit = entry(
            f"gate-{k}",
            started_at_us=NOON_US + start_min * minute,
            ended_at_us=NOON_US + end_min * minute,
            status=status,
        )
        if k == 1:
            unit = entry(f"gate-{k}", started_at_us=NOON_US + 10 * minute + 900_000, ended_at_us=NOON_US + 20 * minute)
        lake.write_unit(unit, "2026-03-01", *no_rows(), None)
    lake.write_quarantine(entry("gate-x", status="quarantined", started_at_us=None, ended_at_us=None), "2026-03-01")
    lake.write_fleet(fleet({"id": "gate"}, {"id": "unused"}))
    gate, unused = query(lake.url, "FROM coverage").to_pylist()
    assert (gate["segments"], gate["done"], gate["quarantined"]) == (5, 3, 2)
    assert gate["hours_seen"] == pytest.approx((45 - 0.015) / 60)
    assert gate["hours_done"] == pytest.approx((35 - 0.015) / 60)
    assert (gate["gaps"], gate["gap_hours"]) == (1, pytest.approx(25 / 60))
    assert gate["speed"] == pytest.approx((35 * 60 - 0.9) / 12)
    assert (unused["camera_id"], unused["segments"], unused["hours_seen"], unused["speed"]) == ("unused", 0, 0, None)
    watched = query(lake.url, "SELECT epoch(ended_at - started_at) / 60 AS min FROM watched")["min"].to_pylist()
    assert watched == pytest.approx([20, 15])


def test_sightings_and_journeys_of_identities(lake):
    """a is seen at the gate, then 30 s later in the yard; b at the gate only."""
    later_us = NOON_US + 30_000_000
    lake.write_unit(entry("gate-1"), "2026-03-01", *rows({"gate-a": [(1, 1)] * 2, "gate-b": [(9, 9)] * 3}), None)
    lake.write_unit(
        entry("yard-1", "yard"),
        "2026-03-01",
        *rows({"yard-a": [(5, 5)] * 4}, segment_id="yard-1", started_at_us=later_us, class_name="truck"),
        None,
    )
    lake.write_identities(
        "2026-03-01",
        *(rows({"gate-a": [(1, 1)], "gate-b": [(1, 1)], "yard-a": [(1, 1)]})[1].tracklet_id,),
        *(rows({"A": [(1, 1)], "B": [(1, 1)], "C": [(1, 1)]})[1].tracklet_id[[0, 1, 0]],),
        rows({"x": [(1, 1)] * 1, "y": [(1, 1)], "z": [(1, 1)]})[1].mean_score,
        "r",
    )
    sightings = query(lake.url, "SELECT identity_id, nth, camera_id, from_camera_id, travel_s FROM identity_sightings")
    assert [tuple(row.values()) for row in sightings.to_pylist()] == [
        ("A", 1, "gate", None, None),
        ("A", 2, "yard", "gate", pytest.approx(29.9)),
        ("B", 1, "gate", None, None),
    ]
    journeys = query(lake.url, "SELECT * EXCLUDE (date) FROM origin_destination").to_pylist()
    assert [tuple(row.values()) for row in journeys] == [("gate", "gate", "car", 1), ("gate", "yard", "truck", 1)]


def test_every_sql_file_is_used_and_headed_by_its_purpose():
    from importlib import resources

    files = {
        f.name: f.read_text() for f in (resources.files("pipeline.lake") / "sql").iterdir() if f.name.endswith(".sql")
    }
    assert set(files) == {f"{name}.sql" for name in (*laying.FILE_VIEWS, *laying.MADE, *laying.COMPUTED, *laying.VIEWS)}
    for name, text in files.items():
        assert text.startswith(f"-- {name.removesuffix('.sql')}"), name
        scalar = "MACRO" in text and "AS TABLE" not in text
        assert scalar or "-- Columns: " in text, name
