"""Which segments become units, what they continue from, and what has to be done again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import config
from pipeline.execution import plan
from pipeline.tracking import tracklets
from tests.execution.entries import MINUTE_US, chain, entry, ledger_of, segment, unit

FLEET = config.parse({"cameras": [{"id": "gate", "footage": "x"}]}, origin="test", folder=Path("/"))
GATE = FLEET.cameras[0]


def shift_of(*segments, date=None, ledger=None) -> plan.Shift:
    return plan.plan_shift(FLEET, GATE, segments, lambda _: "weights", date=date, ledger=ledger or {})


def test_no_footage_gives_no_units():
    assert shift_of().units == ()


def test_segments_are_ordered_and_hand_their_state_on():
    first, second = segment(minute=0), segment(minute=1)
    units = shift_of(second, first).units
    assert [u.segment for u in units] == [first, second]
    assert [u.inherits_from for u in units] == [None, first.segment_id]
    assert [u.closes for u in units] == [False, True]


def test_a_gap_longer_than_max_age_ends_every_track():
    # 30 frames at 10 fps: three seconds
    first = segment(minute=0)
    near = segment(minute=1, started_at_us=first.ended_at_us + 3_000_000)
    far = segment(minute=1, started_at_us=first.ended_at_us + 3_000_001)
    assert not shift_of(first, near).units[0].closes
    assert shift_of(first, far).units[0].closes
    assert shift_of(first, far).units[1].inherits_from is None


def test_another_picture_size_ends_every_track():
    units = shift_of(segment(minute=0), segment(minute=1, width_px=1280)).units
    assert units[0].closes
    assert units[1].inherits_from is None


def test_a_date_takes_its_own_segments_and_the_state_of_the_evening_before():
    before, after = segment(minute=0), segment(minute=1, local_date="2026-03-02")
    alone = shift_of(before, after, date="2026-03-02")
    assert [u.segment for u in alone.units] == [after]
    assert alone.units[0].inherits_from is None
    evening = shift_of(before, after, date="2026-03-01")
    assert not evening.units[0].closes, "the morning's footage is there, so tracks may live on into it"
    known = {before.segment_id: entry(evening.units[0], state_out="dusk")}
    morning = shift_of(before, after, date="2026-03-02", ledger=known)
    assert morning.units[0].inherits_from == before.segment_id
    assert morning.units[0].state_in == "dusk"


def test_a_segment_whose_file_is_gone_still_hands_its_state_on():
    first, second, third = (segment(minute=k) for k in range(3))
    whole = shift_of(first, second, third)
    ledger = {
        one.segment.segment_id: entry(one, state_in, state_out)
        for one, state_in, state_out in zip(whole.units, ("", "a", "b"), ("a", "b", ""), strict=True)
    }
    assert plan.pending(whole, ledger) == ()
    for there in ([second, third], [third], [first, third], [first, second], [first], [second]):
        assert plan.pending(shift_of(*there, ledger=ledger), ledger) == (), there
    last = shift_of(first, third, ledger=ledger)
    assert [(u.inherits_from, u.state_in, u.closes) for u in last.units] == [
        (None, None, False),
        (second.segment_id, "b", True),
    ]
    redone = replace(ledger[first.segment_id], config_digest="older")
    assert shift_of(first, third, ledger={**ledger, first.segment_id: redone}).units[0].closes, "nobody takes it over"
    over = replace(ledger[second.segment_id], ended_at_us=third.started_at_us + 2_000_000)
    assert shift_of(third, ledger={over.segment_id: over}).units[0].inherits_from is None, "that was other footage"
    moved = replace(ledger[second.segment_id], segment_id="gate-other", url=second.url)
    assert shift_of(second, third, ledger={"gate-other": moved}).units[0].inherits_from is None, "it is the same file"


@pytest.mark.parametrize("version", ["STATE_VERSION", "ROWS_VERSION"])
def test_units_are_made_anew_once_saved_states_or_tracks_mean_something_else(monkeypatch, version):
    before = plan.config_digest(FLEET, GATE)
    monkeypatch.setattr(tracklets, version, getattr(tracklets, version) + 1)
    assert plan.config_digest(FLEET, GATE) != before


def test_nothing_is_pending_after_a_whole_run():
    shift = chain("gate", 4)
    assert plan.pending(shift, ledger_of(shift)) == ()
    assert plan.pending(shift, {}) == shift.units


def test_changed_footage_redoes_that_segment_and_those_that_continue_from_it():
    shift = chain("gate", 4)
    ledger = ledger_of(shift)
    del ledger[shift.units[2].segment.segment_id]
    assert plan.pending(shift, ledger) == shift.units[2:]


def test_the_key_names_everything_a_unit_depends_on():
    one = unit(segment())
    same = unit(segment(url="/moved/elsewhere.mp4"))
    assert one.key("") == same.key("")
    others = [
        unit(segment(fingerprint="other")),
        unit(segment(started_at_us=segment().started_at_us + MINUTE_US)),
        unit(segment(), closes=False),
        plan.Unit(segment(), None, True, config_digest="other", weights_digest="w"),
        plan.Unit(segment(), None, True, config_digest="c", weights_digest="other"),
    ]
    keys = {one.key(""), one.key("state"), *(other.key("") for other in others)}
    assert len(keys) == 2 + len(others)


def test_the_perception_key_knows_the_models_and_nothing_of_the_tracker():
    def key(of: plan.Unit, **fleet) -> str:
        raw = {"cameras": [{"id": "gate", "footage": "x", **fleet.pop("camera", {})}], **fleet}
        parsed = config.parse(raw, origin="test", folder=Path("/"))
        return plan.perception_key(of, parsed, parsed.cameras[0])

    one = unit(segment())
    assert key(one) == key(one, tracker={"preset": "sort"}, execution={"keep_detections": True})
    assert key(one) == key(unit(segment(url="/moved/elsewhere.mp4"), inherits_from="gate-9", closes=False))
    others = [
        key(one, models={"detector": {"score_threshold": 0.1}}),
        key(one, camera={"target_fps": 5}),
        key(one, camera={"moving": True}),
        key(unit(segment(fingerprint="other"))),
        key(unit(segment(started_at_us=segment().started_at_us + MINUTE_US))),
        key(plan.Unit(segment(), None, True, config_digest="c", weights_digest="other")),
    ]
    assert len({key(one), *others}) == 1 + len(others)


def test_moving_a_line_redoes_nothing_and_another_tracker_everything():
    def digest(**fleet) -> str:
        raw = {"cameras": [{"id": "gate", "footage": "x", **fleet.pop("camera", {})}], **fleet}
        parsed = config.parse(raw, origin="test", folder=Path("/"))
        return plan.config_digest(parsed, parsed.cameras[0])

    line = {"name": "l", "points": [[0, 0], [9, 9]]}
    assert digest(camera={"lines": [line]}) == digest()
    assert digest(execution={"workers": 7, "batch_size": 2}) == digest()
    assert digest(tracker={"n_init": 4}) != digest()
    assert digest(camera={"target_fps": 5}) != digest()
    assert digest(camera={"moving": True}) != digest()
    assert digest(camera={"moving": False}) == digest()
