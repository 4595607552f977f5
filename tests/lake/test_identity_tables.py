"""A night's identities: written whole, read whole, and hidden while half written."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.lake import decisions, identity_tables
from pipeline.lake.catalog import query
from pipeline.lake.decisions import Decision
from pipeline.lake.identity_tables import MadeFrom, NightTables
from pipeline.lake.writer import Lake

DATE = "2026-03-01"
TABLES = ("calibrations", "camera_looks", "identities", "identity_evidence")


def text(*values: str) -> np.ndarray:
    return np.array([*values, None], dtype=object)[:-1]


def night(identity: str = "id-x", tracklets: tuple[str, ...] = ("a", "b")) -> NightTables:
    """Two tracklets that are one, and what was learned."""
    n = len(tracklets)
    return NightTables(
        identities={
            "tracklet_id": text(*tracklets),
            "identity_id": text(*[identity] * n),
            "confidence": np.full(n, 0.75, np.float32),
        },
        identity_evidence={
            "identity_id": text(identity),
            "tracklet_a": text("a"),
            "tracklet_b": text("b"),
            "camera_a": text("gate"),
            "camera_b": text("quay"),
            "similarity": np.array([0.5], np.float32),
            "probability": np.array([0.75], np.float32),
            "merge_probability": np.array([0.625], np.float32),
            "travel_s": np.array([12.5]),
            "rule": text("look"),
        },
        calibrations={
            "class_group": text("person", "vehicle"),
            "rule": text("mixture", "few pairs"),
            "min_similarity": np.array([0.5, 0.9]),
            "stranger_mean": np.array([0.1, 0.0]),
            "stranger_sd": [0.125, None],
            "match_mean": [0.75, None],
            "match_sd": [0.0625, None],
            "prior_log_odds": np.array([-5.0, 0.0]),
            "n_tracklets": np.array([2, 0]),
            "n_pairs": np.array([1, 0]),
            "search": text("exact", "exact"),
        },
        camera_looks={
            "class_group": text("person", "person"),
            "camera_id": text("gate", "quay"),
            "tint": np.eye(2, 128, dtype=np.float32),
        },
    )


def nothing() -> NightTables:
    """A night without tracklets."""
    return NightTables(*({k: v[:0] for k, v in getattr(night(), name).items()} for name in NightTables.__slots__))


@pytest.fixture
def lake(tmp_path):
    return Lake.open_or_create(str(tmp_path / "lake"))


@pytest.mark.parametrize("written", [nothing(), night()])
def test_a_night_is_read_as_it_was_written(lake, written):
    made = MadeFrom("settings", "units", (("merge", "a", "b"),))
    identity_tables.write_night(lake, DATE, written, made)
    read = identity_tables.read_night(lake, DATE, {made.run_id})
    for name in NightTables.__slots__:
        for column, values in getattr(written, name).items():
            np.testing.assert_array_equal(getattr(read, name)[column], values, err_msg=f"{name}.{column}")
    assert identity_tables.made_from(lake) == {DATE: made}
    assert identity_tables.written_dates(lake) == [DATE]


def test_every_table_can_be_asked(lake):
    identity_tables.write_night(lake, DATE, night(), MadeFrom("s", "u"))
    evidence = query(lake.url, "FROM identity_evidence").to_pylist()
    assert [(row["nth"], row["rule"], row["travel_s"], str(row["date"])) for row in evidence] == [
        (1, "look", 12.5, DATE)
    ]
    assert query(lake.url, "SELECT class_group FROM calibrations WHERE stranger_sd IS NULL")[0].to_pylist() == [
        "vehicle"
    ]
    assert query(lake.url, "SELECT tint[2] FROM camera_looks WHERE camera_id = 'quay'")[0].to_pylist() == [1.0]


@pytest.mark.parametrize("n_written", range(4))
def test_a_night_half_rewritten_shows_no_rows_of_two_runs(lake, n_written):
    """Killed after so many files: who asks sees the identities of before, and evidence only where it is theirs."""
    identity_tables.write_night(lake, DATE, night("id-old"), MadeFrom("s", "u"))
    write, left = lake.storage.write, n_written

    def dies(path, content):
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        write(path, content)

    lake.storage.write = dies
    with pytest.raises(KeyboardInterrupt):
        identity_tables.write_night(lake, DATE, night("id-new"), MadeFrom("s", "u2"))
    lake.storage.write = write
    (shown,) = query(lake.url, "SELECT DISTINCT identity_id FROM identities")[0].to_pylist()
    assert shown == ("id-old" if n_written < 3 else "id-new")
    assert {row["identity_id"] for row in query(lake.url, "FROM identity_evidence").to_pylist()} <= {shown}
    old, new = MadeFrom("s", "u"), MadeFrom("s", "u2")
    assert identity_tables.last_made_from(lake, DATE) == old, "what the run before knew is still there"
    assert (identity_tables.read_night(lake, DATE, {old.run_id}) is None) == (n_written > 0)
    assert identity_tables.read_night(lake, DATE, {old.run_id, new.run_id}) is not None
    assert identity_tables.made_from(lake).get(DATE) == (old if n_written < 3 else None), "so the night is made again"


def test_a_night_without_its_identities_shows_nothing(lake):
    identity_tables.write_night(lake, DATE, night(), MadeFrom("s", "u"))
    lake.storage.remove(f"identities/date={DATE}/identities.parquet")
    assert all(query(lake.url, f"FROM {name}").num_rows == 0 for name in TABLES)
    assert identity_tables.made_from(lake) == {}


def test_a_lost_or_foreign_file_leaves_the_night_unmade(lake):
    identity_tables.write_night(lake, DATE, night(), MadeFrom("s", "u"))
    lake.storage.remove(f"camera_looks/date={DATE}/looks.parquet")
    assert identity_tables.made_from(lake) == {}
    lake.write_identities("2026-03-02", *night().identities.values(), "of an older nightfleet")
    assert identity_tables.made_from(lake) == {}
    assert identity_tables.last_made_from(lake, "2026-03-02") is None


def test_removing_a_night_leaves_nothing_of_it(lake):
    identity_tables.write_night(lake, DATE, night(), MadeFrom("s", "u"))
    identity_tables.remove_night(lake, DATE)
    assert lake.storage.files("", ".parquet") == []


def test_ids_and_merges_of_chosen_nights(lake):
    identity_tables.write_night(lake, DATE, night("id-x"), MadeFrom("s", "u"))
    identity_tables.write_night(lake, "2026-03-02", night("id-y", ("c",)), MadeFrom("s", "u"))
    assert identity_tables.identity_of(lake, "2026-03-02") == {"c": "id-y"}
    assert identity_tables.identity_of(lake, "2026-03-03") == {}
    both = (DATE, "2026-03-02")
    assert identity_tables.in_use(lake, both, ["id-x", "id-y", "id-z"]) == {"id-x", "id-y"}
    assert identity_tables.in_use(lake, both[:1], ["id-y"]) == set() == identity_tables.in_use(lake, both, [])
    found = identity_tables.evidence_of(lake, both[:1], ["b"])
    assert (found["identity_id"], found["tracklet_a"]) == (["id-x"], ["a"])
    assert identity_tables.evidence_of(lake, both, ["c"])["rule"] == []


def test_decisions_are_kept_one_file_each_and_forgotten_one_by_one(lake):
    assert decisions.read(lake) == []
    split = Decision((("split", "a", "b"), ("merge", "b", "c")), 2_000_000, "Ada", "not the same coat")
    merge = Decision((("merge", "a", "d"),), 1_000_000)
    for decision in (split, merge):
        decisions.write(lake, decision)
    assert decisions.read(lake) == [merge, split]
    assert (split.kind, merge.kind) == ("split", "merge")
    assert (split.together, split.apart, split.tracklets) == ((("b", "c"),), (("a", "b"),), {"a", "b", "c"})
    rows = query(
        lake.url, "SELECT kind, tracklet_b, decided_by, note, epoch_us(decided_at) AS us FROM identity_decisions"
    )
    assert {tuple(row.values()) for row in rows.to_pylist()} == {
        ("split", "b", "Ada", "not the same coat", 2_000_000),
        ("merge", "c", "Ada", "not the same coat", 2_000_000),
        ("merge", "d", "", "", 1_000_000),
    }
    decisions.remove(lake, split.decision_id)
    assert decisions.read(lake) == [merge]


def test_a_damaged_decision_is_named(lake):
    lake.storage.write("identity_decisions/merge-00.parquet", b"nonsense")
    with pytest.raises(LakeError, match=r"merge-00\.parquet: not a whole Parquet file"):
        decisions.read(lake)
