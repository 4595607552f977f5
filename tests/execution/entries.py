"""Small builders the execution tests share."""

from __future__ import annotations

import dataclasses

from pipeline.execution.plan import FRESH, Shift, Unit
from pipeline.lake.ledger import LedgerEntry
from pipeline.types import Segment

MINUTE_US = 60_000_000


def segment(camera_id: str = "gate", minute: int = 0, minutes: int = 1, **changes) -> Segment:
    """A segment that starts `minute` minutes into a day and lasts `minutes`."""
    values = {
        "segment_id": f"{camera_id}-{minute:04d}",
        "camera_id": camera_id,
        "url": f"/footage/{camera_id}/{minute:04d}.mp4",
        "started_at_us": 1_772_323_200_000_000 + minute * MINUTE_US,
        "duration_us": minutes * MINUTE_US,
        "local_date": "2026-03-01",
        "clock_source": "file name",
        "width_px": 640,
        "height_px": 360,
        "fps": 10.0,
        "fingerprint": f"print-{camera_id}-{minute}",
    }
    return Segment(**{**values, **changes})


def unit(of: Segment, inherits_from: str | None = None, closes: bool = True) -> Unit:
    """A unit with fixed digests."""
    return Unit(of, inherits_from, closes, config_digest="c", weights_digest="w")


def chain(camera_id: str, n_units: int, minutes: int = 1) -> Shift:
    """A shift of back-to-back segments that hand the tracker's state on."""
    segments = [segment(camera_id, minute=i * minutes, minutes=minutes) for i in range(n_units)]
    units = [
        unit(s, inherits_from=segments[i - 1].segment_id if i else None, closes=i == n_units - 1)
        for i, s in enumerate(segments)
    ]
    return Shift(camera_id, tuple(units))


def entry(of: Unit, state_in: str = FRESH, state_out: str | None = None, **changes) -> LedgerEntry:
    """The ledger entry a unit leaves."""
    state_out = (FRESH if of.closes else f"after {of.segment.segment_id}") if state_out is None else state_out
    numbers = {f.name: 0 for f in dataclasses.fields(LedgerEntry)}
    values = {
        **numbers,
        "segment_id": of.segment.segment_id,
        "camera_id": of.segment.camera_id,
        "local_date": of.segment.local_date,
        "url": of.segment.url,
        "status": "done",
        "reason": "",
        "key": of.key(state_in),
        "fingerprint": of.segment.fingerprint,
        "config_digest": of.config_digest,
        "weights_digest": of.weights_digest,
        "state_in_digest": state_in,
        "state_out_digest": state_out,
        "started_at_us": of.segment.started_at_us,
        "ended_at_us": of.segment.ended_at_us,
        "clock_source": "file name",
        "version": "test",
    }
    return LedgerEntry(**{**values, **changes})


def ledger_of(shift: Shift) -> dict[str, LedgerEntry]:
    """The ledger after an undisturbed run of a shift."""
    ledger, state = {}, FRESH
    for one in shift.units:
        made = entry(one, state if one.inherits_from else FRESH)
        ledger[made.segment_id] = made
        state = made.state_out_digest
    return ledger
