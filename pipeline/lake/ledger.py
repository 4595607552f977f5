"""What is done: one entry a unit of work, entered after everything else of the unit is in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import pyarrow as pa

from pipeline.lake import schema

_ADDED = {"motion_unknown": 0, "footage": "", "footage_fingerprint": ""}
"""Columns that older ledgers lack, and what is read for them."""

IMPORTED = "import"
"""`clock_source` of a unit that `nightfleet import` wrote: its `url` is a file of tracks, and its `footage` what they
are of, if that was named."""

_INSTANTS = ("started_at", "ended_at", "finished_at")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One finished unit; the columns of schema.LEDGER, instants in microseconds since 1970 UTC, and its partition.

    local_date     date of the segment's start on the camera's wall clock, `YYYY-MM-DD`
    status         "done" or "quarantined"; then `reason` says why
    started_at_us  None where no clock could be read; ended_at_us likewise
    """

    segment_id: str
    camera_id: str
    local_date: str
    url: str
    status: str
    reason: str
    key: str
    fingerprint: str
    config_digest: str
    weights_digest: str
    state_in_digest: str
    state_out_digest: str
    started_at_us: int | None
    ended_at_us: int | None
    clock_source: str
    frames: int
    detections: int
    observations: int
    tracklets: int
    embeddings: int
    decode_s: float
    detect_s: float
    embed_s: float
    track_s: float
    write_s: float
    wall_s: float
    bad_packets: int
    motion_unknown: int
    version: str
    finished_at_us: int
    footage: str = ""
    footage_fingerprint: str = ""


def to_table(entries: Iterable[LedgerEntry]) -> pa.Table:
    """Return entries as a table of schema.LEDGER, in their order; the partition's date is not a column of it."""
    entries = list(entries)
    columns = []
    for field in schema.LEDGER:
        name = f"{field.name}_us" if field.name in _INSTANTS else field.name
        columns.append(pa.array([getattr(entry, name) for entry in entries], field.type))
    return pa.Table.from_arrays(columns, schema=schema.LEDGER)


def completed(table: pa.Table) -> pa.Table:
    """Return a table of an older ledger with the columns it lacks, in the order of schema.LEDGER."""
    for name, blank in _ADDED.items():
        if name not in table.schema.names:
            field = schema.LEDGER.field(name)
            table = table.append_column(field, pa.array([blank] * len(table), field.type))
    return table.select(schema.LEDGER.names)


def from_table(table: pa.Table, local_dates: Iterable[str]) -> list[LedgerEntry]:
    """Return a table of schema.LEDGER as entries, one date a row, in the ledger's order: by camera, start, segment.

    Units whose start is unknown come first in their camera. Where two rows name one segment, the later finished holds.
    """
    columns = {name: table[name] for name in schema.LEDGER.names}
    for name in _INSTANTS:
        columns[name] = columns[name].cast(pa.int64())
    values = {name: column.to_pylist() for name, column in columns.items()}
    values["local_date"] = list(local_dates)
    sources = [
        field.name.removesuffix("_us") if field.name.removesuffix("_us") in _INSTANTS else field.name
        for field in fields(LedgerEntry)
    ]
    entries = (LedgerEntry(*row) for row in zip(*(values[name] for name in sources), strict=True))
    latest = {}
    for entry in sorted(entries, key=lambda entry: (entry.finished_at_us, entry.local_date)):
        latest[entry.camera_id, entry.segment_id] = entry
    return sorted(latest.values(), key=_order)


def _order(entry: LedgerEntry) -> tuple:
    start_us = entry.started_at_us
    return entry.camera_id, start_us is not None, start_us or 0, entry.segment_id
