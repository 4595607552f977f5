"""Identities night after night: ids that stay, somebody who comes back, and writers killed midway."""

from __future__ import annotations

import pytest

from jobs import identify as identifying
from jobs import returners
from jobs.identify import identify
from pipeline.config import FleetConfig
from pipeline.lake import catalog, identity_tables
from pipeline.lake.writer import Lake
from tests.jobs.night_lakes import (
    CAMERAS,
    FIRST,
    MIDNIGHT_S,
    NOON_S,
    SECOND,
    THIRD,
    People,
    content,
    day_after,
    day_s,
    evidence,
    files,
    fleet,
    identities,
    lake_of,
    of_person,
    shorter,
    write_seen,
)

PEOPLE = People()


def crowds(*dates: str) -> dict[str, list]:
    """Twenty people a day, of whom ten come back on the next day."""
    return {day: PEOPLE.crowd(day, range(10 * nth, 10 * nth + 20)) for nth, day in enumerate(dates)}


def through_midnight() -> tuple[list, list]:
    """Person 39 seen at 23:59:30 by the gate and at 00:00:05 by the quay, among the crowds of two days."""
    start_s = day_s(FIRST) + MIDNIGHT_S - 30
    before, after = PEOPLE.walk(39, start_s, "gate"), PEOPLE.walk(39, start_s + 35, "quay")
    return [*PEOPLE.crowd(FIRST, range(20)), *before], [*PEOPLE.crowd(SECOND, range(20, 38)), *after]


def test_an_empty_lake_and_a_night_of_nothing(tmp_path):
    lake, config = lake_of(tmp_path / "lake", {})
    assert identify(config, lake) == 0 and content(lake) == {}
    lake, config = lake_of(tmp_path / "other", {FIRST: shorter(PEOPLE.crowd(FIRST, range(2)), 1)})
    found = identities(lake)
    assert len(set(found.values())) == len(found) == 8, "tracklets too short to be judged stand alone"
    assert identify(config, lake) == 0


def test_people_of_a_night_are_found_and_every_merge_has_a_row(tmp_path):
    lake, _ = lake_of(tmp_path / "lake", crowds(FIRST))
    found = identities(lake)
    assert all(len(of_person(found, who)) == 1 for who in range(20)) and len(set(found.values())) == 20
    rows = catalog.query(lake.url, "FROM identity_evidence ORDER BY nth").to_pylist()
    assert len(rows) == len(found) - 20, "a cluster of n tracklets has n - 1 merges"
    assert [row["nth"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(found[row["tracklet_a"]] == found[row["tracklet_b"]] == row["identity_id"] for row in rows)
    looks = catalog.query(lake.url, "SELECT camera_id, class_group FROM camera_looks ORDER BY ALL").to_pylist()
    assert [row["camera_id"] for row in looks] == sorted(CAMERAS) and {row["class_group"] for row in looks} == {
        "person"
    }


def test_running_again_changes_neither_byte_nor_time(tmp_path):
    lake, config = lake_of(tmp_path / "lake", crowds(FIRST, SECOND))
    before = files(lake)
    assert len(before) == 8
    assert identify(config, lake) == 0
    assert files(lake) == before


def test_the_same_input_gives_the_same_bytes(tmp_path):
    one, _ = lake_of(tmp_path / "one", crowds(FIRST, SECOND))
    other, _ = lake_of(tmp_path / "other", dict(reversed(crowds(FIRST, SECOND).items())))
    assert content(one) == content(other)


def test_a_night_added_leaves_the_others_alone_and_knows_who_returns(tmp_path):
    nights = crowds(FIRST, SECOND)
    lake, config = lake_of(tmp_path / "lake", {FIRST: nights[FIRST]})
    before = files(lake)
    write_seen(lake, SECOND, nights[SECOND])
    assert identify(config, lake) == 20
    assert files(lake, FIRST) == before
    found = identities(lake)
    assert all(len(of_person(found, who)) == 1 for who in range(30)) and len(set(found.values())) == 30
    returned = evidence(lake, "returned")
    assert len(returned) == 10
    for row in returned:
        assert found[row["tracklet_a"]] == found[row["tracklet_b"]] == row["identity_id"]
        assert row["probability"] >= 0.5 and 80_000 < row["travel_s"] < 90_000
    both, _ = lake_of(tmp_path / "both", nights)
    assert content(both) == content(lake)


def test_an_older_night_added_later_joins_those_there_are(tmp_path):
    nights = crowds(FIRST, SECOND, THIRD)
    lake, config = lake_of(tmp_path / "lake", {SECOND: nights[SECOND], THIRD: nights[THIRD]})
    before, ids = files(lake), identities(lake)
    write_seen(lake, FIRST, nights[FIRST])
    identify(config, lake)
    found = identities(lake)
    assert {name: path for name, path in files(lake).items() if FIRST not in name} == before
    assert found.items() >= ids.items()
    assert all(len(of_person(found, who)) == 1 for who in range(40)), "those of the first night have the newer ids"


@pytest.mark.parametrize("memory_days", [0, 7])
@pytest.mark.parametrize("first", [FIRST, SECOND], ids=["older first", "newer first"])
def test_a_walk_through_midnight_goes_on_as_one(tmp_path, first, memory_days):
    nights = dict(zip((FIRST, SECOND), through_midnight()))
    other = SECOND if first == FIRST else FIRST
    lake, config = lake_of(tmp_path / "lake", {first: nights[first]}, memory_days=memory_days)
    before = files(lake)
    write_seen(lake, other, nights[other])
    identify(config, lake)
    found = identities(lake)
    assert len(of_person(found, 39)) == 1 and len(set(found.values())) == 39
    assert files(lake, first) == before
    (row,) = [row for row in evidence(lake, "look%") if "t39" in row["tracklet_a"]]
    assert (row["camera_a"], row["camera_b"], row["travel_s"], str(row["date"])) == ("gate", "quay", 25.0, other)


def test_without_memory_nobody_is_known_again(tmp_path):
    lake, _ = lake_of(tmp_path / "lake", crowds(FIRST, SECOND), memory_days=0)
    found = identities(lake)
    assert len(set(found.values())) == 40 and evidence(lake, "returned") == []


@pytest.mark.parametrize(("days", "known"), [(2, True), (3, False)])
def test_memory_reaches_so_many_days_and_no_further(tmp_path, days, known):
    later = day_after(FIRST, days)
    nights = {FIRST: PEOPLE.crowd(FIRST, range(20)), later: PEOPLE.crowd(later, range(15, 35))}
    lake, _ = lake_of(tmp_path / "lake", nights, memory_days=2)
    assert len(set(identities(lake).values())) == (35 if known else 40)


def test_a_late_camera_joins_the_identities_there_are(tmp_path):
    seen = PEOPLE.crowd(FIRST, range(20))
    late = [one for one in seen if one.camera == "gate"]
    lake, config = lake_of(tmp_path / "lake", {FIRST: [one for one in seen if one.camera != "gate"]})
    before = identities(lake)
    write_seen(lake, FIRST, late, part="-late")
    identify(config, lake)
    found = identities(lake)
    assert found.items() >= before.items(), "though the earliest tracklet of each is the late camera's"
    assert len(set(found.values())) == 20


def test_ids_survive_another_configuration(tmp_path):
    lake, _ = lake_of(tmp_path / "lake", crowds(FIRST, SECOND))
    before = identities(lake)
    identify(fleet(lake, neighbours=20), lake)
    assert identities(lake) == before
    identify(fleet(lake, min_similarity=1.0), lake)
    apart = identities(lake)
    assert len(set(apart.values())) == len(apart), "each tracklet stands alone, and no id is used twice"
    assert set(before.values()) <= set(apart.values()), "and each id went to one of those that had it"
    assert all(apart[name] == before[name] for name in apart if apart[name] in set(before.values()))
    identify(fleet(lake), lake)
    assert identities(lake) == before


def test_a_late_camera_on_one_night_moves_no_id_that_came_from_another(tmp_path):
    nights = crowds(FIRST, SECOND)
    late = [one for one in nights[SECOND] if one.camera == "park"]
    lake, config = lake_of(
        tmp_path / "lake", {FIRST: nights[FIRST], SECOND: [one for one in nights[SECOND] if one.camera != "park"]}
    )
    first, before = files(lake, FIRST), identities(lake)
    write_seen(lake, SECOND, late, part="-late")
    identify(config, lake)
    found = identities(lake)
    assert files(lake, FIRST) == first and found.items() >= before.items()
    assert len(evidence(lake, "returned")) == 10, "that they returned was known, and still has its rows"


def test_the_older_of_two_nights_rerun_keeps_the_ids_that_the_newer_uses(tmp_path):
    nights = crowds(FIRST, SECOND)
    lake, config = lake_of(tmp_path / "lake", {**nights, FIRST: [s for s in nights[FIRST] if s.camera != "gate"]})
    second, before = files(lake, SECOND), identities(lake)
    write_seen(lake, FIRST, [s for s in nights[FIRST] if s.camera == "gate"], part="-late")
    identify(config, lake)
    assert files(lake, SECOND) == second
    assert identities(lake).items() >= before.items()


def test_a_night_that_is_gone_leaves_no_identities(tmp_path):
    lake, config = lake_of(tmp_path / "lake", crowds(FIRST, SECOND))
    for one in lake.ledger():
        if one.local_date == FIRST:
            lake.remove_unit(one.camera_id, FIRST, one.segment_id)
    identify(config, lake)
    assert {name.split("/")[1] for name in files(lake)} == {f"date={SECOND}"}


def test_tracklets_that_vanish_take_no_other_id_along(tmp_path):
    """As tracking anew does: the rows of the units are others, most of them the same."""
    seen = PEOPLE.crowd(FIRST, range(20))
    lake, config = lake_of(tmp_path / "lake", {FIRST: seen})
    before = identities(lake)
    write_seen(lake, FIRST, [one for one in seen if "-t07-" not in one.name], key="tracked anew")
    identify(config, lake)
    found = identities(lake)
    assert found.items() <= before.items() and len(set(found.values())) == 19


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


@pytest.mark.parametrize("n_written", [1, 3, 4, 6])
@pytest.mark.parametrize("change", ["fresh", "late camera", "configuration"])
def test_a_kill_between_any_two_files_is_mended_to_the_same_bytes(tmp_path, change, n_written):
    nights = crowds(FIRST, SECOND) if change == "fresh" else dict(zip((FIRST, SECOND), through_midnight()))
    lakes = []
    for name in ("killed", "undisturbed"):
        if change == "fresh":
            lake = Lake.open_or_create(str(tmp_path / name))
            for local_date, seen in nights.items():
                write_seen(lake, local_date, seen)
            config = fleet(lake)
        elif change == "late camera":
            parts = {day: [one for one in seen if one.camera != "park"] for day, seen in nights.items()}
            lake, config = lake_of(tmp_path / name, parts)
            for local_date, seen in nights.items():
                write_seen(lake, local_date, [one for one in seen if one.camera == "park"], part="-late")
        else:
            lake, _ = lake_of(tmp_path / name, nights)
            config = fleet(lake, neighbours=10)
        lakes.append(lake)
    killed, undisturbed = lakes
    identify(config, undisturbed)
    write, left = killed.storage.write, n_written

    def dies(path, text):
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        write(path, text)

    killed.storage.write = dies
    with pytest.raises(Killed):
        identify(config, killed)
    killed.storage.write = write
    for name in ("identity_evidence", "calibrations", "camera_looks"):
        rows = catalog.query(killed.url, f"SELECT DISTINCT date, run_id FROM {name}").to_pylist()
        shown = catalog.query(killed.url, "SELECT DISTINCT date, run_id FROM identities").to_pylist()
        assert all(row in shown for row in rows), "never rows of two runs"
    identify(config, killed)
    assert content(killed) == content(undisturbed)
    assert identity_tables.made_from(killed) == identity_tables.made_from(undisturbed)


def test_somebody_seen_again_within_the_window_is_not_called_returned(tmp_path):
    """At 23:59:30 and 00:00:05 in one camera: no other camera ties the two, and looks alone are not asked so soon."""
    start_s = day_s(FIRST) + MIDNIGHT_S - 30
    first = [*PEOPLE.crowd(FIRST, range(20)), *PEOPLE.walk(39, start_s, "gate")]
    second = [*PEOPLE.crowd(SECOND, range(20, 38), at_s=NOON_S), *PEOPLE.walk(39, start_s + 35, "gate")]
    lake, _ = lake_of(tmp_path / "lake", {FIRST: first, SECOND: second})
    assert len(of_person(identities(lake), 39)) == 2


@pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])
def test_who_was_met_within_the_window_is_not_known_from_a_night_further_back(tmp_path, monkeypatch, asked):
    """Known on the second day from the first, then seen again at midnight in one camera: linking did not join those,
    and the first day, which lies further back than a window, must not join them either."""
    if not asked:
        monkeypatch.setattr(returners, "_met", lambda *_: lambda _: False)
    start_s = day_s(SECOND) + MIDNIGHT_S - 30
    nights = {
        FIRST: PEOPLE.crowd(FIRST, [*range(19), 39]),
        SECOND: [*PEOPLE.crowd(SECOND, range(20, 38)), *PEOPLE.walk(39, start_s, "gate")],
        THIRD: [*PEOPLE.crowd(THIRD, range(18)), *PEOPLE.walk(39, start_s + 35, "gate")],
    }
    lake, _ = lake_of(tmp_path / "lake", nights)
    found = identities(lake)
    assert of_person(found, 39, day="01") == of_person(found, 39, day="02"), "known again on the second day"
    assert (of_person(found, 39, day="03") == of_person(found, 39, day="02")) is not asked


def test_a_night_costs_no_more_for_nights_out_of_reach(tmp_path, monkeypatch):
    far = [day_after(FIRST, 30 * n) for n in (1, 2)]
    lake, config = lake_of(
        tmp_path / "lake", {day: PEOPLE.crowd(day, range(5)) for day in (FIRST, *far)}, memory_days=2
    )
    near = day_after(far[-1], 2)
    write_seen(lake, near, PEOPLE.crowd(near, range(5)))
    asked: set[str] = set()
    whole, merges = identity_tables.identity_of, identity_tables.evidence_of

    def identity_of(lake, day):
        asked.add(day)
        return whole(lake, day)

    def evidence_of(lake, days, names):
        asked.update(days)
        return merges(lake, days, names)

    monkeypatch.setattr(identity_tables, "identity_of", identity_of)
    monkeypatch.setattr(identity_tables, "evidence_of", evidence_of)
    assert identify(config, lake) == 5
    assert asked == {far[-1], near}


def test_places_are_read_of_the_nights_within_reach_alone(tmp_path, monkeypatch):
    far, (first, second) = day_after(FIRST, -30), through_midnight()
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    for local_date, seen in ((far, PEOPLE.crowd(far, range(5))), (FIRST, first), (SECOND, second)):
        write_seen(lake, local_date, seen)
    cameras = [
        {"id": name, "footage": "x.mp4", "homography": [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]} for name in CAMERAS
    ]
    config = FleetConfig.model_validate({"cameras": cameras, "identity": {"max_travel_s": 120}})
    lake.write_fleet(config)
    asked, query = [], catalog.query

    def watched(url, sql, params=None):
        if "first_date" in (params or ()):
            asked.append((params["local_date"], params["first_date"], params["last_date"]))
        return query(url, sql, params)

    monkeypatch.setattr(identifying.catalog, "query", watched)
    identify(config, lake)
    assert asked == [(far, far, far), (FIRST, FIRST, FIRST), (SECOND, FIRST, SECOND)]
    assert len(of_person(identities(lake), 39)) == 1
