"""The stages wired for one segment: decode, perceive, track, write. Knows no Ray and no scheduling."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.config import CameraConfig, FleetConfig
from pipeline.errors import LakeError, SegmentError
from pipeline.execution.plan import FRESH, Unit
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.footage.segments import UnusableFile
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import CameraView

if TYPE_CHECKING:  # the driver plans and quarantines without loading a model library
    from pipeline.perception.perception import Perception

RETRY_KEY = ""
"""Ledger key of a unit given up for a reason that may pass (its workers died): it matches nothing, so it is retried."""


@dataclass(slots=True)
class _Counts:
    """What a unit amounted to; ends in the ledger."""

    frames: int = 0
    detections: int = 0
    decode_s: float = 0.0
    detect_s: float = 0.0
    embed_s: float = 0.0
    track_s: float = 0.0
    bad_packets: int = 0


def process_unit(
    unit: Unit,
    state_in_digest: str,
    *,
    config: FleetConfig,
    perception: Perception,
    lake: Lake,
    on_frames: Callable[[int], None] = lambda n_frames: None,
) -> LedgerEntry:
    """Process one segment and enter it in the lake's ledger; a segment that cannot be read is entered as quarantined.

    `on_frames` is called after every batch with the frames done so far. Raises LakeError where the state to continue
    from is not the one expected.
    """
    began = time.perf_counter()
    camera = config.camera(unit.segment.camera_id)
    state = load_state(unit, state_in_digest, lake)
    counts = _Counts()
    try:
        tracking = _watch(unit, camera, config, perception, state, counts, on_frames)
    except SegmentError as error:
        key = unit.key(state_in_digest)
        return quarantine_unit(unit, state_in_digest, str(error), key=key, config=config, lake=lake)
    if unit.closes:
        tracking.close()
    rows = tracking.drain()
    state_out = None if unit.closes else tracking.to_bytes()
    return _enter(unit, state_in_digest, rows, state_out, counts, lake, began)


def quarantine_unit(
    unit: Unit, state_in_digest: str, reason: str, *, key: str, config: FleetConfig, lake: Lake
) -> LedgerEntry:
    """Enter a unit as quarantined. Tracks that reached it from the segment before end there, and are not lost."""
    tracking = CameraTracking(unit.segment.camera_id, config.tracker, load_state(unit, state_in_digest, lake))
    tracking.close()
    rows = tracking.drain()
    return _enter(unit, state_in_digest, rows, None, _Counts(), lake, time.perf_counter(), reason=reason, key=key)


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
        **_work(_Counts(), wall_s=0.0),
    )
    return lake.write_quarantine(entry, file.local_date)


def load_state(unit: Unit, state_in_digest: str, lake: Lake) -> bytes | None:
    """Return the tracker state a unit continues from, or None for a fresh start."""
    if unit.inherits_from is None or state_in_digest == FRESH:
        return None
    camera_id = unit.segment.camera_id
    state = lake.state(camera_id, unit.inherits_from)
    if state is None or state_digest(state) != state_in_digest:
        raise LakeError(
            f"{lake.url}: the tracker state after segment {unit.inherits_from} of camera {camera_id} is missing or "
            "changed; remove that segment's ledger file and run again"
        )
    return state


def state_digest(state: bytes | None) -> str:
    """Digest of a tracker state; the empty string for none."""
    return FRESH if state is None else hashlib.blake2b(state, digest_size=10).hexdigest()


def _watch(
    unit: Unit,
    camera: CameraConfig,
    config: FleetConfig,
    perception: Perception,
    state: bytes | None,
    counts: _Counts,
    on_frames: Callable[[int], None],
) -> CameraTracking:
    """Run every frame of the segment through the models and the tracker."""
    segment = unit.segment
    tracking = CameraTracking(camera.id, config.tracker, state)
    reader = SegmentReader(
        segment,
        batch_size=config.execution.batch_size,
        prefetch_batches=config.execution.prefetch_batches,
        target_fps=camera.target_fps,
        image_fps=camera.image_fps,
        not_before_us=tracking.last_captured_at_us,
    )
    with reader:
        view = CameraView(
            camera_id=camera.id,
            width_px=segment.width_px,
            height_px=segment.height_px,
            homography=camera.homography,
            segment_url=segment.url,
            frame_rate_fps=reader.frame_rate_fps,
        )
        session = perception.session(
            config.detector_for(camera), view, lambda n: sample_frames(segment, n, camera.image_fps)
        )
        frame_interval_us = round(1e6 / reader.frame_rate_fps)
        for batch in reader:
            perceived = session.perceive(batch)
            began = time.perf_counter()
            for i, (detections, embedding) in enumerate(perceived):
                tracking.step(
                    segment_id=segment.segment_id,
                    frame=int(batch.frame[i]),
                    captured_at_us=int(batch.captured_at_us[i]),
                    frame_interval_us=frame_interval_us,
                    detections=detections,
                    embedding=embedding,
                )
                counts.detections += len(detections)
            counts.track_s += time.perf_counter() - began
            counts.frames += len(batch)
            on_frames(counts.frames)
    counts.detect_s, counts.embed_s = session.detect_s, session.embed_s
    counts.decode_s, counts.bad_packets = reader.decode_s, reader.bad_packets
    return tracking


def _enter(
    unit: Unit,
    state_in_digest: str,
    rows: tuple,
    state_out: bytes | None,
    counts: _Counts,
    lake: Lake,
    began: float,
    *,
    reason: str = "",
    key: str | None = None,
) -> LedgerEntry:
    """Write a unit's rows, its state and, last, its ledger entry."""
    segment = unit.segment
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
    return lake.write_unit(entry, segment.local_date, *rows, state_out)


def _work(counts: _Counts, wall_s: float) -> dict:
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
