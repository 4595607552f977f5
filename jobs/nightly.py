"""The night: footage in; tracklets, identities and a summary out. `run` is what `nightfleet run` calls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from jobs.held import Ledger, all_kept, finished_units, pictured_by, pictured_units
from jobs.identify import identify
from jobs.imported import refuse_mixed
from jobs.record import Recordings, record
from jobs.survey import Survey, survey
from pipeline.config import CameraConfig, FleetConfig
from pipeline.execution import forgetting, plan
from pipeline.execution.driver import run_schedule
from pipeline.execution.progress import Progress
from pipeline.execution.scheduling import Schedule
from pipeline.execution.shift import quarantine_file
from pipeline.lake import crossed
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.perception.weights import models_digest
from pipeline.types import Segment

STAGES = ("decode", "detect", "embed", "track", "write")


@dataclass(slots=True)
class RunSummary:
    """What a run did. `seconds` are summed over workers, by stage; `wall_s` is the clock on the wall.

    recordings  what was recorded of live cameras first; see jobs.record.Recordings
    waiting  segments whose last rows wait for the footage that follows: it is there, but is not processed yet
    thumbnails, thumbnails_missing  of the units that this run pictured: made, and not to be had from the footage
    """

    segments_done: int = 0
    segments_skipped: int = 0
    segments_quarantined: int = 0
    frames: int = 0
    detections: int = 0
    tracklets: int = 0
    identities: int = 0
    waiting: int = 0
    thumbnails: int = 0
    thumbnails_missing: int = 0
    workers: int = 0
    wall_s: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    cameras: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    recordings: list[dict] = field(default_factory=list)
    lake: str = ""

    def to_json(self) -> dict:
        """Return the summary as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would do: per camera the segments there are, those to process, and what is unusable."""

    cameras: list[dict]
    failures: list[dict]

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


def run(
    config: FleetConfig,
    *,
    progress: Progress,
    date: str | None = None,
    cameras: Sequence[str] | None = None,
    address: str | None = None,
) -> RunSummary:
    """Process what the lake lacks, join identities, and return what was done.

    `date` restricts to segments of that local date, `cameras` to those ids, `address` names a Ray cluster to use.
    Raises ConfigError before anything is written where the configuration does not fit the footage.
    """
    began = time.perf_counter()
    check_weights(config)
    recorded = record(config, progress=progress, cameras=cameras, date=date)
    seen = survey(config, cameras=cameras, date=date).blaming(recorded.failed)
    seen.refuse_mistakes()
    lake = Lake.open_or_create(config.lake)
    refuse_mixed(seen, lake.ledger())
    lake.clean()
    remove_superseded(seen, lake)
    ledger = {entry.segment_id: entry for entry in lake.ledger()}
    shifts = plan_shifts(config, seen, ledger, date)
    lake.write_fleet(config)
    failed_files = _quarantine_files(config, seen, lake, ledger)
    shifts, finished = forgetting.to_go_on_from(shifts, finished_units(config, ledger, lake), lake)
    schedule = Schedule(shifts, pictured_units(config, finished, lake), config.execution.attempts)
    progress.begin([unit.segment for shift in shifts for unit in shift.units])
    n_workers = 0

    def open_workers() -> tuple:
        nonlocal n_workers
        todo = [unit for shift in shifts for unit in plan.pending(shift, finished)]
        preload = not all_kept(config, todo, lake)
        workers, n_workers = open_workers_of(config, lake, address, len(shifts), progress, preload=preload)
        return workers, n_workers

    try:
        made, found = run_schedule(schedule, open_workers, config=config, lake=lake, progress=progress)
        forgetting.clean_states(lake)
        progress.stage("identities")
        n_identities = identify(config, lake)
        progress.stage("crossings")
        crossed.refresh(lake.url)
    finally:
        progress.end()
    lake.summarise_ledger()
    abouts = pictured_by(config, made, lake)
    only_pictured = [entry for entry in made if entry == ledger.get(entry.segment_id)]
    made, found = [entry for entry in made if entry not in only_pictured], [*found, *only_pictured]
    ledger |= {entry.segment_id: entry for entry in made}
    waiting = _waiting(shifts, ledger)
    wall_s = time.perf_counter() - began
    summary = _summary(config, made, found, failed_files, seen, n_identities, waiting, n_workers, wall_s)
    summary.recordings = recorded.to_json()
    summary.failures += _not_recorded(recorded, seen)
    summary.thumbnails = sum(about.made for about in abouts)
    summary.thumbnails_missing = sum(about.missing for about in abouts)
    return summary


def dry_run(config: FleetConfig, *, date: str | None = None, cameras: Sequence[str] | None = None) -> DryRun:
    """Return what `run` would do, writing nothing."""
    seen = survey(config, cameras=cameras, date=date)
    seen.refuse_mistakes()
    ledger, finished, pictured = {}, {}, {}
    if Lake.exists(config.lake):
        lake = Lake.open(config.lake)
        ledger = {entry.segment_id: entry for entry in lake.ledger()}
        refuse_mixed(seen, ledger.values())
        finished = finished_units(config, ledger, lake)
        pictured = pictured_units(config, finished, lake)
    rows = []
    for shift in plan_shifts(config, seen, ledger, date):
        todo = plan.pending(shift, finished)
        lacking = {unit.segment.segment_id for unit in shift.units} & (finished.keys() - pictured.keys())
        rows.append(
            {
                "camera_id": shift.camera_id,
                "segments": len(shift.units),
                "to_process": len(todo),
                "to_picture": len(lacking - {unit.segment.segment_id for unit in todo}),
                "footage_s": sum(unit.segment.duration_us for unit in todo) / 1e6,
                "segment_ids": [unit.segment.segment_id for unit in todo],
            }
        )
    return DryRun(rows, seen.failures())


def plan_shifts(
    config: FleetConfig, seen: Survey, ledger: dict[str, LedgerEntry], date: str | None
) -> list[plan.Shift]:
    """Return one shift per surveyed camera that has usable footage. A file that became unusable hands nothing on."""
    shifts = []
    spoilt = {name for footage in seen.footage for file in footage.unusable for name in (file.segment_id, file.url)}
    ledger = {name: entry for name, entry in ledger.items() if not spoilt & {entry.segment_id, entry.url}}
    for footage in seen.footage:
        camera = config.camera(footage.camera_id)
        weights_digest = partial(_weights_digest, config, camera)
        shift = plan.plan_shift(config, camera, footage.segments, weights_digest, date=date, ledger=ledger)
        if shift.units:
            shifts.append(shift)
    return shifts


def _weights_digest(config: FleetConfig, camera: CameraConfig, segment: Segment) -> str:
    """Return the digest of the models a segment is looked at with; a replay's is that of its own detections file."""
    where = {"camera_id": camera.id, "segment_url": segment.url}
    return models_digest(config.detector_for(camera), config.models.embedder, **where)


def check_weights(config: FleetConfig) -> None:
    """Raise WeightsError where a file that a model needs is missing, before anything is written."""
    for camera in config.cameras:
        if not camera.imported:
            models_digest(config.detector_for(camera), config.models.embedder, camera_id=camera.id)


def remove_superseded(seen: Survey, lake: Lake) -> None:
    """Remove units whose file now has another place on the clock, so that no row stands in the lake twice.

    Units whose file is gone stay: the lake outlives the footage.
    """
    now = {}
    for footage in seen.footage:
        for file in (*footage.segments, *footage.unusable):
            now[footage.camera_id, file.url] = (file.segment_id, file.local_date)
    for entry in lake.ledger():
        place = now.get((entry.camera_id, entry.url))
        if place is not None and place != (entry.segment_id, entry.local_date):
            lake.remove_unit(entry.camera_id, entry.local_date, entry.segment_id)


def open_workers_of(
    config: FleetConfig, lake: Lake, address: str | None, n_shifts: int, progress: Progress, *, preload: bool
) -> tuple:
    """Return the workers the configuration asks for, and how many. Imports Ray only where it is used.

    `preload` says whether some unit is known to need the models.
    """
    if config.execution.executor == "local":
        from pipeline.execution.local import LocalWorkers

        return LocalWorkers(config, lake, progress.frames_in_flight, preload=preload), 1
    from pipeline.execution import cluster

    progress.stage("starting workers")
    return cluster.open_workers(config, address, n_shifts, preload=preload)


def _quarantine_files(
    config: FleetConfig, seen: Survey, lake: Lake, ledger: dict[str, LedgerEntry]
) -> list[LedgerEntry]:
    """Enter files that cannot be probed in the ledger, unless they stand there already with the same reason."""
    entries = []
    for footage in seen.footage:
        for file in footage.unusable:
            entry = ledger.get(file.segment_id)
            if entry is None or (entry.url, entry.reason) != (file.url, file.reason):
                shape = plan.config_digest(config, config.camera(file.camera_id))
                entry = quarantine_file(file, config_digest=shape, lake=lake)
            entries.append(entry)
    return entries


def _summary(
    config: FleetConfig,
    made: list[LedgerEntry],
    found: list[LedgerEntry],
    failed_files: list[LedgerEntry],
    seen: Survey,
    n_identities: int,
    waiting: int,
    n_workers: int,
    wall_s: float,
) -> RunSummary:
    """Add up what the ledger entries of a run say."""
    quarantined = [entry for entry in (*made, *found) if entry.status == "quarantined"] + failed_files
    done = [entry for entry in made if entry.status == "done"]
    skipped = [entry for entry in found if entry.status == "done"]
    stage_s = Counter()
    for entry in made:
        stage_s.update({stage: getattr(entry, f"{stage}_s") for stage in STAGES})
    return RunSummary(
        segments_done=len(done),
        segments_skipped=len(skipped),
        segments_quarantined=len(quarantined),
        frames=sum(entry.frames for entry in done),
        detections=sum(entry.detections for entry in done),
        tracklets=sum(entry.tracklets for entry in made),
        identities=n_identities,
        waiting=waiting,
        workers=n_workers,
        wall_s=wall_s,
        seconds={stage: stage_s[stage] for stage in STAGES},
        cameras=[_camera_row(footage.camera_id, done, skipped, quarantined) for footage in seen.footage],
        failures=seen.camera_failures() + [_failure(entry) for entry in quarantined],
        lake=config.lake,
    )


def _waiting(shifts: Sequence[plan.Shift], ledger: Ledger) -> int:
    """Count the units at the end of these shifts whose last rows nothing has taken over yet."""
    handed_on = {entry.state_in_digest for entry in ledger.values()}
    last = (ledger[shift.units[-1].segment.segment_id] for shift in shifts)
    return sum(entry.state_out_digest not in (plan.FRESH, *handed_on) for entry in last)


def _camera_row(camera_id: str, done: list, skipped: list, quarantined: list) -> dict:
    mine = [entry for entry in done if entry.camera_id == camera_id]
    footage_s = sum((entry.ended_at_us - entry.started_at_us) / 1e6 for entry in mine)
    wall_s = sum(entry.wall_s for entry in mine)
    return {
        "camera_id": camera_id,
        "segments_done": len(mine),
        "segments_skipped": sum(entry.camera_id == camera_id for entry in skipped),
        "segments_quarantined": sum(entry.camera_id == camera_id for entry in quarantined),
        "footage_s": footage_s,
        "frames": sum(entry.frames for entry in mine),
        "detections": sum(entry.detections for entry in mine),
        "tracklets": sum(entry.tracklets for entry in mine),
        "frames_per_s": sum(entry.frames for entry in mine) / wall_s if wall_s else None,
    }


def _not_recorded(recorded: Recordings, seen: Survey) -> list[dict]:
    """Return failures of recording of the cameras that have older footage; without any they have been told of."""
    told = {camera_id for camera_id, _ in seen.without_footage}
    failed = {name: reason for name, reason in recorded.failed.items() if name not in told}
    return [{"camera_id": c, "segment_id": None, "url": None, "reason": reason} for c, reason in failed.items()]


def _failure(entry: LedgerEntry) -> dict:
    return {"camera_id": entry.camera_id, "segment_id": entry.segment_id, "url": entry.url, "reason": entry.reason}
