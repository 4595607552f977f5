"""Speeds at the lines of calibrated cameras: `nightfleet report speeds`, as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports import speeds as report
from pipeline.reports.page.charts import Histogram, histogram
from pipeline.reports.page.period import Period

_EACH = """
SELECT camera_id, line_id, direction, class, list(speed_kmh ORDER BY speed_kmh) AS each_kmh
FROM line_speeds($1, $2)
WHERE speed_kmh IS NOT NULL
GROUP BY ALL
"""
_CALIBRATED = "SELECT camera_id FROM cameras WHERE homography IS NOT NULL"
_KEYS = ("camera_id", "line_id", "direction", "class")


@dataclass(frozen=True, slots=True)
class Speeds:
    """The section.

    rows          rows of the report of speeds at which any was measured, each with its `distribution`
    uncalibrated  cameras without a homography
    """

    rows: list[dict[str, Any]]
    uncalibrated: list[str]

    @property
    def vague(self) -> list[str]:
        """Cameras whose calibration has no known error."""
        return sorted({row["camera_id"] for row in self.rows if row["calibration_error_pct"] is None})


def speeds(connection: Connection, period: Period) -> Speeds:
    """Return the speeds at the lines of a period's cameras."""
    first, last = period.asked
    calibrated = {row["camera_id"] for row in catalog.select(connection, _CALIBRATED).to_pylist()}
    uncalibrated = [camera for camera in period.cameras if camera not in calibrated]
    if len(uncalibrated) == len(period.cameras):
        return Speeds([], uncalibrated)
    made = report.make(connection, first=first, last=last, cameras=period.cameras)
    rows = [row for row in made.tables["speeds"].to_pylist() if row["n"]]
    each = {
        tuple(row[key] for key in _KEYS): row["each_kmh"]
        for row in catalog.select(connection, _EACH, [first, last]).to_pylist()
    }
    rows = [{**row, "distribution": _distribution(row, each.get(tuple(row[key] for key in _KEYS), []))} for row in rows]
    rows.sort(key=lambda row: period.cameras.index(row["camera_id"]))
    return Speeds(rows, uncalibrated)


def _distribution(row: dict[str, Any], each_kmh: list[float]) -> Histogram | None:
    return histogram(each_kmh, [(row["median_kmh"], "median"), (row["p85_kmh"], "85th percentile")])
