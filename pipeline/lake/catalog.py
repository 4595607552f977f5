"""DuckDB over a lake: views of whole units, and nothing outside the lake within reach.

A connection is a snapshot of which units there are: those the ledger lists when it is opened. The views are in sql/,
each headed by its purpose and columns; laying.py lays them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.errors import LakeError, UserError
from pipeline.lake.damage import damage, sentence, viewed_files
from pipeline.lake.laying import Connection, Opening, listed, literal
from pipeline.lake.storage import RemoteStorage
from pipeline.lake.writer import Lake

BESIDE = "beside"
"""What a database file is attached as (see connect_beside)."""


def connect(url: str, *, time_zone: str | None = None) -> Connection:
    """Open a lake for questions, with every table and view of sql/; instants are shown in `time_zone` (UTC without).

    The connection reads no file outside the lake and its settings are locked. Strangers' SQL goes through `query`,
    which lets nothing but a SELECT pass. Raises LakeError where there is no lake, or a file of it is damaged; UserError
    for an unknown zone.
    """
    return opened(Opening(Lake.open(url), time_zone))


def opened(opening: Opening) -> Connection:
    """Open a lake of which something may be laid already, as `connect` does."""
    try:
        connection = opening.complete()
        _lock(connection, opening.lake)
    except BaseException:
        opening.connection.close()
        raise
    return connection


@contextmanager
def connect_beside(url: str, file: Path) -> Iterator[Connection]:
    """Open a lake with a new DuckDB file beside it, attached as BESIDE, for our own statements only: nothing is locked.

    The file is whole once the block is left. Raises LakeError as `connect` does, and where a file of the lake that is
    read turns out damaged.
    """
    opening = Opening(Lake.open(url))
    connection = opening.connection
    try:
        opening.complete()
        connection.execute(f"ATTACH {literal(str(file))} AS {BESIDE}")
        yield connection
        connection.execute(f"DETACH {BESIDE}")
    except duckdb.Error as error:
        found = damage(connection, error, viewed_files(connection))
        raise LakeError(found or f"{url}: cannot be written into one file: {sentence(error)}") from None
    finally:
        connection.close()


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
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({listed(paths)}, hive_partitioning = false)")
        return select(connection, sql, params)


def select(connection: Connection, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
    """Answer one SELECT on an open connection. Raises UserError where it is something else or cannot be answered,
    LakeError where a file that it needs is damaged.

    A statement that DuckDB calls a SELECT may still write, by `WITH x AS (COPY ... TO ...)`; such a statement cannot
    stand inside another, so it is bound there first, which runs nothing.
    """
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UserError(_not_a_select(statements))
        text = _without_semicolon(sql)
        connection.sql(f"SELECT * FROM (\n{text}\n)", params=params)
    except duckdb.Error as error:
        raise refusal(connection, error) from None
    return answered(connection, text, params)


def answered(connection: Connection, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
    """Answer one SELECT of our own, as `select` does those of strangers."""
    try:
        return connection.sql(sql, params=params).to_arrow_table()
    except duckdb.Error as error:
        raise refusal(connection, error) from None


def refusal(connection: Connection, error: duckdb.Error) -> LakeError | UserError:
    """Return what is said of a question that DuckDB did not answer: which file is damaged, or what is wrong with it."""
    found = damage(connection, error, viewed_files(connection))
    return LakeError(found) if found else UserError(f"the query cannot be answered: {sentence(error)}")


def statements(text: str) -> tuple[list[str], str]:
    """Return the statements that a semicolon ends, without it and without empty ones, and the text after the last."""
    content, parts, begins = text.encode(), [], 0
    for ends in _semicolons(text):
        parts.append(content[begins:ends].decode())
        begins = ends + 1
    return [part for part in parts if part.strip()], content[begins:].decode()


def _lock(connection: Connection, lake: Lake) -> None:
    """Shut the connection off from everything but the lake, for good."""
    folders = {f"{lake.storage.location('').rstrip('/')}/"}
    if isinstance(lake.storage, RemoteStorage):
        # DuckDB compares both what it was given and what the file system calls it, `memory:///lake` for `memory://lake`.
        folders |= {f"{lake.url}/", f"{lake.storage.protocol}://{str(lake.storage.root).lstrip('/')}/"}
    # Sorting more than fits in memory spills to disk; without a folder named, DuckDB would use the working directory's.
    connection.execute(f"SET temp_directory = {literal(tempfile.gettempdir() + '/nightfleet-spill')}")
    connection.execute(f"SET allowed_directories = {listed(sorted(folders))}")
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


def _not_a_select(statements: list) -> str:
    if not statements:
        return "the query is empty; write one SELECT statement, such as SELECT * FROM coverage"
    if len(statements) > 1:
        return f"the query has {len(statements)} statements; write one SELECT at a time"
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:
        return "a PIVOT must name its values here, as in PIVOT crossings ON direction IN ('in', 'out') USING count(*)"
    return f"only SELECT is answered here, got {kind.name}; a lake is written by `nightfleet run` alone"
