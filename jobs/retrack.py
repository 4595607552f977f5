"""Track a lake's kept detections anew: another tracker in seconds, without footage, models or GPU.

`retrack` is what `nightfleet retrack` calls: it rebuilds the lake's rows. `tracked` gives the rows of one camera in
memory and writes nothing, for sweeps over settings.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from jobs.identify import identify
from jobs.imported import is_imported
from jobs.nightly import open_workers_of
from pipeline.config import CameraConfig, FleetConfig, TrackerConfig
from pipeline.errors import SegmentError, UserError
from pipeline.execution import forgetting, plan
from pipeline.execution.driver import run_schedule
from pipeline.execution.progress import Progress
from pipeline.execution.scheduling import Schedule
from pipeline.execution.states import joined
from pipeline.execution.watching import describe, follow
from pipeline.lake import catalog, crossed, keeping
from pipeline.lake.kept import About
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import Exemplars, Observations, Tracklets

_IN_ONE_PROCESS = 1_000_000
"""Detections up to which one process is done (a minute or two) about when a Ray cluster would have begun in earnest."""

_SHOWN = 3
"""Segments named in a message; the others are counted."""

_TOTALS = """
SELECT
    (SELECT count(*) FROM tracklets SEMI JOIN cameras USING (camera_id)) AS tracklets,
    (
        SELECT count(DISTINCT identity_id)
        FROM identities SEMI JOIN (FROM tracklets SEMI JOIN cameras USING (camera_id)) USING (tracklet_id)
    ) AS identities
"""

_CROSSINGS = """
SELECT l.camera_id, l.line_id, count(c.tracklet_id) AS crossings
FROM lines AS l LEFT JOIN crossings AS c USING (camera_id, line_id)
GROUP BY ALL
ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class RetrackSummary:
    """What was rebuilt. Counts are of all cameras that the lake's configuration has, before and after.

    units           made anew; unchanged are those that these settings had made already
    left_as_they_are  segment ids of cameras that the lake's configuration no longer has, and of imported tracks
    crossings       one row a line: camera_id, line_id, before, after
    tracker         the settings, resolved
    """

    units: int
    unchanged: int
    quarantined: int
    frames: int
    detections: int
    tracklets: dict[str, int]
    identities: dict[str, int]
    crossings: list[dict]
    left_as_they_are: list[str]
    tracker: dict
    wall_s: float
    lake: str

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Shifts of the units whose detections are kept, what those were made from by segment id, and the whole ledger."""

    shifts: tuple[plan.Shift, ...]
    abouts: dict[str, About]
    ledger: dict[str, LedgerEntry]
    left: tuple[str, ...]


def retrack(
    lake_url: str, *, progress: Progress, tracker: TrackerConfig | None = None, address: str | None = None
) -> RetrackSummary:
    """Rebuild tracklets, identities and counts of a lake with another tracker (without one: with its own).

    The lake's own configuration says all else, and has the tracker from then on; `address` names a Ray cluster to use.
    Segments that could not be decoded stay quarantined. Raises UserError before anything is written where detections
    are missing, or were kept under other settings than the lake's.
    """
    began = time.perf_counter()
    lake = Lake.open(lake_url)
    config = _configured(lake, tracker)
    planned = _planned(config, lake, [camera for camera in config.cameras if not camera.imported])
    totals, crossings = _counted(lake)
    lake.clean()
    lake.write_fleet(config)
    schedule = Schedule(planned.shifts, planned.ledger, config.execution.attempts)
    progress.begin([unit.segment for shift in planned.shifts for unit in shift.units])
    spread = _spread(config, planned.ledger, address)
    workers = partial(open_workers_of, spread, lake, address, len(planned.shifts), progress, preload=False)
    try:
        made, found = run_schedule(schedule, workers, config=config, lake=lake, progress=progress)
        forgetting.clean_states(lake)
        progress.stage("identities")
        identify(config, lake)
        progress.stage("crossings")
        crossed.refresh(lake.url)
    finally:
        progress.end()
    lake.summarise_ledger()
    totals_after, crossings_after = _counted(lake)
    return RetrackSummary(
        units=sum(entry.status == "done" for entry in made),
        unchanged=sum(entry.status == "done" for entry in found),
        quarantined=sum(entry.status == "quarantined" for entry in lake.ledger()),
        frames=sum(entry.frames for entry in made),
        detections=sum(entry.detections for entry in made),
        **{name: {"before": totals[name], "after": totals_after[name]} for name in ("tracklets", "identities")},
        crossings=[
            {"camera_id": line[0], "line_id": line[1], "before": count, "after": crossings_after[line]}
            for line, count in crossings.items()
        ],
        left_as_they_are=list(planned.left),
        tracker=config.tracker.model_dump(mode="json"),
        wall_s=time.perf_counter() - began,
        lake=lake.url,
    )


def _spread(config: FleetConfig, ledger: dict[str, LedgerEntry], address: str | None) -> FleetConfig:
    """Return the configuration by which the work is done: from the lake alone, so no thumbnail is cut; and a small lake
    is not worth starting a cluster for."""
    execution = config.execution.model_copy(update={"keep_thumbnails": False})
    config = config.model_copy(update={"execution": execution})
    if address is not None or sum(entry.detections for entry in ledger.values()) > _IN_ONE_PROCESS:
        return config
    return config.model_copy(update={"execution": execution.model_copy(update={"executor": "local"})})


def tracked(
    lake_url: str, camera_id: str, tracker: TrackerConfig | None = None
) -> tuple[Observations, Tracklets, Exemplars]:
    """Return the rows that a lake would have of one camera with another tracker; nothing is written.

    Raises ConfigError for a camera the lake does not have, UserError where detections are missing.
    """
    lake = Lake.open(lake_url)
    config = _configured(lake, tracker)
    camera = config.camera(camera_id)
    if camera.imported:
        raise UserError(f"{lake.url}: the tracks of camera {camera_id} are imported; there is nothing to track anew")
    planned = _planned(config, lake, [camera])
    parts = [CameraTracking(camera_id, config.tracker).drain()]
    tracking = None
    for unit in (unit for shift in planned.shifts for unit in shift.units):
        if unit.inherits_from is None or tracking is None:
            tracking = CameraTracking(camera_id, config.tracker)
        kept = keeping.read(lake, planned.abouts[unit.segment.segment_id])
        if kept is None:
            raise UserError(f"{lake.url}: segment {unit.segment.segment_id} was rewritten just now; try again")
        try:
            follow(kept, tracking)
        except SegmentError:
            tracking.close()
        if unit.closes:
            tracking.close()
        parts.append(tracking.drain())
        tracking = None if kept.about.reason else tracking
    observations, tracklets, exemplars = zip(*parts, strict=True)
    return joined(observations), joined(tracklets), joined(exemplars)


def _configured(lake: Lake, tracker: TrackerConfig | None) -> FleetConfig:
    """Return the lake's configuration with another tracker; the lake itself is where it lies now."""
    config = lake.read_config()
    return config.model_copy(update={"lake": lake.url, "tracker": tracker or config.tracker})


def _planned(config: FleetConfig, lake: Lake, cameras: Sequence[CameraConfig]) -> _Plan:
    """Lay out the units of these cameras. Raises UserError where the kept detections do not suffice."""
    ledger = {entry.segment_id: entry for entry in lake.ledger()}
    known = {camera.id for camera in config.cameras}
    wanted = {camera.id for camera in cameras}
    # A unit that a killed run had in hand is not in the ledger, but its detections are kept.
    places = {place[2]: place for place in keeping.units(lake) if place[0] in wanted}
    places |= {
        name: (entry.camera_id, entry.local_date, name)
        for name, entry in ledger.items()
        if entry.camera_id in wanted and entry.fingerprint
    }
    kept = keeping.abouts(lake, places.values())
    abouts = {name: kept[place] for name, place in places.items() if place in kept}
    _refuse(
        lake,
        [name for name in places if name not in abouts and name in ledger and _has_rows(ledger[name])],
        "the detections of {} were never kept",
    )
    shifts = tuple(_shift(config, camera, abouts, lake) for camera in cameras)
    _refuse(
        lake,
        [name for shift in shifts for name in _unfit(shift, config, abouts, ledger)],
        "the detections of {} were kept under other settings or of other footage than the lake now has",
    )
    left = sorted(name for name, entry in ledger.items() if entry.camera_id not in known or is_imported(entry))
    return _Plan(tuple(shift for shift in shifts if shift.units), abouts, ledger, tuple(left))


def _has_rows(entry: LedgerEntry) -> bool:
    """Tell whether a unit's rows depend on the tracker: all but a file of which nothing was ever tracked."""
    return entry.status == "done" or entry.state_in_digest != plan.FRESH


def _shift(config: FleetConfig, camera: CameraConfig, abouts: dict[str, About], lake: Lake) -> plan.Shift:
    """Lay out one camera's units. Tracks that waited for footage after the last one go on waiting."""
    segments = [about.segment for about in abouts.values() if about.segment.camera_id == camera.id]
    shift = plan.plan_shift(
        config, camera, segments, lambda segment: abouts[segment.segment_id].weights_digest, ledger={}
    )
    if not shift.units:
        return shift
    *others, last = shift.units
    waits = lake.state(camera.id, last.segment.segment_id) is not None
    return replace(shift, units=(*others, replace(last, closes=not waits)))


def _unfit(
    shift: plan.Shift, config: FleetConfig, abouts: dict[str, About], ledger: dict[str, LedgerEntry]
) -> list[str]:
    """Return the units whose kept detections are not of the footage, models and settings that the lake names."""
    camera, names = config.camera(shift.camera_id), []
    for unit in shift.units:
        name = unit.segment.segment_id
        before = abouts.get(unit.inherits_from)
        seen = (None, "") if before is None or before.reason else (before.last_captured_at_us, before.motion_out)
        wanted = describe(unit, config, camera, *seen)
        made_from = (unit.segment.fingerprint, unit.weights_digest)
        entry = ledger.get(name)
        if not abouts[name].fits(wanted) or (entry and (entry.fingerprint, entry.weights_digest) != made_from):
            names.append(name)
    return names


def _refuse(lake: Lake, names: list[str], sentence: str) -> None:
    """Raise UserError where there are any names."""
    if not names:
        return
    shown = ", ".join(sorted(names)[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    which = f"{len(names)} segment{'s' if len(names) > 1 else ''} ({shown}{more})"
    raise UserError(
        f"{lake.url}: {sentence.format(which)}; keep them by `nightfleet run FLEET.YAML --keep-detections`, then "
        "retrack. Nothing was changed"
    )


def _counted(lake: Lake) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Return the lake's numbers of tracklets and identities, and its crossings by camera and line."""
    with catalog.connect(lake.url) as connection:
        totals: dict[str, Any] = catalog.select(connection, _TOTALS).to_pylist()[0]
        rows = catalog.select(connection, _CROSSINGS).to_pylist()
    return totals, {(row["camera_id"], row["line_id"]): row["crossings"] for row in rows}
