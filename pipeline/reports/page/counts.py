"""Crossings by line: a chart over time and direction, the same numbers as a table, and their totals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.axis import TimeAxis
from pipeline.reports.page.charts import BarChart, Bin, bar_chart
from pipeline.reports.page.period import Period

_BINS = "SELECT camera_id, bin_start, bin_local, bin_s, coverage_pct FROM camera_bins($1, $2, $3) ORDER BY ALL"
_COUNTS = """
SELECT camera_id, line_id, direction, class, bin_start, count FROM traffic_counts($1, $2, $3)
ORDER BY camera_id, line_id, direction, class, bin_start
"""
_LINES = "SELECT camera_id, line_id, gate_id, forward, backward, classes, length_m FROM lines"
_PEAKS = "FROM peak_hours($1, $2) WHERE class_group = 'all' ORDER BY ALL"

UNKNOWN = "any class"
"""Heading of counts of a camera that saw nothing of any class."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a line's table: a bin, or a run of bins without footage (then `cells` is None).

    at     where it begins along the chart, 0 to 1
    cells  None in it is what nobody knows: in a bin not watched, a crossing seen before and after it has a number
    """

    at: float
    start_local: str
    end_local: str
    covered: float
    cells: list[int | None] | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it counted.

    columns    (direction, class) of each cell of a row
    totals     sum of each column, None where nothing of it is known
    """

    camera_id: str
    line_id: str
    gate_id: str
    classes: list[str] | None
    directions: tuple[str, str]
    by_direction: dict[str, int | None]
    columns: list[tuple[str, str]]
    totals: list[int | None]
    rows: list[Row]
    chart: BarChart
    busiest: tuple[str, int] | None

    @property
    def total(self) -> int | None:
        """Crossings both ways, None where nobody watched."""
        return _added(self.by_direction.values())

    def of(self, direction: str) -> list[tuple[str, int | None]]:
        """Return classes and their totals in one direction."""
        return [(name, n) for (way, name), n in zip(self.columns, self.totals) if way == direction]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """Directions with the number of columns each has."""
        return [(direction, len(list(same))) for direction, same in groupby(direction for direction, _ in self.columns)]


@dataclass(frozen=True, slots=True)
class Counts:
    """The section.

    totals  by class over all lines of all cameras, most first; None where nobody watched
    peaks   rows of the macro peak_hours, all classes together, of days that have a fully watched hour
    shifts  whether some camera's clock changes within the bins, so that only their UTC offset tells some apart
    """

    lines: list[Line]
    totals: list[tuple[str, int | None]]
    peaks: list[dict[str, Any]]
    bin_s: int
    shifts: bool

    @property
    def crossings(self) -> int | None:
        """All crossings, None where nobody watched; an object that crosses two lines is in it twice."""
        return _added(n for _, n in self.totals)


def counts(connection: Connection, period: Period) -> Counts:
    """Return what crossed each line of a period's cameras."""
    asked = [period.bin_s, *period.asked]
    bins: dict[str, list[dict]] = {camera: [] for camera in period.cameras}
    for row in catalog.select(connection, _BINS, asked).to_pylist():
        if row["camera_id"] in bins:
            bins[row["camera_id"]].append(row)
    rows = catalog.select(connection, _COUNTS, asked).to_pylist()
    by_line = {key: list(same) for key, same in groupby(rows, key=itemgetter("camera_id", "line_id"))}
    axis = bin_axis([each for mine in bins.values() for each in mine], period.zone)
    lines = []
    for line in catalog.select(connection, _LINES).to_pylist():
        camera = line["camera_id"]
        if camera in bins and axis is not None:
            key = (camera, line["line_id"])
            lines.append(_line(line, bins[camera], by_line.get(key, []), axis))
    lines.sort(key=lambda line: period.cameras.index(line.camera_id))
    totals: dict[str, int | None] = {}
    for line in lines:
        for (_, name), n in zip(line.columns, line.totals):
            totals[name] = _added((totals.get(name), n))
    ordered = sorted(totals.items(), key=lambda item: (-(item[1] or 0), item[0]))
    return Counts(lines, ordered, _peaks(connection, period), period.bin_s, _shifts(bins))


def bin_axis(bins: list[dict], zone: str) -> TimeAxis | None:
    """Return the axis that holds all of some bins, or None where there is none."""
    if not bins:
        return None
    return TimeAxis(min(each["bin_start"] for each in bins), max(bin_end(each) for each in bins), zone)


def _shifts(bins: dict[str, list[dict]]) -> bool:
    return any(len({each["bin_local"][19:] for each in mine}) > 1 for mine in bins.values())


def _line(line: dict, bins: list[dict], rows: list[dict], axis: TimeAxis) -> Line:
    directions = (line["forward"], line["backward"])
    columns = sorted(
        {(row["direction"], row["class"] or UNKNOWN) for row in rows}, key=lambda c: (directions.index(c[0]), c[1])
    )
    cells = {(row["direction"], row["class"] or UNKNOWN, row["bin_start"]): row["count"] for row in rows}
    table = []
    for each in bins:
        found = [cells.get((*column, each["bin_start"])) for column in columns]
        seen = any(n is not None for n in found)
        table.append((each, found if seen else None))
    ways = [[_sum(found, columns, direction) for _, found in table] for direction in directions]
    both = [_added(pair) for pair in zip(*ways)]
    known = [(n, each) for n, (each, _) in zip(both, table) if n is not None]
    best = max(known, key=lambda item: item[0], default=None)
    return Line(
        camera_id=line["camera_id"],
        line_id=line["line_id"],
        gate_id=line["gate_id"] or line["line_id"],
        classes=line["classes"],
        directions=directions,
        by_direction={direction: _added(way) for direction, way in zip(directions, ways)},
        columns=columns,
        totals=[_added(found[k] for _, found in table if found is not None) for k in range(len(columns))],
        rows=_folded(table, axis),
        chart=bar_chart([_bin(each, up, down) for (each, _), up, down in zip(table, *ways)], axis),
        busiest=None if best is None or not best[0] else (best[1]["bin_local"], best[0]),
    )


def _folded(table: list[tuple[dict, list[int | None] | None]], axis: TimeAxis) -> list[Row]:
    """Return a table's rows, bins without footage that follow each other made one row."""
    rows = []
    for blank, run in groupby(table, key=lambda item: item[1] is None):
        run = list(run)
        if blank:
            rows.append(
                Row(axis.share(run[0][0]["bin_start"]), run[0][0]["bin_local"], _end_local(run[-1][0]), 0.0, None)
            )
        else:
            rows += [
                Row(axis.share(each["bin_start"]), each["bin_local"], _end_local(each), each["coverage_pct"], cells)
                for each, cells in run
            ]
    return rows


def _sum(found: list[int | None] | None, columns: list[tuple[str, str]], direction: str) -> int | None:
    return _added(n for n, (way, _) in zip(found or (), columns) if way == direction)


def _added(counts: Iterable[int | None]) -> int | None:
    """Return the sum of what is known, None where nothing is."""
    known = [n for n in counts if n is not None]
    return sum(known) if known else None


def _bin(each: dict, up: int | None, down: int | None) -> Bin:
    return Bin(each["bin_start"], bin_end(each), each["coverage_pct"], up, down)


def bin_end(each: dict) -> datetime:
    return (each["bin_start"] + timedelta(seconds=each["bin_s"])).astimezone(UTC)


def _end_local(each: dict) -> str:
    """Return the local end of a bin by the offset of its start."""
    return (datetime.fromisoformat(each["bin_local"]) + timedelta(seconds=each["bin_s"])).isoformat()


def _peaks(connection: Connection, period: Period) -> list[dict[str, Any]]:
    """Return the busiest hour of each day, gate and direction, all classes together, where there is a whole one."""
    rows = catalog.select(connection, _PEAKS, list(period.asked)).to_pylist()
    return [row for row in rows if row["camera_id"] in period.zones and row["volume"] is not None]
