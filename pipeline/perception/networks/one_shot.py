"""The one-shot network: one pass gives boxes and what each looks like.

After Zhang et al. 2021, "FairMOT": objects as points (Zhou et al. 2019), a heatmap of their middles by class, the
offset of the middle within its cell, the size of the box, and an identity vector, all read from one map at stride 4.
Sizes are logarithms here: an error of a pixel matters more on somebody 15 pixels wide than on a lorry.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from pipeline.perception.networks.trunk import CHANNELS, Trunk
from pipeline.perception.preparation import IMAGENET_MEAN, IMAGENET_STD
from pipeline.types import EMBEDDING_DIM

STRIDE = 4
SIZE_MULTIPLE = 32
"""Height and width of what the network is given must be multiples of this."""

KIND = "one-shot"
"""What a file of such weights calls itself."""

RARE = -4.6
"""First bias of the heatmap: a share of 0.01, so that the many empty cells do not drown the first steps (Lin et al.
2017, "Focal loss", section 3.3)."""

TYPICAL_LOG_CELLS = 2.0
"""First bias of log sizes: 7 cells, 30 pixels."""


@dataclass(frozen=True, eq=False, slots=True)
class Maps:
    """What the network says of B pictures, h x w cells of STRIDE pixels.

    heat      (B, C, h, w) logits: the middle of an object of a class is here
    box       (B, 4, h, w): offset x, y of the middle in its cell, in cells; logarithm of width and height in cells
    identity  (B, 128, h, w): what the object with its middle here looks like, not normalised
    """

    heat: torch.Tensor
    box: torch.Tensor
    identity: torch.Tensor


class OneShotNetwork(nn.Module):
    """MobileNetV2, a pyramid of features summed from coarse to fine, and three heads."""

    def __init__(self, n_classes: int, width: int = 64) -> None:
        """`width` is the number of channels of the pyramid."""
        super().__init__()
        self.trunk = Trunk()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in CHANNELS)
        self.smooth = nn.ModuleList(_separable(width, width) for _ in CHANNELS[:-1])
        self.tower = nn.Sequential(_separable(width, width), _separable(width, width))
        self.heat = nn.Conv2d(width, n_classes, 1)
        self.box = nn.Conv2d(width, 4, 1)
        self.identity = nn.Sequential(_separable(width, EMBEDDING_DIM), nn.Conv2d(EMBEDDING_DIM, EMBEDDING_DIM, 1))
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        nn.init.constant_(self.heat.bias, RARE)
        nn.init.zeros_(self.box.weight)
        with torch.no_grad():
            self.box.bias.copy_(torch.tensor([0.5, 0.5, TYPICAL_LOG_CELLS, TYPICAL_LOG_CELLS]))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Turn pictures (B, 3, H, W) RGB in [0, 255], H and W multiples of 32, into heat, box and identity of Maps."""
        features = self.trunk((images - self.mean) / self.std)
        lateral = [layer(feature) for layer, feature in zip(self.lateral, features, strict=True)]
        coarse = lateral[-1]
        for level in (2, 1, 0):
            raised = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
            coarse = self.smooth[level](lateral[level] + raised)
        tower = self.tower(coarse)
        return self.heat(tower), self.box(tower), self.identity(coarse)

    def maps(self, images: torch.Tensor) -> Maps:
        """Like `forward`, as a struct."""
        return Maps(*self(images))


class Exported(nn.Module):
    """The network as others run it: the heatmap as shares, the identity of unit length left to the caller."""

    def __init__(self, network: OneShotNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Like the network's, but for the heatmap in [0, 1]."""
        heat, box, identity = self.network(images)
        return torch.sigmoid(heat), box, identity


def _separable(n_in: int, n_out: int) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution (Howard et al. 2017, "MobileNets")."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False),
        nn.BatchNorm2d(n_in),
        nn.ReLU(inplace=True),
        nn.Conv2d(n_in, n_out, 1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )
