"""What can be asked of a lake: every table, view and macro of the catalogue, with what it says and its columns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.lake import catalog, laying, schema

_ARGUMENTS = {"bin_s": "900", "k": "1", "cell_px": "16"}
"""What a macro is described with, where its argument may not be NULL."""

_ABOUT = {
    "cameras": "cameras of the fleet, as last configured",
    "lines": "counting lines, as last configured",
    "zones": "zones, as last configured",
    "ledger": "one row per finished unit of work, a video file of a camera",
    "class_group": "the group of a class: person, vehicle, or the class itself",
}


@dataclass(frozen=True, slots=True)
class Content:
    """One thing to select from, or to call.

    kind      "table" (Parquet files), "view", "macro" (a table macro, called with arguments) or "function" (a value)
    call      how it is written in a query: its name, a macro's with its arguments
    about     its purpose in a sentence
    columns   names and DuckDB types, in order; of a function none
    notes     what its columns mean, by column, as far as the Parquet schema says it
    """

    name: str
    kind: str
    call: str
    about: str
    columns: tuple[tuple[str, str], ...]
    notes: dict[str, str]


def contents(connection: catalog.Connection) -> list[Content]:
    """Return everything in an open catalogue, tables first, each kind in the order of its name."""
    rows = connection.execute(
        "SELECT DISTINCT function_name, function_type, parameters FROM duckdb_functions() "
        "WHERE NOT internal AND function_type IN ('macro', 'table_macro')"
    ).fetchall()
    found = [_macro(connection, name, kind == "table_macro", parameters) for name, kind, parameters in rows]
    laid = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal UNION SELECT table_name FROM duckdb_tables()"
    ).fetchall()
    found += [_relation(connection, name) for (name,) in laid if not name.startswith("_")]
    order = ("table", "view", "macro", "function")
    return sorted(found, key=lambda content: (order.index(content.kind), content.name))


def _macro(connection: catalog.Connection, name: str, is_table: bool, parameters: list[str]) -> Content:
    call = f"{name}({', '.join(parameters)})"
    if not is_table:
        return Content(name, "function", call, _about(name), (), {})
    arguments = ", ".join(_ARGUMENTS.get(parameter, "NULL") for parameter in parameters)
    return Content(name, "macro", call, _about(name), _columns(connection, f"{name}({arguments})"), {})


def _relation(connection: catalog.Connection, name: str) -> Content:
    known = schema.TABLES.get(name)
    notes = {} if known is None else {field.name: _note(field) for field in known}
    kind = "view" if known is None else "table"
    return Content(name, kind, name, _about(name), _columns(connection, name), notes)


def _columns(connection: catalog.Connection, relation: str) -> tuple[tuple[str, str], ...]:
    return tuple(connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {relation})").fetchall())


def _note(field) -> str:
    """Return what the schema says of a column, its unit in brackets."""
    said = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return said.get("description", "") + (f" ({said['unit']})" if "unit" in said else "")


def _about(name: str) -> str:
    """Return the purpose that heads a view's .sql file: its comment up to the columns, or its first sentence."""
    if name in _ABOUT:
        return _ABOUT[name]
    heading = []
    for line in laying.sql_text(name).splitlines():
        if not line.startswith("--") or line.startswith("-- Columns:"):
            break
        heading.append(line.removeprefix("--").strip())
    said = " ".join(heading).partition(": ")[2]
    return re.split(r"(?<=[a-z0-9)])\.(?:\s|$)", said)[0].rstrip(".")
