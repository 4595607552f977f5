"""From a segment to its tracks: live, through the models, or from the detections that an earlier run kept.

Both ways show the tracker the same: embeddings as half floats keep them, frame by frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config import CameraConfig, FleetConfig
from pipeline.errors import SegmentError
from pipeline.execution.plan import Unit, frame_rate_fps, perception_key
from pipeline.execution.states import opened, state_digest
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.lake import keeping
from pipeline.lake.kept import About, KeptDetections, Recorder, from_half, to_half
from pipeline.lake.writer import Lake
from pipeline.tracking.camera_motion import CameraMotion
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import CameraView, Detections

if TYPE_CHECKING:  # whoever follows kept detections loads no model library
    from pipeline.perception.perception import Perception

FRAMES_PER_REPORT = 256
"""Kept frames between two words about progress: some tenths of a second of tracking."""


@dataclass(slots=True)
class Counts:
    """What a unit amounted to; ends in the ledger."""

    frames: int = 0
    detections: int = 0
    decode_s: float = 0.0
    detect_s: float = 0.0
    embed_s: float = 0.0
    track_s: float = 0.0
    bad_packets: int = 0
    motion_unknown: int = 0


def describe(
    unit: Unit, config: FleetConfig, camera: CameraConfig, last_captured_at_us: int | None, motion_in: str
) -> About:
    """Say what a unit's detections are made from, where the tracker that it continues has come to this instant.

    `motion_in` is the digest of the camera's motion so far (see About).
    """
    segment = unit.segment
    overlaps = last_captured_at_us is not None and last_captured_at_us >= segment.started_at_us
    return About(
        segment=segment,
        key=perception_key(unit, config, camera),
        weights_digest=unit.weights_digest,
        not_before_us=last_captured_at_us if overlaps else None,
        frame_interval_us=round(1e6 / frame_rate_fps(segment, camera)),
        motion_in=motion_in,
    )


def watch(
    about: About,
    camera: CameraConfig,
    config: FleetConfig,
    perception: Perception,
    lake: Lake,
    tracking: CameraTracking,
    motion: bytes | None,
    counts: Counts,
    on_frames: Callable[[int], None],
) -> None:
    """Run every frame of the segment through the models and the tracker, and keep the detections if told to.

    Raises SegmentError, after forgetting the frames so far, where the segment cannot be decoded.
    """
    segment = about.segment
    recorder = Recorder()
    moving = CameraMotion(None if motion is None else opened(motion)) if camera.moving else None
    reader = SegmentReader(
        segment,
        batch_size=config.execution.batch_size,
        prefetch_batches=config.execution.prefetch_batches,
        target_fps=camera.target_fps,
        image_fps=camera.image_fps,
        not_before_us=about.not_before_us,
    )
    view = CameraView(
        camera_id=camera.id,
        width_px=segment.width_px,
        height_px=segment.height_px,
        homography=camera.homography,
        segment_url=segment.url,
        frame_rate_fps=reader.frame_rate_fps,
    )
    try:
        with reader:
            session = perception.session(
                config.detector_for(camera), view, lambda n: sample_frames(segment, n, camera.image_fps)
            )
            for batch in reader:
                perceived = session.perceive(batch)
                began = time.perf_counter()
                warps = moving.warps(batch.images, [found.xyxy for found, _ in perceived]) if moving else None
                for i, (detections, embedding) in enumerate(perceived):
                    warp = None if warps is None else warps[i]
                    seen = (int(batch.frame[i]), int(batch.captured_at_us[i]), detections, to_half(embedding), warp)
                    _step(tracking, about, *seen)
                    if config.execution.keep_detections:
                        recorder.add(*seen)
                    counts.detections += len(detections)
                counts.track_s += time.perf_counter() - began
                counts.frames += len(batch)
                on_frames(counts.frames)
    except SegmentError as error:
        _keep(Recorder().kept(replace(about, reason=str(error))), config, lake)
        raise
    counts.detect_s, counts.embed_s = session.detect_s, session.embed_s
    counts.decode_s, counts.bad_packets = reader.decode_s, reader.bad_packets
    counts.motion_unknown = sum(moving.unknown.values()) if moving else 0
    motion_out = moving.to_bytes() if moving else None
    seen = replace(
        about,
        bad_packets=reader.bad_packets,
        motion_unknown=counts.motion_unknown,
        last_captured_at_us=tracking.last_captured_at_us,
        motion_out=state_digest(motion_out),
    )
    if motion_out is not None:  # before what names it: kept detections without it could not be continued from
        lake.write_motion(camera.id, segment.segment_id, motion_out)
    _keep(recorder.kept(seen), config, lake)


def _keep(kept: KeptDetections, config: FleetConfig, lake: Lake) -> None:
    """Write what was seen, if told to; what an earlier run kept was made from something else and goes."""
    if config.execution.keep_detections:
        keeping.write(lake, kept)
    else:
        keeping.remove(lake, kept.about.segment)


def follow(
    kept: KeptDetections, tracking: CameraTracking, on_frames: Callable[[int], None] = lambda n_frames: None
) -> None:
    """Run a segment's kept detections through the tracker. Raises SegmentError where it could not be decoded.

    `on_frames` is called now and then with the frames done so far.
    """
    if kept.about.reason:
        raise SegmentError(kept.about.reason)
    still = np.isnan(kept.camera_warp).any(axis=(1, 2))
    ends = np.cumsum(kept.n_detections)
    for i, (start, end) in enumerate(zip(ends - kept.n_detections, ends)):
        warp = None if still[i] else kept.camera_warp[i]
        detections, half = kept.detections.take(slice(start, end)), kept.embedding[start:end]
        _step(tracking, kept.about, int(kept.frame[i]), int(kept.captured_at_us[i]), detections, half, warp)
        if (i + 1) % FRAMES_PER_REPORT == 0 or i + 1 == len(kept):
            on_frames(i + 1)


def _step(
    tracking: CameraTracking,
    about: About,
    frame: int,
    captured_at_us: int,
    detections: Detections,
    half: np.ndarray,
    camera_warp: np.ndarray | None,
) -> None:
    """Show the tracker one frame, be it live or kept."""
    tracking.step(
        segment_id=about.segment.segment_id,
        frame=frame,
        captured_at_us=captured_at_us,
        frame_interval_us=about.frame_interval_us,
        detections=detections,
        embedding=from_half(half),
        camera_warp=camera_warp,
    )
