"""Tables as files: CSV, Parquet and Excel workbooks, each written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import UserError

EXCEL_ROWS = 1_048_576
"""Rows of a sheet, its header included (Microsoft, Excel specifications and limits)."""

_NEVER = datetime(2000, 1, 1)
"""Stands as the day a workbook was made on: the same lake gives the same bytes."""

_WIDEST, _NARROWEST = 60, 8
_SHEET_NAME = 31


def csv_text(table: pa.Table) -> str:
    """Return a table as CSV with a header; instants in UTC, NULL as nothing."""
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes().decode()


def write_csv(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table as a CSV file."""
    put(Path(path), csv_text(table).encode())


def write_parquet(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    put(Path(path), sink.getvalue().to_pybytes())


def write_workbook(
    tables: Mapping[str, pa.Table], path: str | os.PathLike[str], about: Mapping[str, str] | None = None
) -> None:
    """Write tables as an Excel workbook, one sheet each under its name, and a last sheet `about` of text.

    Numbers are numbers and dates are dates; NULL is an empty cell. Excel knows no time zones: an instant is written in
    UTC, its heading says so; a column `..._local` (ISO 8601 with offset) becomes the wall clock's date-time with a
    column `utc_offset` beside it, which tells the repeated hour apart.

    Raises UserError where a table has too many rows.
    """
    put(Path(path), _workbook(tables, about or {}))


WRITERS = {
    "csv": write_csv,
    "parquet": write_parquet,
    "xlsx": lambda table, path: write_workbook({"rows": table}, path),
}
"""Writers of one table by the name of their format."""


def put(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it. Raises UserError where that cannot be."""
    temporary = path.parent / f".tmp-{path.name}-{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; name another file") from None


def _workbook(tables: Mapping[str, pa.Table], about: Mapping[str, str]) -> bytes:
    import xlsxwriter

    for name, table in tables.items():
        if table.num_rows >= EXCEL_ROWS:
            raise UserError(
                f"the table {name} has {table.num_rows} rows and a sheet of Excel takes {EXCEL_ROWS - 1}: ask for "
                "fewer days or longer bins, or write CSV or Parquet"
            )
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink, {"in_memory": True})
    book.set_properties({"created": _NEVER, "title": about.get("report", ""), "author": "nightfleet"})
    forms = {
        "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
        "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        "instant": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "real": book.add_format({"num_format": "0.00"}),
        "text": book.add_format({"text_wrap": True, "valign": "top"}),
    }
    for name, table in tables.items():
        _fill(book.add_worksheet(name[:_SHEET_NAME]), _for_excel(table), forms)
    if about:
        sheet = book.add_worksheet("about")
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 100)
        for at, (what, said) in enumerate(about.items()):
            sheet.write_string(at, 0, what, forms["head"])
            sheet.write_string(at, 1, said, forms["text"])
    book.close()
    return sink.getvalue()


def _for_excel(table: pa.Table) -> dict[str, list]:
    """Return a table's columns as Excel takes them, under their headings."""
    columns: dict[str, list] = {}
    for name, column in zip(table.column_names, table.columns):
        values = column.to_pylist()
        if pa.types.is_timestamp(column.type):
            columns[f"{name} (UTC)"] = [
                None if value is None else value.astimezone(UTC).replace(tzinfo=None) for value in values
            ]
        elif name.endswith("_local") and pa.types.is_string(column.type):
            columns[name] = [None if value is None else datetime.fromisoformat(value[:19]) for value in values]
            offset = "utc_offset" if "utc_offset" not in columns else f"{name.removesuffix('_local')}_utc_offset"
            columns[offset] = [None if value is None else value[19:] for value in values]
        else:
            columns[name] = values
    return columns


def _fill(sheet, columns: dict[str, list], forms: dict[str, Any]) -> None:
    sheet.freeze_panes(1, 0)
    n_rows = max((len(values) for values in columns.values()), default=0)
    for at, (name, values) in enumerate(columns.items()):
        sheet.write_string(0, at, name, forms["head"])
        longest = max((len(_shown(value)) for value in values if value is not None), default=0)
        sheet.set_column(at, at, min(_WIDEST, max(_NARROWEST, longest + 1, len(name) + 2)))
        for row, value in enumerate(values, start=1):
            _write(sheet, row, at, value, forms)
    if n_rows and columns:
        sheet.autofilter(0, 0, n_rows, len(columns) - 1)


def _write(sheet, row: int, at: int, value: Any, forms: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        sheet.write_datetime(row, at, value, forms["instant"])
    elif isinstance(value, date):
        sheet.write_datetime(row, at, datetime(value.year, value.month, value.day), forms["date"])
    elif isinstance(value, bool):
        sheet.write_boolean(row, at, value)
    elif isinstance(value, float):
        sheet.write_number(row, at, value, forms["real"])
    elif isinstance(value, str):  # as text, whatever it begins with: a name is no formula
        sheet.write_string(row, at, value)
    else:
        sheet.write_number(row, at, value)


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
