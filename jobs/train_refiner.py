"""Training a box refiner for a one-shot network: `nightfleet train refiner`, and `nightfleet train scores`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError
from pipeline.perception.device import resolve_device, settle
from pipeline.training import refiner, scores
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.training.refiner import RefinerRecipe
from pipeline.training.stepping import Step, check_options


def train_refiner(
    weights: Path,
    data: list[Path],
    out: Path,
    recipe: RefinerRecipe,
    *,
    device: str,
    threads: int,
    resume: bool,
    tell: Callable[[Step], None],
    judging: bool = False,
) -> dict:
    """Train on every labelled sequence under `data`; returns where the weights are and on what they were trained.

    `judging` teaches the refiner that `weights` has how well boxes fit; otherwise a new one learns to move them.

    Raises TruthError where a folder cannot be read, WeightsError and UserError as `training.refiner.train` does.
    """
    check_options(recipe.size_hw, recipe.precision)
    labelled = read_folders(data)
    frames = labelled.frames()
    n_boxes = sum(int((frame.class_id != IGNORED).sum()) for frame in frames)
    if not n_boxes:
        raise UserError(f"{', '.join(map(str, data))}: holds no box that is to be found; give other --data")
    device = resolve_device(device, "--device")
    settle(threads)
    train = scores.train if judging else refiner.train
    path = train(weights, labelled, recipe, out, device=device, resume=resume, tell=tell)
    return {
        "weights": str(path),
        "sequences": len(labelled.sequences),
        "pictures": len(frames),
        "boxes": n_boxes,
        "steps": recipe.steps,
        "device": device,
    }
