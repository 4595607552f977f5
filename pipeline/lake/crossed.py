"""Crossings kept in the lake, to be looked for but once, and the extents of tracks by which they are found fast.

There is one file of crossings a line and camera-day, and one of extents a camera-day. A file's name says which units
(and line) its rows were made from (see sql/line_days.sql), so a file whose units were made anew, or whose line was
moved, is no longer read, and is removed by the next `refresh`. Whoever asks for crossings gets the same rows with and
without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake import catalog, erasures, schema, tables
from pipeline.lake.laying import Connection, Opening
from pipeline.lake.writer import Lake

WRITERS = 8
"""Files written at once: each waits for the disk."""

_LATER_DAYS = 2
"""A tracklet that crossed on one date is looked for in the files of that and so many more, as in passages_computed."""

_MISSING = """
SELECT path, date::VARCHAR AS date
FROM {days}
WHERE NOT is_stored AND ($1 IS NULL OR date >= $1::DATE) AND ($2 IS NULL OR date <= $2::DATE)
"""

_EXTENTS = """
SELECT d.path, e.* EXCLUDE (date)
FROM extents_computed($1, $2) AS e JOIN extent_days AS d USING (camera_id, date)
ORDER BY d.path, e.tracklet_id, e.from_at
"""

_CROSSINGS = """
SELECT d.path, p.* EXCLUDE (date)
FROM passages_computed($1, $2) AS p JOIN line_days AS d USING (camera_id, line_id, date)
WHERE NOT d.is_stored
ORDER BY d.path, p.crossed_at, p.tracklet_id
"""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: files of crossings written, files of any kind removed since they are true no more; is_stored
    is false where the lake could not be written to."""

    written: int
    removed: int
    is_stored: bool = True


def refresh(lake_url: str, first_date: str | None = None, last_date: str | None = None) -> Refreshed:
    """Find the crossings of those local dates (None: no limit) that are not stored yet, and store them.

    The days beside them too: whether a track passed a gate can depend on what it did before midnight. Cheap where
    nothing is missing. A lake that cannot be written to stays as it is, and is answered all the same: views compute
    what is not stored. Files that are true no more are removed. Raises LakeError where there is no lake, or a file of
    it is damaged.
    """
    opening = Opening(Lake.open(lake_url))
    try:
        return _refreshed(opening, first_date, last_date)
    finally:
        opening.connection.close()


def connect(
    lake_url: str, first_date: str | None = None, last_date: str | None = None, *, time_zone: str | None = None
) -> Connection:
    """Open a lake for questions about those local dates, as catalog.connect does, refreshed first as `refresh` does."""
    opening = Opening(Lake.open(lake_url), time_zone)
    try:
        _refreshed(opening, first_date, last_date)
    except BaseException:
        opening.connection.close()
        raise
    return catalog.opened(opening)


def _refreshed(opening: Opening, first_date: str | None, last_date: str | None) -> Refreshed:
    lake, connection = opening.lake, opening.connection
    first_date, last_date = _shifted(first_date, -1), _shifted(last_date, 1)
    marks = lake.storage.files(erasures.FOLDER, "")
    written: list[str] = []
    try:
        stale = _stale(connection)
        for path in stale:
            lake.storage.remove(path)
        crossings = _missing(connection, "line_days", first_date, last_date)
        if crossings:
            # Without crossings to be found, nobody asks for extents.
            extents = _missing(connection, "extent_days", first_date, _shifted(last_date, _LATER_DAYS))
            opening.lay_to_find()
            for day in sorted({day for _, day in extents}):  # one by one: the boxes of a day fit in memory
                of_day = [(path, date) for path, date in extents if date == day]
                written += _store(connection, lake, "stored_extents", _EXTENTS, of_day)
            if extents:
                opening.note(written)
                opening.lay_to_find()
            written += _store(connection, lake, "stored_crossings", _CROSSINGS, crossings)
    except OSError:
        return Refreshed(0, 0, is_stored=False)
    if written and lake.storage.files(erasures.FOLDER, "") != marks:
        # Somebody was erased meanwhile, and may stand in what was found before.
        for path in written:
            lake.storage.remove(path)
        opening.unnote(written)
        return Refreshed(0, len(stale))
    if written:
        opening.note([path for path, _ in crossings])
    return Refreshed(len(crossings), len(stale))


def forget(lake: Lake, cameras: Iterable[str], local_dates: Iterable[str]) -> int:
    """Remove all that is stored of some cameras on some dates and the days beside them; return how many files."""
    days = [date.fromisoformat(day) for day in local_dates]
    near = sorted({(day + timedelta(days=shift)).isoformat() for day in days for shift in (-2, -1, 0, 1, 2)})
    folders = [f"date={day}/camera={camera}" for day in near for camera in sorted(cameras)]
    paths = [
        path
        for table in schema.STORED
        for folder in folders
        for path in lake.storage.files(f"{table}/{folder}", ".parquet")
    ]
    for path in paths:
        lake.storage.remove(path)
    return len(paths)


def _missing(connection: Connection, days: str, first_date: str | None, last_date: str | None) -> list[tuple[str, str]]:
    """Return path and date of the files that are not there, of a table of days."""
    found = catalog.answered(connection, _MISSING.format(days=days), [first_date, last_date])
    return list(zip(found["path"].to_pylist(), found["date"].to_pylist(), strict=True))


def _stale(connection: Connection) -> list[str]:
    """Return the files there are that no line and unit asks for."""
    sql = "SELECT path FROM _stored_files EXCEPT (SELECT path FROM line_days UNION ALL SELECT path FROM extent_days)"
    return sorted(catalog.answered(connection, sql)["path"].to_pylist())


def _store(connection: Connection, lake: Lake, table: str, sql: str, missing: Sequence[tuple[str, str]]) -> list[str]:
    """Find what the missing files are to hold, write them, those without rows too, and return their paths."""
    days = [day for _, day in missing]  # of a large lake, only these are read
    found = catalog.answered(connection, sql, [min(days), max(days)])
    parts = dict.fromkeys((path for path, _ in missing), schema.TABLES[table].empty_table())
    parts |= {path: rows for path, rows in _by_path(table, found) if path in parts}
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda path: lake.storage.write(path, tables.to_parquet(parts[path])), parts))
    return list(parts)


def _by_path(table: str, found: pa.Table) -> list[tuple[str, pa.Table]]:
    """Part rows, sorted by their column `path`, into the tables of files."""
    wanted, parts, begin = schema.TABLES[table], [], 0
    if len(found) == 0:
        return parts
    runs = pc.run_end_encode(found["path"].combine_chunks())
    rows = found.select(wanted.names).combine_chunks()
    for path, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        parts.append((path, rows.slice(begin, end - begin).cast(wanted)))
        begin = end
    return parts


def _shifted(local_date: str | None, days: int) -> str | None:
    return None if local_date is None else (date.fromisoformat(local_date) + timedelta(days=days)).isoformat()
