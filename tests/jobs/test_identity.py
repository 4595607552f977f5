"""What people decide about identities: applied at once, kept for ever, and explained."""

from __future__ import annotations

import shutil
from itertools import pairwise

import numpy as np
import pytest

from jobs import identity
from jobs.decided import Decided, Fact, sides_of
from jobs.explain_identity import _reason, _way, explain
from jobs.identify import identify
from pipeline.config import IdentityConfig
from pipeline.errors import UserError
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.lake import decisions
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.identity.nights import CAR
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
    of_person,
    write_seen,
)

PEOPLE = People()


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory):
    """Twenty people a day, of whom 10 to 19 come on both."""
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("nights") / "lake"))
    for local_date, who in ((FIRST, range(20)), (SECOND, range(10, 30))):
        write_seen(lake, local_date, PEOPLE.crowd(local_date, who))
    identify(fleet(lake), lake)
    return lake


@pytest.fixture
def lake(two_nights, tmp_path):
    return Lake.open(str(shutil.copytree(two_nights.url, tmp_path / "lake")))


def person(lake: Lake, who: int, day: str = "") -> str:
    (one,) = of_person(identities(lake), who, day=day)
    return one


def tracklets(lake: Lake, who: int, day: str = "") -> list[str]:
    return sorted(name for name in identities(lake) if f"-t{who:02d}-{day}" in name)


def linked_anew(lake: Lake, **settings) -> None:
    """Link every night again: other settings lead to the same people."""
    assert identify(fleet(lake, **(settings or {"neighbours": 25})), lake) > 0


# -- merge ----------------------------------------------------------------------------------------------------------


def test_a_merge_in_one_night_is_applied_and_touches_nobody_else(lake):
    before, second = identities(lake), files(lake, SECOND)
    a, b = person(lake, 0), person(lake, 9)
    done = identity.merge(lake.url, b, a, by="Ada", note="same hat")
    found = identities(lake)
    assert (done["identity_id"], done["gone"], done["tracklets"]) == (a, b, 8), "person 0 was seen first"
    assert found == {name: a if one == b else one for name, one in before.items()}
    assert files(lake, SECOND) == second
    (row,) = evidence(lake, "person")
    assert (row["identity_id"], row["probability"], np.isnan(row["similarity"])) == (a, 1.0, True)
    assert {row["tracklet_a"][:10], row["tracklet_b"][:10]} <= {
        n[:10] for n in (*tracklets(lake, 0), *tracklets(lake, 9))
    }


def test_a_merge_over_two_nights_beats_travel_windows_and_leaves_the_earlier_id(lake):
    a, b = person(lake, 3), person(lake, 25)
    identity.merge(lake.url, a, b)
    assert person(lake, 25) == a and person(lake, 3) == a


def test_of_an_identity_seen_in_two_nights_both_give_way(lake):
    early, late = person(lake, 2), person(lake, 15)
    identity.merge(lake.url, late, early)
    assert person(lake, 15) == early == person(lake, 2), "on both days"
    assert len(evidence(lake, "person")) == 2, "one in each night"


@pytest.mark.parametrize("pair", [(0, 9), (3, 25), (2, 15)])
def test_a_merge_holds_when_nights_are_linked_anew(lake, pair):
    stays = person(lake, pair[0])
    identity.merge(lake.url, *(person(lake, who) for who in pair))
    before = identities(lake)
    linked_anew(lake)
    assert identities(lake) == before
    assert {row["identity_id"] for row in evidence(lake, "person")} == {stays}
    again = files(lake)
    assert identify(fleet(lake, neighbours=25), lake) == 0 and files(lake) == again


def test_a_merge_holds_in_a_lake_made_from_nothing_but_rows_and_decisions(lake):
    identity.merge(lake.url, person(lake, 3), person(lake, 25))
    for name in content(lake):
        lake.storage.remove(name)
    identify(fleet(lake), lake)
    assert person(lake, 25) == person(lake, 3)


def test_two_in_one_camera_at_once_are_never_merged(lake):
    start_s = day_s(FIRST) + 3600
    write_seen(lake, FIRST, [*PEOPLE.walk(30, start_s, "gate"), *PEOPLE.walk(31, start_s + 5, "gate")], part="-two")
    identify(fleet(lake), lake)
    with pytest.raises(UserError, match=r"both in camera gate at 2026-03-01 01:00:05 UTC.*cannot be one"):
        identity.merge(lake.url, person(lake, 30), person(lake, 31))
    assert decisions.read(lake) == []


def test_a_person_is_never_merged_with_a_car(lake):
    from dataclasses import replace

    car = [replace(one, class_id=CAR) for one in PEOPLE.walk(32, day_s(FIRST) + 3600, "gate")]
    write_seen(lake, FIRST, car, part="-car")
    identify(fleet(lake), lake)
    with pytest.raises(UserError, match=r"is a car and .* a person|is a person and .* a car"):
        identity.merge(lake.url, person(lake, 0), person(lake, 32))


def test_unknown_ids_are_answered_with_a_close_one(lake):
    known = person(lake, 0)
    with pytest.raises(
        UserError, match=rf"no identity '{known[:-1]}x'; the most similar id is {known}; list them with"
    ):
        identity.merge(lake.url, known[:-1] + "x", person(lake, 9))
    name = tracklets(lake, 0)[0]
    with pytest.raises(UserError, match=rf"that is a tracklet, and its identity is {known}"):
        identity.merge(lake.url, name, person(lake, 9))
    with pytest.raises(UserError, match="one identity already"):
        identity.merge(lake.url, known, known)


# -- split ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_out", [1, 2, 3])
def test_a_split_gives_a_new_id_to_those_taken_out_and_to_nobody_else(lake, n_out):
    before, whole = identities(lake), person(lake, 4)
    out = tracklets(lake, 4)[:n_out]
    done = identity.split(lake.url, whole, out)
    found = identities(lake)
    assert done["identity_id"] == whole and done["new_identity_id"] not in before.values()
    assert found == {name: done["new_identity_id"] if name in out else one for name, one in before.items()}
    rows = [*evidence(lake, "look%"), *evidence(lake, "person"), *evidence(lake, "returned")]
    assert all(found[row["tracklet_a"]] == found[row["tracklet_b"]] == row["identity_id"] for row in rows)
    linked_anew(lake)
    assert identities(lake) == found, "and so it stays"


def test_a_whole_day_is_taken_out_of_somebody_who_returned(lake):
    both = person(lake, 12)
    done = identity.split(lake.url, both, tracklets(lake, 12, "02"))
    assert (person(lake, 12, "01"), person(lake, 12, "02")) == (both, done["new_identity_id"])
    linked_anew(lake)
    assert (person(lake, 12, "01"), person(lake, 12, "02")) == (both, done["new_identity_id"]), "looks do not undo it"
    assert evidence(lake, "returned") and all("t12" not in row["tracklet_a"] for row in evidence(lake, "returned"))


def test_the_earlier_day_is_taken_out_and_the_later_keeps_the_id(lake):
    both = person(lake, 12)
    done = identity.split(lake.url, both, tracklets(lake, 12, "01"))
    assert (person(lake, 12, "01"), person(lake, 12, "02")) == (done["new_identity_id"], both)
    linked_anew(lake)
    assert (person(lake, 12, "01"), person(lake, 12, "02")) == (done["new_identity_id"], both)


def test_tracklets_of_both_days_taken_out_are_one(lake):
    both = person(lake, 12)
    out = [tracklets(lake, 12, "01")[0], tracklets(lake, 12, "02")[0]]
    done = identity.split(lake.url, both, out)
    found = identities(lake)
    assert {found[name] for name in out} == {done["new_identity_id"]} and of_person(found, 12) == {
        both,
        done["new_identity_id"],
    }
    linked_anew(lake)
    assert identities(lake) == found


@pytest.mark.parametrize(
    ("chosen", "says"),
    [([], "got none"), (["all"], "got all"), (["t99"], "'t99' is not a tracklet of .*it has ")],
)
def test_a_split_of_nothing_all_or_strangers_is_refused(lake, chosen, says):
    whole = person(lake, 4)
    chosen = tracklets(lake, 4) if chosen == ["all"] else chosen
    with pytest.raises(UserError, match=says):
        identity.split(lake.url, whole, chosen)


# -- decisions against each other, taken back, and gone --------------------------------------------------------------


def test_decisions_that_contradict_earlier_ones_are_refused_by_name(lake):
    whole = person(lake, 4)
    first = identity.split(lake.url, whole, tracklets(lake, 4)[:2])
    with pytest.raises(UserError, match=rf"decision {first['decision_id']} says that .* are not one; take it back"):
        identity.merge(lake.url, whole, first["new_identity_id"])
    second = identity.merge(lake.url, person(lake, 0), person(lake, 9))
    with pytest.raises(UserError, match=rf"decision {second['decision_id']} says that .* are one; take it back"):
        identity.split(lake.url, second["identity_id"], tracklets(lake, 9))
    assert len(decisions.read(lake)) == 2


@pytest.mark.parametrize("pair", [(0, 9), (3, 25), (2, 15)])
def test_a_merge_taken_back_is_as_if_it_had_not_been(lake, pair):
    before = identities(lake)
    done = identity.merge(lake.url, *(person(lake, who) for who in pair))
    undone = identity.undo(lake.url, done["decision_id"])
    assert identities(lake) == before
    assert undone["before"] == [done["identity_id"]] and len(undone["after"]) == 2
    assert decisions.read(lake) == [] and evidence(lake, "person") == []


def test_a_split_taken_back_is_as_if_it_had_not_been(lake):
    before = identities(lake)
    done = [identity.split(lake.url, person(lake, 4), tracklets(lake, 4)[:2])]
    done.append(identity.split(lake.url, person(lake, 12), tracklets(lake, 12, "02")))
    for one in done:
        identity.undo(lake.url, one["decision_id"])
    assert identities(lake) == before


def test_taking_back_what_nobody_decided_is_refused(lake):
    with pytest.raises(UserError, match="no decision 'merge-00'; there are none; list them"):
        identity.undo(lake.url, "merge-00")
    done = identity.merge(lake.url, person(lake, 0), person(lake, 9))
    with pytest.raises(UserError, match=f"the most similar is {done['decision_id']}"):
        identity.undo(lake.url, done["decision_id"] + "0")


def test_decisions_are_listed_and_those_whose_tracklets_are_gone_say_so(lake):
    assert identity.listed(lake.url) == []
    merged = identity.merge(lake.url, person(lake, 0), person(lake, 9), by="Ada", note="same hat")
    (row,) = identity.listed(lake.url)
    assert (row["kind"], row["by"], row["note"], row["applies"], row["identities"]) == (
        "merge",
        "Ada",
        "same hat",
        "yes",
        [merged["identity_id"]],
    )
    seen = [one for one in PEOPLE.crowd(FIRST, range(20)) if "-t09-" not in one.name]
    write_seen(lake, FIRST, seen, key="tracked anew")
    identify(fleet(lake), lake)
    (row,) = identity.listed(lake.url)
    assert row["applies"] == "no" and all("-t09-" in name for name in row["gone"])
    assert person(lake, 0) == merged["identity_id"]


def decided_of(*rows: tuple[str, str, str]) -> Decided:
    """Return one decision a row, of tracklets that are all there."""
    names = {name for _, *pair in rows for name in pair}
    facts = {name: Fact(name, FIRST, "gate", "segment", "person", 0, 1) for name in names}
    return Decided(tuple(decisions.Decision((row,), nth) for nth, row in enumerate(rows)), facts)


def test_merges_in_a_chain_join_as_if_one_after_another():
    decided = decided_of(("merge", "a", "b"), ("merge", "c", "d"), ("merge", "b", "d"), ("split", "a", "x"))
    names = np.array([*"abcdexy"], object)
    label = np.array(["A", "B", "=C", "D", "B", "A", "Y"], object)
    assert decided.joined(names, label, {"=C"}).tolist() == ["=C"] * 5 + ["out:x", "Y"]
    assert decided.joined(names[:0], label[:0], set()).tolist() == []
    assert decided.apart == [(name, "x") for name in "abcd"] and decided.apart is decided.apart
    assert decided_of().apart == [] and decided_of().rows_of(FIRST) == ()
    assert decided.rows_of(FIRST) == tuple(sorted(row for one in decided.decisions for row in one.rows))


def test_who_was_merged_with_many_is_found_without_copying_them_each_time():
    names = [f"t{nth}" for nth in range(50_000)]
    sides = sides_of(pairwise(names))
    assert all(sides[name] is sides["t0"] for name in names) and sides["t0"] == set(names)


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


@pytest.mark.parametrize("n_written", [1, 2, 4, 5, 8])
def test_a_kill_while_a_decision_is_applied_is_mended_by_the_next_run(lake, tmp_path, monkeypatch, n_written):
    undisturbed = Lake.open(str(shutil.copytree(lake.url, tmp_path / "undisturbed")))
    monkeypatch.setattr(identity.time, "time_ns", lambda: 1_000)
    a, b = person(lake, 2), person(lake, 15)
    identity.merge(undisturbed.url, a, b)
    write, left = type(lake.storage).write, n_written

    def dies(self, path, text):
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        write(self, path, text)

    monkeypatch.setattr(type(lake.storage), "write", dies)
    with pytest.raises(Killed):
        identity.merge(lake.url, a, b)
    monkeypatch.setattr(type(lake.storage), "write", write)
    identify(fleet(), lake)
    assert content(lake) == content(undisturbed)


# -- explain and the command line ------------------------------------------------------------------------------------


def test_an_identity_is_explained(lake):
    told = explain(lake.url, person(lake, 12))
    assert [one["nth"] for one in told["sightings"]] == list(range(1, 9))
    assert [one["travel_s"] for one in told["sightings"]][:4] == [None, 15.0, 15.0, 15.0]
    assert told["sightings"][4]["travel_s"] > 80_000
    assert {one["rule"].split()[0] for one in told["merges"]} == {"look", "returned"} and len(told["merges"]) == 7
    assert all("look alike" in one["because"] for one in told["merges"])
    assert told["decisions"] == [] and len(told["nearest"]) == 5
    similarities = [one["similarity"] for one in told["nearest"]]
    assert similarities == sorted(similarities, reverse=True)
    for one in told["nearest"]:
        assert one["identity_id"] != told["identity_id"] and one["reason"]


@pytest.mark.parametrize(
    ("gate_s", "quay_s", "says"),
    [
        ((0, 10), (40, 50), None),
        ((40, 50), (0, 10), "outside the travel window: -50 s from gate to quay, the only way that the link goes"),
        ((0, 10), (100, 110), "outside the travel window: 90 s from gate to quay, the only way that the link goes"),
        ((0, 10), (5, 15), "seen at once in gate and quay, whose views do not overlap"),
    ],
)
def test_a_refusal_by_a_one_way_link_is_measured_along_it(gate_s, quay_s, says):
    link = {"between": ["gate", "quay"], "min_travel_s": 0, "max_travel_s": 60, "one_way": True}
    topology = Topology.from_config(("gate", "quay"), IdentityConfig.model_validate({"links": [link]}))
    times = np.array([gate_s, quay_s], np.int64) * 1_000_000
    spots = Sightings(np.array([0, 1], np.int32), times[:, 0], times[:, 1])
    (relation,) = topology.relate(spots.take(np.array([0])), spots.take(np.array([1]))).tolist()
    assert (relation == Relation.NEVER) == (says is not None)
    for pair in ((0, 1), (1, 0)):
        first, then = _way(topology, spots, *pair)
        assert (first, then) == (0, 1), "the gate comes first, whatever the clocks say"
        travel_s = (spots.started_at_us[then] - spots.ended_at_us[first]) / 1e6
        told = _reason(topology, spots, first, then, relation, 0.9, travel_s)
        assert told.startswith(says or "likely by looks alone")
        assert says is None or "outside" not in says or told.endswith(", expected 0 to 60")


def test_by_the_clock_where_a_link_goes_both_ways():
    link = {"between": ["gate", "quay"], "min_travel_s": 0, "max_travel_s": 60}
    topology = Topology.from_config(("gate", "quay"), IdentityConfig.model_validate({"links": [link]}))
    spots = Sightings(np.array([0, 1], np.int32), np.array([9, 0], np.int64), np.array([10, 1], np.int64))
    assert _way(topology, spots, 0, 1) == _way(topology, spots, 1, 0) == (1, 0)


def test_decisions_show_in_the_explanation(lake):
    merged = identity.merge(lake.url, person(lake, 0), person(lake, 9), by="Ada")
    told = explain(lake.url, merged["identity_id"])
    (by_hand,) = [one for one in told["merges"] if one["rule"] == "person"]
    assert by_hand["because"] == f"somebody merged them by hand ({merged['decision_id']}, Ada)"
    assert by_hand["similarity"] is None and [one["decision_id"] for one in told["decisions"]] == [
        merged["decision_id"]
    ]
    whole = person(lake, 4)
    identity.split(lake.url, whole, tracklets(lake, 4)[:2])
    reasons = {one["reason"] for one in explain(lake.url, whole)["nearest"]}
    assert "somebody decided that they are not one" in reasons


def test_the_commands(lake):
    a, b = person(lake, 0), person(lake, 9)
    shown = nightfleet("explain", "identity", lake.url, a)
    assert shown.returncode == 0 and "they look alike" in shown.stdout and "not joined" in shown.stdout
    assert json_of(nightfleet("explain", "identity", lake.url, a, "--json"))["identity_id"] == a
    assert "nothing was decided yet" in nightfleet("identity", "decisions", lake.url).stdout
    merged = nightfleet("identity", "merge", lake.url, a, b, "--by", "Ada", "--note", "same hat")
    assert merged.returncode == 0 and f"{b} is {a} now" in merged.stdout
    (row,) = json_of(nightfleet("identity", "decisions", lake.url, "--json"))
    assert (row["by"], row["note"]) == ("Ada", "same hat")
    assert row["decision_id"] in nightfleet("identity", "decisions", lake.url).stdout
    undone = nightfleet("identity", "undo", lake.url, row["decision_id"])
    assert undone.returncode == 0 and f"took back {row['decision_id']}" in undone.stdout
    out = ",".join(tracklets(lake, 4)[:2])
    split = nightfleet("identity", "split", lake.url, person(lake, 4), "--tracklets", out, "--json")
    assert json_of(split)["new_identity_id"] != json_of(split)["identity_id"]
    refused = nightfleet("explain", "identity", lake.url, "id-nobody", "--json")
    assert refused.returncode == 2 and "the most similar id is" in json_of(refused)["error"]
