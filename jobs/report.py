"""Reports over a lake. `traffic_report` is what `nightfleet report traffic` calls."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.lake import catalog
from pipeline.reports.traffic import TrafficReport, traffic


def traffic_report(
    lake: str,
    *,
    by: str,
    first_date: str | None = None,
    last_date: str | None = None,
    cameras: Sequence[str] | None = None,
) -> TrafficReport:
    """Return the traffic report of a lake: counts by bin, their totals, and dwell in zones."""
    with catalog.connect(lake) as connection:
        return traffic(connection, by=by, first_date=first_date, last_date=last_date, cameras=cameras)
