"""Nobody is in two places at once, whatever people merged and whoever comes later."""

from __future__ import annotations

from dataclasses import replace

from jobs import identity
from jobs.identify import identify
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.jobs.night_lakes import (
    FIRST,
    SECOND,
    People,
    content,
    day_s,
    evidence,
    files,
    fleet,
    identities,
    lake_of,
    of_person,
    write_seen,
)

PEOPLE = People()


def at_once(lake: Lake) -> list[dict]:
    """Pairs of tracklets of one identity that were in one camera at one instant."""
    pairs = """
    SELECT a.tracklet_id AS a, b.tracklet_id AS b
    FROM identities AS ia JOIN identities AS ib USING (identity_id)
    JOIN tracklets AS a ON a.tracklet_id = ia.tracklet_id JOIN tracklets AS b ON b.tracklet_id = ib.tracklet_id
    WHERE a.tracklet_id < b.tracklet_id AND a.camera_id = b.camera_id
      AND a.started_at <= b.ended_at AND b.started_at <= a.ended_at
    """
    return catalog.query(lake.url, pairs).to_pylist()


def test_a_camera_that_comes_later_never_breaks_the_cannot_links_of_a_merge(tmp_path):
    seen = PEOPLE.crowd(FIRST, range(20))
    lake, config = lake_of(tmp_path / "lake", {FIRST: [one for one in seen if one.camera != "park"]})
    before = identities(lake)
    (a,), (b,) = of_person(before, 0), of_person(before, 9)
    merged = identity.merge(lake.url, a, b)["identity_id"]
    late = {one.name.split("-")[1]: one for one in seen if one.camera == "park"}
    late["t00"] = replace(late["t00"], start_s=late["t09"].start_s, end_s=late["t09"].end_s)
    write_seen(lake, FIRST, list(late.values()))
    identify(config, lake)
    found = identities(lake)
    assert at_once(lake) == []
    assert all(found[name] == merged for name, old in before.items() if old in (a, b)), "the decision holds"
    (gone,) = [found[late[who].name] for who in ("t00", "t09") if found[late[who].name] != merged]
    assert gone not in before.values() and list(found.values()).count(gone) == 1
    assert all(
        found[row["tracklet_a"]] == found[row["tracklet_b"]] == row["identity_id"] for row in evidence(lake, "%")
    )
    identify(fleet(lake, neighbours=25), lake)
    assert identities(lake) == found, "and so it stays"
    for name in content(lake):
        lake.storage.remove(name)
    identify(config, lake)
    again = identities(lake)
    assert at_once(lake) == [] and len(set(again.values())) == len(set(found.values())), "from rows and decisions alone"


def test_what_was_at_once_in_two_cameras_stays_merged_but_nothing_joins_it_so(tmp_path):
    """Persons 0 and 9 are by the mall and the quay at once, which the decision overrules; but not for the late park."""
    seen = PEOPLE.crowd(FIRST, range(20))
    lake, config = lake_of(tmp_path / "lake", {FIRST: [one for one in seen if one.camera != "park"]})
    before = identities(lake)
    (a,), (b,) = of_person(before, 0), of_person(before, 9)
    merged = identity.merge(lake.url, a, b)["identity_id"]
    late = [one for one in seen if one.camera == "park"]
    write_seen(lake, FIRST, late, part="-late")
    identify(config, lake)
    found = identities(lake)
    assert all(found[name] == merged for name, old in before.items() if old in (a, b))
    own = {one.name.split("-")[1]: found[one.name] for one in late}
    assert own["t00"] not in before.values(), "at 12:01:15, when person 9 was by the mall"
    assert own["t09"] == merged


def test_two_parts_of_one_identity_never_grow_into_one_instant(tmp_path):
    """Merged by hand before midnight, both are seen by the park's camera at once after it."""
    midnight_s = day_s(SECOND)
    first = [
        *PEOPLE.crowd(FIRST, range(20)),
        *PEOPLE.walk(0, midnight_s - 70, "gate", "quay"),
        *PEOPLE.walk(9, midnight_s - 68, "quay", "mall"),
    ]
    lake, config = lake_of(tmp_path / "lake", {FIRST: first}, memory_days=0)
    late = {who: [n for n in identities(lake) if f"-t{who:02d}-01T235" in n] for who in (0, 9)}
    (a,), (b,) = ({identities(lake)[name] for name in names} for names in late.values())
    merged = identity.merge(lake.url, a, b)["identity_id"]
    both = [PEOPLE.walk(0, midnight_s + 5, "park"), PEOPLE.walk(9, midnight_s + 6, "park")]
    write_seen(lake, SECOND, [*PEOPLE.crowd(SECOND, range(10, 30)), *both[0], *both[1]])
    identify(config, lake)
    found = identities(lake)
    assert at_once(lake) == [] and {found[name] for names in late.values() for name in names} == {merged}
    assert sorted(found[walk[0].name] == merged for walk in both) == [False, True], "one of the two goes on as it"
    assert all(
        found[row["tracklet_a"]] == found[row["tracklet_b"]] == row["identity_id"] for row in evidence(lake, "%")
    )
    again = files(lake)
    assert identify(config, lake) == 0 and files(lake) == again
