"""Whole worlds: a place, who is in it, the cameras that look at it, and their pictures and truth on disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from pipeline.demo.scene import Scene
from pipeline.demo.simulation import simulate
from pipeline.demo.variety import places, shots
from pipeline.demo.variety.cast import Casting
from pipeline.demo.variety.folders import Sequence
from pipeline.demo.variety.stage import Stage
from pipeline.demo.views import VIEWS

NEAR_VIEWS_SHARE, TOWN_SHARE = 0.34, 0.2
"""Share of worlds seen by cameras near the demo's own, and elsewhere in its town; the rest is made up."""

BETWEEN_S = (0.3, 2.0)
"""Seconds from one picture of a camera to its next."""
APART_S = (0.0, 4.0)
"""Seconds from the first picture of one camera to the first of the next."""
QUALITY = (70, 96)
MOST_SEQUENCES = len(VIEWS)

SALT = 0x5CE7E5
"""Keeps these worlds apart from whatever else is drawn from the same seed."""

TOWN_FPS = 10
TOWN_SEEDS = (1_000_000, 2**31)
"""The demo's town lives by such seeds in training pictures: far from those that people give to `nightfleet demo`."""


def world_name(number: int) -> str:
    return f"world-{number:05}"


def render_world(out: Path, number: int, *, seed: int, sequences: int, frames: int) -> tuple[int, int]:
    """Render world `number` of `seed` into out/world-NNNNN; return its pictures and its boxes.

    A world depends on its own number and the seed alone. It is made under another name and renamed when whole.
    """
    rng = np.random.default_rng([SALT, seed, number])
    kind = rng.random()
    if kind < NEAR_VIEWS_SHARE:
        place, cameras = places.town(rng), shots.near_views(rng, sequences)
    elif kind < NEAR_VIEWS_SHARE + TOWN_SHARE:
        place, cameras = places.town(rng), shots.in_town(rng, sequences)
    else:
        place, cameras = places.made_up(rng), shots.anywhere(rng, sequences)
    at_s = _instants(rng, len(cameras), frames)
    at_s -= at_s.mean()  # people start from where a camera sees them, half of the time before
    motion = Casting(rng, place, cameras, at_s).fill()
    stages = [Stage(camera, place, motion, (SALT, seed, number, c)) for c, camera in enumerate(cameras)]
    shown = np.arange(len(cameras) * frames).reshape(len(cameras), frames)
    return _written(out, number, stages, shown, rng)


def render_town_world(out: Path, number: int, *, seed: int, sequences: int, frames: int) -> tuple[int, int]:
    """Render the demo's own town as it is, from its own views, on another day; otherwise as `render_world`."""
    rng = np.random.default_rng([SALT, seed, number])
    views = np.sort(rng.choice(len(VIEWS), sequences, replace=False))
    town_seed = int(rng.integers(*TOWN_SEEDS))
    shown = np.floor(_instants(rng, sequences, frames) * TOWN_FPS).astype(np.int64)
    motion = simulate(town_seed, (int(shown.max()) + 1) / TOWN_FPS, TOWN_FPS)
    scenes = [Scene(VIEWS[v].camera, motion, town_seed, TOWN_FPS) for v in views]
    return _written(out, number, scenes, shown, rng)


def _instants(rng: np.random.Generator, cameras: int, frames: int) -> np.ndarray:
    """Return when each camera takes its pictures, (cameras, frames) in seconds."""
    steps = rng.uniform(*BETWEEN_S, (cameras, frames))
    return np.cumsum(steps, axis=1) + np.cumsum(rng.uniform(*APART_S, cameras))[:, None]


def _written(
    out: Path, number: int, stages: list[Stage] | list[Scene], shown: np.ndarray, rng: np.random.Generator
) -> tuple[int, int]:
    """Write the frames `shown` (cameras, frames) of each stage as one world; return its pictures and its boxes."""
    unfinished = out / f".{world_name(number)}"
    shutil.rmtree(unfinished, ignore_errors=True)
    pictures = boxes = 0
    for stage, of_camera in zip(stages, shown.tolist(), strict=True):
        camera = stage.camera
        sequence = Sequence(unfinished / camera.camera_id, (camera.width_px, camera.height_px), stage.motion.kind)
        for t in of_camera:
            picture, seen = stage.frame(t)
            sequence.add(picture, seen, int(rng.integers(*QUALITY)))
        sequence.close()
        pictures, boxes = pictures + sequence.frames, boxes + sequence.boxes
    whole = out / world_name(number)
    shutil.rmtree(whole, ignore_errors=True)
    unfinished.rename(whole)
    return pictures, boxes


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV to one core meanwhile."""
    threads = cv2.getNumThreads()
    stay_on_one_thread()
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def stay_on_one_thread() -> None:
    """Keep OpenCV to one core from now on: for a process that does nothing else."""
    cv2.setNumThreads(1)
