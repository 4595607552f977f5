"""Training a box refiner for a one-shot network: `nightfleet train refiner`, and `nightfleet train scores`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError
from pipeline.perception.device import resolve_device, settle
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.training.refiner import RefinerRecipe, RefinerRun, train
from pipeline.training.scores import JudgeRun
from pipeline.training.stepping import Step, check_options


def train_refiner(weights: Path, data: list[Path], out: Path, recipe: RefinerRecipe, **how) -> dict:
    """Teach a new refiner to move boxes; arguments as `_train` takes them."""
    return _train(RefinerRun, weights, data, out, recipe, **how)


def train_scores(weights: Path, data: list[Path], out: Path, recipe: RefinerRecipe, **how) -> dict:
    """Teach the refiner that `weights` has to judge boxes; arguments as `_train` takes them."""
    return _train(JudgeRun, weights, data, out, recipe, **how)


def _train(
    kind: type[RefinerRun],
    weights: Path,
    data: list[Path],
    out: Path,
    recipe: RefinerRecipe,
    *,
    device: str,
    threads: int,
    resume: bool,
    tell: Callable[[Step], None],
) -> dict:
    """Train on every labelled sequence under `data`; returns where the weights are and on what they were trained.

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
    path = train(kind, weights, labelled, recipe, out, device=device, resume=resume, tell=tell)
    return {
        "weights": str(path),
        "sequences": len(labelled.sequences),
        "pictures": len(frames),
        "boxes": n_boxes,
        "steps": recipe.steps,
        "device": device,
    }
