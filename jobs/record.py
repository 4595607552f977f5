"""What must be recorded before a night can begin: some of each webcam and stream of the fleet, all at the same time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.config import CameraConfig, FleetConfig, LiveConfig
from pipeline.errors import NightfleetError
from pipeline.execution.progress import Progress
from pipeline.footage import clock, recording
from pipeline.footage.recording import Recording


@dataclass(frozen=True, slots=True)
class Recordings:
    """What was recorded: by camera, the recording, or a sentence that says why there is none."""

    made: dict[str, Recording]
    failed: dict[str, str]

    def to_json(self) -> list[dict]:
        """Return one row a recording, plain JSON values."""
        return [
            {"camera_id": name, "file": str(one.path), "recorded_s": one.recorded_s, "note": one.note}
            for name, one in self.made.items()
        ]


def record(
    config: FleetConfig, *, progress: Progress, cameras: Sequence[str] | None = None, date: str | None = None
) -> Recordings:
    """Record from the fleet's live cameras, or from the named ones. With `date`, those where that is today's date.

    Raises ConfigError for a camera id that is not configured.
    """
    chosen = [config.camera(name) for name in cameras] if cameras else config.cameras
    live = [camera for camera in chosen if is_live(camera) and (date is None or date == _today(camera))]
    if not live:
        return Recordings({}, {})
    progress.stage(f"recording {max(camera.footage.seconds for camera in live):g} s of {len(live)} camera(s)")
    with ThreadPoolExecutor(len(live)) as threads:
        outcomes = dict(zip([camera.id for camera in live], threads.map(_recorded, live)))
    made = {name: one for name, one in outcomes.items() if isinstance(one, Recording)}
    return Recordings(made, {name: one for name, one in outcomes.items() if isinstance(one, str)})


def is_live(camera: CameraConfig) -> bool:
    """Tell whether a camera's footage has yet to be recorded."""
    return isinstance(camera.footage, LiveConfig)


def unreachable(cameras: Sequence[CameraConfig]) -> dict[str, str]:
    """Take a picture of each live camera; return by id the sentences of those that give none."""
    live = [camera for camera in cameras if is_live(camera)]
    if not live:
        return {}
    with ThreadPoolExecutor(len(live)) as threads:
        said = dict(zip([camera.id for camera in live], threads.map(_looked, live)))
    return {name: sentence for name, sentence in said.items() if sentence}


def _recorded(camera: CameraConfig) -> Recording | str:
    try:
        return recording.record(camera.id, camera.footage)
    except NightfleetError as error:
        return str(error)


def _looked(camera: CameraConfig) -> str:
    try:
        recording.look(camera.id, camera.footage)
    except NightfleetError as error:
        return str(error)
    return ""


def _today(camera: CameraConfig) -> str:
    return clock.local_date(time.time_ns() // 1000, camera.time_zone)
