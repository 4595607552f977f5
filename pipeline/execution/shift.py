"""The stages wired for one segment: decode, perceive, track, write. Knows no Ray and no scheduling.

Where the lake holds the segment's detections, made from just this footage by just these models, they are tracked
instead, and nothing is decoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.config import FleetConfig
from pipeline.errors import SegmentError
from pipeline.execution import forgetting, picturing
from pipeline.execution.plan import FRESH, Unit, is_current
from pipeline.execution.states import start, state_digest
from pipeline.execution.watching import Counts, describe, follow, watch
from pipeline.footage.segments import UnusableFile
from pipeline.lake import keeping
from pipeline.lake.kept import KeptDetections
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.tracking.tracklets import CameraTracking

if TYPE_CHECKING:  # the driver plans and quarantines without loading a model library
    from pipeline.perception.perception import Perception

RETRY_KEY = ""
"""Ledger key of a unit given up for a reason that may pass (its workers died): it matches nothing, so it is retried."""


def process_unit(
    unit: Unit,
    state_in_digest: str,
    *,
    config: FleetConfig,
    perception: Callable[[], Perception],
    lake: Lake,
    on_frames: Callable[[int], None] = lambda n_frames: None,
) -> LedgerEntry:
    """Process one segment and enter it in the lake's ledger; a segment that cannot be read is entered as quarantined.

    Thumbnails are cut after that, where they are to be kept; where nothing else is lacking, nothing else is done.
    `perception` gives the models, and is asked for them only if something has to be looked at. `on_frames` is called
    after every batch with the frames done so far. Raises LakeError where the state to continue from is not the one
    expected.
    """
    pictured = config.execution.keep_thumbnails
    entry = _entered_whole(unit, state_in_digest, config, lake) if pictured else None
    if entry is None:
        entry = _process(unit, state_in_digest, config, perception, lake, on_frames)
    if pictured:
        picturing.picture(unit, entry, config, lake)
    return entry


def _entered_whole(unit: Unit, state_in_digest: str, config: FleetConfig, lake: Lake) -> LedgerEntry | None:
    """Return the unit's ledger entry if nothing of it is to be made anew."""
    segment = unit.segment
    place = (segment.camera_id, segment.local_date, segment.segment_id)
    entry = lake.entry(*place)
    if unit.anew or not is_current(unit, state_in_digest, entry):
        return None
    return None if config.execution.keep_detections and keeping.about(lake, place) is None else entry


def _process(
    unit: Unit,
    state_in_digest: str,
    config: FleetConfig,
    perception: Callable[[], Perception],
    lake: Lake,
    on_frames: Callable[[int], None],
) -> LedgerEntry:
    """Make a unit's rows and enter them."""
    began = time.perf_counter()
    camera = config.camera(unit.segment.camera_id)
    started = start(unit, state_in_digest, config, lake)
    tracking, motion = started.tracking, started.motion
    about = describe(unit, config, camera, tracking.last_captured_at_us, state_digest(motion))
    kept = keeping.read(lake, about)
    counts = Counts()
    try:
        if kept is None:
            watch(about, camera, config, perception(), lake, tracking, motion, counts, on_frames)
        else:
            _follow(kept, tracking, counts, on_frames)
    except SegmentError as error:
        key = unit.key(state_in_digest)
        return quarantine_unit(unit, state_in_digest, str(error), key=key, config=config, lake=lake)
    if unit.closes:
        tracking.close()
    rows = started.drain()
    state_out = None if unit.closes else tracking.to_bytes()
    return _enter(unit, state_in_digest, rows, state_out, counts, lake, began)


def quarantine_unit(
    unit: Unit, state_in_digest: str, reason: str, *, key: str, config: FleetConfig, lake: Lake
) -> LedgerEntry:
    """Enter a unit as quarantined. Tracks that reached it from the segment before end there, and are not lost."""
    started = start(unit, state_in_digest, config, lake)
    started.tracking.close()
    rows = started.drain()
    return _enter(unit, state_in_digest, rows, None, Counts(), lake, time.perf_counter(), reason=reason, key=key)


def quarantine_file(file: UnusableFile, *, config_digest: str, lake: Lake) -> LedgerEntry:
    """Enter a file that could not even be probed."""
    entry = LedgerEntry(
        segment_id=file.segment_id,
        camera_id=file.camera_id,
        local_date=file.local_date,
        url=file.url,
        status="quarantined",
        reason=file.reason,
        key=RETRY_KEY,
        fingerprint="",
        config_digest=config_digest,
        weights_digest="",
        state_in_digest=FRESH,
        state_out_digest=FRESH,
        started_at_us=file.started_at_us,
        ended_at_us=None,
        clock_source="",
        **_work(Counts(), wall_s=0.0),
    )
    return lake.write_quarantine(entry, file.local_date)


def _follow(kept: KeptDetections, tracking: CameraTracking, counts: Counts, on_frames: Callable[[int], None]) -> None:
    """Run kept detections through the tracker. Raises SegmentError where the segment could not be decoded then."""
    began = time.perf_counter()
    follow(kept, tracking, on_frames)
    counts.track_s = time.perf_counter() - began
    counts.frames, counts.detections = len(kept), len(kept.detections)
    counts.bad_packets, counts.motion_unknown = kept.about.bad_packets, kept.about.motion_unknown


def _enter(
    unit: Unit,
    state_in_digest: str,
    rows: tuple,
    state_out: bytes | None,
    counts: Counts,
    lake: Lake,
    began: float,
    *,
    reason: str = "",
    key: str | None = None,
) -> LedgerEntry:
    """Write a unit's rows, its state and, last, its ledger entry."""
    segment = unit.segment
    rows, n_forgotten = forgetting.spared(lake, unit, rows)
    counts.detections -= n_forgotten
    entry = LedgerEntry(
        segment_id=segment.segment_id,
        camera_id=segment.camera_id,
        local_date=segment.local_date,
        url=segment.url,
        status="quarantined" if reason else "done",
        reason=reason,
        key=unit.key(state_in_digest) if key is None else key,
        fingerprint=segment.fingerprint,
        config_digest=unit.config_digest,
        weights_digest=unit.weights_digest,
        state_in_digest=state_in_digest,
        state_out_digest=state_digest(state_out),
        started_at_us=segment.started_at_us,
        ended_at_us=segment.ended_at_us,
        clock_source=segment.clock_source,
        **_work(counts, wall_s=time.perf_counter() - began),
    )
    thumbnails = picturing.carried(unit, entry.key, rows, lake)
    return lake.write_unit(entry, segment.local_date, *rows, state_out, thumbnails)


def _work(counts: Counts, wall_s: float) -> dict:
    """Return the ledger's columns about the work done; row counts and `write_s` are set by the lake as it writes."""
    return {
        **asdict(counts),
        "observations": 0,
        "tracklets": 0,
        "embeddings": 0,
        "write_s": 0.0,
        "wall_s": wall_s,
        "version": __version__,
        "finished_at_us": time.time_ns() // 1000,
    }
