"""Reports over a lake. `traffic` is what `nightfleet report traffic` calls."""

from __future__ import annotations

import pyarrow as pa
from pipeline.reports.traffic import traffic_counts

from pipeline.lake import catalog


def traffic(lake: str, *, by: str) -> pa.Table:
    """Return counts by camera, line, direction, class and bin of length `by`, zero-filled over the watched bins."""
    with catalog.connect(lake) as connection:
        return traffic_counts(connection, by=by)
