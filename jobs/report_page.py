"""Write the report of a lake as one web page. `report_page` is what `nightfleet report html` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

import pipeline
from jobs.evaluate_counts import evaluate_counts
from jobs.report import opened
from pipeline.config import FleetConfig
from pipeline.errors import LakeError, UserError
from pipeline.footage.backdrop import pooled_backdrop
from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.lake.writer import Lake
from pipeline.reports.formats import put
from pipeline.reports.page.page import gather, render
from pipeline.reports.page.period import Period, read_period
from pipeline.reports.page.trial import trial
from pipeline.reports.selection import parse_bin

_FOOTAGE = """
SELECT url, started_at + (ended_at - started_at) / 2 AS middle FROM ledger
WHERE camera_id = $1 AND status = 'done' AND started_at IS NOT NULL
ORDER BY started_at
"""
NOON = 12
"""Hour of day near which a backdrop is taken: lit, whatever the season."""


def report_page(
    lake_url: str,
    out: Path,
    *,
    by: str | None = None,
    first_date: str | None = None,
    last_date: str | None = None,
    cameras: Sequence[str] | None = None,
    title: str | None = None,
    truth: Path | None = None,
) -> dict[str, Any]:
    """Write the page, and return where (`written`), its size (`bytes`), and the length of its bins (`bin_s`).

    Without `by`, bins are quarter hours, or shorter where all the footage is. `truth` is a file as
    `nightfleet evaluate counts` takes it.

    Raises UserError for a bin, a date, a camera, a truth or a path that makes no sense."""
    _check_place(out)
    config = _config(lake_url)
    with opened(lake_url, first_date, last_date) as connection:
        period = read_period(
            connection,
            by_s=None if by is None else parse_bin(by),
            first_date=first_date,
            last_date=last_date,
            cameras=cameras,
        )
        sections = gather(
            connection,
            period,
            backdrops=backdrops(connection, period),
            config=config,
            evaluation=None if truth is None else trial(evaluate_counts(truth, lake_url), truth.name),
        )
    fleet = lake_url.rstrip("/").rsplit("/", 1)[-1] if config is None else config.fleet
    page = render(
        sections,
        title=title or f"Traffic report: {fleet}",
        fleet=fleet,
        version=pipeline.__version__,
        made_at=datetime.now(UTC).astimezone(ZoneInfo(period.zone)),
    )
    content = page.encode()
    put(out, content)
    return {"written": str(out), "bytes": len(content), "bin_s": period.bin_s}


def _check_place(out: Path) -> None:
    """Raise UserError where a file cannot be put there: before the work, not after it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}; name another file") from None


def backdrops(connection: Connection, period: Period) -> Mapping[str, np.ndarray]:
    """Return the empty scene of each camera whose footage is still there, (H, W, 3) uint8 RGB: of the footage of the
    period that lies nearest to noon."""
    found = {}
    for camera, zone in period.zones.items():
        rows = catalog.select(connection, _FOOTAGE, [camera]).to_pylist()
        limits = period.limits(camera)
        rows = [row for row in rows if limits is None or limits[0] <= row["middle"] < limits[1]]
        rows.sort(key=lambda row: abs(_hour(row["middle"], zone) - NOON))
        image = pooled_backdrop(row["url"] for row in rows)
        if image is not None:
            found[camera] = image
    return found


def _hour(at: datetime, zone: str) -> float:
    local = at.astimezone(ZoneInfo(zone))
    return local.hour + local.minute / 60 + local.second / 3600


def _config(lake_url: str) -> FleetConfig | None:
    """Return the configuration of the last run, or None where this program cannot read it: figures need none."""
    try:
        return Lake.open(lake_url).read_config()
    except LakeError:
        return None
