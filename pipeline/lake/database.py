"""A lake as one DuckDB file that needs nothing else: for BI tools, which read tables and know no macros."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.lake.column_notes import column_notes
from pipeline.lake.contents import Content, contents
from pipeline.lake.storage import temporary_name

_REPORT_ARGUMENTS = frozenset({"bin_s", "first_date", "last_date", "gap_min"})
"""Macros that ask for nothing else are written as tables, over all dates."""

_INTERNAL = frozenset({"line_days", "line_reads", "passages_computed", "extent_days", "extents_computed"})
"""What crossings and zone visits are found with: of no use but to those who find them."""


def export(lake_url: str, file: Path, *, bin_s: int, without: Collection[str] = (), force: bool = False) -> dict:
    """Write every table of a lake, and every view and report as a table, into a new DuckDB file.

    Every table and column bears a comment, of the schema and of sql/. Reports by time bin have bins of `bin_s`. It
    appears whole or not at all. Returns rows by table. Raises UserError where the file is there already and `force` is
    not given, where it cannot be written, or `without` names no table; LakeError for a lake that cannot be read.
    """
    if file.is_dir() or (file.exists() and not force):
        raise UserError(f"{file}: exists already; name another file, or replace it by --force")
    temporary = file.with_name(temporary_name())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with catalog.connect_beside(lake_url, temporary) as connection:
            chosen = [content for content in contents(connection) if _is_written(content)]
            unknown = sorted(set(without) - {content.name for content in chosen})
            if unknown:
                names = ", ".join(content.name for content in chosen)
                raise UserError(f"--without: expected some of {names}, got {unknown[0]!r}")
            rows = {c.name: _write(connection, c, bin_s) for c in chosen if c.name not in without}
        _flush(temporary)
        os.replace(temporary, file)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror or error}; name another file") from None
    finally:
        for left in (temporary, Path(f"{temporary}.wal")):
            with suppress(OSError):
                left.unlink()
    return rows


def _is_written(content: Content) -> bool:
    if content.name in _INTERNAL:
        return False
    if content.kind == "macro":
        parameters = {word.strip() for word in content.call.partition("(")[2].rstrip(")").split(",")}
        return parameters <= _REPORT_ARGUMENTS and not content.name.endswith("_between")
    return content.kind in ("table", "view")


def _write(connection: catalog.Connection, content: Content, bin_s: int) -> int:
    """Write one table with its comments; return its rows."""
    arguments = {"bin_s": str(bin_s), "first_date": "NULL", "last_date": "NULL"}
    source = content.name
    if content.kind == "macro":
        named = [word.strip() for word in content.call.partition("(")[2].rstrip(")").split(",")]
        source += f"({', '.join(arguments[name] for name in named if name in arguments)})"
    target = f"{catalog.BESIDE}.{content.name}"
    connection.execute(f"CREATE TABLE {target} AS FROM {source}")
    about = content.about if content.kind != "macro" else f"{content.about}; all of {source}"
    connection.execute(f"COMMENT ON TABLE {target} IS {catalog.literal(about)}")
    for column, note in column_notes(content).items():
        connection.execute(f'COMMENT ON COLUMN {target}."{column}" IS {catalog.literal(note)}')
    return connection.execute(f"SELECT count(*) FROM {target}").fetchone()[0]


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
