"""Stored crossings are those that would be found, whatever happened to the lake since they were stored."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.lake import crossed, erasing, erasures, proving
from pipeline.lake.catalog import connect, query
from pipeline.lake.crossed import Refreshed, refresh
from pipeline.lake.writer import Lake
from tests.lake.making import NOON_US, entry, fleet, line, rows

DAY_US = 86_400_000_000
MOVED = ((120, 50), (120, 150))


def walks(seed: int, segment_id: str) -> dict[str, np.ndarray]:
    """Tracks of a segment that wander about the line at x = 100."""
    rng = np.random.default_rng(seed)
    return {
        f"{segment_id}-{k}": rng.uniform(60, 140, 2) + np.cumsum(rng.normal(0, 8, (40, 2)), axis=0) for k in range(12)
    }


def put(lake: Lake, day: int, *, seed: int = 0, key: str = "k") -> None:
    """Write a unit of that day of March, from noon."""
    segment_id, began_us = f"gate-{day}", NOON_US + (day - 1) * DAY_US
    made = rows(walks(seed or day, segment_id), segment_id=segment_id, started_at_us=began_us)
    unit = entry(segment_id, started_at_us=began_us, ended_at_us=began_us + 60_000_000, key=key)
    lake.write_unit(unit, f"2026-03-0{day}", *made, None)


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [line(), line("other", ((80, 60), (130, 140)))]}))
    for day in (1, 2, 3, 4):
        put(lake, day)
    return lake


def computed(lake: Lake) -> list[tuple]:
    """All crossings, with nothing stored."""
    held = {path: lake.storage.read(path) for path in lake.storage.files("", ".parquet") if "stored_" in path}
    for path in held:
        lake.storage.remove(path)
    found = asked(lake)
    for path, content in held.items():
        lake.storage.write(path, content)
    return found


def asked(lake: Lake) -> list[tuple]:
    return sorted(tuple(row.values()) for row in query(lake.url, "FROM crossings").to_pylist())


def stored(lake: Lake) -> list[str]:
    return lake.storage.files("stored_crossings", ".parquet")


def lines_of(lake: Lake, is_stored: bool) -> int:
    sql = "SELECT count(*) FROM line_days WHERE is_stored = ?"
    return query(lake.url, sql, [is_stored])[0].to_pylist()[0]


def test_stored_are_those_computed_and_a_second_refresh_finds_nothing_to_do(lake):
    before = asked(lake)
    assert len(before) > 20 and stored(lake) == []
    assert refresh(lake.url) == Refreshed(written=8, removed=0)
    assert asked(lake) == before and lines_of(lake, False) == 0
    contents = {path: lake.storage.read(path) for path in stored(lake)}
    assert refresh(lake.url) == Refreshed(written=0, removed=0)
    for path in contents:
        lake.storage.remove(path)
    refresh(lake.url)
    assert {path: lake.storage.read(path) for path in stored(lake)} == contents
    with connect(lake.url) as connection:
        one_day = connection.execute("SELECT count(*) FROM crossings_between('2026-03-02', '2026-03-02')").fetchone()
        plan = connection.execute("EXPLAIN ANALYZE FROM crossings_between('2026-03-02', '2026-03-02')").fetchall()
    assert one_day[0] == sum(str(row[0]) == "2026-03-02" for row in before) > 0
    assert "Total Files Read: 2" in plan[0][1] or "Files Read: 2" in plan[0][1], plan[0][1]


def test_some_dates_are_stored_with_the_days_beside_them_and_the_rest_computed(lake):
    before = asked(lake)
    assert refresh(lake.url, "2026-03-01", "2026-03-01") == Refreshed(written=4, removed=0)
    assert (lines_of(lake, True), lines_of(lake, False)) == (4, 4)
    assert asked(lake) == before


def test_a_moved_line_is_looked_for_anew_and_the_others_are_not(lake):
    refresh(lake.url)
    kept = [path for path in stored(lake)]
    lake.write_fleet(fleet({"id": "gate", "lines": [line(points=MOVED), line("other", ((80, 60), (130, 140)))]}))
    assert lines_of(lake, False) == 4
    moved = asked(lake)
    assert moved == computed(lake)
    assert refresh(lake.url) == Refreshed(written=4, removed=4)
    assert asked(lake) == moved
    assert len(set(stored(lake)) & set(kept)) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"anchor": (0.5, 0.5)}, {"settle_frames": 2}, {"forward": "hither"}, {"classes": ["person"]}, {"gate": "door"},
    ],
)  # fmt: skip
def test_what_a_line_says_counts_at_once(lake, change):
    """What changes who crosses makes the stored rows untrue; names, classes and gates are laid to them as they are."""
    refresh(lake.url)
    lake.write_fleet(fleet({"id": "gate", "lines": [{**line(), **change}, line("other", ((80, 60), (130, 140)))]}))
    assert lines_of(lake, False) == (4 if {"anchor", "settle_frames"} & set(change) else 0)
    assert asked(lake) == computed(lake)


def test_a_unit_made_anew_takes_the_days_beside_it_with_it(lake):
    refresh(lake.url)
    put(lake, 2, seed=77, key="another")
    # Of the 1st, tracks may have ended on the 2nd or the 3rd; of the 3rd, they may have come from the 2nd.
    assert lines_of(lake, False) == 6
    new = asked(lake)
    assert new == computed(lake)
    assert refresh(lake.url) == Refreshed(written=6, removed=8)
    assert asked(lake) == new


def test_a_unit_that_is_gone_leaves_no_row(lake):
    refresh(lake.url)
    lake.remove_unit("gate", "2026-03-04", "gate-4")
    assert asked(lake) == computed(lake)
    assert not any("gate-4" in str(row) for row in asked(lake))
    refresh(lake.url)
    assert not any("date=2026-03-04" in path for path in stored(lake))


def test_an_erased_track_leaves_nothing_in_stored_crossings(lake):
    refresh(lake.url)
    who = query(lake.url, "SELECT tracklet_id FROM crossings WHERE date = '2026-03-02' ORDER BY ALL")[0][0].as_py()
    digests = {erasures.name_digest(who)}
    found = erasing.find(lake, erasing.Targets(digests))
    assert found.counts["stored_crossings"] > 0 and found.counts["stored_extents"] == 3  # 4 s, in pieces of 1.6 s
    erasure = erasures.Erasure(
        erasures.name_digest(who), "tracklet", tuple(digests), (), ("gate",), found.dates, "2026-03-09T00:00:00+00:00"
    )
    others = [row for row in asked(lake) if who not in row]
    assert proving.found(lake, proving.Search(erasure))["stored_crossings"] > 0
    erasing.remove(lake, erasure, found)
    assert not proving.found(lake, proving.Search(erasure)).total()
    assert asked(lake) == others
    refresh(lake.url)
    assert asked(lake) == others
    assert not proving.found(lake, proving.Search(erasure)).total()


def test_who_is_erased_while_crossings_are_found_is_not_stored(lake, monkeypatch):
    def store_and_erase(*arguments, store=crossed._store):
        lake.storage.write("erasures/date=2026-03-02/mark", b"\n")
        return store(*arguments)

    monkeypatch.setattr(crossed, "_store", store_and_erase)
    assert refresh(lake.url) == Refreshed(written=0, removed=0)
    assert not [path for path in lake.storage.files("", "") if "stored_" in path]


def test_a_lake_that_cannot_be_written_to_is_answered_all_the_same(lake, monkeypatch):
    before = asked(lake)

    def refuse(self, path, content):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(type(lake.storage), "write", refuse)
    assert refresh(lake.url) == Refreshed(0, 0, is_stored=False)
    assert asked(lake) == before


def test_a_lake_of_a_remote_file_system_stores_them_too(lake, tmp_path):
    remote = Lake.open_or_create(f"memory://crossed{tmp_path}")
    for path in lake.storage.files("", ""):
        remote.storage.write(path.removeprefix("./"), lake.storage.read(path))
    assert refresh(remote.url).written == 8
    assert asked(remote) == asked(lake) and lines_of(remote, False) == 0


def test_a_damaged_file_of_stored_crossings_is_named(lake):
    refresh(lake.url)
    path = stored(lake)[0]
    lake.storage.write(path, lake.storage.read(path)[:200])
    with pytest.raises(LakeError, match=rf"{path}: not a whole .*remove it; the next report makes it anew"):
        asked(lake)


def test_old_lakes_have_the_columns_their_fleet_tables_lack(lake):
    """Lines and zones written by a nightfleet that knew no gates, anchors and settling."""
    from pipeline.lake import tables

    before = asked(lake)
    path = "lines/lines.parquet"
    old = tables.from_parquet(lake.storage.read(path), path)
    lacking = old.drop_columns(["gate_id", "anchor_x", "anchor_y", "settle_frames", "scale_error"])
    lake.storage.write(path, tables.to_parquet(lacking))
    assert asked(lake) == before
    assert query(lake.url, "SELECT gate_id, settle_frames FROM lines ORDER BY ALL").to_pylist() == [
        {"gate_id": "bridge", "settle_frames": None}, {"gate_id": "other", "settle_frames": None},
    ]  # fmt: skip
