"""Zones: how long objects stayed in them, and how many were inside over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.charts import BarChart, Bin, bar_chart
from pipeline.reports.page.counts import bin_axis, bin_end
from pipeline.reports.page.period import Period

_DWELL = "FROM zone_dwell($1, $2) ORDER BY ALL"
_OCCUPANCY = """
SELECT
    camera_id, zone_id, bin_start, bin_local, bin_s, coverage_pct,
    sum(mean_occupancy) AS mean_occupancy, sum(entered)::BIGINT AS entered, sum("left")::BIGINT AS "left"
FROM zone_occupancy($1, $2, $3)
GROUP BY ALL
ORDER BY camera_id, zone_id, bin_start
"""


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: a row a class of the macro zone_dwell, and its occupancy (all classes added up) over time."""

    camera_id: str
    zone_id: str
    dwell: list[dict[str, Any]]
    bins: list[dict[str, Any]]
    chart: BarChart | None

    @property
    def visits(self) -> int:
        """Stays of all classes."""
        return sum(row["visits"] or 0 for row in self.dwell)

    @property
    def watched(self) -> bool:
        """Whether the camera watched at any time of the period; where it did not, nobody knows who was inside."""
        return any(row["coverage_pct"] > 0 for row in self.bins)


def stays(connection: Connection, period: Period) -> list[Zone]:
    """Return what happened in the zones of a period's cameras."""
    dwell = catalog.select(connection, _DWELL, list(period.asked)).to_pylist()
    rows = catalog.select(connection, _OCCUPANCY, [period.bin_s, *period.asked]).to_pylist()
    rows = [row for row in rows if row["camera_id"] in period.zones]
    bins = {key: list(same) for key, same in groupby(rows, key=itemgetter("camera_id", "zone_id"))}
    axis = bin_axis(rows, period.zone)
    found = []
    for (camera, zone), mine in groupby(dwell, key=itemgetter("camera_id", "zone_id")):
        if camera in period.zones:
            over_time = bins.get((camera, zone), [])
            chart = bar_chart([_bin(row) for row in over_time], axis) if over_time else None
            found.append(Zone(camera, zone, [row for row in mine if row["visits"]], over_time, chart))
    return sorted(found, key=lambda zone: period.cameras.index(zone.camera_id))


def _bin(row: dict) -> Bin:
    return Bin(row["bin_start"], bin_end(row), row["coverage_pct"], row["mean_occupancy"], None)
