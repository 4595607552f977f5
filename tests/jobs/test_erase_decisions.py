"""One tracklet is erased, and what people decided of everybody else holds on, in every later run."""

from __future__ import annotations

import pytest

from jobs import erase, identity
from jobs.identify import identify
from pipeline.lake import decisions
from pipeline.lake.writer import Lake
from tests.jobs.night_lakes import FIRST, SECOND, People, fleet, identities, write_seen

PEOPLE = People()


@pytest.fixture
def lake(tmp_path):
    """Ten people who come in both nights."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    for local_date in (FIRST, SECOND):
        write_seen(lake, local_date, PEOPLE.crowd(local_date, range(10)))
    identify(fleet(lake), lake, device="cpu")
    return lake


def tracklets(lake: Lake, who: int) -> dict[str, str]:
    """Tracklets of a person by camera and day of the month."""
    return {f"{name.split('-')[0]} {name[-9:-7]}": name for name in identities(lake) if f"-t{who:02d}-" in name}


def erased(lake: Lake, *names: str) -> None:
    """Erase tracklets one after another; the next run changes nobody, and neither does linking every night again."""
    for name in names:
        before = identities(lake)
        assert erase.erase(erase.look(lake.url, tracklet=name)).clean
        assert not [row for one in decisions.read(lake) for row in one.rows if name in row]
        left = {other: now for other, now in before.items() if other != name}
        assert identify(fleet(lake), lake, device="cpu") == 0, "no night is linked again"
        assert identities(lake) == left
    assert identify(fleet(lake, neighbours=25), lake, device="cpu") > 0


@pytest.mark.parametrize("gone", [("mall",), ("gate", "quay")])
def test_those_split_off_stay_apart_whoever_of_them_goes(lake, gone):
    own = tracklets(lake, 4)
    out = [own[f"{camera} {day}"] for camera in ("mall", "park") for day in ("01", "02")]
    identity.split(lake.url, identities(lake)[out[0]], out, by="Ada", note="the one with the red hat at the mall")
    erased(lake, *(own[f"{camera} 01"] for camera in gone))
    found = identities(lake)
    left = [{found[n] for n in own.values() if n in found and (n in out) == side} for side in (True, False)]
    assert [len(one) for one in left] == [1, 1] and left[0] != left[1]
    (decision,) = decisions.read(lake)
    assert (decision.by, decision.note) == ("Ada", ""), "a note may tell of who was erased"


def test_one_split_off_stays_apart_through_others_that_joined_it_since(lake):
    """Only the tracklet that goes was named; whoever its looks alone tied to it stands for it."""
    own = tracklets(lake, 4)
    out = [own[f"{name} 02"] for name in ("gate", "quay", "mall", "park")]
    identity.split(lake.url, identities(lake)[out[0]], out)
    (decision,) = decisions.read(lake)
    lone = tuple(row for row in decision.rows if row[0] == "split" and row[1] == own["gate 01"])
    decisions.remove(lake, decision.decision_id)
    decisions.write(lake, decisions.Decision(lone, decision.decided_at_us))
    identify(fleet(lake), lake, device="cpu")
    before = identities(lake)
    assert len({before[name] for name in own.values()}) > 1
    erased(lake, lone[0][2])
    found = identities(lake)
    ((kind, a, b),) = decisions.read(lake)[0].rows
    assert kind == "split" and a == own["gate 01"] and found[a] != found[b] == before[lone[0][2]]


@pytest.mark.parametrize("gone", [0, 1])
def test_a_group_of_three_of_whom_one_goes_stays_one(lake, gone):
    three = [tracklets(lake, who)["gate 01"] for who in (0, 5, 9)]
    identity.merge(lake.url, *(identities(lake)[name] for name in three[:2]))
    identity.merge(lake.url, *(identities(lake)[name] for name in three[1:]))
    assert len({identities(lake)[name] for name in three}) == 1
    erased(lake, three[gone])
    found = identities(lake)
    assert len({found[name] for name in three if name in found}) == 1
    stands = {name for one in decisions.read(lake) for row in one.rows for name in row[1:]} - set(three)
    who = (0, 5, 9)[gone]
    assert stands & set(tracklets(lake, who).values()), "another of the same person stands for the one that went"


def test_a_merge_group_of_lone_tracklets_stays_one(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    names = [PEOPLE.walk(who, 1772366400.0 + 100 * who, "gate")[0] for who in range(4)]
    write_seen(lake, FIRST, names)
    identify(fleet(lake), lake, device="cpu")
    three = [one.name for one in names[:3]]
    rows = (("merge", three[0], three[1]), ("merge", three[0], three[2]))
    decisions.write(lake, decisions.Decision(rows, 7, "Ada", "three at the gate"))
    identify(fleet(lake), lake, device="cpu")
    assert len({identities(lake)[name] for name in three}) == 1
    erased(lake, three[0])
    found = identities(lake)
    assert found[three[1]] == found[three[2]] != found[names[3].name]
    erased_last = erase.erase(erase.look(lake.url, tracklet=three[1]))
    assert erased_last.clean and decisions.read(lake) == [], "of one alone nothing is said"
