"""The demo town, wired: traffic, pictures, footage, truth and the fleet.yaml that reads it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import yaml

from pipeline.demo import footage, topology, truth
from pipeline.demo.scene import Scene
from pipeline.demo.simulation import Motion, simulate
from pipeline.demo.views import VIEWS, View, view

FPS = 10
TIME_ZONE = "Europe/Berlin"
STARTED_AT = datetime(2026, 5, 12, 7, 30, 0, tzinfo=ZoneInfo(TIME_ZONE))
"""A Tuesday in May, in the morning rush."""

FEW_FRAMES = 400
"""So few are painted sooner than other processes start."""

Progress = Callable[[int, int], None]
"""Called now and then with frames done and frames in all."""


def render(
    out: Path,
    *,
    seed: int,
    duration_s: float,
    progress: Progress | None = None,
    cameras: Sequence[str] | None = None,
    processes: int | None = None,
) -> Path:
    """Render the town into the folder `out` and return the fleet.yaml written there.

    Equal seed and duration give equal truth and pictures. `cameras` takes some of the town's four only (short tests);
    `processes` is how many paint at once, by default two where there are two cores and enough to do.
    """
    out = Path(out)
    views = VIEWS if cameras is None else tuple(view(camera_id) for camera_id in cameras)
    motion = simulate(seed, duration_s, FPS)
    tasks = [_Task(v.camera_id, str(out / "footage" / v.camera_id), seed, motion) for v in views]
    total = motion.frames * len(views)
    if processes is None:
        processes = 1 if total <= FEW_FRAMES else min(2, os.cpu_count() or 1, len(views))
    paint = _paint_here if processes == 1 else _paint_in_processes
    sightings = paint(tasks, processes, progress, total)
    _write_truth(out / "truth", views, motion, sightings)
    config_path = out / "fleet.yaml"
    config_path.write_text(fleet_yaml(views, seed), encoding="utf-8")
    return config_path


# Painting -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """One camera to paint: all that a process needs."""

    camera_id: str
    folder: str
    seed: int
    motion: Motion


_frames_done: Any = None
"""Counter shared with the process that waits; set when a painting process starts."""


def _share_counter(counter: Any) -> None:
    global _frames_done
    _frames_done = counter


def _count_frame() -> None:
    with _frames_done.get_lock():
        _frames_done.value += 1


def _paint_here(tasks: list[_Task], processes: int, progress: Progress | None, total: int) -> list[truth.Sightings]:
    """Paint one camera after another in this process."""
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress and (done % FPS == 0 or done == total):
            progress(done, total)

    return [_paint(task, count) for task in tasks]


def _paint_in_processes(
    tasks: list[_Task], processes: int, progress: Progress | None, total: int
) -> list[truth.Sightings]:
    """Paint every camera in a process of its own, `processes` at once."""
    context = multiprocessing.get_context("spawn")  # forking a process with threads (Ray, torch) may hang
    counter = context.Value("q", 0)
    with ProcessPoolExecutor(processes, context, initializer=_share_counter, initargs=(counter,)) as pool:
        waiting = [pool.submit(_paint_elsewhere, task) for task in tasks]
        while progress and not all(future.done() for future in waiting):
            progress(counter.value, total)
            time.sleep(0.5)
        result = [future.result() for future in waiting]
    if progress:
        progress(total, total)
    return result


def _paint_elsewhere(task: _Task) -> truth.Sightings:
    return _paint(task, _count_frame)


def _paint(task: _Task, count: Callable[[], None]) -> truth.Sightings:
    """Paint and encode one camera's footage; return what was in it."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    scene = Scene(view(task.camera_id).camera, task.motion, task.seed, FPS)
    rows: list[tuple] = []

    def pictures() -> Iterator[np.ndarray]:
        for t in range(task.motion.frames):
            picture, seen = scene.frame(t)
            rows.extend((t, s.index, s.xyxy, s.visibility) for s in seen)
            count()
            yield picture

    try:
        footage.write(Path(task.folder), task.camera_id, STARTED_AT, FPS, pictures(), task.motion.frames)
    finally:
        cv2.setNumThreads(threads)
    return truth.Sightings(
        frame=np.array([row[0] for row in rows], np.int64),
        object_index=np.array([row[1] for row in rows], np.int64),
        xyxy=np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
        visibility=np.array([row[3] for row in rows], np.float64),
    )


# Truth and configuration --------------------------------------------------------------------------------------------


def _write_truth(folder: Path, views: tuple[View, ...], motion: Motion, sightings: list[truth.Sightings]) -> None:
    """Write every file of the truth; mtmc.txt has only what two cameras or more list."""
    clock = truth.Clock(STARTED_AT, FPS)
    mtmc, crossed, dwelt = [], [], []
    labelled = truth.in_several_cameras(sightings, [(v.camera.width_px, v.camera.height_px) for v in views])
    for number, (v, seen) in enumerate(zip(views, sightings, strict=True), start=1):
        size = v.camera.width_px, v.camera.height_px
        truth.write_mot(folder / v.camera_id, v.camera_id, seen, motion.kind, size, motion.frames, clock)
        mtmc += truth.mtmc_lines(number, seen, labelled, motion.xy, size)
        for line in v.lines:
            for when, index, forward in truth.crossings(seen, v.line_px(line), *size):
                if line.classes is not None and motion.kind[index] not in line.classes:
                    continue
                direction = line.forward if forward else line.backward
                crossed.append((v.camera_id, line.name, direction, motion.kind[index], index + 1, clock.at(when)))
        for zone in v.zones:
            for first, last, index in truth.visits(seen, v.zone_px(zone), FPS):
                times = clock.at(first), clock.at(last), f"{(last - first) / FPS:.1f}"
                dwelt.append((v.camera_id, zone.name, motion.kind[index], index + 1, *times))
    (folder / "mtmc.txt").write_text("".join(mtmc), encoding="utf-8")
    header = ("camera_id", "line_id", "direction", "class", "object_id", "crossed_at")
    truth.write_table(folder / "crossings.csv", header, sorted(crossed, key=lambda row: (row[5], row)))
    header = ("camera_id", "zone_id", "class", "object_id", "entered_at", "left_at", "dwell_s")
    truth.write_table(folder / "dwell.csv", header, sorted(dwelt, key=lambda row: (row[4], row)))


def fleet_yaml(views: tuple[View, ...], seed: int) -> str:
    """Return the text of the fleet.yaml for the rendered town."""
    links = [
        {"between": list(t.between), "min_travel_s": t.min_travel_s, "max_travel_s": t.max_travel_s}
        | ({"overlapping": True} if t.overlapping else {})
        for t in topology.travels(views)
    ]
    config = {
        "fleet": "town",
        "lake": "./lake",
        "models": {"detector": {"use": "one-shot"}, "embedder": {"use": "trained"}},
        "identity": {"links": links},
        "cameras": [_camera_section(v) for v in views],
    }
    comments = (
        f"# The demo town (seed {seed}), written by nightfleet. Its exact truth lies beside it in truth/.\n"
        "# Cameras: gate watches the west road, square and market see the square from two sides, crossing the zebra.\n"
        "# Lines and zones are in picture pixels; homographies take pixels to metres on the ground (x east, y north).\n"
        "# identity.links: seconds from leaving one camera to entering the other, from the distance between their\n"
        "# views and the speeds of walking and driving; below 0 where an object can be in both at once (square and\n"
        "# market see the same ground; elsewhere a car is in one view with its bonnet, in the other with its boot).\n"
    )
    return comments + yaml.safe_dump(config, sort_keys=False, default_flow_style=None, width=110)


def _camera_section(v: View) -> dict[str, Any]:
    """Return one camera as fleet.yaml wants it."""
    return {
        "id": v.camera_id,
        "footage": f"footage/{v.camera_id}/*.mp4",
        "time_pattern": f"{v.camera_id}_{footage.TIME_FORMAT}.mp4",
        "time_zone": TIME_ZONE,
        "homography": v.camera.homography.tolist(),
        "lines": [
            {"name": x.name, "points": v.line_px(x).tolist(), "forward": x.forward, "backward": x.backward}
            | ({"classes": list(x.classes)} if x.classes else {})
            for x in v.lines
        ],
        "zones": [{"name": x.name, "polygon": v.zone_px(x).tolist()} for x in v.zones],
    }
