"""DuckDB over a lake: views of whole units, and nothing outside the lake within reach.

A connection is a snapshot of which units there are: those the ledger lists when it is opened. The views are in sql/,
each headed by its purpose and columns.
"""

from __future__ import annotations

import re
import tempfile
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.errors import LakeError, UserError
from pipeline.lake import fleet, keeping, ledger, schema, tables, thumbnails
from pipeline.lake.storage import RemoteStorage
from pipeline.lake.writer import Lake, unit_location
from pipeline.types import CLASS_GROUPS

Connection = duckdb.DuckDBPyConnection
"""What `connect` gives; reports name the type by this."""

IDENTITY_VIEWS = ("identities", "identity_evidence", "calibrations", "camera_looks", "identity_decisions")
"""Views over what identifying leaves; those after the first show only what belongs to the identities there are."""

FILE_VIEWS = (*schema.PER_SEGMENT, *schema.KEPT, *schema.PICTURED, *schema.STORED, *IDENTITY_VIEWS)
"""Views over Parquet files, one .sql each with `$files` for their list."""

MADE = ("extent_days", "line_days", "line_reads")
"""Small tables made when a lake is opened."""

VIEWS = (
    "watched",
    "gaps",
    "coverage",
    "extents_computed",
    "passages_computed",
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
"""Views and table macros over those, in the order in which they build on each other."""

_NAMED_FILE = re.compile(r"""['"]([^'"]+\.parquet)['"]""")
"""The file in a message of DuckDB."""

_DAMAGED = "not a whole Parquet file"

_FLEET_TABLES = ("cameras", "lines", "zones")

BESIDE = "beside"
"""What a database file is attached as (see connect_beside)."""


def connect(url: str, *, time_zone: str | None = None) -> Connection:
    """Open a lake for questions, with every table and view of sql/; instants are shown in `time_zone` (UTC without).

    The connection reads no file outside the lake and its settings are locked. Strangers' SQL goes through `query`,
    which lets nothing but a SELECT pass. Raises LakeError where there is no lake, or a file of it is damaged; UserError
    for an unknown zone.
    """
    lake = Lake.open(url)
    connection = _laid_out(lake, time_zone)
    try:
        _lock(connection, lake)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def connect_beside(url: str, file: Path) -> Iterator[Connection]:
    """Open a lake with a new DuckDB file beside it, attached as BESIDE, for our own statements only: nothing is locked.

    The file is whole once the block is left. Raises LakeError as `connect` does, and where a file of the lake that is
    read turns out damaged.
    """
    connection = _laid_out(Lake.open(url), None)
    try:
        connection.execute(f"ATTACH {literal(str(file))} AS {BESIDE}")
        yield connection
        connection.execute(f"DETACH {BESIDE}")
    except duckdb.Error as error:
        damage = _damage(connection, error, _viewed_files(connection))
        raise LakeError(damage or f"{url}: cannot be written into one file: {_sentence(error)}") from None
    finally:
        connection.close()


def _laid_out(lake: Lake, time_zone: str | None) -> Connection:
    """Open a lake with everything laid out, and nothing locked yet."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"SET TimeZone = {literal(_checked_zone(time_zone))}")
        # A footer is read once a connection, not once a query: of thousands of files that is what takes the time.
        connection.execute("SET parquet_metadata_cache = true")
        laid = _load_tables(connection, lake)
        connection.execute(_class_group())
        for name in VIEWS:
            connection.execute(_sql(name))
        # Only now over all files: DuckDB goes through the list again for every view that it makes over another.
        for name, files in laid.items():
            over_all = _sql(name).replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace("$files", _list(files))
            connection.execute(over_all)
    except BaseException:
        connection.close()
        raise
    return connection


def query(
    url: str, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None, *, time_zone: str | None = None
) -> pa.Table:
    """Answer one SELECT over a lake. Raises UserError where it is something else or DuckDB cannot answer it, LakeError
    where a file that it needs is damaged."""
    with connect(url, time_zone=time_zone) as connection:
        return select(connection, sql, params)


def query_files(
    files: Mapping[str, Sequence[str]], sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None
) -> pa.Table:
    """Answer one SELECT over Parquet files of this machine that are no table of a lake, each list under its name.

    Nothing else of the lake is opened: of a large one that takes longer than the answer. Raises UserError, LakeError.
    """
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, paths in files.items():
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({_list(paths)}, hive_partitioning = false)")
        return select(connection, sql, params)


def select(connection: Connection, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
    """Answer one SELECT on an open connection. Raises UserError where it is something else or cannot be answered,
    LakeError where a file that it needs is damaged.

    A statement that DuckDB calls a SELECT may still write, by `WITH x AS (COPY ... TO ...)`; such a statement cannot
    stand inside another, so it is bound there first (EXPLAIN runs nothing).
    """
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UserError(_not_a_select(statements))
        text = _without_semicolon(sql)
        connection.execute(f"EXPLAIN SELECT * FROM (\n{text}\n)", params)
        return connection.sql(text, params=params).to_arrow_table()
    except duckdb.Error as error:
        damage = _damage(connection, error, _viewed_files(connection))
        raise LakeError(damage) if damage else UserError(f"the query cannot be answered: {_sentence(error)}") from None


def statements(text: str) -> tuple[list[str], str]:
    """Return the statements that a semicolon ends, without it and without empty ones, and the text after the last."""
    content, parts, begins = text.encode(), [], 0
    for ends in _semicolons(text):
        parts.append(content[begins:ends].decode())
        begins = ends + 1
    return [part for part in parts if part.strip()], content[begins:].decode()


def sql_text(name: str) -> str:
    """Return the text of a view or macro: what it is for and its columns, then how it is made."""
    return _sql(name)


def _load_tables(connection: Connection, lake: Lake) -> dict[str, list[str]]:
    """Load the small tables, and lay views over the first file of each table; return all files that they go over."""
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
    for name in IDENTITY_VIEWS:
        files[name] = [lake.storage.location(path) for path in lake.storage.files(name, ".parquet")]
    files |= _stored(connection, lake)
    for name in FILE_VIEWS:
        if not files[name]:
            _create(connection, name, _empty(name))
    there = [name for name in FILE_VIEWS if files[name]]
    return {name: files[name] for name in there if _lay(connection, name, files[name][:1])}


def _lay(connection: Connection, name: str, files: list[str]) -> bool:
    """Lay a view over files; tell whether it goes over them. Raises LakeError where DuckDB finds one damaged already.

    Kept detections and thumbnails are not needed for any other table: their view then says so to whoever asks for it.
    """
    try:
        connection.execute(_sql(name).replace("$files", _list(files)))
    except duckdb.Error as error:
        damage = _damage(connection, error, files)
        if damage is None:
            raise
        if name not in (*schema.KEPT, *schema.PICTURED):
            raise LakeError(damage) from None
        _create(connection, f"_no_{name}", _empty(name))
        connection.execute(
            f"CREATE VIEW {name} AS SELECT kept.* FROM (SELECT 1 WHERE error({literal(damage)}) IS NULL) "
            f"LEFT JOIN _no_{name} AS kept ON true"
        )
        return False
    return True


def _stored(connection: Connection, lake: Lake) -> dict[str, list[str]]:
    """Make the tables MADE, and return the files of schema.STORED that are true of the lines and units there are."""
    held = [path for table in schema.STORED for path in lake.storage.files(table, ".parquet")]
    _create(connection, "_stored_files", pa.table({"path": pa.array(held, pa.string())}))
    for name in MADE:
        connection.execute(_sql(name))
    files = {}
    for table, days in zip(schema.STORED, ("extent_days", "line_days"), strict=True):
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
    connection.execute(f"CREATE TABLE {name} AS FROM _incoming")
    connection.unregister("_incoming")


def _lock(connection: Connection, lake: Lake) -> None:
    """Shut the connection off from everything but the lake, for good."""
    folders = {f"{lake.storage.location('').rstrip('/')}/"}
    if isinstance(lake.storage, RemoteStorage):
        # DuckDB compares both what it was given and what the file system calls it, `memory:///lake` for `memory://lake`.
        folders |= {f"{lake.url}/", f"{lake.storage.protocol}://{str(lake.storage.root).lstrip('/')}/"}
    # Sorting more than fits in memory spills to disk; without a folder named, DuckDB would use the working directory's.
    connection.execute(f"SET temp_directory = {literal(tempfile.gettempdir() + '/nightfleet-spill')}")
    connection.execute(f"SET allowed_directories = {_list(sorted(folders))}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _without_semicolon(sql: str) -> str:
    """Cut one statement at the semicolon that ends it, if one does; those in strings and comments are no such thing."""
    ends = _semicolons(sql)
    return sql.encode()[: ends[0]].decode() if ends else sql


def _semicolons(sql: str) -> list[int]:
    """Return where statements end, as offsets into the text's UTF-8."""
    content = sql.encode()
    return [
        offset
        for offset, kind in duckdb.tokenize(sql)
        if kind == duckdb.token_type.operator and content[offset : offset + 1] == b";"
    ]


def _class_group() -> str:
    """Return the SQL of class_group(class): what types.class_group says, as a macro."""
    cases = " ".join(f"WHEN {literal(name)} THEN {literal(group)}" for name, group in CLASS_GROUPS.items())
    return f"CREATE MACRO class_group(class) AS CASE class {cases} ELSE class END"


def _sql(name: str) -> str:
    return (resources.files("pipeline.lake") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def literal(text: str) -> str:
    """Return a text as it stands in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(literal(text) for text in texts) + "]"


def _checked_zone(time_zone: str | None) -> str:
    name = time_zone or "UTC"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"{name!r} is not an IANA time zone; write one such as Europe/Berlin") from None
    return name


def _not_a_select(statements: list) -> str:
    if not statements:
        return "the query is empty; write one SELECT statement, such as SELECT * FROM coverage"
    if len(statements) > 1:
        return f"the query has {len(statements)} statements; write one SELECT at a time"
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:
        return "a PIVOT must name its values here, as in PIVOT crossings ON direction IN ('in', 'out') USING count(*)"
    return f"only SELECT is answered here, got {kind.name}; a lake is written by `nightfleet run` alone"


def _damage(connection: Connection, error: duckdb.Error, files: Sequence[str]) -> str | None:
    """Return in a sentence which of these files is damaged or gone, or None where that is not what is wrong."""
    if _DAMAGED in str(error):  # by a view that stands in for kept detections
        return _sentence(error).partition(": ")[2]
    if type(error) not in (duckdb.Error, duckdb.IOException, duckdb.InvalidInputException):
        return None
    named = _NAMED_FILE.search(_message(error))
    path = named[1] if named else _first_damaged(connection, files)
    if path is None:
        return None
    remedy = "remove the ledger's file of the same name and run again"
    if any(f"/{name}/date=" in path for name in schema.KEPT):
        remedy = "remove it, and keep detections anew by `nightfleet run FLEET.YAML --keep-detections`"
    elif any(f"/{name}/date=" in path for name in schema.STORED):
        remedy = "remove it; the next report makes it anew"
    elif "/thumbnails/date=" in path:
        remedy = "remove it, and make it anew by `nightfleet run FLEET.YAML --keep-thumbnails`"
    elif any(f"/{name}/" in path for name in IDENTITY_VIEWS):
        remedy = "remove it and run again"
    return f"{path}: {_DAMAGED} ({_sentence(error)}); {remedy}"


def _viewed_files(connection: Connection) -> list[str]:
    """Return the files that views lie over."""
    laid = connection.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
    return [path for (sql,) in laid for path in _NAMED_FILE.findall(sql)]


def _first_damaged(connection: Connection, files: Sequence[str]) -> str | None:
    """Return the first file whose footer cannot be read: DuckDB does not always say which it was."""
    for path in files:
        try:
            connection.execute("FROM parquet_file_metadata(?)", [path])
        except duckdb.Error:
            return path
    return None


def _sentence(error: duckdb.Error) -> str:
    """Return DuckDB's message in one line, without the picture of the query under it."""
    return re.sub(r"\s+", " ", _message(error)).strip().rstrip(".: ")


def _message(error: duckdb.Error) -> str:
    return str(error).split("\n\nLINE ")[0]
