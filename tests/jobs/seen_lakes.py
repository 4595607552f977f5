"""Lakes of made-up nights: tracklets with known objects behind them, written through the real writer and linked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

from jobs.identify import identify
from pipeline.config import FleetConfig
from pipeline.lake.writer import Lake
from pipeline.perception.weights import models_digest
from pipeline.types import Observations
from tests.identity.nights import Seen, night
from tests.lake.making import NOON_US, entry, fleet

DATE = "2026-03-01"


def cameras_of(seen: Sequence[Seen]) -> list[str]:
    """Names of the cameras, ascending."""
    return sorted({one.camera for one in seen})


def configured(seen: Sequence[Seen], **time_zones: str) -> FleetConfig:
    """A fleet of those cameras, UTC but for those named."""
    return fleet(*({"id": name, "time_zone": time_zones.get(name, "UTC")} for name in cameras_of(seen)))


def write_seen(
    lake: Lake, seen: Sequence[Seen], config: FleetConfig, *, date: str = DATE, at_us: int = NOON_US
) -> None:
    """Enter a unit for every camera with what it saw; seconds count from `at_us`."""
    tracklets, camera_id, exemplars = night(sorted(seen, key=lambda one: one.name))
    tracklets.started_at_us[:] += at_us
    tracklets.ended_at_us[:] += at_us
    exemplars.captured_at_us[:] += at_us
    camera_of = dict(zip(tracklets.tracklet_id, camera_id))
    for name in cameras_of(seen):
        segment = f"{name}-{date}"
        camera = config.camera(name)
        unit = entry(segment, name, key=f"{segment} {len(tracklets)}", started_at_us=at_us, ended_at_us=at_us + 10**9)
        where = {"camera_id": name, "segment_url": unit.url}
        made_by = models_digest(config.detector_for(camera), config.models.embedder, **where)
        mine = np.array([camera_of[one] == name for one in exemplars.tracklet_id], bool)
        rows = (Observations.none(), tracklets.take(camera_id == name), exemplars.take(mine))
        lake.write_unit(_with(unit, weights_digest=made_by), date, *rows, None)


def seen_lake(folder: Path, seen: Sequence[Seen], config: FleetConfig | None = None, *, linked: bool = True) -> Lake:
    """A lake of one night, its identities made unless told otherwise."""
    lake = Lake.open_or_create(str(folder))
    config = config or configured(seen)
    write_seen(lake, seen, config)
    lake.write_fleet(config)
    if linked:
        identify_only(config, lake)
    return lake


def identify_only(config: FleetConfig, lake: Lake) -> None:
    """Make the identities, and no index yet: that is for the test."""
    with patch("jobs.identify.index"):
        identify(config, lake, device="cpu")


def _with(unit, **changes):
    from dataclasses import replace

    return replace(unit, **changes)
