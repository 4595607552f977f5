"""The traffic report: what crossed which line when, and how long things stayed in zones; as tables and as files."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.lake.catalog import Connection

_BIN = re.compile(r"(\d+)(s|min|h)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600}
_DAY_S = 86_400

TITLES: dict[str, str] = {
    "camera_id": "camera",
    "line_id": "line",
    "zone_id": "zone",
    "bin_local": "from",
    "watched_share": "watched",
    "watched_h": "watched (h)",
    "busiest_bin": "busiest from",
    "busiest_count": "in it",
    "total_s": "total (s)",
    "mean_s": "mean (s)",
    "median_s": "median (s)",
    "longest_s": "longest (s)",
}
"""Headings for a printed table; other columns are headed by their name."""

_TOTALS = pa.schema(
    [
        ("camera_id", pa.string()),
        ("line_id", pa.string()),
        ("direction", pa.string()),
        ("class", pa.string()),
        ("count", pa.int64()),
        ("watched_h", pa.float64()),
        ("busiest_bin", pa.string()),
        ("busiest_count", pa.int64()),
    ]
)


@dataclass(frozen=True, eq=False, slots=True)
class TrafficReport:
    """The tables of one report.

    counts   one row per camera, line, direction, class and bin (columns: lake/sql/traffic_counts.sql)
    totals   the bins added up: count, watched_h, busiest_bin (its local start, the first of equals) and busiest_count
    dwell    one row per camera, zone and class (columns: lake/sql/zone_dwell.sql)
    """

    counts: pa.Table
    totals: pa.Table
    dwell: pa.Table


def parse_bin(text: str) -> int:
    """Return the length in seconds of a bin written `<n>s`, `<n>min` or `<n>h`.

    Raises UserError where it is written otherwise, or a day is not a whole number of such bins.
    """
    match = _BIN.fullmatch(text.strip())
    if match is None:
        raise UserError(f"time bin {text!r}: expected a whole number of s, min or h, such as 15min, 1h or 30s")
    bin_s = int(match[1]) * _UNIT_S[match[2]]
    if bin_s == 0 or _DAY_S % bin_s:
        raise UserError(f"time bin {text!r}: a day is not a whole number of these; take one that is, such as 15min")
    return bin_s


def traffic(
    connection: Connection,
    *,
    by: str = "15min",
    first_date: str | None = None,
    last_date: str | None = None,
    cameras: Sequence[str] | None = None,
) -> TrafficReport:
    """Make the traffic report of a lake, by bins of `by`, of some local dates (both included) and some cameras.

    Raises UserError for a bin, a date or a camera that makes no sense.
    """
    bin_s = parse_bin(by)
    dates = (_checked_date(first_date), _checked_date(last_date))
    if None not in dates and dates[0] > dates[1]:
        raise UserError(f"the first date {dates[0]} is later than the last, {dates[1]}; exchange them")
    chosen = _checked_cameras(connection, cameras)
    relation = connection.sql("FROM traffic_counts($1, $2, $3)", params=[bin_s, *dates])
    counts = _of_cameras(relation.to_arrow_table(), chosen)
    dwell = _of_cameras(connection.sql("FROM zone_dwell($1, $2)", params=list(dates)).to_arrow_table(), chosen)
    return TrafficReport(counts=counts, totals=add_up(counts), dwell=dwell)


def add_up(counts: pa.Table) -> pa.Table:
    """Add up the bins of a table of counts by camera, line, direction and class, in its order."""
    groups: dict[tuple, list[dict]] = {}
    for row in counts.select(
        ["camera_id", "line_id", "direction", "class", "bin_local", "bin_s", "count", "watched_share"]
    ).to_pylist():
        groups.setdefault((row["camera_id"], row["line_id"], row["direction"], row["class"]), []).append(row)
    totals = []
    for key, rows in groups.items():
        busiest = max(rows, key=lambda row: row["count"])
        totals.append(
            {
                **dict(zip(_TOTALS.names, key)),
                "count": sum(row["count"] for row in rows),
                "watched_h": sum(row["watched_share"] * row["bin_s"] for row in rows) / 3600,
                "busiest_bin": busiest["bin_local"] if busiest["count"] else None,
                "busiest_count": busiest["count"],
            }
        )
    return pa.Table.from_pylist(totals, schema=_TOTALS)


def csv_text(table: pa.Table) -> str:
    """Return a table as CSV with a header; instants in UTC."""
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes().decode()


def write_csv(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table as a CSV file, whole or not at all."""
    _put(Path(path), csv_text(table).encode())


def write_parquet(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table as a Parquet file, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    _put(Path(path), sink.getvalue().to_pybytes())


WRITERS = {"csv": write_csv, "parquet": write_parquet}
"""Writers by the name of their format."""


def _put(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; name another file") from None


def _checked_date(text: str | None) -> str | None:
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise UserError(f"date {text!r}: expected YYYY-MM-DD, such as 2026-03-01") from None


def _checked_cameras(connection: Connection, cameras: Sequence[str] | None) -> list[str] | None:
    if cameras is None:
        return None
    known = [row[0] for row in connection.execute("SELECT camera_id FROM cameras ORDER BY camera_id").fetchall()]
    for camera in cameras:
        if camera not in known:
            raise UserError(f"no camera {camera!r} in this lake; it has {', '.join(known) or 'none'}")
    return list(cameras)


def _of_cameras(table: pa.Table, cameras: list[str] | None) -> pa.Table:
    if cameras is None:
        return table
    return table.filter(pc.is_in(table["camera_id"], value_set=pa.array(cameras, pa.string())))
