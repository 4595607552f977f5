"""Which file of a lake is damaged, out of what DuckDB says when it cannot answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from pipeline.lake import schema

_NAMED_FILE = re.compile(r"""['"]([^'"]+\.parquet)['"]""")
"""The file in a message of DuckDB."""

_DAMAGED = "not a whole Parquet file"


def damage(connection: duckdb.DuckDBPyConnection, error: duckdb.Error, files: Sequence[str]) -> str | None:
    """Return in a sentence which of these files is damaged or gone, or None where that is not what is wrong."""
    if _DAMAGED in str(error):  # by a view that stands in for kept detections
        return sentence(error).partition(": ")[2]
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
    elif any(f"/{name}/" in path for name in schema.IDENTITY_TABLES):
        remedy = "remove it and run again"
    return f"{path}: {_DAMAGED} ({sentence(error)}); {remedy}"


def viewed_files(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the files that views lie over."""
    laid = connection.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
    return [path for (sql,) in laid for path in _NAMED_FILE.findall(sql)]


def _first_damaged(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> str | None:
    """Return the first file whose footer cannot be read: DuckDB does not always say which it was."""
    for path in files:
        try:
            connection.execute("FROM parquet_file_metadata(?)", [path])
        except duckdb.Error:
            return path
    return None


def sentence(error: duckdb.Error) -> str:
    """Return DuckDB's message in one line, without the picture of the query under it."""
    return re.sub(r"\s+", " ", _message(error)).strip().rstrip(".: ")


def _message(error: duckdb.Error) -> str:
    return str(error).split("\n\nLINE ")[0]
