"""Train an appearance embedder: `nightfleet train embedder`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jobs import embedder_data
from jobs.embedder_data import Material
from pipeline import __version__
from pipeline.errors import UserError
from pipeline.evaluation import distances
from pipeline.evaluation.reid import Pictured
from pipeline.perception.device import resolve_device, settle
from pipeline.perception.networks import embedding_network
from pipeline.perception.networks.embedding_network import EmbeddingNetwork
from pipeline.training import checkpoint, colours, plots, starting
from pipeline.training.embedder import Recipe, Training, embed
from pipeline.training.starting import Start

WEIGHTS_NAME = "embedder.safetensors"
REPORT_NAME = "report.json"
USUAL_CROP = "96x48"


def start(
    backbone: str | None, *, width: float | None, crop: str | None, mask: bool, colours: bool, init: str | None
) -> Start:
    """Return how to begin, `crop` as written on a command line: 96x48; None is what is usual. Raises UserError."""
    if init not in (None, starting.IMAGENET):
        given = {"--backbone": backbone, "--width": width, "--crop": crop, "--mask": mask, "--colours": colours}
        for option, value in given.items():
            if value:
                raise UserError(f"{option}: the network of --init {init} says this already; leave {option} out")
        return Start(init=init)
    crop = crop or USUAL_CROP
    match = re.fullmatch(r"(\d+)x(\d+)", crop)
    if match is None:
        raise UserError(f"--crop: expected height and width in pixels such as 96x48, got {crop!r}")
    return Start(backbone or Start().backbone, width, mask, colours, (int(match[1]), int(match[2])), init)


def train_embedder(
    data: Sequence[str],
    out: Path,
    *,
    start: Start,
    loss: str | None = None,
    epochs: int = 20,
    learning_rate: float | None = None,
    patience: int = 6,
    frozen: int = 0,
    rounds: int = 1,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    told: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Train on folders or a lake, and write weights, log, plots and a report into `out`.

    rounds  of a lake: in later ones the identities it is confident of are joined

    Returns what the report holds: out, weights, parameters, kind, crops, identities, rounds (a dict each of epochs,
    start and scores), distances, plots, notes. Raises UserError, one sentence, for what cannot be used.
    """
    device = resolve_device(device, "--device")
    settle(threads or os.cpu_count() or 1)
    lake = _lake(data)
    if rounds < 1 or (rounds > 1 and lake is None):
        raise UserError("--rounds: more than one is for a lake, whose identities are joined in later ones")
    _place(out, resume, rounds)
    network = starting.network(start, seed)
    starting.require_blocks(network, frozen)
    recipe = _recipe(
        start, learning_rate, loss=loss or Recipe().loss, epochs=epochs, patience=patience, frozen=frozen, seed=seed
    )
    crop_hw = network.design.crop_hw
    seen = embedder_data.seen_in(lake, crop_hw) if lake else None
    done = []
    for nth in range(1, rounds + 1):
        material = (
            embedder_data.labelled(data, crop_hw, seed=seed)
            if seen is None
            else embedder_data.of_lake(seen, lake, joined=nth > 1)
        )
        network.design = replace(network.design, groups=material.train.groups)
        if nth == 1 and network.sees_colours and not start.is_trained:
            colours.begin_with_colours(network, material.train)
        folder = out if rounds == 1 else out / f"round-{nth}"
        done.append(_round(network, material, recipe, folder, device, resume, nth, told))
    vectors = embed(network, material.validation.images, device)
    rows = [row for one in done for row in one.pop("rows")]
    rows = [{**row, "epoch": float(nth)} for nth, row in enumerate(rows, start=1)]  # through all rounds
    drawn = plots.draw(out, rows, material.validation, vectors, material.compared)
    report = {
        "out": str(out),
        "weights": str(out / WEIGHTS_NAME),
        "parameters": embedding_network.count_parameters(network),
        "kind": material.kind,
        "crops": len(material.train),
        "identities": int(material.train.identity.max()) + 1,
        "validation_crops": len(material.validation),
        "validation_identities": len(np.unique(material.validation.identity)),
        "device": device,
        "rounds": done,
        "distances": _distances(material, vectors),
        "plots": [str(path) for path in drawn],
        "notes": list(material.notes),
    }
    about = {"by": f"nightfleet {__version__}", "loss": recipe.loss, "seed": seed, "kind": material.kind}
    about |= {"crops": report["crops"], "identities": report["identities"], "scores": done[-1]["scores"]}
    embedding_network.save(network, out / WEIGHTS_NAME, about)
    _write_report(report, out / REPORT_NAME)
    return report


def _round(
    network: EmbeddingNetwork,
    material: Material,
    recipe: Recipe,
    folder: Path,
    device: str,
    resume: bool,
    nth: int,
    told,
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    how = {"validation": material.validation, "validate": material.validate, "folder": folder, "device": device}
    training = Training(network, material.train, material.relations, recipe, **how)
    trained = training.run(resume=resume, told=lambda row: told({"round": nth, "epochs": recipe.epochs, **row}))
    return {
        "round": nth,
        "epochs": len(trained.rows),
        "best_epoch": trained.epoch,
        "stopped_early": trained.stopped_early,
        "start": trained.start,
        "scores": trained.scores,
        "rows": trained.rows,
    }


def _recipe(start: Start, learning_rate: float | None, **given) -> Recipe:
    if learning_rate is None:
        # What is learned already shall not be forgotten.
        learning_rate = Recipe().learning_rate / (3 if start.is_trained else 1)
    return Recipe(learning_rate=learning_rate, **given)


def _distances(material: Material, vectors: np.ndarray) -> dict[str, Any]:
    shown = Pictured(material.validation.identity + 1, material.validation.camera)
    blocks = embedder_data.similarities(vectors, material.compared)
    return distances.summary(distances.measure(blocks, shown, shown))


def _lake(data: Sequence[str]) -> str | None:
    lakes = [one for one in data if embedder_data.is_lake(one)]
    if lakes and len(data) > 1:
        raise UserError(f"--data: a lake is trained on alone, got {', '.join(data)}; give one")
    return lakes[0] if lakes else None


def _place(out: Path, resume: bool, rounds: int) -> None:
    """Make the folder. Raises UserError where it cannot be written, or holds a training not to be gone on with."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        begun = [path for path in (out / checkpoint.NAME, *out.glob(f"round-*/{checkpoint.NAME}")) if path.exists()]
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}; give another --out") from None
    if begun and not resume:
        raise UserError(f"{begun[0]}: a training is there already; give --resume to go on with it, or another --out")
    if begun and (begun[0].parent == out) != (rounds == 1):
        there = "one round" if rounds > 1 else "several rounds"
        raise UserError(f"{begun[0]}: is of a training of {there}, got --rounds {rounds}; give another --out")


def _write_report(report: dict[str, Any], path: Path) -> None:
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; give another --out") from None
