"""Look before the night: does everything in fleet.yaml hold? `check` is what `nightfleet check` calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.record import is_live, unreachable
from jobs.survey import survey
from pipeline.config import CameraConfig, FleetConfig
from pipeline.errors import NightfleetError, SegmentError
from pipeline.footage.decode import sample_frames
from pipeline.footage.probe import check_whole
from pipeline.homography import LEAST_POINTS, across_error
from pipeline.lake.writer import Lake


def check(config: FleetConfig, *, cameras: Sequence[str] | None = None) -> dict:
    """Open every camera's footage, load every model, open the lake; return what was found and every problem.

    The result has `cameras` (one row each: segments, seconds, start and end, clock source), and in sentences `problems`
    and `notes`: what holds, but may not be meant so.
    """
    seen = survey(config, cameras=cameras)
    chosen = [config.camera(name) for name in cameras] if cameras else config.cameras
    live = {camera.id for camera in chosen if is_live(camera)}
    problems = [reason for name, reason in seen.without_footage if name not in live] + list(seen.mistakes)
    problems += unreachable(chosen).values()
    rows = []
    for found in seen.footage:
        problems += [file.reason for file in found.unusable]
        problems += _undecodable(config, found.segments)
        rows.append(_row(found))
    wrong_models, models = _models(config)
    problems += wrong_models
    problems += _lake(config)
    notes = [reason for name, reason in seen.without_footage if name in live]
    notes += [f"camera {name}: its tracks are imported, so no footage is looked for" for name in seen.imported]
    watched = [camera for camera in chosen if not camera.imported]
    notes += [note for camera in chosen for note in _calibration(camera)]
    return {"cameras": rows, "problems": problems, "notes": [*notes, *_low_scores(config, watched), *models]}


def _row(found) -> dict:
    segments = found.segments
    return {
        "camera_id": found.camera_id,
        "segments": len(segments),
        "unusable": len(found.unusable),
        "footage_s": sum(segment.duration_us for segment in segments) / 1e6,
        "started_at_us": segments[0].started_at_us if segments else None,
        "ended_at_us": segments[-1].ended_at_us if segments else None,
        "clock_source": ", ".join(sorted({segment.clock_source for segment in segments})),
        "picture": f"{segments[0].width_px}x{segments[0].height_px}" if segments else "",
        "fps": segments[0].fps if segments else None,
    }


def _calibration(camera: CameraConfig) -> list[str]:
    """Say how well ground points fit together, and how well distances are known at each line."""
    found = camera.ground_fit()
    if found is None:
        return []
    n_points, worst = len(found.residual_px), int(found.residual_px.argmax())
    told = f"camera {camera.id}: {n_points} ground points"
    if n_points > LEAST_POINTS:
        told += f", {found.residual_px[worst]:.1f} px off at most (the {worst + 1}. of them)"
    if found.sigma_px is None:
        return [f"{told}; mark a fifth, or give marking_error_px, and speeds get an error"]
    errors = [(line.name, across_error(found, np.array(line.points, np.float64))) for line in camera.lines]
    known = ", ".join(f"{100 * error:.1f} % at line {name}" for name, error in errors)
    return [f"{told}; distances and speeds are known to {known}" if known else told]


def _low_scores(config: FleetConfig, cameras: Sequence[CameraConfig]) -> list[str]:
    """Say of every detector that passes boxes on which start no track, which those are."""
    high = config.tracker.high_score
    of: dict[str, list[str]] = {}
    for camera in cameras:
        detector, by_least = config.detector_for(camera), {}
        for name in detector.classes:
            least = detector.score_threshold_by_class.get(name, detector.score_threshold)
            if least < high:
                by_least.setdefault(least, []).append(name)
        for least, names in by_least.items():
            sentence = (
                f"boxes of {', '.join(names)} scored {least:g} to {high:g} only continue tracks (tracker.high_score); "
                "lower it to let them start tracks"
            )
            of.setdefault(sentence, []).append(camera.id)
    return [
        sentence if len(ids) == len(cameras) else f"camera{'s' if len(ids) > 1 else ''} {', '.join(ids)}: {sentence}"
        for sentence, ids in of.items()
    ]


def _undecodable(config: FleetConfig, segments: Sequence) -> list[str]:
    """Decode one frame of every segment, and see that none is shorter than its header says."""
    problems = []
    for segment in segments:
        try:
            sample_frames(segment, 1, config.camera(segment.camera_id).image_fps)
            check_whole(segment)
        except SegmentError as error:
            problems.append(str(error))
    return problems


def _models(config: FleetConfig) -> tuple[list[str], list[str]]:
    """Load the embedder and every detector the fleet uses; return what is wrong, and what each detector's file is."""
    from pipeline.perception.perception import Perception

    execution = config.execution
    try:
        perception = Perception(config.models.embedder, device=execution.device, threads=execution.threads_per_worker)
        about = perception.load(config.detector_for(camera) for camera in config.cameras if not camera.imported)
    except NightfleetError as error:
        return [str(error)], []
    return [], about


def _lake(config: FleetConfig) -> list[str]:
    """Open the lake if there is one."""
    try:
        if Lake.exists(config.lake):
            Lake.open(config.lake)
    except NightfleetError as error:
        return [str(error)]
    return []
