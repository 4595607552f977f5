"""Speeds at counting lines, as traffic engineers state them: mean, median, 85th percentile, pace, and their errors.

The error of a figure has two parts: that of taking some vehicles for all, which falls with their number, and that of
the calibration, which is the same for all of them and does not. A mean of n speeds with spread s is known to
s / sqrt(n), a median to 1.253 and an 85th percentile to 1.531 times that (sample quantiles of normally distributed
speeds: Kendall and Stuart, The Advanced Theory of Statistics, section 10.10). The calibration adds its share of the
speed itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.lake.catalog import Connection
from pipeline.lake.catalog import select as answer
from pipeline.reports.selection import parse_bin, select
from pipeline.reports.tabular import Kind, Report, about_of

MEDIAN_FACTOR, P85_FACTOR = 1.253, 1.531
PACE_KMH = 10.0
"""The pace is the band this wide that holds most speeds (ITE, Manual of Transportation Engineering Studies: 10 mph; in
metric countries 10 km/h)."""

KIND = Kind(
    "Speeds at lines",
    "Ground speed within half a second of each crossing, by the camera's calibration; crossings whose speed cannot be "
    "measured are in crossings but not in n. Errors are one standard deviation. mean_error_kmh, median_error_kmh and "
    "p85_error_kmh: sampling and calibration together. calibration_error_pct is empty where it is not known (a bare "
    "homography, or four ground points without marking_error_px): errors are then those of sampling alone. "
    "box_error_kmh is how well one speed is known by its boxes; where it is not small beside sd_kmh, it widens the "
    "spread, and the 85th percentile is too high. pace: the 10 km/h that hold most.",
    (("speeds", "line_speeds"),),
)

_SPEEDS = """
SELECT
    s.camera_id,
    s.line_id,
    s.direction,
    s.class,
    timezone(c.time_zone, s.crossed_at) AS wall,
    epoch(wall)::BIGINT - epoch(s.crossed_at)::BIGINT AS offset_s,
    epoch(wall)::BIGINT // $bin_s * $bin_s AS local_s,
    strftime(make_timestamp(local_s * 1000000), '%Y-%m-%dT%H:%M:%S') || printf(
        '%s%02d:%02d',
        CASE WHEN offset_s < 0 THEN '-' ELSE '+' END,
        abs(offset_s) // 3600,
        abs(offset_s) // 60 % 60
    ) AS bin_local,
    s.speed_kmh,
    s.box_error_kmh,
    s.scale_error
FROM line_speeds($first, $last) AS s
JOIN cameras AS c USING (camera_id)
WHERE
    ($first IS NULL OR wall >= local_from($first))
    AND ($last IS NULL OR wall < local_until($last))
    AND ($cameras IS NULL OR list_contains($cameras, s.camera_id))
ORDER BY s.camera_id, s.line_id, s.direction, s.class, local_s - offset_s, s.crossed_at, s.tracklet_id
"""

_KEYS = ("camera_id", "line_id", "direction", "class")
_COLUMNS = (
    ("crossings", pa.int64()),
    ("n", pa.int64()),
    ("mean_kmh", pa.float64()),
    ("mean_error_kmh", pa.float64()),
    ("median_kmh", pa.float64()),
    ("median_error_kmh", pa.float64()),
    ("p85_kmh", pa.float64()),
    ("p85_error_kmh", pa.float64()),
    ("sd_kmh", pa.float64()),
    ("box_error_kmh", pa.float64()),
    ("calibration_error_pct", pa.float64()),
    ("pace_from_kmh", pa.float64()),
    ("pace_pct", pa.float64()),
)


def make(
    connection: Connection,
    *,
    by: str | None = None,
    first: str | None = None,
    last: str | None = None,
    cameras: Sequence[str] | None = None,
    lake: str = "",
) -> Report:
    """Make the report of speeds: one row a camera, line, direction and class, and with `by` a row a bin too.

    Raises UserError for a bin, a date or a camera that makes no sense.
    """
    bin_s = None if by is None else parse_bin(by)
    asked = select(connection, first, last, cameras, bin_s=bin_s)
    params = {
        "first": asked.first,
        "last": asked.last,
        "cameras": None if asked.cameras is None else list(asked.cameras),
        "bin_s": bin_s or 1,
    }
    rows = answer(connection, _SPEEDS, params).to_pylist()
    tables = {"speeds": _summed(rows, _KEYS)}
    if bin_s is not None:
        tables = {"bins": _summed(rows, (*_KEYS, "bin_local")), **tables}
    about = about_of(connection, KIND, asked, by or "", 0.0, lake)
    if by is not None:
        about["bins"] = by
    return Report("speeds", tables, about)


def summary(speed_kmh: np.ndarray, scale_error: float | None) -> dict[str, Any]:
    """Return the figures of N measured speeds; NULL for what too few of them do not tell."""
    n = len(speed_kmh)
    if n == 0:
        return {}
    spread = float(np.std(speed_kmh, ddof=1)) if n > 1 else None

    def error(value: float, factor: float) -> float | None:
        if spread is None:
            return None
        return float(np.hypot(factor * spread / np.sqrt(n), (scale_error or 0.0) * value))

    mean, median, p85 = float(speed_kmh.mean()), float(np.median(speed_kmh)), float(np.quantile(speed_kmh, 0.85))
    pace_from, pace_share = pace(speed_kmh)
    return {
        "mean_kmh": mean,
        "mean_error_kmh": error(mean, 1.0),
        "median_kmh": median,
        "median_error_kmh": error(median, MEDIAN_FACTOR),
        "p85_kmh": p85,
        "p85_error_kmh": error(p85, P85_FACTOR),
        "sd_kmh": spread,
        "pace_from_kmh": pace_from,
        "pace_pct": 100 * pace_share,
    }


def pace(speed_kmh: np.ndarray) -> tuple[float, float]:
    """Return the lower end of the 10 km/h band that holds most of N >= 1 speeds, and their share; the lowest such."""
    ordered = np.sort(speed_kmh)
    held = np.searchsorted(ordered, ordered + PACE_KMH, side="right") - np.arange(len(ordered))
    best = int(np.argmax(held))
    return float(ordered[best]), float(held[best] / len(ordered))


def _summed(rows: list[dict[str, Any]], keys: Sequence[str]) -> pa.Table:
    """Return one row of figures for every run of rows that are equal in `keys`."""
    out = []
    for key, mine in groupby(rows, key=lambda row: tuple(row[name] for name in keys)):
        mine = list(mine)
        known = [row for row in mine if row["speed_kmh"] is not None]
        scale = mine[0]["scale_error"]
        figures = summary(np.array([row["speed_kmh"] for row in known], np.float64), scale)
        box = [row["box_error_kmh"] for row in known]
        out.append(
            {
                **dict(zip(keys, key)),
                "crossings": len(mine),
                "n": len(known),
                **figures,
                "box_error_kmh": float(np.median(box)) if box else None,
                "calibration_error_pct": None if scale is None else 100 * scale,
            }
        )
    schema = pa.schema([*((name, pa.string()) for name in keys), *_COLUMNS])
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in out], schema=schema)
