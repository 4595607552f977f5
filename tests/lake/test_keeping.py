"""Kept detections: what comes back is what was seen, beside whole units and gone with them."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LakeError
from pipeline.lake import catalog, keeping, schema, tables
from pipeline.lake.kept import About, KeptDetections, Recorder, from_half, to_half
from pipeline.lake.writer import Lake
from pipeline.types import Detections, Segment
from tests.conftest import nightfleet
from tests.lake.making import NOON_US, entry, no_rows, unit_vectors

SEGMENT = Segment(
    segment_id="gate-1",
    camera_id="gate",
    url="/footage/gate-1.mp4",
    started_at_us=NOON_US,
    duration_us=60_000_000,
    local_date="2026-03-01",
    clock_source="file name",
    width_px=640,
    height_px=360,
    fps=10.0,
    fingerprint="f",
)
ABOUT = About(
    segment=SEGMENT, key="k", weights_digest="w", not_before_us=None, frame_interval_us=100_000, bad_packets=3
)
PLACE = ("gate", "2026-03-01", "gate-1")


def seen(*counts: int, about: About = ABOUT, warp: np.ndarray | None = None) -> KeptDetections:
    """Frames with so many detections each; the second frame has the camera's motion `warp`."""
    rng = np.random.default_rng(0)
    recorder = Recorder()
    for k, n in enumerate(counts):
        corner = rng.uniform(0, 300, (n, 2))
        found = Detections(
            np.column_stack([corner, corner + 40]).astype(np.float32),
            rng.uniform(0.1, 1, n).astype(np.float32),
            rng.choice([0, 2, 7], n).astype(np.int16),
        )
        half = to_half(unit_vectors(n)[::-1])
        recorder.add(2 * k, NOON_US + k * 200_000, found, half, warp if k == 1 else None)
    return recorder.kept(about)


def assert_equal(a: KeptDetections, b: KeptDetections) -> None:
    assert a.about == b.about
    for name in ("frame", "captured_at_us", "camera_warp", "n_detections", "embedding"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)
    for name in ("xyxy", "score", "class_id"):
        np.testing.assert_array_equal(getattr(a.detections, name), getattr(b.detections, name), err_msg=name)


@pytest.fixture(params=["local", "memory"])
def lake(request, tmp_path):
    url = str(tmp_path / "lake") if request.param == "local" else f"memory://kept{tmp_path}/lake"
    return Lake.open_or_create(url)


@pytest.mark.parametrize("counts", [(), (0,), (0, 0, 3), (2, 0, 1, 5, 0)])
def test_what_was_seen_comes_back(lake, counts):
    warp = np.array([[1.0, 0.01, -3.5], [-0.01, 1.0, 2.25]])
    kept = seen(*counts, warp=warp)
    assert keeping.read(lake, ABOUT) is None
    keeping.write(lake, kept)
    assert_equal(keeping.read(lake, ABOUT), kept)
    assert keeping.units(lake) == {PLACE}
    assert keeping.abouts(lake, [PLACE, ("gate", "2026-03-01", "gate-2")]) == {PLACE: ABOUT}


def test_equal_detections_give_equal_bytes():
    for table in (tables.detections_table, tables.frames_table):
        assert tables.to_parquet(table(seen(1, 2))) == tables.to_parquet(table(seen(1, 2)))


@pytest.mark.parametrize(
    ("kept", "wanted", "fits"),
    [
        ({}, {}, True),
        ({}, {"key": "other"}, False),
        ({}, {"not_before_us": 5}, False),
        ({}, {"motion_in": "m"}, True),  # kept without what came before: the first motion alone is not known
        ({"motion_in": "n"}, {"motion_in": "m"}, False),
        ({"motion_in": "m"}, {"motion_in": "m"}, True),
        ({"motion_in": "m"}, {}, True),  # nothing is continued, so nothing moves into the first frame
        ({"last_captured_at_us": 9, "motion_out": "m"}, {}, True),
    ],
)
def test_only_what_was_made_from_the_same_is_given_back(tmp_path, kept, wanted, fits):
    lake = Lake.open_or_create(str(tmp_path))
    keeping.write(lake, seen(1, about=replace(ABOUT, **kept)))
    assert (keeping.read(lake, replace(ABOUT, **wanted)) is not None) == fits


def test_to_keep_or_forget_withdraws_the_unit_first(lake):
    lake.write_unit(entry(), "2026-03-01", *no_rows(), None)
    keeping.write(lake, seen(1))
    assert lake.ledger() == []
    lake.write_unit(entry(detections=1), "2026-03-01", *no_rows(), None)
    assert keeping.read(lake, ABOUT) is not None, "a unit's rows come and go beside its detections"
    keeping.remove(lake, SEGMENT)
    assert lake.ledger() == []
    assert keeping.units(lake) == set()


def test_a_removed_unit_leaves_no_detections(lake):
    keeping.write(lake, seen(1))
    lake.write_motion("gate", "gate-1", b"moved")
    lake.write_unit(entry(), "2026-03-01", *no_rows(), None)
    lake.remove_unit("gate", "2026-03-01", "gate-1")
    assert not [path for table in schema.KEPT for path in lake.storage.files(table, ".parquet")]
    assert lake.motion("gate", "gate-1") is None


def test_a_changed_local_date_leaves_none_in_the_old_one(lake):
    keeping.write(lake, seen(1))
    keeping.write(lake, seen(1, about=replace(ABOUT, segment=replace(SEGMENT, local_date="2026-02-28"))))
    assert keeping.units(lake) == {("gate", "2026-02-28", "gate-1")}


def test_duckdb_sees_those_of_entered_units(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    warp = np.array([[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]])
    kept = seen(2, 0, 1, warp=warp)
    keeping.write(lake, kept)
    assert catalog.query(lake.url, "FROM detections").num_rows == 0
    empty = {name: catalog.query(lake.url, f"FROM {name}").schema.names for name in schema.KEPT}
    lake.write_unit(entry(frames=3, detections=3), "2026-03-01", *no_rows(), None)
    filled = {name: catalog.query(lake.url, f"FROM {name}") for name in schema.KEPT}
    assert empty == {name: table.schema.names for name, table in filled.items()}
    looks = np.array(filled["detections"]["embedding"].to_pylist(), np.float32)
    np.testing.assert_array_equal(looks, kept.embedding.astype(np.float32))
    assert filled["frames"]["camera_warp"].to_pylist() == [None, [1, 0, 4, 0, 1, 0], None]
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/detections/**/*.parquet'").fetchall() == [(3,)]
    lake.storage.remove("frames/date=2026-03-01/camera=gate/gate-1.parquet")
    assert catalog.query(lake.url, "FROM detections").num_rows == 0, "without its frames, nothing is kept"


@pytest.mark.parametrize("table", schema.KEPT)
@pytest.mark.parametrize("victim", ["gate-1", "gate-2"])  # DuckDB looks into the first file of a view when it is made
@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b"", lambda b: b[:400] + b"x" * 400 + b[800:]])
def test_a_damaged_kept_file_is_in_the_way_of_no_other_table(tmp_path, table, victim, damage):
    lake = Lake.open_or_create(str(tmp_path))
    for name in ("gate-1", "gate-2"):
        keeping.write(lake, seen(*[1] * 30, about=replace(ABOUT, segment=replace(SEGMENT, segment_id=name))))
        unit = entry(frames=30, detections=30)
        lake.write_unit(replace(unit, segment_id=name), "2026-03-01", *no_rows(), None)
    path = tmp_path / f"{table}/date=2026-03-01/camera=gate/{victim}.parquet"
    path.write_bytes(damage(path.read_bytes()))
    assert catalog.query(lake.url, "FROM coverage").num_rows == 1
    with pytest.raises(LakeError, match=rf"^{path}: not a whole Parquet file .*remove it, and keep detections anew"):
        catalog.query(lake.url, f"SELECT * FROM {table}")
    assert nightfleet("status", tmp_path).returncode == 0
    assert nightfleet("sql", tmp_path, f"SELECT * FROM {table}").returncode == 2


def test_damage_is_named(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    keeping.write(lake, seen(1, 2))
    frames = tmp_path / "frames/date=2026-03-01/camera=gate/gate-1.parquet"
    frames.write_bytes(frames.read_bytes()[:-9])
    with pytest.raises(LakeError, match=r"frames.*gate-1\.parquet: not a whole Parquet file"):
        keeping.about(lake, PLACE)
    frames.write_bytes(tables.to_parquet(tables.frames_table(seen(1)).replace_schema_metadata({})))
    with pytest.raises(LakeError, match="kept by another nightfleet"):
        keeping.about(lake, PLACE)
    frames.write_bytes(tables.to_parquet(tables.frames_table(seen(1))))
    with pytest.raises(LakeError, match="do not fit their frames"):
        keeping.read(lake, ABOUT)


@given(st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_half_floats_are_unit_vectors_again_and_row_by_row(n, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[n // 2 :: 3] = 0
    back = from_half(to_half(vectors))
    assert back.dtype == np.float32
    known = vectors.any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(back[known], axis=1), 1, atol=1e-6)
    assert not back[~known].any()
    np.testing.assert_allclose(back, vectors, atol=5e-4)
    for row in range(n):
        np.testing.assert_array_equal(from_half(to_half(vectors[row : row + 1])), back[row : row + 1])
