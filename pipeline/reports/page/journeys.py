"""Between the cameras: where identities began and ended, and how long they took from one camera to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.charts import Histogram, histogram
from pipeline.reports.page.period import Period

_FLOWS = """
SELECT origin_camera_id, destination_camera_id, class, sum(count)::BIGINT AS count
FROM od_flows($1, $2) GROUP BY ALL ORDER BY ALL
"""
_TIMES = "FROM travel_times($1, $2) ORDER BY ALL"
_EACH_TIME = """
SELECT from_camera_id, camera_id AS to_camera_id, class, list(travel_s ORDER BY travel_s) AS travel_s
FROM (
    SELECT
        class,
        camera_id,
        lag(camera_id) OVER trip AS from_camera_id,
        (epoch_us(started_at) - epoch_us(lag(ended_at) OVER trip)) / 1e6 AS travel_s
    FROM trip_sightings($1, $2)
    WINDOW trip AS (PARTITION BY identity_id, trip ORDER BY started_at, tracklet_id)
)
WHERE from_camera_id <> camera_id
GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class TravelTime:
    """How long one class took from one camera to another, seconds; a row of the macro travel_times."""

    from_camera_id: str
    to_camera_id: str
    class_name: str
    count: int
    overlapping: int
    median_s: float
    p85_s: float
    distribution: Histogram | None


@dataclass(frozen=True, slots=True)
class Journeys:
    """The section: trips by first and last camera, in all and by class, and travel times."""

    cameras: list[str]
    counts: dict[tuple[str, str], int]
    flows: list[dict[str, Any]]
    times: list[TravelTime]

    @property
    def most(self) -> int:
        """The greatest number of trips between two different cameras."""
        return max((n for (origin, target), n in self.counts.items() if origin != target), default=0)

    @property
    def between(self) -> int:
        """Trips that more than one camera saw, and that did not end where they began."""
        return sum(n for (origin, target), n in self.counts.items() if origin != target)

    def row_sum(self, camera: str) -> int:
        """Return how many trips began at a camera."""
        return sum(n for (origin, _), n in self.counts.items() if origin == camera)

    def column_sum(self, camera: str) -> int:
        """Return how many trips ended at a camera."""
        return sum(n for (_, target), n in self.counts.items() if target == camera)

    @property
    def total(self) -> int:
        """All trips."""
        return sum(self.counts.values())


def journeys(connection: Connection, period: Period) -> Journeys:
    """Return the journeys between a period's cameras."""
    chosen = period.zones
    flows = [
        row
        for row in catalog.select(connection, _FLOWS, list(period.asked)).to_pylist()
        if row["origin_camera_id"] in chosen and row["destination_camera_id"] in chosen
    ]
    counts: Counter[tuple[str, str]] = Counter()
    for row in flows:
        counts[row["origin_camera_id"], row["destination_camera_id"]] += row["count"]
    each = {
        (row["from_camera_id"], row["to_camera_id"], row["class"]): row["travel_s"]
        for row in catalog.select(connection, _EACH_TIME, list(period.asked)).to_pylist()
    }
    times = [
        _time(row, each.get((row["from_camera_id"], row["to_camera_id"], row["class"]), []))
        for row in catalog.select(connection, _TIMES, list(period.asked)).to_pylist()
        if row["from_camera_id"] in chosen and row["to_camera_id"] in chosen
    ]
    times.sort(key=lambda time: -time.count)
    return Journeys(period.cameras, dict(counts), flows, times)


def _time(row: dict, travel_s: list[float]) -> TravelTime:
    marks = [(row["median_s"], "median"), (row["p85_s"], "85th percentile")]
    return TravelTime(
        row["from_camera_id"],
        row["to_camera_id"],
        row["class"],
        row["count"],
        row["overlapping"],
        row["median_s"],
        row["p85_s"],
        histogram(travel_s, marks),
    )
