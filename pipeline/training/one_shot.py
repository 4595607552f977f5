"""Training the one-shot network: seeded, resumable, logged.

AdamW with a warm-up and a half cosine (Loshchilov and Hutter 2017, 2019); what is saved is a running average of the
weights (Polyak and Juditsky 1992), which is better than the last of a short run.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.config import digest
from pipeline.errors import UserError
from pipeline.perception.networks import saved
from pipeline.perception.networks.one_shot import KIND, SIZE_MULTIPLE, OneShotNetwork
from pipeline.perception.networks.trunk import start_from_imagenet
from pipeline.perception.weights import file_digest
from pipeline.training import checkpoint, together
from pipeline.training.log import Board, write_csv
from pipeline.training.mot_folders import LabelledData
from pipeline.training.one_shot_batches import Batches
from pipeline.training.one_shot_losses import OneShotLoss
from pipeline.training.schedule import rate_share
from pipeline.training.together import Share
from pipeline.types import COCO_CLASSES

WEIGHTS_NAME = "one_shot.safetensors"
ALGORITHM_VERSION = 2
"""Raised by one with every change of the code that changes what a training comes to."""
LOG_EVERY = 20
KEPT_EVERY = 200
"""Steps after which a checkpoint is written; ten times in a short run."""
WARM_UP_SHARE = 0.05
AVERAGE_OVER = 500
"""Steps the running average of the weights looks back, at most; less in the beginning."""
WEIGHT_DECAY = 1e-4
GRADIENT_LIMIT = 10.0
"""Longest gradient; a longer one is shortened."""


@dataclass(frozen=True)
class Recipe:
    """How a one-shot network is trained.

    classes        COCO names, the heatmap's layers
    steps          batches shown
    pictures       in a batch
    size_hw        pixels of each, multiples of 32
    rate           highest learning rate
    frozen_stages  of the trunk's four, so many of the finest stay as they began: less to compute, and nothing to
                   unlearn where the data are few
    identity       "pairs" within a batch, or "classes": FairMOT's classification
    seed           of everything random
    precision      "float32" or "bfloat16"
    init           "imagenet", "random", or a file to go on from
    processes      that share each batch, equally
    """

    classes: tuple[str, ...]
    steps: int
    pictures: int
    size_hw: tuple[int, int]
    rate: float
    frozen_stages: int
    identity: str
    seed: int
    precision: str
    init: str
    processes: int = 1


@dataclass(frozen=True)
class Step:
    """What is told of a step."""

    step: int
    steps: int
    losses: dict[str, float]
    pictures_per_s: float


def train(
    data: LabelledData, recipe: Recipe, out: Path, *, device: str, resume: bool, tell: Callable[[Step], None]
) -> Path:
    """Train into the folder `out`; returns the weights' file, one_shot.safetensors.

    log.csv, TensorBoard's files and checkpoint.pt lie beside it. A run that was killed and is
    resumed gives the weights of one that was not, on the same machine.

    Raises UserError where `out` holds a run with another recipe or data, or one that is not to be resumed, and where
    the loss becomes infinite.
    """
    if (out / checkpoint.NAME).exists() and not resume:
        raise UserError(f"{out}: a training is there already; add --resume to go on with it, or give another --out")
    if any(side % SIZE_MULTIPLE for side in recipe.size_hw):
        raise UserError(f"pictures of {recipe.size_hw} pixels: height and width must be multiples of {SIZE_MULTIPLE}")
    if recipe.pictures % recipe.processes:
        raise UserError(
            f"{recipe.pictures} pictures in a batch cannot be shared equally by {recipe.processes} processes"
        )
    run = _Run(data, recipe, device, Share(0, recipe.processes))
    rows = run.restore(checkpoint.load(out, run.signature) if resume else None)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made: {error.strerror or error}; give another --out") from None
    with together.helpers(recipe.processes, _assist, data, recipe, out, device, resume):
        together.meet(run.share)  # all have read the checkpoint before there is another
        return _lead(run, rows, out, tell)


def _lead(run: _Run, rows: list[dict[str, float]], out: Path, tell: Callable[[Step], None]) -> Path:
    """Take all steps that are left; `rows` is the log of those before."""
    recipe = run.recipe
    weights = out / WEIGHTS_NAME
    started_at = run.done
    board = Board(out, after_epoch=started_at)
    began_s = time.monotonic()
    try:
        while run.done < recipe.steps:
            losses = run.step()
            if not math.isfinite(losses["loss"]):
                raise UserError(
                    f"{out}: the loss is no number any more after step {run.done}; train with a lower --rate than "
                    f"{recipe.rate:g}"
                )
            if run.done % LOG_EVERY == 0 or run.done == recipe.steps:
                rows.append({"epoch": run.done, **losses})
                board.add(rows[-1])
                write_csv([{"step" if name == "epoch" else name: v for name, v in row.items()} for row in rows], out)
                speed = (run.done - started_at) * recipe.pictures / (time.monotonic() - began_s)
                tell(Step(run.done, recipe.steps, losses, speed))
            if run.done % max(1, min(KEPT_EVERY, recipe.steps // 10)) == 0 and run.done < recipe.steps:
                checkpoint.save(out, run.signature, run.state(rows))
                run.write(weights)
    finally:
        run.close()
        board.close()
    run.write(weights)
    # Kept, so that the same command again does nothing, and another one does not write over it.
    checkpoint.save(out, run.signature, run.state(rows))
    return weights


def _assist(share: Share, data: LabelledData, recipe: Recipe, out: Path, device: str, resume: bool) -> None:
    """Learn from this process's part of every batch."""
    run = _Run(data, recipe, device, share)
    run.restore(checkpoint.load(out, run.signature) if resume else None)
    together.meet(share)
    try:
        while run.done < recipe.steps:
            run.step()
    finally:
        run.close()


_CHANGING = ("network", "average", "loss", "optimiser")
"""What of a run changes with every step and has a state dict."""


class _Run:
    """The network and all that changes beside it while it is trained."""

    def __init__(self, data: LabelledData, recipe: Recipe, device: str, share: Share) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = device
        self.share = share
        class_ids = tuple(COCO_CLASSES.index(name) for name in recipe.classes)
        self.network = _begin(recipe).to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        n_identities = max(data.n_identities, 1) if recipe.identity == "classes" else None
        self.loss = OneShotLoss(n_identities).to(device)
        groups = [*self.network.parameters(), *self.loss.parameters()]
        learned = [parameter for parameter in groups if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(learned, lr=recipe.rate, weight_decay=WEIGHT_DECAY)
        self.learned = learned
        size = {"n_pictures": recipe.pictures, "size_hw": recipe.size_hw, "seed": recipe.seed, "share": share}
        self.batches = Batches(data.frames(), class_ids, **size)
        self.signature = digest(ALGORITHM_VERSION, asdict(recipe), _init_digest(recipe), _data_digest(data))
        self.done = 0

    def step(self) -> dict[str, float]:
        """Learn from the next batch; returns the losses before it."""
        step = self.done
        batch = self.batches.at(step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * rate_share(step, self.recipe.steps, WARM_UP_SHARE)
        self.network.train()
        for stage in self.network.trunk.stages[: self.recipe.frozen_stages]:
            stage.eval()  # or batch norm would go on counting
        wanted = type(batch.targets)(
            *(getattr(batch.targets, name).to(self.device) for name in batch.targets.__slots__)
        )
        half = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device, torch.bfloat16, enabled=half):
            maps = self.network.maps(batch.images.to(self.device))
        maps = type(maps)(*(getattr(maps, name).float() for name in maps.__slots__))
        loss, parts = self.loss(maps, wanted)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parts = self._agreed(parts)
        nn.utils.clip_grad_norm_(self.learned, GRADIENT_LIMIT)
        self.optimiser.step()
        _follow(self.average, self.network, 1 - 1 / min(step + 1, AVERAGE_OVER))
        self.done += 1
        return parts

    def _agreed(self, losses: dict[str, float]) -> dict[str, float]:
        """Take the mean of all processes' gradients, batch norm's statistics and losses."""
        if self.share.count == 1:
            return losses
        for parameter in self.learned:
            if parameter.grad is None:  # no pair of one identity in this part of the batch
                parameter.grad = torch.zeros_like(parameter)
        told = torch.tensor(list(losses.values()))
        seen = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]
        together.average(self.share, [*(parameter.grad for parameter in self.learned), *seen, told])
        return dict(zip(losses, told.tolist(), strict=True))

    def state(self, rows: list[dict[str, float]]) -> dict[str, Any]:
        """Return all that a resumed run needs; `rows` is the log so far."""
        parts = {name: getattr(self, name).state_dict() for name in _CHANGING}
        return {"done": self.done, "rows": rows, **parts}

    def restore(self, state: dict[str, Any] | None) -> list[dict[str, float]]:
        """Go on from a state, or begin where there is none; returns the log so far."""
        if state is None:
            return []
        for name in _CHANGING:
            getattr(self, name).load_state_dict(state[name])
        self.done = state["done"]
        return state["rows"]

    def write(self, path: Path) -> None:
        """Write the averaged weights as they are used in the night."""
        about = {"classes": list(self.recipe.classes), "width": self.network.heat.in_channels}
        saved.save(path, KIND, about, self.average.state_dict())

    def close(self) -> None:
        """Let go of what makes batches."""
        self.batches.close()


def _begin(recipe: Recipe) -> OneShotNetwork:
    """Make the network and give it its first weights."""
    network = OneShotNetwork(len(recipe.classes))
    if recipe.init == "imagenet":
        start_from_imagenet(network.trunk)
    elif recipe.init != "random":
        about, tensors = saved.load(recipe.init, KIND)
        if tuple(about["classes"]) != recipe.classes:
            raise UserError(f"{recipe.init}: finds {', '.join(about['classes'])}; train it on the same classes")
        saved.fill(network, tensors, recipe.init)
    for stage in network.trunk.stages[: recipe.frozen_stages]:
        stage.requires_grad_(False)
    return network


def _init_digest(recipe: Recipe) -> str:
    """Return the digest of the weights a training goes on from, or its way of beginning."""
    if recipe.init in ("imagenet", "random"):
        return recipe.init
    return file_digest(recipe.init, "a network saved by `nightfleet train one-shot`")


def _data_digest(data: LabelledData) -> str:
    """Return the digest of all labels, and of each picture's path and size on disk."""
    content = hashlib.blake2b(digest_size=16)
    for frame in data.frames():
        content.update(f"{frame.path} {frame.path.stat().st_size} {frame.world}\n".encode())
        for column in (frame.xyxy, frame.class_id, frame.identity, frame.visibility):
            content.update(column.tobytes())
    return content.hexdigest()


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the average a little towards the network; counters and batch norm's statistics with it."""
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - keep)
        else:
            mine.copy_(theirs)
