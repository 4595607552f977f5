"""The losses of the one-shot network, and their learned weights."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from pipeline.perception.networks.one_shot import Maps
from pipeline.training.one_shot_targets import Targets
from pipeline.types import EMBEDDING_DIM

HARD, NEAR = 2, 4
"""Exponents of the focal loss: how little the easy cells count, and those beside a middle (Zhou et al. 2019, eq. 1)."""
OFFSET_WEIGHT, SIZE_WEIGHT = 2, 5
"""Of the box's losses beside the heatmap's, by which the three are of one magnitude after the first thousand steps."""
TEMPERATURE = 0.1
"""Of the pair loss (Khosla et al. 2020, "Supervised Contrastive Learning", section 4)."""


def focal(heat: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Focal loss of a heatmap, reduced around middles, per object (Zhou et al. 2019, "Objects as Points", eq. 1).

    heat (B, C, h, w) logits; target the same shape in [0, 1]; weight (B, 1, h, w). Returns a scalar.
    """
    share = torch.sigmoid(heat)
    at_middle = (target == 1).float()
    found = at_middle * (1 - share) ** HARD * functional.logsigmoid(heat)
    empty = (1 - at_middle) * (1 - target) ** NEAR * share**HARD * functional.logsigmoid(-heat)
    return -((found + empty) * weight).sum() / at_middle.sum().clamp(min=1)


def box_l1(box: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean absolute error of offsets (cells) and of logarithms of sizes, cells weighted by `weight` (B, 1, h, w)."""
    error = (box - target).abs() * weight
    total = 2 * weight.sum().clamp(min=1)
    return error[:, :2].sum() / total, error[:, 2:].sum() / total


def pair_loss(vectors: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, eq. 2): the same identity near, all others of the batch far.

    vectors (M, 128) of unit length; identity (M,). Objects whose identity the batch shows once only serve as others.
    """
    similarity = vectors @ vectors.T / TEMPERATURE
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    same = (identity[:, None] == identity[None]) & ~itself
    if not same.any():
        return vectors.sum() * 0
    log_share = similarity - similarity.masked_fill(itself, -math.inf).logsumexp(1, keepdim=True)
    twins = same.sum(1)
    rows = twins > 0
    return -((log_share * same).sum(1)[rows] / twins[rows]).mean()


class OneShotLoss(nn.Module):
    """Detection and identity as one number, weighed by learned uncertainties (Kendall et al. 2018; FairMOT, eq. 5)."""

    def __init__(self, n_identities: int | None) -> None:
        """n_identities  identities of the training data, for identity as classification (FairMOT, section 3.3); None
        compares the pairs in a batch instead, which suits data with many people each seen a few times.
        """
        super().__init__()
        self.log_variance = nn.Parameter(torch.tensor([-1.85, -1.05]))  # FairMOT's own start
        self.classifier = None if n_identities is None else nn.Linear(EMBEDDING_DIM, n_identities)
        self.scale = math.sqrt(2) * math.log(max(n_identities or 0, 3) - 1)

    def forward(self, maps: Maps, wanted: Targets) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss and its parts as numbers."""
        heat = focal(maps.heat, wanted.heat, wanted.heat_weight)
        offset, size = box_l1(maps.box, wanted.box, wanted.box_weight)
        picture, row, column = wanted.cell.T
        vectors = functional.normalize(maps.identity[picture, :, row, column], dim=1)
        identity = self._identity(vectors, wanted.identity)
        detection = heat + OFFSET_WEIGHT * offset + SIZE_WEIGHT * size
        weight = torch.exp(-self.log_variance)
        total = weight[0] * detection + self.log_variance[0]
        if identity.requires_grad and float(identity.detach()) > 0:
            # Without a pair in the batch there is nothing to weigh; the weight would grow without bound.
            total = total + weight[1] * identity + self.log_variance[1]
        total = total / 2
        parts = {"heat": heat, "offset": offset, "size": size, "identity": identity, "loss": total}
        return total, {name: float(value.detach()) for name, value in parts.items()}

    def _identity(self, vectors: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        if not len(identity):
            return vectors.sum() * 0
        if self.classifier is None:
            return pair_loss(vectors, identity)
        return functional.cross_entropy(self.classifier(self.scale * vectors), identity)
