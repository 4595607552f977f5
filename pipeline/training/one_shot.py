"""Training the one-shot network: seeded, resumable, logged.

AdamW with a warm-up and a half cosine (Loshchilov and Hutter 2017, 2019); what is saved is a running average of the
weights (Polyak and Juditsky 1992), which is better than the last of a short run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from pipeline.config import digest
from pipeline.errors import UserError
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot import SIZE_MULTIPLE, OneShotNetwork
from pipeline.perception.networks.one_shot_file import OneShotFile
from pipeline.perception.networks.trunk import start_from_imagenet
from pipeline.perception.weights import file_digest
from pipeline.training import checkpoint, stepping, together
from pipeline.training.mot_folders import LabelledData, data_digest
from pipeline.training.one_shot_batches import Batch, Batches, stacked
from pipeline.training.one_shot_losses import OneShotLoss
from pipeline.training.one_shot_targets import targets
from pipeline.training.schedule import rate_share
from pipeline.training.stepping import Step
from pipeline.training.together import Share
from pipeline.types import COCO_CLASSES

WEIGHTS_NAME = "one_shot.safetensors"
ALGORITHM_VERSION = 2
"""Raised by one with every change of the code that changes what a training comes to."""
WARM_UP_SHARE = 0.05
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


def train(
    data: LabelledData, recipe: Recipe, out: Path, *, device: str, resume: bool, tell: Callable[[Step], None]
) -> Path:
    """Train into the folder `out`; returns the weights' file, one_shot.safetensors.

    log.csv, TensorBoard's files and checkpoint.pt lie beside it. A run that was killed and is
    resumed gives the weights of one that was not, on the same machine.

    Raises UserError where `out` holds a run with another recipe or data, or one that is not to be resumed, and where
    the loss becomes infinite.
    """
    stepping.begin(out, resume=resume)
    if any(side % SIZE_MULTIPLE for side in recipe.size_hw):
        raise UserError(f"pictures of {recipe.size_hw} pixels: height and width must be multiples of {SIZE_MULTIPLE}")
    if recipe.pictures % recipe.processes:
        raise UserError(
            f"{recipe.pictures} pictures in a batch cannot be shared equally by {recipe.processes} processes"
        )
    run = _Run(data, recipe, device, Share(0, recipe.processes))
    rows = run.restore(checkpoint.load(out, run.signature) if resume else None)
    stepping.make_folder(out)
    with together.helpers(recipe.processes, _assist, data, recipe, out, device, resume):
        together.meet(run.share)  # all have read the checkpoint before there is another
        settings = {"steps": recipe.steps, "pictures": recipe.pictures, "rate": recipe.rate}
        return stepping.lead(run, rows, out / WEIGHTS_NAME, **settings, tell=tell)


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


class _Run(stepping.Run):
    """The network and all that changes beside it while it is trained."""

    changing = ("network", "average", "loss", "optimiser")

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
        made = lambda samples, rng: Batch(stacked(samples), targets(samples, class_ids))  # noqa: E731
        self.batches = Batches(data.frames(), made, **size)
        self.signature = digest(ALGORITHM_VERSION, asdict(recipe), _init_digest(recipe), data_digest(data))

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
        stepping.follow(self.average, self.network, step)
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

    def write(self, path: Path) -> None:
        """Write the averaged weights as they are used in the night."""
        one_shot_file.write(path, OneShotFile(self.average, self.recipe.classes))


def _begin(recipe: Recipe) -> OneShotNetwork:
    """Make the network and give it its first weights."""
    network = OneShotNetwork(len(recipe.classes))
    if recipe.init == "imagenet":
        start_from_imagenet(network.trunk)
    elif recipe.init != "random":
        file = one_shot_file.read(recipe.init)
        if file.class_names != recipe.classes:
            raise UserError(f"{recipe.init}: finds {', '.join(file.class_names)}; train it on the same classes")
        network.load_state_dict(file.network.state_dict())
    for stage in network.trunk.stages[: recipe.frozen_stages]:
        stage.requires_grad_(False)
    return network


def _init_digest(recipe: Recipe) -> str:
    """Return the digest of the weights a training goes on from, or its way of beginning."""
    if recipe.init in ("imagenet", "random"):
        return recipe.init
    return file_digest(recipe.init, "a network saved by `nightfleet train one-shot`")
