"""Training the box refiner to judge: how well does a box, once moved, fit something?

What it has to tell apart is what the network proposes: the refiner sees the peaks of its heatmaps, sure ones and
doubtful ones, in pictures whose labels say what they are (Felzenszwalb et al. 2010, "hard negatives"); boxes beside and
around what is there; and the wrong boxes it learned to move, so that it does not forget how. Every folder of data is
shown as often: a few real pictures weigh as much as many rendered ones, since they show what nobody renders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torchvision.ops import box_iou

from pipeline.errors import WeightsError
from pipeline.perception.networks.peaks import peaks
from pipeline.perception.networks.refiner import BoxRefiner, moved, views
from pipeline.training.mot_folders import IGNORED, LabelledData
from pipeline.training.one_shot_samples import Sample
from pipeline.training.refiner import RefinerRecipe, RefinerRun, loss_of, wrong_boxes

LOOKED_SHARE = 1 / 3
"""Share of a batch's pictures whose peaks are shown: the network takes its time over a picture."""
LEAST_HEAT = 0.02
MOST_PEAKS = 24
"""Of a picture the surest peaks are shown, from this score on, and no more than so many."""
MOVED_SHARE = 0.5
"""Share of the peaks whose boxes are shown as a first look has moved them: that is where a last look sees them."""
AIMLESS_BOXES = 3
"""Boxes beside what is there, or anywhere where nothing is, for each picture."""
FIT_IOU = 0.3
"""A box that overlaps everything by less fits nothing."""
MOVED_FROM_IOU = 0.5
"""A box is moved to what it overlaps by so much, and else learns only that it fits nothing."""
IGNORED_SHARE = 0.5
"""A box of which so much lies in something to be ignored is not told what it is worth."""


@dataclass(frozen=True, eq=False, slots=True)
class Pictures:
    """images (B, 3, H, W) float32 RGB and N boxes to show in them: shown (N, 4), image_row (N,).

    true, ignored  of each image: boxes (M, 4) that are to be found, and that nothing is to be said of
    """

    images: torch.Tensor
    shown: torch.Tensor
    image_row: torch.Tensor
    true: tuple[torch.Tensor, ...]
    ignored: tuple[torch.Tensor, ...]


def pictures(samples: list[Sample], rng: np.random.Generator) -> Pictures:
    """Draw boxes for samples of one size: half of the wrong ones there are, and AIMLESS_BOXES in each."""
    wrong = wrong_boxes(samples, rng)
    shown, row = [wrong.shown[::2]], [wrong.image_row[::2]]
    for number, sample in enumerate(samples):
        shown.append(torch.from_numpy(_aimless(sample, rng)))
        row.append(torch.full((AIMLESS_BOXES,), number))
    some = [sample.class_id != IGNORED for sample in samples]
    true = tuple(torch.from_numpy(sample.xyxy[mine].astype(np.float32)) for sample, mine in zip(samples, some))
    ignored = tuple(torch.from_numpy(sample.xyxy[~mine].astype(np.float32)) for sample, mine in zip(samples, some))
    return Pictures(wrong.images, torch.cat(shown), torch.cat(row), true, ignored)


def targets(
    shown: torch.Tensor, there: torch.Tensor, true: torch.Tensor, ignored: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Say what boxes `shown` (N, 4) of one picture should give, of which moves made `there` (N, 4).

    Returns where to move them (N, 4), whether to (N,), how well they now fit (N,), and whether that is known (N,).
    """
    wanted, aims = shown.clone(), torch.zeros(len(shown), dtype=torch.bool, device=shown.device)
    fit, known = torch.zeros(len(shown), device=shown.device), torch.ones_like(aims)
    if len(true):
        overlap, nearest = box_iou(shown, true).max(dim=1)
        wanted, aims = true[nearest], overlap >= MOVED_FROM_IOU
        fit = box_iou(there, true).max(dim=1).values
        fit = torch.where(fit >= FIT_IOU, fit, 0)
    if len(ignored):
        low = torch.maximum(shown[:, None, :2], ignored[None, :, :2])
        high = torch.minimum(shown[:, None, 2:], ignored[None, :, 2:])
        common = (high - low).clamp(min=0).prod(dim=2)
        area = (shown[:, 2:] - shown[:, :2]).prod(dim=1).clamp(min=1e-6)
        known = (common / area[:, None] < IGNORED_SHARE).all(dim=1) | (fit >= MOVED_FROM_IOU)
    return wanted, aims, fit, known


class JudgeRun(RefinerRun):
    """The refiner of a file, which learns to judge and goes on learning to move boxes."""

    teaches = "judging"
    losses = ("iou_loss_before", "iou_loss", "shift", "score", "loss")

    def __init__(self, weights: Path, data: LabelledData, recipe: RefinerRecipe, device: str) -> None:
        super().__init__(weights, data, recipe, device)
        self.network = self.file.network.to(device, memory_format=torch.channels_last)

    def start(self, weights: Path) -> BoxRefiner:
        """Go on with the refiner of the file."""
        if self.file.refiner is None:
            raise WeightsError(f"{weights}: has no box refiner to teach; train one with `nightfleet train refiner`")
        return self.file.refiner

    def shown(self, samples: list[Sample], rng: np.random.Generator) -> Pictures:
        """Return a batch of samples."""
        return pictures(samples, rng)

    def how_often(self, data: LabelledData) -> np.ndarray:
        """Show the pictures of every folder of data as often."""
        return data.even_weights()

    def loss(self, batch: Pictures) -> tuple[torch.Tensor, dict[str, float]]:
        """Add to the loss of the shifts that of the logits."""
        images, shown, row = (getattr(batch, name).to(self.device) for name in ("images", "shown", "image_row"))
        proposed, where = self._proposed(images[: max(1, round(LOOKED_SHARE * len(images)))])
        shown, row = torch.cat([shown, proposed]), torch.cat([row, where])
        shifts, sure = self.look(images, shown, row)
        there = moved(shown, shifts.detach())
        wanted, aims = shown.clone(), torch.zeros(len(shown), dtype=torch.bool, device=self.device)
        fit, known = torch.zeros(len(shown), device=self.device), aims.clone()
        for number, (true, ignored) in enumerate(zip(batch.true, batch.ignored, strict=True)):
            mine = row == number
            found = targets(shown[mine], there[mine], true.to(self.device), ignored.to(self.device))
            wanted[mine], aims[mine], fit[mine], known[mine] = found
        moves, parts = 0 * shifts.sum(), {}
        if aims.any():
            moves, parts = loss_of(shown[aims], shifts[aims], wanted[aims])
        each = functional.binary_cross_entropy_with_logits(sure[:, 0], fit, reduction="none")
        score = (each * known).sum() / known.sum().clamp(min=1)
        loss = moves + score
        said = dict.fromkeys(self.losses, 0.0) | parts | {"score": float(score.detach()), "loss": float(loss.detach())}
        return loss, {name: said[name] for name in self.losses}

    @torch.no_grad()
    def _proposed(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return boxes (N, 4) of the network's peaks in images, some of them moved, and their images (N,)."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            heat, box, _ = self.network(images)
        read = peaks(torch.sigmoid(heat.float()), box.float(), LEAST_HEAT)
        first = torch.searchsorted(read.picture, read.picture)
        some = torch.arange(len(read.picture), device=first.device) - first < MOST_PEAKS
        xyxy, row = read.xyxy[some], read.picture[some]
        n_moved = round(MOVED_SHARE * len(xyxy))
        if n_moved:
            every = torch.arange(len(xyxy), device=xyxy.device) * n_moved % len(xyxy) < n_moved  # spread evenly
            self.average.eval()
            seen = views(images, xyxy[every], row[every]).contiguous(memory_format=torch.channels_last)
            xyxy[every] = moved(xyxy[every], self.average(seen)[0])
        return xyxy, row


def _aimless(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """Return boxes (AIMLESS_BOXES, 4) float32 of likely sizes: near what is there, or anywhere in an empty picture."""
    true = sample.xyxy[sample.class_id != IGNORED]
    if len(true):
        chosen = true[rng.integers(len(true), size=AIMLESS_BOXES)]
        size = chosen[:, 2:] - chosen[:, :2]
        middle = (chosen[:, 2:] + chosen[:, :2]) / 2 + size * rng.uniform(-1, 1, (AIMLESS_BOXES, 2)) * (1.2, 0.5)
        size = size * np.exp(rng.uniform(-0.5, 0.5, (AIMLESS_BOXES, 2)))
    else:
        height = np.exp(rng.uniform(3, 5, (AIMLESS_BOXES, 1)))
        size = np.concatenate([height * rng.uniform(0.3, 0.7, (AIMLESS_BOXES, 1)), height], axis=1)
        middle = rng.uniform(0, 1, (AIMLESS_BOXES, 2)) * sample.image.shape[1::-1]
    return np.concatenate([middle - size / 2, middle + size / 2], axis=1).astype(np.float32)
