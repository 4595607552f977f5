"""A lake as one DuckDB file. `export_duckdb` is what `nightfleet export duckdb` calls."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pipeline.lake import database
from pipeline.reports.selection import parse_bin


def export_duckdb(lake: str, out: Path, *, by: str, without: Collection[str], force: bool) -> dict:
    """Write the file and return its path, size in bytes and the rows of each table. Raises UserError, LakeError."""
    rows = database.export(lake, out, bin_s=parse_bin(by), without=without, force=force)
    return {"written": str(out), "bytes": out.stat().st_size, "tables": rows}
