"""Training the box refiner: from boxes that are as wrong as a detector's, back to the true ones.

What it is shown are objects of labelled pictures, prepared as the one-shot network's are (see one_shot_samples), each
in several boxes that are wrong in other ways: no detector needs to run, and the wrong boxes never run out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pipeline.config import digest
from pipeline.errors import UserError
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot_file import OneShotFile
from pipeline.perception.networks.refiner import BoxRefiner, views
from pipeline.perception.weights import file_digest
from pipeline.training import checkpoint, stepping
from pipeline.training.mot_folders import IGNORED, LabelledData, data_digest
from pipeline.training.one_shot_batches import Batches, stacked
from pipeline.training.one_shot_samples import Sample
from pipeline.training.schedule import rate_share
from pipeline.training.stepping import Step
from pipeline.training.together import Share

WEIGHTS_NAME = "one_shot.safetensors"
ALGORITHM_VERSION = 1
"""Raised by one with every change of the code that changes what a training comes to."""
WRONG_BOXES = 4
"""Boxes shown of each object of a picture."""
MIDDLE_SPREAD, MIDDLE_MOST = 0.055, 0.2
"""Standard deviation of a wrong box's middle, a share of its size, and how far it is off at most."""
SIZE_SPREAD, SIZE_SHIFT, SIZE_MOST = 0.10, -0.03, 0.35
"""The same of the logarithm of its size, and by how much it is too small on average."""
WILD_SHARE, WILD = 0.2, 2.0
"""Share of boxes that are more wrong, and how many times."""
SHIFT_WEIGHT, SHIFT_BEND = 2.0, 0.05
"""Of the shifts' error beside the overlap's, and where it turns from square to linear (Girshick 2015, "Fast R-CNN",
eq. 3): overlap alone hardly tells the sides of a box apart that is nearly right."""
WARM_UP_SHARE = 0.05
WEIGHT_DECAY = 1e-3
GRADIENT_LIMIT = 5.0
"""Longest gradient; a longer one is shortened."""


@dataclass(frozen=True)
class RefinerRecipe:
    """How a box refiner is trained.

    steps      batches shown
    pictures   in a batch
    size_hw    pixels of each
    rate       highest learning rate
    seed       of everything random
    precision  "float32" or "bfloat16"
    """

    steps: int
    pictures: int
    size_hw: tuple[int, int]
    rate: float
    seed: int
    precision: str


@dataclass(frozen=True, eq=False, slots=True)
class WrongBoxes:
    """images (B, 3, H, W) float32 RGB, and N boxes in them: xyxy as shown and wanted (N, 4), image_row (N,)."""

    images: torch.Tensor
    shown: torch.Tensor
    wanted: torch.Tensor
    image_row: torch.Tensor


def train(
    kind: type[RefinerRun],
    weights: Path,
    data: LabelledData,
    recipe: RefinerRecipe,
    out: Path,
    *,
    device: str,
    resume: bool,
    tell: Callable[[Step], None],
) -> Path:
    """Teach a refiner what this kind of run teaches, into the folder `out`; returns the file with it and its network.

    log.csv, TensorBoard's files and checkpoint.pt lie beside it. A run that was killed and is
    resumed gives the weights of one that was not, on the same machine.

    Raises WeightsError where `weights` is no file that such a run can begin with, UserError where it lies where the
    result is to be written, and as training.one_shot.train does.
    """
    made = out / WEIGHTS_NAME
    if made.resolve() == Path(weights).resolve():
        raise UserError(f"{out}: the network with its refiner would be written over {weights}; give another --out")
    stepping.begin(out, resume=resume)
    run = kind(weights, data, recipe, device)
    rows = run.restore(checkpoint.load(out, run.signature) if resume else None)
    stepping.make_folder(out)
    settings = {"steps": recipe.steps, "pictures": recipe.pictures, "rate": recipe.rate}
    return stepping.lead(run, rows, made, **settings, tell=tell)


def wrong_boxes(samples: list[Sample], rng: np.random.Generator) -> WrongBoxes:
    """Draw WRONG_BOXES boxes for each object of samples of one size."""
    wanted = [sample.xyxy[sample.class_id != IGNORED] for sample in samples]
    row = np.repeat(np.arange(len(samples)), [WRONG_BOXES * len(boxes) for boxes in wanted])
    true = np.repeat(np.concatenate(wanted), WRONG_BOXES, axis=0).astype(np.float32)
    size = true[:, 2:] - true[:, :2]
    wild = np.where(rng.random((len(true), 1)) < WILD_SHARE, WILD, 1.0)
    off = np.clip(MIDDLE_SPREAD * wild * rng.normal(size=(len(true), 2)), -MIDDLE_MOST, MIDDLE_MOST)
    grown = np.clip(SIZE_SPREAD * wild * rng.normal(size=(len(true), 2)) + SIZE_SHIFT, -SIZE_MOST, SIZE_MOST)
    middle, half = (true[:, :2] + true[:, 2:]) / 2 + off * size, size * np.exp(grown) / 2
    shown = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
    return WrongBoxes(stacked(samples), torch.from_numpy(shown), torch.from_numpy(true), torch.from_numpy(row))


def loss_of(shown: torch.Tensor, shifts: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of shifts (N, 4) that should take boxes `shown` to `wanted` (N, 4), and its parts as numbers."""
    size = (shown[:, 2:] - shown[:, :2]).repeat(1, 2)
    missed = (1 - _iou(shown + shifts * size, wanted)).mean()
    shift = functional.smooth_l1_loss(shifts, (wanted - shown) / size, beta=SHIFT_BEND)
    loss = missed + SHIFT_WEIGHT * shift
    before = (1 - _iou(shown, wanted)).mean()
    parts = {"iou_loss_before": before, "iou_loss": missed, "shift": shift, "loss": loss}
    return loss, {name: float(value.detach()) for name, value in parts.items()}


class RefinerRun(stepping.Run):
    """A new refiner that learns to move boxes, and all that changes beside it.

    teaches  what, in a word: another kind of run cannot go on with this one
    losses   names of what `loss` says
    """

    changing = ("refiner", "average", "optimiser")
    teaches: ClassVar[str] = "moving"
    losses: ClassVar[tuple[str, ...]] = ("iou_loss_before", "iou_loss", "shift", "loss")

    def __init__(self, weights: Path, data: LabelledData, recipe: RefinerRecipe, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = device
        self.file = one_shot_file.read(weights)
        self.refiner = self.start(weights).to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.refiner).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.refiner.parameters(), lr=recipe.rate, weight_decay=WEIGHT_DECAY)
        size = {"n_pictures": recipe.pictures, "size_hw": recipe.size_hw, "seed": recipe.seed, "share": Share()}
        self.batches = Batches(data.frames(), self.shown, weights=self.how_often(data), **size)
        whose = file_digest(weights, "a network saved by `nightfleet train one-shot`")
        self.signature = digest(ALGORITHM_VERSION, self.teaches, asdict(recipe), whose, data_digest(data))

    def start(self, weights: Path) -> BoxRefiner:
        """Return what to begin with."""
        return BoxRefiner()

    def shown(self, samples: list[Sample], rng: np.random.Generator) -> WrongBoxes:
        """Return a batch of samples."""
        return wrong_boxes(samples, rng)

    def how_often(self, data: LabelledData) -> np.ndarray | None:
        """Return how often pictures come up, as Batches takes it."""
        return None

    def step(self) -> dict[str, float]:
        """Learn from the next batch; returns the losses before it."""
        step = self.done
        batch = self.batches.at(step)
        self.done += 1
        if len(batch.shown) < 2:  # nothing to see in these pictures; batch norm wants two
            return dict.fromkeys(self.losses, 0.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * rate_share(step, self.recipe.steps, WARM_UP_SHARE)
        loss, parts = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.refiner.parameters(), GRADIENT_LIMIT)
        self.optimiser.step()
        stepping.follow(self.average, self.refiner, step)
        return parts

    def loss(self, batch: WrongBoxes) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a batch, and its parts as numbers: those of `losses`."""
        images, shown, wanted, row = (getattr(batch, name).to(self.device) for name in batch.__slots__)
        shifts, _ = self.look(images, shown, row)
        return loss_of(shown, shifts, wanted)

    def look(self, images: torch.Tensor, xyxy: torch.Tensor, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the shifts (N, 4) and logits (N, 1), float32, that the refiner in training has for boxes."""
        self.refiner.train()
        seen = views(images, xyxy, row).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            shifts, sure = self.refiner(seen)
        return shifts.float(), sure.float()

    def write(self, path: Path) -> None:
        """Write the network with the averaged refiner."""
        one_shot_file.write(path, OneShotFile(self.file.network, self.file.class_names, self.average))


def _iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the overlap (N,) of boxes (N, 4) with boxes (N, 4), row by row."""
    common = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    areas = sum((boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) for boxes in (one, other))
    return common / (areas - common).clamp(min=1e-6)
