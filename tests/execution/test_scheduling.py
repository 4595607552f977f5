"""The schedule, fed with events by hand: no cluster, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.execution.plan import FRESH, Shift
from pipeline.execution.scheduling import (
    Assign,
    Quarantine,
    QuarantineEntered,
    Replace,
    Schedule,
    Skip,
    UnitFinished,
    WorkerDied,
    WorkerReady,
)
from tests.execution.entries import chain, entry, ledger_of, segment, unit


def test_nothing_to_do_is_finished_at_once():
    schedule = Schedule([], {}, attempts=3)
    assert schedule.finished
    assert schedule.start() == []


def test_a_done_shift_is_skipped_without_a_worker():
    shift = chain("gate", 3)
    schedule = Schedule([shift], ledger_of(shift), attempts=3)
    assert schedule.finished
    assert [skip.unit for skip in schedule.start()] == list(shift.units)


def test_the_longest_shift_goes_first_and_its_units_in_order():
    short, long = chain("a", 2), chain("b", 3)
    schedule = Schedule([short, long], {}, attempts=3)
    assert schedule.handle(WorkerReady(0)) == [Assign(0, long.units[0], FRESH)]
    assert schedule.handle(WorkerReady(1)) == [Assign(1, short.units[0], FRESH)]
    done = entry(long.units[0])
    assert schedule.handle(UnitFinished(0, done)) == [Assign(0, long.units[1], done.state_out_digest)]


def test_a_resumed_shift_continues_from_the_state_in_the_ledger():
    shift = chain("gate", 3)
    ledger = ledger_of(shift)
    del ledger[shift.units[2].segment.segment_id]
    schedule = Schedule([shift], ledger, attempts=3)
    assert len(schedule.start()) == 2
    state = ledger[shift.units[1].segment.segment_id].state_out_digest
    assert schedule.handle(WorkerReady(0)) == [Assign(0, shift.units[2], state)]


def test_a_redone_unit_that_hands_on_the_same_state_leaves_the_rest_alone():
    shift = chain("gate", 3)
    ledger = ledger_of(shift)
    first = shift.units[0]
    ledger[first.segment.segment_id] = entry(first, key="made by an older configuration")
    schedule = Schedule([shift], ledger, attempts=3)
    assert schedule.start() == []
    assert schedule.handle(WorkerReady(0)) == [Assign(0, first, FRESH)]
    rest = schedule.handle(UnitFinished(0, entry(first)))
    assert [type(one) for one in rest] == [Skip, Skip]
    assert schedule.finished


def test_a_unit_after_a_gap_does_not_take_the_old_state():
    first, second = unit(segment(minute=0)), unit(segment(minute=50))
    schedule = Schedule([Shift("gate", (first, second))], {}, attempts=3)
    schedule.handle(WorkerReady(0))
    after = schedule.handle(UnitFinished(0, entry(first, state_out="left over")))
    assert after == [Assign(0, second, FRESH)]


def test_a_dead_worker_is_replaced_and_its_unit_done_by_whoever_is_free():
    shift = chain("gate", 1)
    schedule = Schedule([shift], {}, attempts=3)
    schedule.handle(WorkerReady(0))
    assert schedule.handle(WorkerReady(1)) == []
    again = schedule.handle(WorkerDied(0, "killed"))
    assert again == [Replace(0), Assign(1, shift.units[0], FRESH)]


def test_a_unit_that_takes_too_many_workers_with_it_is_given_up_and_the_next_goes_on():
    shift = chain("gate", 2)
    schedule = Schedule([shift], {}, attempts=2)
    schedule.handle(WorkerReady(0))
    assert schedule.handle(WorkerDied(0, "out of memory")) == [Replace(0)]
    assert schedule.handle(WorkerReady(0)) == [Assign(0, shift.units[0], FRESH)]
    given_up, replace = schedule.handle(WorkerDied(0, "out of memory"))
    assert isinstance(given_up, Quarantine)
    assert "out of memory" in given_up.reason
    assert replace == Replace(0)
    schedule.handle(QuarantineEntered(entry(shift.units[0], state_out=FRESH, status="quarantined")))
    assert schedule.handle(WorkerReady(0)) == [Assign(0, shift.units[1], FRESH)]


def test_an_idle_worker_that_dies_is_forgotten():
    shift = chain("gate", 1)
    schedule = Schedule([shift], {}, attempts=3)
    schedule.handle(WorkerReady(0))
    schedule.handle(WorkerReady(1))
    assert schedule.handle(WorkerDied(1, "killed")) == [Replace(1)]
    schedule.handle(UnitFinished(0, entry(shift.units[0])))
    assert schedule.finished


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    n_workers=st.integers(1, 4),
    deaths=st.lists(st.booleans(), max_size=30),
    data=st.data(),
)
def test_whatever_dies_every_unit_is_entered_once_in_order(lengths, n_workers, deaths, data):
    shifts = [chain(f"cam{i}", n) for i, n in enumerate(lengths)]
    schedule = Schedule(shifts, {}, attempts=10**6)
    deaths = list(deaths)
    entered, at = [], {}
    queue = [WorkerReady(w) for w in range(n_workers)]
    while not schedule.finished:
        if not queue:
            worker = data.draw(st.sampled_from(sorted(at)))
            one, state = at.pop(worker)
            if deaths and deaths.pop():
                queue.append(WorkerDied(worker, "killed"))
            else:
                made = entry(one, state)
                entered.append(made)
                queue.append(UnitFinished(worker, made))
        for instruction in schedule.handle(queue.pop(0)):
            if isinstance(instruction, Assign):
                assert instruction.worker not in at
                at[instruction.worker] = (instruction.unit, instruction.state_in_digest)
            elif isinstance(instruction, Replace):
                queue.append(WorkerReady(instruction.worker))
    for shift in shifts:
        mine = [made for made in entered if made.camera_id == shift.camera_id]
        assert [made.segment_id for made in mine] == [u.segment.segment_id for u in shift.units]
        expected = list(ledger_of(shift).values())
        assert [made.key for made in mine] == [want.key for want in expected]


def test_too_few_attempts_are_refused_by_configuration():
    from pydantic import ValidationError

    from pipeline.config import ExecutionConfig

    with pytest.raises(ValidationError):
        ExecutionConfig(attempts=0)
