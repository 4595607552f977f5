"""Losses that put one identity's pictures together and others apart.

Distances are one minus the cosine of unit vectors, 0 to 2. Which pairs show one identity and which show two for sure is
told by masks (B, B): a pair in neither is not known, and moves nothing.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CONTRASTIVE_MARGIN = 0.5
"""Others nearer than this are pushed away: a cosine of 0.5."""

TRIPLET_MARGIN = 0.3
"""Of Hermans et al. 2017 and Luo et al. 2019."""

LABEL_SMOOTHING = 0.1
"""Szegedy et al. 2016, as Luo et al. 2019 use it."""

SCALE = 16.0
"""By which cosines become logits (Wang et al. 2018, "NormFace"); more would let one identity's pictures stay apart."""

START_LENGTH = 0.1
"""Of the directions of identities: the shorter, the sooner they turn. Each is seen a few times an epoch only."""

NAMES = ("contrastive", "triplet", "pairs", "identity")


def cosine_distances(unit: torch.Tensor) -> torch.Tensor:
    """Return the distances of unit vectors (B, D) to each other: (B, B)."""
    return 1 - unit @ unit.T


def contrastive(distance: torch.Tensor, same: torch.Tensor, different: torch.Tensor) -> torch.Tensor:
    """Return the loss of a Siamese network (Hadsell et al. 2006): near pairs of one, far pairs of two.

    The mean square of the distances of pairs of one identity, and of how far pairs of two come within the margin,
    each over its own pairs: one identity has few.
    """
    together = _mean(distance**2, same)
    apart = _mean((CONTRASTIVE_MARGIN - distance).clamp_min(0) ** 2, different)
    return together + apart


def triplet(distance: torch.Tensor, same: torch.Tensor, different: torch.Tensor) -> torch.Tensor:
    """Return the batch-hard triplet loss: each anchor's farthest positive shall be nearer than its nearest negative.

    Anchors without either count for nothing; the mean is over the others, 0 where there are none.
    """
    farthest = distance.masked_fill(~same, -1.0).amax(1)
    nearest = distance.masked_fill(~different, 3.0).amin(1)
    asked = same.any(1) & different.any(1)
    return _mean((farthest - nearest + TRIPLET_MARGIN).clamp_min(0), asked)


def pairs(distance: torch.Tensor, same: torch.Tensor, different: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of finding each pair of one identity among the anchor's others (Sohn 2016, "N-pair").

    What the identity loss does with directions that it learns, this does with the batch alone: it wants no identity to
    be known beyond it. The mean is over pairs whose anchor has others, 0 where there are none.
    """
    logit = SCALE * (1 - distance)
    against = torch.logsumexp(logit.masked_fill(~different, -1e4), dim=1, keepdim=True)
    return _mean(functional.softplus(against - logit), same & different.any(1, keepdim=True))


class IdentityLoss(nn.Module):
    """Cross-entropy over the identities of the training set, smoothed, of cosines to one direction each."""

    def __init__(self, identities: int, dim: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(identities, dim))
        nn.init.normal_(self.directions, std=START_LENGTH * dim**-0.5)

    def forward(self, unit: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        """unit (B, D) as the neck gives them, identity (B,) int64."""
        logits = SCALE * unit @ functional.normalize(self.directions).T
        return functional.cross_entropy(logits, identity, label_smoothing=LABEL_SMOOTHING)


def _mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the values where the mask is true; 0 where it nowhere is."""
    return (values * mask).sum() / mask.sum().clamp_min(1)
