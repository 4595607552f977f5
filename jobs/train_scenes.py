"""Render training pictures: worlds of every kind, as folders in MOTChallenge's form."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.demo.variety import worlds
from pipeline.errors import UserError
from pipeline.execution.progress import Progress

MARK = "scenes.json"
"""File that says how a folder's worlds were made, so that more of them can be added later."""

RENDERERS = {"any": worlds.render_world, "town": worlds.render_town_world}
"""What each kind of place is rendered with."""


def train_scenes(
    out: Path,
    *,
    n_worlds: int,
    sequences_per_world: int,
    frames: int,
    seed: int,
    place: str = "any",
    processes: int,
    progress: Progress,
) -> dict[str, Any]:
    """Render worlds 1 to `n_worlds` of `seed` into `out`; those that are there already are kept.

    `place` is "any", or "town" for the demo's own town and views. Their traffic is none that the demo shows.

    Raises UserError for counts below one and where `out` holds something else, or worlds made otherwise.
    """
    counts = {
        "--worlds": n_worlds,
        "--sequences-per-world": sequences_per_world,
        "--frames": frames,
        "--processes": processes,
    }
    for option, value in counts.items():
        if value < 1:
            raise UserError(f"{option} must be at least 1, got {value}")
    if sequences_per_world > worlds.MOST_SEQUENCES:
        raise UserError(
            f"--sequences-per-world must be at most {worlds.MOST_SEQUENCES}, as many as the town has views, "
            f"got {sequences_per_world}"
        )
    if place not in RENDERERS:
        raise UserError(f"--place must be {' or '.join(RENDERERS)}, got {place!r}")
    if seed < 0:
        raise UserError(f"--seed must be 0 or greater, got {seed}")
    how = {"seed": seed, "place": place, "sequences": sequences_per_world, "frames": frames, "version": __version__}
    _claim(out, how)
    started_s = time.monotonic()
    missing = [n for n in range(1, n_worlds + 1) if not (out / worlds.world_name(n)).is_dir()]
    made = partial(RENDERERS[place], out, seed=seed, sequences=sequences_per_world, frames=frames)
    a_world = sequences_per_world * frames
    done, pictures, boxes = 0, 0, 0
    progress.rendering(0, len(missing) * a_world)
    for new_pictures, new_boxes in _rendered(made, missing, processes):
        done, pictures, boxes = done + 1, pictures + new_pictures, boxes + new_boxes
        progress.rendering(done * a_world, len(missing) * a_world)
    return {
        "written": str(out),
        "worlds": n_worlds,
        "rendered_worlds": len(missing),
        "rendered_pictures": pictures,
        "rendered_boxes": boxes,
        "seconds": round(time.monotonic() - started_s, 1),
    }


def _rendered(made: partial, numbers: list[int], processes: int):
    """Yield what each world came to, as they are done."""
    if processes == 1 or len(numbers) < 2:
        with worlds.one_thread():
            yield from map(made, numbers)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with threads (Ray, torch) may hang
    with ProcessPoolExecutor(processes, context, initializer=worlds.stay_on_one_thread) as pool:
        yield from pool.map(made, numbers)


def _claim(out: Path, how: dict[str, Any]) -> None:
    """Mark `out` as a folder of such worlds, unless it is something else."""
    mark = out / MARK
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file, expected a folder; give --out another one")
    if mark.exists():
        there = json.loads(mark.read_text(encoding="utf-8"))
        if there != how:
            raise UserError(
                f"{out}: holds worlds made with {_words(there)}, asked for {_words(how)}; give --out another folder"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty and holds no worlds of nightfleet; give --out another folder")
    out.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(how) + "\n", encoding="utf-8")


def _words(how: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in how.items())
