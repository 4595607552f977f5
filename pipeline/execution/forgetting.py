"""What of erased tracklets comes up again when units are made anew: left out of rows, detections and saved states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pipeline.execution import plan, states
from pipeline.execution.plan import Shift, Unit
from pipeline.lake import erasures, keeping, unseeing
from pipeline.lake.erasures import Erasure
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.types import Exemplars, Observations, Tracklets

Rows = tuple[Observations, Tracklets, Exemplars]


def spared(lake: Lake, unit: Unit, rows: Rows) -> tuple[Rows, int]:
    """Return a unit's rows less those of erased tracklets, and how many of its kept detections went with them."""
    digests = erasures.erased(lake)
    gone = [erasures.is_erased(part.tracklet_id, digests) for part in rows]
    if not any(mask.any() for mask in gone):
        return rows, 0
    left = tuple(part.take(~mask) for part, mask in zip(rows, gone))
    n_own = 0
    for unseen in unseeing.detections_of(lake, unit.segment.camera_id, rows[0].take(gone[0]), lambda: left[0]):
        unseeing.remove(lake, unseen)
        if unseen.path.endswith(f"/{unit.segment.segment_id}.parquet"):
            n_own += int(unseen.rows.sum())
    return left, n_own


def clean_states(lake: Lake) -> None:
    """Take erased tracklets out of the states that units handed on.

    To be called once no unit that is being made goes on from them.
    """
    for erasure in erasures.read(lake):
        for entry, left in holding(lake, erasure):
            motion = lake.motion(entry.camera_id, entry.segment_id)
            if motion is not None and not states.is_erased_from(motion):
                lake.write_motion(entry.camera_id, entry.segment_id, states.without_picture(motion))
            lake.write_state(entry.camera_id, entry.segment_id, left)


def holding(lake: Lake, erasure: Erasure) -> Iterator[tuple[LedgerEntry, bytes]]:
    """Yield the units that handed on a state with any of the tracklets, and that state without them."""
    picked = partial(_picked, frozenset(erasure.names))
    for entry in lake.ledger():
        state = lake.state(entry.camera_id, entry.segment_id) if erasure.concerns(entry) else None
        left = None if state is None else states.without(state, entry.camera_id, lake, picked)
        if left is not None:
            yield entry, left


def _picked(digests: frozenset[str], names: set[str]) -> set[str]:
    listed = sorted(names)
    return {name for name, gone in zip(listed, erasures.is_erased(listed, digests)) if gone}


def to_go_on_from(
    shifts: list[Shift], finished: dict[str, LedgerEntry], lake: Lake
) -> tuple[list[Shift], dict[str, LedgerEntry]]:
    """Return the shifts, and the finished units less those that are to be made anew for the sake of the next one.

    Those are the units before one to be looked at, out of whose state somebody was erased. Made anew they hand on the
    whole state: else who was erased, and goes on in the next file, would be taken for somebody new there. Where the
    next unit's detections are kept, he is not in those either.
    """
    if not erasures.read(lake):
        return shifts, finished
    held = keeping.units(lake)
    out = []
    for shift in shifts:
        while True:
            again = {
                unit.inherits_from
                for unit in plan.pending(shift, finished)
                if unit.inherits_from in finished
                and unit.state_in is None
                and (unit.segment.camera_id, unit.segment.local_date, unit.segment.segment_id) not in held
                and states.is_erased_from(lake.state(shift.camera_id, unit.inherits_from) or b"")
            }
            if not again:
                break
            finished = {name: entry for name, entry in finished.items() if name not in again}
            units = (replace(u, anew=u.anew or u.segment.segment_id in again) for u in shift.units)
            shift = replace(shift, units=tuple(units))
        out.append(shift)
    return out, finished
