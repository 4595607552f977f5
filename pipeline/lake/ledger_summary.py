"""The ledger in one file: of thousands of units, reading an entry each would take longer than most questions.

It is no part of the ledger, only what was read of it last: an entry holds while its own file is the one it was read
from (same stamp), and any other is read anew. So it may be stale, or missing, or come from another copy of the lake,
and nobody reads anything wrong. Runs write it when they end.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from pipeline.errors import LakeError
from pipeline.lake import ledger, tables
from pipeline.lake.storage import Storage

PATH = "_ledger.summary"
FEW = 100
"""So few entries are read one by one in a tenth of a second."""

_OF_FILE = ("path", "stamp", "local_date")


def read(storage: Storage, stamps: Mapping[str, str]) -> tuple[pa.Table, list[str], list[str]] | None:
    """Return the entries that still hold: a table of schema.LEDGER, their local dates, and their files; or None.

    `stamps` are those of the ledger's files now, by path (see storage.stamps).
    """
    if len(stamps) <= FEW:
        return None
    content = storage.read(PATH)
    try:
        table = None if content is None else tables.from_parquet(content, storage.location(PATH))
    except LakeError:
        return None
    if table is None or not set(_OF_FILE) <= set(table.column_names):
        return None
    paths, found, dates = (table[name].to_pylist() for name in _OF_FILE)
    holds = [stamp != "" and stamps.get(path) == stamp for path, stamp in zip(paths, found, strict=True)]
    table = ledger.completed(table.filter(pa.array(holds, pa.bool_())))
    kept = [n for n, held in enumerate(holds) if held]
    return table, [dates[n] for n in kept], [paths[n] for n in kept]


def write(
    storage: Storage, table: pa.Table, local_dates: list[str], paths: list[str], stamps: Mapping[str, str]
) -> None:
    """Write entries (a table of schema.LEDGER), each with its date and its file, in place of an earlier summary."""
    of_file = {"path": paths, "stamp": [stamps[path] for path in paths], "local_date": local_dates}
    for name in _OF_FILE:
        table = table.append_column(name, pa.array(of_file[name], pa.string()))
    storage.write(PATH, tables.to_parquet(table))
