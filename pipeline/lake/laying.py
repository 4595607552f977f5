"""The tables and views of sql/, laid over the files of a lake.

A connection is a snapshot of which units there are: those the ledger lists when it is opened.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from importlib import resources

import duckdb
import pyarrow as pa

from pipeline.errors import LakeError, UserError
from pipeline.lake import fleet, keeping, ledger, schema, tables, thumbnails
from pipeline.lake.damage import damage
from pipeline.lake.storage import RemoteStorage
from pipeline.lake.writer import Lake, unit_location
from pipeline.types import CLASS_GROUPS

Connection = duckdb.DuckDBPyConnection
"""What catalog.connect gives; reports name the type by this."""

FILE_VIEWS = (*schema.PER_SEGMENT, *schema.KEPT, *schema.PICTURED, *schema.STORED, *schema.IDENTITY_TABLES)
"""Views over Parquet files, one .sql each with `$files` for their list."""

MADE = ("extent_days", "line_days", "line_reads")
"""Small tables made when a lake is opened."""

COMPUTED = {
    "extents_computed": ("stored_extents", "extent_days"),
    "passages_computed": ("stored_crossings", "line_days"),
}
"""Macros that find what is not stored: where it is stored, and the table of the days of which it is or is not."""

VIEWS = (
    "watched",
    "gaps",
    "coverage",
    "line_passages_between",
    "crossings_between",
    "crossings",
    "gate_crossings_between",
    "gate_crossings",
    "zone_visits_between",
    "zone_visits",
    "zone_events_between",
    "zone_events",
    "local_from",
    "local_until",
    "local_iso",
    "zone_stays",
    "zone_dwell",
    "camera_bins",
    "cell_of",
    "cells_within",
    "camera_classes",
    "traffic_counts",
    "track_counts",
    "gate_counts",
    "peak_hours",
    "turning_movements",
    "zone_occupancy",
    "trip_sightings",
    "od_flows",
    "gate_od_flows",
    "travel_times",
    "local_text",
    "line_speeds",
    "counting_doubts",
    "heat",
    "identity_sightings",
    "origin_destination",
    "similar_tracklets",
)
"""Views and table macros over all those, in the order in which they build on each other."""

_FLEET_TABLES = ("cameras", "lines", "zones")


class Opening:
    """A lake on its way to be open: its small tables are there at once, all else when `complete` is called.

    In between it may be brought up to date: `lay_to_find` lays what crossings are found with, and `note` tells of files
    that were written since. Nothing is locked.
    """

    def __init__(self, lake: Lake, time_zone: str | None = None) -> None:
        self.lake = lake
        self.connection = duckdb.connect(":memory:")
        try:
            self.connection.execute(f"SET TimeZone = {literal(_checked_zone(time_zone))}")
            # A footer is read once a connection, not once a query: of thousands of files that is what takes the time.
            self.connection.execute("SET parquet_metadata_cache = true")
            self._files = _load_tables(self.connection, lake)
        except BaseException:
            self.connection.close()
            raise

    def lay_to_find(self) -> None:
        """Lay what extents and crossings are found with, and no more."""
        for name in ("observations", "tracklets", "stored_extents"):
            self._lay_over(name, self._files[name])
        self._lay_computed()

    def note(self, written: Sequence[str]) -> None:
        """Take files of schema.STORED for there, by their paths below the lake."""
        _create(self.connection, "_written", pa.table({"path": pa.array(written, pa.string())}))
        self.connection.execute("INSERT INTO _stored_files FROM _written")
        self._look_again()

    def unnote(self, removed: Sequence[str]) -> None:
        """Take such files for not there."""
        _create(self.connection, "_removed", pa.table({"path": pa.array(removed, pa.string())}))
        self.connection.execute("DELETE FROM _stored_files WHERE path IN (SELECT path FROM _removed)")
        self._look_again()

    def _look_again(self) -> None:
        for _, days in COMPUTED.values():
            self.connection.execute(f"UPDATE {days} SET is_stored = path IN (SELECT path FROM _stored_files)")
        self.connection.execute(_replacing("line_reads"))
        self._files |= _stored_files(self.connection, self.lake)

    def complete(self) -> Connection:
        """Lay every table and view, and return the connection."""
        laid = [name for name in FILE_VIEWS if self._lay_over(name, self._files[name][:1])]
        self._lay_computed()
        for name in VIEWS:
            self.connection.execute(sql_text(name))
        # Only now over all files: DuckDB goes through the list again for every view that it makes over another.
        for name in laid:
            self._lay_over(name, self._files[name])
        return self.connection

    def _lay_over(self, name: str, files: Sequence[str]) -> bool:
        """Lay a view over files, or one without rows where there are none; tell whether it goes over them.

        Kept detections and thumbnails are not needed for any other table: where one is damaged, their view says so to
        whoever asks for it. Raises LakeError where DuckDB finds a file of another table damaged already.
        """
        if not files:
            self._lay_empty(name)
            return False
        try:
            self.connection.execute(_replacing(name).replace("$files", listed(files)))
        except duckdb.Error as error:
            found = damage(self.connection, error, files)
            if found is None:
                raise
            if name not in (*schema.KEPT, *schema.PICTURED):
                raise LakeError(found) from None
            self._lay_empty(name)
            self.connection.execute(
                f"CREATE OR REPLACE VIEW {name} AS SELECT kept.* FROM (SELECT 1 WHERE error({literal(found)}) IS NULL) "
                f"LEFT JOIN _no_{name} AS kept ON true"
            )
            return False
        return True

    def _lay_computed(self) -> None:
        """Lay the macros COMPUTED; those that have nothing to find without rows, since to plan them takes a while."""
        for macro, (table, days) in COMPUTED.items():
            asked = f"SELECT EXISTS (FROM {days} WHERE NOT is_stored)"
            if self.connection.execute(asked).fetchall() == [(True,)]:
                self.connection.execute(_replacing(macro))
                continue
            _create(self.connection, f"_no_{table}", _empty(table))
            self.connection.execute(
                f"CREATE OR REPLACE MACRO {macro}(first_date, last_date) AS TABLE "
                f"SELECT date, * EXCLUDE (date, camera) FROM _no_{table}"
            )

    def _lay_empty(self, name: str) -> None:
        """Lay a view without rows."""
        _create(self.connection, f"_no_{name}", _empty(name))
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM _no_{name}")


def sql_text(name: str) -> str:
    """Return the text of a view or macro: what it is for and its columns, then how it is made."""
    return (resources.files("pipeline.lake") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def literal(text: str) -> str:
    """Return a text as it stands in SQL."""
    return "'" + text.replace("'", "''") + "'"


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list of SQL."""
    return "[" + ", ".join(literal(text) for text in texts) + "]"


def _replacing(name: str) -> str:
    """Return the SQL of a view, macro or table so that it takes the place of the one there is, if any."""
    return re.sub("^CREATE ", "CREATE OR REPLACE ", sql_text(name), count=1, flags=re.MULTILINE)


def _load_tables(connection: Connection, lake: Lake) -> dict[str, list[str]]:
    """Load the small tables; return the files of all others."""
    if isinstance(lake.storage, RemoteStorage):
        connection.register_filesystem(lake.storage.filesystem)
    entries = lake.ledger()
    _create(connection, "ledger", _with_partition(entries))
    for name in _FLEET_TABLES:
        path = f"{name}/{name}.parquet"
        content = lake.storage.read(path)
        empty = schema.TABLES[name].empty_table()
        held = empty if content is None else tables.from_parquet(content, lake.storage.location(path))
        _create(connection, name, fleet.completed(name, held))
    files = {
        name: [unit_location(lake, name, entry) for entry in entries if getattr(entry, name) > 0]
        for name in schema.PER_SEGMENT
    }
    held = keeping.units(lake)
    kept = [entry for entry in entries if (entry.camera_id, entry.local_date, entry.segment_id) in held]
    for name in schema.KEPT:
        files[name] = [unit_location(lake, name, entry) for entry in kept if getattr(entry, name) > 0]
    pictured = thumbnails.units(lake)
    files["thumbnails"] = [
        unit_location(lake, "thumbnails", entry)
        for entry in entries
        if entry.tracklets > 0 and (entry.camera_id, entry.local_date, entry.segment_id) in pictured
    ]
    for name in schema.IDENTITY_TABLES:
        files[name] = [lake.storage.location(path) for path in lake.storage.files(name, ".parquet")]
    held = [path for table in schema.STORED for path in lake.storage.files(table, ".parquet")]
    _create(connection, "_stored_files", pa.table({"path": pa.array(held, pa.string())}))
    for name in MADE:
        connection.execute(sql_text(name))
    connection.execute(_class_group())
    return files | _stored_files(connection, lake)


def _stored_files(connection: Connection, lake: Lake) -> dict[str, list[str]]:
    """Return the files of schema.STORED that are true of the lines and units there are."""
    files = {}
    for table, days in COMPUTED.values():
        valid = connection.execute(f"SELECT path FROM {days} WHERE is_stored ORDER BY ALL").fetchall()
        files[table] = [lake.storage.location(path) for (path,) in valid]
    return files


def _with_partition(entries: list[ledger.LedgerEntry]) -> pa.Table:
    """Return the ledger's table with the partition's columns, as its files have them."""
    days = pa.array([entry.local_date for entry in entries], pa.string()).cast(pa.date32())
    table = ledger.to_table(entries)
    return table.append_column("camera", table["camera_id"]).append_column("date", days)


def _empty(name: str) -> pa.Table:
    """Return a file view's columns without rows."""
    table = schema.TABLES[name].empty_table()
    if name == "detections":  # DuckDB takes no half floats from Arrow; out of Parquet it makes floats of them
        at = table.schema.get_field_index("embedding")
        table = table.set_column(at, "embedding", table["embedding"].cast(schema.VECTOR))
    if name in (*schema.PER_SEGMENT, *schema.KEPT, *schema.PICTURED, *schema.STORED):
        table = table.append_column("camera", pa.array([], pa.string()))
    if name == "identity_decisions":
        return table
    return table.append_column("date", pa.array([], pa.date32()))


def _create(connection: Connection, name: str, table: pa.Table) -> None:
    connection.register("_incoming", table)
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM _incoming")
    connection.unregister("_incoming")


def _class_group() -> str:
    """Return the SQL of class_group(class): what types.class_group says, as a macro."""
    cases = " ".join(f"WHEN {literal(name)} THEN {literal(group)}" for name, group in CLASS_GROUPS.items())
    return f"CREATE MACRO class_group(class) AS CASE class {cases} ELSE class END"


def _checked_zone(time_zone: str | None) -> str:
    name = time_zone or "UTC"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"{name!r} is not an IANA time zone; write one such as Europe/Berlin") from None
    return name
