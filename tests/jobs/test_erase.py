"""Somebody is erased from a lake of two nights: nothing of them is left or comes back, and nobody else changes."""

from __future__ import annotations

import io
import json
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import erase, nightly, retrack
from pipeline import config
from pipeline.errors import UserError
from pipeline.execution import states
from pipeline.execution.progress import Silence
from pipeline.lake import catalog, decisions, erasures, laying, schema
from pipeline.lake.storage import LocalStorage
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet, write_fleet

IDS = ("tracklet_id", "tracklet_a", "tracklet_b", "identity_id")


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


def two_nights(town: Path, folder: Path, **execution) -> config.FleetConfig:
    """A fleet over a town's footage, and over the same footage a day later."""
    town = shutil.copytree(town, folder / "town")
    for path in sorted(town.glob("footage/*/*.mp4")):
        shutil.copy(path, path.with_name(path.name.replace("20260512", "20260513")))
    told = {"executor": "local", "keep_detections": True, "keep_thumbnails": True, **execution}
    return config.load(write_fleet(town, folder, execution=told))


def run(fleet: config.FleetConfig) -> nightly.RunSummary:
    return nightly.run(fleet, progress=Silence())


@pytest.fixture(scope="module")
def original(tiny_town, tmp_path_factory) -> config.FleetConfig:
    """A fleet with its finished lake. Read it, do not write to it."""
    fleet = two_nights(tiny_town, tmp_path_factory.mktemp("original"))
    run(fleet)
    return fleet


@pytest.fixture
def fleet(original, tmp_path) -> config.FleetConfig:
    """The same fleet with a copy of the lake."""
    shutil.copytree(original.lake, tmp_path / "lake")
    return original.model_copy(update={"lake": str(tmp_path / "lake")})


@pytest.fixture(scope="module")
def victim(original) -> str:
    """An identity of both nights that goes on from one file into the next, with kept detections."""
    rows = catalog.query(
        original.lake,
        """
        SELECT identity_id, count(DISTINCT o.date) AS nights, count(DISTINCT o.segment_id) AS files
        FROM observations o JOIN identities USING (tracklet_id)
        GROUP BY ALL ORDER BY nights DESC, files DESC, identity_id
        """,
    ).to_pylist()
    assert rows[0]["nights"] == 2 and rows[0]["files"] == 4
    return rows[0]["identity_id"]


def tracklets_of(lake: str, identity: str) -> set[str]:
    sql = "SELECT tracklet_id FROM identities WHERE identity_id = ?"
    return set(catalog.query(lake, sql, [identity])[0].to_pylist())


def files_of(lake: str) -> dict[str, bytes]:
    """Every file of a lake but erasure records, the ledger, which holds times, and the configuration, which holds
    where the lake lay."""
    found = {str(path.relative_to(lake)): path.read_bytes() for path in Path(lake).rglob("*") if path.is_file()}
    return {
        name: content
        for name, content in found.items()
        if name.split("/")[0] not in ("erasures", "ledger", "_fleet.json")
    }


def table_of(content: bytes) -> pa.Table:
    return pq.ParquetFile(io.BytesIO(content)).read()


def rows_without(table: pa.Table, gone: set[str]) -> pa.Table:
    keep = np.ones(len(table), bool)
    for name in IDS:
        if name in table.schema.names:
            keep &= np.array([value not in gone for value in table[name].to_pylist()], bool)
    return table.filter(keep)


def do(lake: str, **of) -> dict[str, dict]:
    done = erase.erase(erase.look(lake, **of))
    assert done.clean, done.places
    return {row["place"]: row for row in done.places}


def assert_nothing_is_left(lake: str, gone: set[str], vectors: set[bytes]) -> None:
    """An independent search: names in every cell, and vectors in every cell."""
    for name, content in files_of(lake).items():
        if not name.endswith(".parquet"):
            for one in gone:
                assert one.encode() + b'"' not in content, name
                assert f"{one}\0".encode("utf-32-le") not in content, name
            continue
        table = table_of(content)
        for column in table.columns:
            if pa.types.is_string(column.type):
                assert not gone & set(column.to_pylist()), name
    left = catalog.query(lake, "SELECT embedding FROM embeddings")[0].combine_chunks().flatten().to_numpy()
    assert not vectors & {row.tobytes() for row in left.reshape(-1, 128)}


def vectors_of(lake: str, gone: set[str]) -> set[bytes]:
    rows = catalog.query(lake, "SELECT tracklet_id, embedding FROM embeddings")
    flat = rows["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, 128)
    owned = defaultdict(set)
    for name, row in zip(rows["tracklet_id"].to_pylist(), flat):
        owned[row.tobytes()].add(name)
    return {vector for vector, names in owned.items() if names <= gone}


def test_every_row_goes_and_nobody_elses(fleet, original, victim):
    gone = tracklets_of(fleet.lake, victim) | {victim}
    vectors = vectors_of(fleet.lake, gone)
    before = files_of(fleet.lake)
    places = do(fleet.lake, identity=victim)
    for place in ("observations", "tracklets", "embeddings", "thumbnails", "detections", "identities", "states"):
        assert places[place]["removed"] > 0, place
    after = files_of(fleet.lake)
    assert places["stored_crossings"]["found"] == 0
    derived = ("index/", "stored_")
    assert {name for name in after if not name.startswith(derived)} == {
        name for name in before if not name.startswith(derived)
    }
    n_unseen = 0
    for name, content in after.items():
        if name.startswith("detections/"):
            n_unseen += len(table_of(before[name])) - len(table_of(content))
        elif name.endswith(".parquet"):
            wanted = rows_without(table_of(before[name]), gone)
            assert table_of(content).equals(wanted, check_metadata=True), name
            assert content == before[name] or len(wanted) < len(table_of(before[name])), "others' files are untouched"
    assert n_unseen == places["detections"]["removed"]
    assert_nothing_is_left(fleet.lake, gone, vectors)
    now, then = ({e.segment_id: e for e in Lake.open(lake).ledger()} for lake in (fleet.lake, original.lake))
    for name, entry in now.items():
        for table in schema.PER_SEGMENT:
            where = f"{table}/date={entry.local_date}/camera={entry.camera_id}/{name}.parquet"
            assert getattr(entry, table) == len(table_of(after[where]))
        same = {table: getattr(entry, table) for table in (*schema.PER_SEGMENT, "detections")}
        assert entry == replace(then[name], **same), "keys, states and times stay"


def test_detections_of_the_others_stay_and_those_of_the_erased_go(fleet, victim):
    gone = tracklets_of(fleet.lake, victim)
    sql = """
        SELECT d.camera_id, d.captured_at, d.x1, d.y1, o.tracklet_id FROM detections d
        JOIN observations o USING (camera_id, frame, segment_id, score, "class") WHERE NOT o.interpolated
    """
    before = catalog.query(fleet.lake, sql).to_pylist()
    do(fleet.lake, identity=victim)
    kept = {
        tuple(row.values())[:4]
        for row in catalog.query(fleet.lake, "FROM detections")
        .select(["camera_id", "captured_at", "x1", "y1"])
        .to_pylist()
    }
    whose = defaultdict(set)
    for row in before:
        whose[tuple(row.values())[:4]].add(row["tracklet_id"])
    theirs = {place for place, names in whose.items() if names <= gone}
    assert len(theirs) > 10
    assert len(theirs & kept) <= 0.05 * len(theirs), "but where another's box lies over it more"
    assert {place for place, names in whose.items() if not names & gone} <= kept


def test_a_later_run_has_nothing_to_do_and_nobody_gets_another_identity(fleet, victim):
    do(fleet.lake, identity=victim)
    before, derived = files_of(fleet.lake), ("index/", "stored_")
    summary = run(fleet)
    assert (summary.segments_done, summary.segments_skipped, summary.identities) == (0, 8, 0)
    after = files_of(fleet.lake)
    assert {name: after[name] for name in after if not name.startswith(derived)} == {
        name: before[name] for name in before if not name.startswith(derived)
    }


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("unit", [0, 1])
def test_a_unit_made_anew_leaves_them_out(fleet, victim, unit, kept):
    gone = tracklets_of(fleet.lake, victim) | {victim}
    vectors = vectors_of(fleet.lake, gone)
    if not kept:
        told = fleet.execution.model_copy(update={"keep_detections": False})
        fleet = fleet.model_copy(update={"execution": told})
        for table in schema.KEPT:
            shutil.rmtree(Path(fleet.lake) / table)
    do(fleet.lake, identity=victim)
    lake = Lake.open(fleet.lake)
    camera = min(gone - {victim}).split("-")[0]
    entry = [entry for entry in lake.ledger() if entry.camera_id == camera][unit]
    before = catalog.query(fleet.lake, "FROM tracklets ORDER BY tracklet_id").to_pylist()
    lake.withdraw(entry.camera_id, entry.local_date, entry.segment_id)
    summary = run(fleet)
    assert summary.segments_done >= 1 and not summary.failures
    assert_nothing_is_left(fleet.lake, gone, vectors)
    after = catalog.query(fleet.lake, "FROM tracklets ORDER BY tracklet_id").to_pylist()
    if not kept:  # from the footage, whole states and all: everybody is as before
        assert after == before
        assert run(fleet).segments_done == 0
    assert erase.look(fleet.lake, identity=victim).counts.total() == 0
    assert do(fleet.lake, identity=victim)


def test_retracking_leaves_them_out_and_does_not_crash(fleet, victim):
    gone = tracklets_of(fleet.lake, victim) | {victim}
    vectors = vectors_of(fleet.lake, gone)
    do(fleet.lake, identity=victim)
    own = fleet.tracker
    same = retrack.retrack(fleet.lake, progress=Silence())
    assert (same.units, same.unchanged) == (0, 8)
    retrack.retrack(fleet.lake, tracker=config.tracker_preset("sort"), progress=Silence())
    retrack.retrack(fleet.lake, tracker=own, progress=Silence())
    assert_nothing_is_left(fleet.lake, gone, vectors)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 0.99])
def test_a_kill_midway_leaves_a_whole_lake_and_another_go_ends_the_same(fleet, original, victim, tmp_path, share):
    gone = tracklets_of(fleet.lake, victim) | {victim}
    undisturbed = str(shutil.copytree(original.lake, tmp_path / "undisturbed"))
    written = []
    write, remove = LocalStorage.write, LocalStorage.remove

    def counted(self, path, *content):
        if limit is not None and len(written) >= limit:
            raise Killed
        written.append(path)
        (write if content else remove)(self, path, *content)

    limit = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalStorage, "write", counted)
        patch.setattr(LocalStorage, "remove", counted)
        do(undisturbed, identity=victim)
        limit = int(share * len(written))
        written.clear()
        with pytest.raises(Killed):
            do(fleet.lake, identity=victim)
    with catalog.connect(fleet.lake) as connection:
        for view in (*laying.FILE_VIEWS, "crossings", "zone_visits", "identity_sightings"):
            catalog.select(connection, f"SELECT count(*) FROM {view}")
        joined = "SELECT count(*) FROM identities ANTI JOIN tracklets USING (tracklet_id) WHERE identity_id <> ?"
        assert catalog.select(connection, joined, [victim])[0][0].as_py() == 0
    if limit:
        told = nightfleet("erase", fleet.lake, "--identity", victim, "--yes")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "cut short" in told.stdout
    else:
        do(fleet.lake, identity=victim)
    assert files_of(fleet.lake) == files_of(undisturbed)
    record = erasures.find(Lake.open(fleet.lake), erasures.name_digest(victim))
    assert record.state == erasures.DONE
    assert not any(name in json.dumps(record.names) for name in gone)


def test_a_run_after_a_kill_does_not_bring_back_what_was_removed(fleet, victim):
    gone = tracklets_of(fleet.lake, victim)
    seen = erase.look(fleet.lake, identity=victim)
    with pytest.MonkeyPatch.context() as patch:

        def killed(lake):
            raise Killed

        patch.setattr("jobs.erase.forgetting.clean_states", killed)
        with pytest.raises(Killed):
            erase.erase(seen)
    run(fleet)
    assert not gone & set(catalog.query(fleet.lake, "SELECT tracklet_id FROM tracklets")[0].to_pylist())
    do(fleet.lake, identity=victim)


def test_a_search_afterwards_does_not_find_them(fleet, victim):
    gone = tracklets_of(fleet.lake, victim)
    one = sorted(gone)[0]
    other = catalog.query(
        fleet.lake,
        "SELECT t.tracklet_id FROM tracklets t JOIN identities i USING (tracklet_id) "
        "WHERE identity_id <> $id AND class IN (SELECT class FROM tracklets WHERE tracklet_id = $one) ORDER BY ALL",
        {"id": victim, "one": one},
    )[0].to_pylist()[0]
    first = nightfleet("search", fleet.lake, "--tracklet", other, "--top", "50", "--json")
    assert gone & {hit["tracklet_id"] for hit in json_of(first)["hits"]}, "a search has made an index of them"
    places = do(fleet.lake, identity=victim)
    assert places["index"]["removed"] == 2
    again = json_of(nightfleet("search", fleet.lake, "--tracklet", other, "--top", "50", "--json"))
    assert again["hits"] and not gone & {hit["tracklet_id"] for hit in again["hits"]}
    assert nightfleet("search", fleet.lake, "--tracklet", one, "--json").returncode == 2


def test_decisions_that_name_them_go_and_the_nights_stay(fleet, victim):
    mine = sorted(tracklets_of(fleet.lake, victim))
    others = sorted(set(catalog.query(fleet.lake, "SELECT tracklet_id FROM tracklets")[0].to_pylist()) - set(mine))
    lake = Lake.open(fleet.lake)
    two, one, none = (("split", others[0], mine[0]), ("split", others[0], others[-1])), (), ()
    one, none = (("split", mine[0], others[1]),), (("split", others[1], others[2]),)
    for at, rows in enumerate((two, one, none)):
        decisions.write(lake, decisions.Decision(rows, decided_at_us=at + 1))
    run(fleet)
    identities = (
        "FROM identities SELECT tracklet_id, identity_id WHERE tracklet_id NOT IN (SELECT unnest($mine)) ORDER BY 1"
    )
    before = catalog.query(fleet.lake, identities, {"mine": mine}).to_pylist()
    now = catalog.query(fleet.lake, "SELECT identity_id FROM identities WHERE tracklet_id = ?", [mine[0]])[0][0].as_py()
    do(fleet.lake, identity=now)
    assert [decision.rows for decision in decisions.read(lake)] == [(two[1],), none]
    assert run(fleet).identities == 0, "no night is linked again"
    assert catalog.query(fleet.lake, identities, {"mine": mine}).to_pylist() == before


def test_one_tracklet_of_an_identity(fleet, victim):
    mine = sorted(tracklets_of(fleet.lake, victim))
    do(fleet.lake, tracklet=mine[0])
    assert tracklets_of(fleet.lake, victim) == set(mine[1:])
    assert run(fleet).identities == 0


def test_states_stand_for_what_they_were_and_hold_everybody_else(fleet, original, victim):
    gone = tracklets_of(fleet.lake, victim)
    do(fleet.lake, identity=victim)
    lake, whole = Lake.open(fleet.lake), Lake.open(original.lake)
    n_edited = 0
    for entry in lake.ledger():
        state = lake.state(entry.camera_id, entry.segment_id)
        if state is None:
            continue
        assert states.state_digest(state) == entry.state_out_digest
        before = whole.state(entry.camera_id, entry.segment_id)
        n_edited += state != before
        names = states._texts(states.opened(state))
        assert names == states._texts(before) - gone
    assert n_edited


def test_what_is_left_is_found_and_told(fleet, victim):
    name = sorted(tracklets_of(fleet.lake, victim))[0]
    (Path(fleet.lake) / "notes.txt").write_text(f"seen again: {name}, at the gate")
    told = nightfleet("erase", fleet.lake, "--identity", victim, "--yes", "--json")
    assert told.returncode == 1
    result = json_of(told)
    assert not result["clean"]
    assert [row for row in result["places"] if row["found"]] == [{"place": "other files", "removed": 0, "found": 1}]
    (Path(fleet.lake) / "notes.txt").unlink()
    assert nightfleet("erase", fleet.lake, "--identity", victim, "--yes").returncode == 0


def test_the_command_asks_refuses_and_tells(fleet, victim):
    before = files_of(fleet.lake)
    dry = json_of(nightfleet("erase", fleet.lake, "--identity", victim, "--dry-run", "--json"))
    assert dry["dry_run"] and dry["clean"] is None and any(row["to_remove"] for row in dry["places"])
    assert dry["tracklets"] >= 2 and dry["nights"] == ["2026-05-12", "2026-05-13"]
    refused = nightfleet("erase", fleet.lake, "--identity", victim)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    close = nightfleet("erase", fleet.lake, "--identity", victim[:-1] + "x", "--yes")
    assert close.returncode == 2 and f"did you mean {victim!r}?" in close.stderr
    for wrong in ((), ("--identity", "a", "--tracklet", "b")):
        assert "exactly one" in nightfleet("erase", fleet.lake, *wrong, "--yes").stderr
    assert files_of(fleet.lake) == before
    assert not erasures.read(Lake.open(fleet.lake))
    done = nightfleet("erase", fleet.lake, "--identity", victim, "--yes")
    assert done.returncode == 0 and "nothing of that identity is left" in done.stdout
    again = nightfleet("erase", fleet.lake, "--identity", victim, "--yes")
    assert again.returncode == 0 and "erased before" in again.stdout
    with pytest.raises(UserError, match="no tracklet 'nobody'"):
        erase.look(fleet.lake, tracklet="nobody")


def test_a_tracklet_erased_with_its_identity_is_known_to_be(fleet):
    lake = fleet.lake
    row = catalog.query(str(lake), "SELECT identity_id, tracklet_id FROM identities LIMIT 1").to_pylist()[0]
    planned = json_of(nightfleet("erase", lake, "--identity", row["identity_id"], "--dry-run", "--json"))
    assert planned["clean"] is None and all(set(place) == {"place", "to_remove"} for place in planned["places"])
    assert nightfleet("erase", lake, "--identity", row["identity_id"], "--yes").returncode == 0
    again = json_of(nightfleet("erase", lake, "--tracklet", row["tracklet_id"], "--dry-run", "--json"))
    assert again["earlier"] == "done"
    assert not any(place["to_remove"] for place in again["places"])
