"""Training the one-shot network from folders of labelled pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.perception.device import resolve_device, settle
from pipeline.training.mot_folders import read_folders
from pipeline.training.one_shot import Recipe, train
from pipeline.training.stepping import Step, check_options
from pipeline.types import COCO_CLASSES, TRAFFIC_CLASSES

IDENTITY = ("pairs", "classes")


def recipe(*, classes: str, identity: str, precision: str, size_hw: tuple[int, int], **rest) -> Recipe:
    """Return a recipe from what a user wrote. Raises UserError where a word or number is none that there is."""
    names = tuple(name.strip() for name in classes.split(",") if name.strip())
    for name in names:
        if name not in COCO_CLASSES:
            raise UserError(
                f"--classes: {name!r} is not a COCO class; write names such as {', '.join(TRAFFIC_CLASSES)}"
            )
    if len(set(names)) < len(names):
        raise UserError(f"--classes: names one twice, got {classes!r}; write each once")
    if not names:
        raise UserError(f"--classes: names none; write COCO names such as {', '.join(TRAFFIC_CLASSES)}")
    if identity not in IDENTITY:
        raise UserError(f"--identity: expected {' or '.join(IDENTITY)}, got {identity!r}")
    check_options(size_hw, precision)
    return Recipe(classes=names, identity=identity, precision=precision, size_hw=size_hw, **rest)


def train_one_shot(
    data: list[Path],
    out: Path,
    recipe: Recipe,
    *,
    device: str,
    threads: int,
    resume: bool,
    tell: Callable[[Step], None],
) -> dict:
    """Train on every labelled sequence under `data`; returns where the weights are and on what they were trained.

    Raises TruthError where a folder cannot be read, WeightsError and UserError as `training.one_shot.train` does.
    """
    labelled = read_folders(data)
    wanted = np.array([COCO_CLASSES.index(name) for name in recipe.classes])
    n_boxes = sum(int(np.isin(frame.class_id, wanted).sum()) for frame in labelled.frames())
    if not n_boxes:
        where, names = ", ".join(map(str, data)), ", ".join(recipe.classes)
        raise UserError(f"{where}: holds no box of {names}; give --classes that are labelled there, or other --data")
    device = resolve_device(device, "--device")
    if recipe.processes > 1 and device != "cpu":
        raise UserError(
            f"--processes: one trains on {device}, got {recipe.processes}; leave it out, or add --device cpu"
        )
    settle(threads)
    path = train(labelled, recipe, out, device=device, resume=resume, tell=tell)
    frames = labelled.frames()
    return {
        "weights": str(path),
        "sequences": len(labelled.sequences),
        "pictures": len(frames),
        "boxes": n_boxes,
        "identities": labelled.n_identities,
        "steps": recipe.steps,
        "device": device,
    }
