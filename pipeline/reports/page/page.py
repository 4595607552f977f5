"""The whole report as one self-contained HTML page: gather the sections, lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.config import FleetConfig
from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page import words
from pipeline.reports.page.caveats import caveats
from pipeline.reports.page.counts import Counts, counts
from pipeline.reports.page.coverage import MOST_LISTED, Coverage, coverage
from pipeline.reports.page.doubts import Doubts, doubts
from pipeline.reports.page.journeys import Journeys, journeys
from pipeline.reports.page.movements import Movements, movements
from pipeline.reports.page.period import Period
from pipeline.reports.page.presence import Presence, presence, ramp
from pipeline.reports.page.provenance import Provenance, provenance
from pipeline.reports.page.scenes import Scene, scenes
from pipeline.reports.page.speeds import Speeds, speeds
from pipeline.reports.page.stays import Zone, stays
from pipeline.reports.page.trial import Trial

MOST_PEAKS = 120
"""Peak hours written out: a fortnight of four gates; the rest are counted."""

MOST_ROWS = 200
"""Rows of travel times and of speeds written out; each has a drawing of its own."""

_IDENTITIES = """
SELECT identity_id, camera_id, started_at, ended_at FROM identity_sightings WHERE list_contains($1, camera_id)
"""


@dataclass(frozen=True, slots=True)
class Sections:
    """Everything the page shows."""

    period: Period
    zones: list[str]
    identities: int
    coverage: Coverage
    covered: dict[str, float | None]
    counts: Counts
    scenes: dict[str, Scene]
    order: dict[str, int]
    movements: list[Movements]
    journeys: Journeys
    speeds: Speeds
    stays: list[Zone]
    presence: dict[str, Presence]
    ramp: str
    doubts: Doubts
    trial: Trial | None
    provenance: Provenance
    caveats: list[str]


def gather(
    connection: Connection,
    period: Period,
    *,
    backdrops: Mapping[str, np.ndarray],
    config: FleetConfig | None,
    evaluation: Trial | None = None,
) -> Sections:
    """Ask a lake for everything a report over a period shows.

    backdrops  camera_id -> picture (H, W, 3) uint8 RGB in the size of its footage, of the cameras that have one
    config     of the last run, None where this program cannot read it
    """
    watched, drawn = coverage(connection, period), scenes(connection, period, backdrops)
    made = Sections(
        period=period,
        zones=sorted(set(period.zones.values())),
        identities=_identities(connection, period),
        coverage=watched,
        covered={camera.camera_id: camera.percent for camera in watched.cameras},
        counts=counts(connection, period),
        scenes=drawn,
        order={camera: nth for nth, camera in enumerate(drawn, start=1)},
        movements=movements(connection, period, {camera: scene.width for camera, scene in drawn.items()}),
        journeys=journeys(connection, period),
        speeds=speeds(connection, period),
        stays=stays(connection, period),
        presence=presence(connection, period, drawn),
        ramp=ramp(),
        doubts=doubts(connection, period),
        trial=evaluation,
        provenance=provenance(connection, period, config),
        caveats=[],
    )
    return replace(made, caveats=caveats(made, config))


def render(sections: Sections, *, title: str, fleet: str, version: str, made_at: datetime) -> str:
    """Return the page. The same sections give the same page but for `made_at`, an instant with a time zone."""
    environment = Environment(
        loader=PackageLoader("pipeline.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number,
        percent=words.percent,
        duration=words.duration,
        hours=words.hours,
        clock=words.clock,
        day=words.day,
        bin_length=words.bin_length,
        listed=words.listed,
    )
    environment.globals.update(
        counted=words.counted, span=span, most_listed=MOST_LISTED, most_peaks=MOST_PEAKS, most_rows=MOST_ROWS
    )
    zone = ZoneInfo(sections.period.zone)
    pattern = "%Y-%m-%d %H:%M:%S" if sections.period.bin_s < 60 else "%Y-%m-%d %H:%M"
    environment.globals["local"] = lambda at: f"{at.astimezone(zone):{pattern}}"
    return environment.get_template("report/page.html").render(
        s=sections, title=title, fleet=fleet, version=version, made_at=made_at.isoformat(timespec="seconds")
    )


def _identities(connection: Connection, period: Period) -> int:
    """Return how many identities were seen by the cameras of a period."""
    found = set()
    for row in catalog.select(connection, _IDENTITIES, [period.cameras]).to_pylist():
        limits = period.limits(row["camera_id"])
        if limits is None or (row["started_at"] < limits[1] and row["ended_at"] >= limits[0]):
            found.add(row["identity_id"])
    return len(found)


def span(start: str, end: str, dated: bool, shifts: bool) -> str:
    """Return a bin from its local start and end, with date and UTC offset where a table has several of them."""
    shown_start = f"{start[:10]} {words.clock(start)}" if dated else words.clock(start)
    later_date = end[:10] != start[:10] and end[11:19] != "00:00:00"
    shown_end = f"{end[:10]} {words.clock(end)}" if later_date else words.clock(end)
    offset = f" {start[19:]}" if shifts else ""
    return f"{shown_start}\N{EN DASH}{shown_end}{offset}"
