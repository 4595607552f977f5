"""The traffic report: what crossed which line when, and how long things stayed in zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.lake.catalog import Connection
from pipeline.reports.selection import Selection, parse_bin, select

LINE_STREAM = ("camera_id", "line_id", "gate_id", "direction", "class")
"""What is counted apart at lines."""


@dataclass(frozen=True, eq=False, slots=True)
class TrafficReport:
    """The tables of one report.

    counts   one row per camera, line, direction, class and bin (columns: lake/sql/traffic_counts.sql)
    totals   the bins added up (see `add_up`)
    dwell    one row per camera, zone and class (columns: lake/sql/zone_dwell.sql)
    """

    counts: pa.Table
    totals: pa.Table
    dwell: pa.Table


def traffic(
    connection: Connection,
    *,
    by: str = "15min",
    first_date: str | None = None,
    last_date: str | None = None,
    cameras: Sequence[str] | None = None,
) -> TrafficReport:
    """Make the traffic report of a lake, by bins of `by`, of a period and some cameras (see `selection.select`).

    Raises UserError for a bin, a date or a camera that makes no sense.
    """
    bin_s = parse_bin(by)
    asked = select(connection, first_date, last_date, cameras, bin_s=bin_s)
    counts = rows(connection, "traffic_counts($1, $2, $3)", [bin_s, asked.first, asked.last], asked)
    dwell = rows(connection, "zone_dwell($1, $2)", [asked.first, asked.last], asked)
    return TrafficReport(counts=counts, totals=add_up(counts, LINE_STREAM), dwell=dwell)


def rows(
    connection: Connection, macro: str, params: list, asked: Selection, columns: Sequence[str] = ("camera_id",)
) -> pa.Table:
    """Return the rows of a macro, of the chosen cameras: those that stand in any of `columns`."""
    where = ""
    if asked.cameras is not None:
        place = len(params) + 1
        where = " WHERE " + " OR ".join(f"list_contains(${place}, {column})" for column in columns)
        params = [*params, list(asked.cameras)]
    return connection.sql(f"FROM {macro}{where}", params=params).to_arrow_table()


def add_up(counts: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Add up the bins of a table of counts by `keys`, by which it is sorted.

    Columns: the keys, count (of all bins; NULL where none was watched), watched_h (hours), coverage_pct (of the time of
    all bins), busiest_bin (its local start, the first of equals; NULL where nothing was counted), busiest_count.
    """
    n_rows = counts.num_rows
    begins = _begins(counts, keys)
    n = counts["count"].to_numpy() if n_rows else np.zeros(0)
    n = np.nan_to_num(n.astype(np.float64), nan=-1.0).astype(np.int64)  # -1 stands for NULL
    bin_s = counts["bin_s"].to_numpy().astype(np.float64)
    watched_s = counts["coverage_pct"].to_numpy() / 100 * bin_s

    def gathered(how: np.ufunc, values: np.ndarray) -> np.ndarray:
        return how.reduceat(values, begins) if len(begins) else values[:0]

    most = gathered(np.maximum, n)
    sizes = np.diff(np.append(begins, n_rows))
    first_most = gathered(np.minimum, np.where(n == np.repeat(most, sizes), np.arange(n_rows), n_rows))
    total = gathered(np.add, np.maximum(n, 0))
    seen_s = gathered(np.add, watched_s)
    columns = {key: counts[key].take(pa.array(begins)).combine_chunks() for key in keys}
    columns["count"] = pa.array(total, mask=most < 0, type=pa.int64())
    columns["watched_h"] = pa.array(seen_s / 3600, pa.float64())
    columns["coverage_pct"] = pa.array(100 * seen_s / gathered(np.add, bin_s), pa.float64())
    busiest = counts["bin_local"].take(pa.array(first_most)).to_pylist()
    columns["busiest_bin"] = pa.array([label if m > 0 else None for label, m in zip(busiest, most)], pa.string())
    columns["busiest_count"] = pa.array(most, mask=most < 0, type=pa.int64())
    return pa.table(columns)


def _begins(table: pa.Table, keys: Sequence[str]) -> np.ndarray:
    """Return where each run of rows with the same keys begins."""
    if table.num_rows == 0:
        return np.zeros(0, np.int64)
    changes = np.ones(table.num_rows, bool)
    changes[1:] = False
    for key in keys:
        codes = table[key].combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
        changes[1:] |= codes[1:] != codes[:-1]
    return np.flatnonzero(changes)
