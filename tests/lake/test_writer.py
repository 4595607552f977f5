"""Whole units or nothing, the same bytes for the same rows, and only lakes are opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pandas
import pytest

from pipeline.config import TrackerConfig, digest
from pipeline.errors import LakeError
from pipeline.lake import catalog, ledger, schema, tables
from pipeline.lake.storage import TEMPORARY
from pipeline.lake.writer import MARKER, Lake
from tests.lake.making import NOON_US, entry, fleet, line, no_rows, rows, write

WALK = {"gate-a": [(10, 100), (20, 100), (30, 100)], "gate-b": [(50, 80), (50, 90)]}


def files_of(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_equal_structs(a, b) -> None:
    for name in type(a).__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.fixture(params=["local", "memory"])
def lake(request, tmp_path):
    url = str(tmp_path / "lake") if request.param == "local" else f"memory://test{tmp_path}/lake"
    return Lake.open_or_create(url)


def test_an_empty_lake_has_nothing_and_says_so_everywhere(lake):
    assert lake.ledger() == []
    assert lake.dates() == []
    assert lake.state("gate", "gate-1") is None
    tracklets, cameras = lake.read_tracklets("2026-03-01")
    assert len(tracklets) == len(cameras) == len(lake.read_exemplars("2026-03-01")) == 0


def test_what_is_written_is_read_back(lake):
    observations, tracklets, exemplars = rows(WALK)
    entered = lake.write_unit(entry(), "2026-03-01", observations, tracklets, exemplars, b"state")
    assert (entered.observations, entered.tracklets, entered.embeddings) == (5, 2, 2)
    assert lake.ledger() == [entered]
    assert lake.dates() == ["2026-03-01"]
    assert lake.state("gate", "gate-1") == b"state"
    back, cameras = lake.read_tracklets("2026-03-01")
    assert_equal_structs(back, tracklets)
    assert cameras.tolist() == ["gate", "gate"]
    assert_equal_structs(lake.read_exemplars("2026-03-01"), exemplars)


def test_observations_survive_the_round_trip_through_parquet():
    observations, *_ = rows(WALK)
    content = tables.to_parquet(tables.observations_table("gate", observations))
    assert_equal_structs(tables.to_observations(tables.from_parquet(content, "here")), observations)


def test_a_unit_without_a_row_is_done_all_the_same(lake):
    lake.write_unit(entry(), "2026-03-01", *no_rows(), None)
    assert [e.status for e in lake.ledger()] == ["done"]
    assert len(lake.read_exemplars("2026-03-01")) == 0


def test_the_ledger_is_in_order_of_camera_and_start(lake):
    for camera, start in (("b", 2), ("a", 9), ("a", 3)):
        unit = entry(f"{camera}-{start}", camera, started_at_us=NOON_US + start)
        lake.write_unit(unit, "2026-03-01", *no_rows(), None)
    lake.write_quarantine(entry("a-x", "a", status="quarantined", started_at_us=None, ended_at_us=None), "2026-02-28")
    assert [e.segment_id for e in lake.ledger()] == ["a-x", "a-3", "a-9", "b-2"]
    assert lake.ledger()[0].local_date == "2026-02-28"
    assert lake.dates() == ["2026-02-28", "2026-03-01"]


def test_equal_rows_give_equal_bytes_in_any_folder(tmp_path):
    config = fleet({"id": "gate", "lines": [line()]})
    for name in ("one", "another"):
        lake = Lake.open_or_create(str(tmp_path / name))
        lake.write_unit(entry(), "2026-03-01", *rows(WALK), b"s")
        lake.write_fleet(config)
        ids = rows(WALK)[1].tracklet_id
        lake.write_identities("2026-03-01", ids, ids, np.ones(2, np.float32), "run")
    one, another = (
        {k: v for k, v in files_of(tmp_path / name).items() if not k.startswith("ledger/")}
        for name in ("one", "another")
    )
    assert one == another
    assert len(one) == 11  # three tables, state, marker, configuration, tracker, three of the fleet, identities
    assert not any(str(tmp_path).encode() in content for content in one.values())


def test_rewriting_a_unit_replaces_exactly_its_files(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_unit(entry("gate-1"), "2026-03-01", *rows(WALK), b"old")
    lake.write_unit(entry("gate-2"), "2026-03-01", *rows({"gate-c": [(1, 2)]}, segment_id="gate-2"), b"two")
    before = files_of(tmp_path)
    lake.write_unit(entry("gate-1"), "2026-03-01", *rows({"gate-z": [(5, 5)]}), None)
    after = files_of(tmp_path)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    unit = "date=2026-03-01/camera=gate/gate-1.parquet"
    assert changed == {f"{t}/{unit}" for t in (*schema.PER_SEGMENT, "ledger")} | {"_state/camera=gate/gate-1.state"}
    assert lake.state("gate", "gate-1") is None


def test_a_unit_whose_local_date_changed_leaves_nothing_in_the_old_one(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_unit(entry(), "2026-03-01", *rows(WALK), None)
    lake.write_unit(entry(), "2026-02-28", *rows(WALK), None)
    assert not [name for name in files_of(tmp_path) if "2026-03-01" in name]
    assert lake.dates() == ["2026-02-28"]


def test_quarantine_removes_the_rows_of_an_earlier_run(lake):
    lake.write_unit(entry(), "2026-03-01", *rows(WALK), b"state")
    lake.write_quarantine(entry(status="quarantined", reason="it is truncated"), "2026-03-01")
    assert [(e.status, e.reason, e.observations) for e in lake.ledger()] == [("quarantined", "it is truncated", 0)]
    assert len(lake.read_tracklets("2026-03-01")[0]) == 0
    assert lake.state("gate", "gate-1") is None


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


def writes_of_a_unit() -> int:
    return len(schema.PER_SEGMENT) + 2  # and state, and ledger entry


@pytest.mark.parametrize("survives", range(writes_of_a_unit()))
def test_a_kill_between_two_files_leaves_no_half_unit_in_sight(tmp_path, monkeypatch, survives):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_unit(entry("gate-0"), "2026-03-01", *rows({"gate-0-a": [(1, 1)]}, segment_id="gate-0"), None)
    lake.write_unit(entry("gate-1"), "2026-03-01", *rows({"gate-1-old": [(1, 1)]}), b"old")
    replace, done = os.replace, []

    def replace_until_killed(source, target):
        if len(done) == survives:
            raise Killed
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_until_killed)
    with pytest.raises(Killed):
        lake.write_unit(entry("gate-1"), "2026-03-01", *rows(WALK), b"new")
    monkeypatch.undo()
    assert [e.segment_id for e in lake.ledger()] == ["gate-0"]
    assert lake.read_tracklets("2026-03-01")[0].tracklet_id.tolist() == ["gate-0-a"]
    for table in ("observations", "tracklets", "embeddings"):
        seen = catalog.query(str(tmp_path), f"SELECT DISTINCT tracklet_id FROM {table}").column(0).to_pylist()
        assert seen == ["gate-0-a"]
    # Every file a bare reader's glob finds can be read, and running again completes the unit.
    duckdb.sql(f"FROM '{tmp_path}/observations/**/*.parquet'").fetchall()
    lake.write_unit(entry("gate-1"), "2026-03-01", *rows(WALK), b"new")
    assert lake.read_tracklets("2026-03-01")[0].tracklet_id.tolist() == ["gate-0-a", "gate-a", "gate-b"]


def test_clean_removes_what_the_dead_left_and_nothing_of_the_living(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    folder = tmp_path / "observations"
    folder.mkdir()
    program = (
        "import os, sys; from pathlib import Path; from pipeline.lake import storage;"
        "Path(sys.argv[1], storage.temporary_name()).write_bytes(b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    from pipeline.lake.storage import temporary_name

    mine = folder / temporary_name()
    mine.write_bytes(b"being written")
    assert len(list(folder.glob(f"{TEMPORARY}*"))) == 2
    lake.clean()
    assert list(folder.iterdir()) == [mine]


def test_a_folder_that_is_no_lake_is_refused(tmp_path):
    with pytest.raises(LakeError, match="not a lake"):
        Lake.open(str(tmp_path / "missing"))
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(LakeError, match="not a lake"):
        Lake.open(str(tmp_path))
    with pytest.raises(LakeError, match="not empty and not a lake"):
        Lake.open_or_create(str(tmp_path))
    with pytest.raises(LakeError, match="cannot be made here"):
        Lake.open_or_create(str(tmp_path / "holiday.jpg"))
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_lake_of_a_newer_schema_is_refused_with_both_versions(tmp_path):
    Lake.open_or_create(str(tmp_path))
    newer = {"format": "nightfleet-lake", "schema_version": schema.SCHEMA_VERSION + 7}
    (tmp_path / MARKER).write_text(json.dumps(newer))
    for opening in (Lake.open, Lake.open_or_create, catalog.connect):
        with pytest.raises(LakeError, match=rf"version {schema.SCHEMA_VERSION + 7}.* {schema.SCHEMA_VERSION}; upgrade"):
            opening(str(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", '{"format": "another"}', '{"format": "nightfleet-lake"}'])
def test_a_marker_that_says_nothing_is_refused(tmp_path, content):
    (tmp_path / MARKER).write_text(content)
    with pytest.raises(LakeError, match="not a nightfleet lake's"):
        Lake.open(str(tmp_path))


def test_a_protocol_nobody_can_read_is_refused():
    with pytest.raises(LakeError, match="nosuch://bucket/lake"):
        Lake.open("nosuch://bucket/lake")


def test_many_may_create_one_lake_at_once(tmp_path):
    def create_and_write(k: int) -> None:
        lake = Lake.open_or_create(str(tmp_path / "lake"))
        unit = f"gate-{k}"
        lake.write_unit(entry(unit), "2026-03-01", *rows({f"t-{k}": [(1, 1)]}, segment_id=unit), None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create_and_write, range(32)))
    assert len(Lake.open(str(tmp_path / "lake")).ledger()) == 32


def test_identities_and_their_runs(lake):
    ids = np.array(["gate-a", "gate-b"], dtype=object)
    runs = "SELECT DISTINCT date::VARCHAR AS date, run_id FROM identities"
    lake.write_identities("2026-03-01", ids, ids, np.array([1, 0.5], np.float32), "run-1")
    lake.write_identities("2026-03-02", ids[:0], ids[:0], np.zeros(0, np.float32), "run-2")
    assert catalog.query(lake.url, runs).to_pylist() == [{"date": "2026-03-01", "run_id": "run-1"}]
    lake.write_identities("2026-03-01", ids[:1], ids[:1], np.ones(1, np.float32), "run-3")
    assert catalog.query(lake.url, runs).to_pylist() == [{"date": "2026-03-01", "run_id": "run-3"}]


def test_lines_and_zones_are_measured_on_the_ground_where_a_camera_is_calibrated(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    tenth = [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]
    square = {"name": "square", "polygon": [(0, 0), (20, 0), (20, 20), (0, 20)]}
    shape = {"lines": [line(points=((0, 0), (30, 40)))], "zones": [square]}
    lake.write_fleet(fleet({"id": "gate", "homography": tenth, **shape}, {"id": "yard", **shape}))
    read = {name: catalog.query(str(tmp_path), f"FROM {name}").to_pylist() for name in ("cameras", "lines", "zones")}
    assert [row["length_m"] for row in read["lines"]] == [pytest.approx(5.0), None]
    assert [row["area_sqm"] for row in read["zones"]] == [pytest.approx(4.0), None]
    assert [row["homography"] for row in read["cameras"]] == [[0.1, 0, 0, 0, 0.1, 0, 0, 0, 1], None]


def test_the_configuration_is_kept_with_the_lake(lake):
    with pytest.raises(LakeError, match="nothing was run"):
        lake.read_config()
    config = fleet({"id": "gate", "lines": [line()], "homography": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, {"id": "yard"})
    lake.write_fleet(config)
    assert lake.read_config() == config
    lake.storage.write("_fleet.json", b'{"fleet": 3}')
    with pytest.raises(LakeError, match="not a configuration"):
        lake.read_config()


def test_a_lake_exists_or_not(tmp_path, lake):
    assert Lake.exists(lake.url)
    assert not Lake.exists(str(tmp_path / "nowhere"))


def test_a_damaged_file_is_named(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_unit(entry(), "2026-03-01", *rows(WALK), None)
    path = tmp_path / "embeddings/date=2026-03-01/camera=gate/gate-1.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LakeError, match=r"gate-1\.parquet: not a whole Parquet file"):
        lake.read_exemplars("2026-03-01")
    path.unlink()
    with pytest.raises(LakeError, match="missing"):
        lake.read_exemplars("2026-03-01")


def test_bare_duckdb_and_pandas_read_the_lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    write(lake, WALK)
    found = duckdb.sql(
        f"SELECT camera, date::VARCHAR, count(*) FROM '{tmp_path}/observations/**/*.parquet' GROUP BY ALL"
    )
    assert found.fetchall() == [("gate", "2026-03-01", 5)]
    frame = pandas.read_parquet(tmp_path / "tracklets")
    assert frame["tracklet_id"].tolist() == ["gate-a", "gate-b"]
    assert frame["camera"].tolist() == ["gate", "gate"]
    assert np.linalg.norm(np.stack(frame["embedding"]), axis=1) == pytest.approx([1, 1], abs=1e-6)
    units = duckdb.sql(
        f"SELECT name, value FROM parquet_kv_metadata('{tmp_path}/observations/**/*.parquet') t(file, name, value)"
    )
    assert (b"nightfleet.schema_version", b"1") in units.fetchall()


def test_encodings_are_the_measured_ones():
    content = tables.to_parquet(tables.tracklets_table("gate", "gate-1", rows(WALK)[1]))
    import pyarrow as pa
    import pyarrow.parquet as pq

    group = pq.ParquetFile(pa.BufferReader(content)).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert "BYTE_STREAM_SPLIT" in columns["embedding.list.element"].encodings
    assert not columns["embedding.list.element"].has_dictionary_page
    assert "DELTA_BINARY_PACKED" in columns["started_at"].encodings
    assert columns["class"].has_dictionary_page
    assert {column.compression for column in columns.values()} == {"ZSTD"}


def test_a_ledger_of_before_some_counts_is_read_with_zeros(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    for name in ("gate-1", "gate-2"):
        lake.write_unit(entry(name, motion_unknown=7), "2026-03-01", *no_rows(), None)
    older = ledger.to_table([entry("gate-1")]).drop_columns(["motion_unknown"])
    lake.storage.write("ledger/date=2026-03-01/camera=gate/gate-1.parquet", tables.to_plain_parquet(older))
    assert [one.motion_unknown for one in lake.ledger()] == [0, 7]
    assert catalog.query(lake.url, "SELECT sum(motion_unknown) FROM ledger")[0][0].as_py() == 7


def test_tracker_settings_stay_for_the_states_made_with_them(lake):
    first, second = TrackerConfig(n_init=4), TrackerConfig(n_init=5)
    one = fleet({"id": "gate"})
    lake.write_fleet(one.model_copy(update={"tracker": first}))
    lake.storage.remove(f"_trackers/{digest(first)}.json")  # as older lakes have it
    lake.write_fleet(one.model_copy(update={"tracker": second}))
    assert [lake.read_tracker(digest(tracker)) for tracker in (first, second)] == [first, second]
    assert lake.read_tracker("unknown") is None
    lake.storage.write(f"_trackers/{digest(first)}.json", b'{"of_another_version": 1}')
    assert lake.read_tracker(digest(first)) is None
