"""The appearance network: a small trunk, pooling over the crop and its stripes, 128 numbers, a normalised neck."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision import models

from pipeline.errors import ConfigError, WeightsError
from pipeline.perception import stripes
from pipeline.perception.networks import saved
from pipeline.perception.networks.osnet import osnet_trunk
from pipeline.types import EMBEDDING_DIM

KIND = "embedder"
"""What its files call themselves."""

BACKBONES = ("mobilenet", "osnet", "resnet", "colours")
DEFAULT_WIDTH = {"mobilenet": 1.0, "osnet": 0.5, "resnet": 1.0}

MOBILENET_BLOCKS = 14
"""Of MobileNetV2's 19 blocks: all up to stride 16, a quarter of its weights. Of 64 pixels 4 columns are left there, and
what follows would leave 2."""

PARTS = 4
"""Stripes pooled apart, from the top: people are told apart by what they wear at which height."""

SQUEEZED = 192
"""Channels that are pooled."""

MASK_SIGMA = 0.22
"""Deviation of the Gaussian mask, as a share of the crop's side: that of the vehicle tutorial (Maiya 2019, "DeepSORT:
Deep Learning to Track Custom Objects in a Video", nanonets)."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of RGB in [0, 1] over ImageNet."""


@dataclass(frozen=True, slots=True)
class Design:
    """What rebuilds a network, and is kept with its weights.

    backbone    "mobilenet", "osnet", "resnet"; or "colours", which has no trunk and sees their histograms alone
    width       share of the backbone's channels; 1 for ResNet-18 and colours
    crop_hw     height and width of its crops in pixels
    mask        whether crops fade to grey from the middle outwards
    colours     whether the colour histograms of `stripes` go into the last layer beside what the trunk sees
    groups      class groups that it was trained to know again: "person", "vehicle"
    mean, std   of RGB in [0, 1], taken away and divided by
    """

    backbone: str = "mobilenet"
    width: float = 1.0
    crop_hw: tuple[int, int] = (128, 64)
    mask: bool = False
    colours: bool = False
    groups: tuple[str, ...] = ("person", "vehicle")
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ConfigError(f"backbone: expected one of {', '.join(BACKBONES)}, got {self.backbone!r}")
        if self.backbone in ("resnet", "colours") and self.width != 1:
            raise ConfigError(
                f"width: {self.backbone} has one width, 1; got {self.width:g} (osnet and mobilenet have others)"
            )
        if self.backbone == "colours" and self.mask:
            raise ConfigError("mask: colours has no trunk that would see the mask; take another backbone")
        if not 0.1 <= self.width <= 4:
            raise ConfigError(f"width: expected 0.1 to 4, got {self.width:g}")
        if len(self.crop_hw) != 2 or not all(32 <= side <= 512 for side in self.crop_hw):
            raise ConfigError(f"crop size: expected height and width of 32 to 512 pixels, got {self.crop_hw}")


class EmbeddingNetwork(nn.Module):
    """Crops (N, 3, h, w) float RGB in [0, 255] to (N, 128).

    The mask, the normalisation of colours and the neck are part of it, so that training and inference cannot differ.
    """

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.trunk, channels = _trunk(design)
        self.sees_colours = design.colours or design.backbone == "colours"
        self.squeeze = (
            nn.Sequential(nn.Conv2d(channels, SQUEEZED, 1, bias=False), nn.BatchNorm2d(SQUEEZED), nn.ReLU(inplace=True))
            if channels
            else None
        )
        pooled = (SQUEEZED * (2 + PARTS) if channels else 0) + (EMBEDDING_DIM if self.sees_colours else 0)
        self.project = nn.Linear(pooled, EMBEDDING_DIM, bias=False)
        # Luo et al. 2019, "Bag of Tricks": a neck without shift keeps classes around the origin, as cosines want it.
        self.neck = nn.BatchNorm1d(EMBEDDING_DIM)
        self.neck.bias.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(design.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(design.std).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("mask", gaussian_mask(design.crop_hw) if design.mask else None, persistent=False)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Return unit vectors (N, 128)."""
        return nn.functional.normalize(self.neck(self.before_neck(crops)))

    def before_neck(self, crops: torch.Tensor) -> torch.Tensor:
        """Return what goes into the neck, (N, 128) of any length."""
        pooled = [] if self.squeeze is None else self._pooled(crops)
        if self.sees_colours:
            pooled.append(self.colours(crops))
        return self.project(torch.cat(pooled, dim=1))

    def _pooled(self, crops: torch.Tensor) -> list[torch.Tensor]:
        x = (crops - self.mean) / self.std
        if self.mask is not None:
            x = x * self.mask
        seen = self.squeeze(self.trunk(x))
        rows = seen.mean(3)  # (N, C, rows)
        return [rows.mean(2), seen.amax((2, 3)), (rows @ _shares(rows)).flatten(1)]

    @staticmethod
    def colours(crops: torch.Tensor) -> torch.Tensor:
        """Return the colour histograms (N, 128) of crops at half their size: as good, and a quarter of the time."""
        return stripes.describe(nn.functional.avg_pool2d(crops, 2))


def gaussian_mask(crop_hw: tuple[int, int]) -> torch.Tensor:
    """Return weights (1, 1, h, w), 1 in the middle, that fade towards the edges."""
    height, width = crop_hw
    down = (torch.arange(height) + 0.5) / height - 0.5
    across = (torch.arange(width) + 0.5) / width - 0.5
    fall = (down[:, None] ** 2 + across[None, :] ** 2) / (2 * MASK_SIGMA**2)
    return torch.exp(-(fall - fall.min())).view(1, 1, height, width)


def _shares(rows: torch.Tensor) -> torch.Tensor:
    """Return what share each of R rows (N, C, R) has in the mean of each part: (R, PARTS).

    Adaptive pooling by a product: PyTorch's own cannot be repeated bit by bit in training on CUDA.
    """
    n_rows = rows.shape[2]
    edges = torch.linspace(0, n_rows, PARTS + 1)
    row = torch.arange(n_rows)[:, None]
    inside = (torch.minimum(edges[1:], row + 1) - torch.maximum(edges[:-1], row)).clamp_min(0)
    return (inside / inside.sum(0)).to(rows.device, rows.dtype)


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers a network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def save(network: EmbeddingNetwork, path: Path, about: Mapping[str, Any], *, half: bool = True) -> None:
    """Write a network with its design, and what `about` says of its training (JSON values). Raises UserError."""
    facts = {"design": dataclasses.asdict(network.design), "training": dict(about)}
    saved.save(path, KIND, facts, network.state_dict(), half=half)


def load(path: Path | str) -> EmbeddingNetwork:
    """Rebuild a saved network, in evaluation mode. Raises WeightsError, one sentence, where it is none of ours."""
    about, tensors = saved.load(path, KIND)
    try:
        raw = about["design"]
        lists = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
        network = EmbeddingNetwork(Design(**lists))
    except (KeyError, TypeError, AttributeError, RuntimeError, ConfigError) as error:
        raise WeightsError(
            f"{path}: its header describes no embedder that this nightfleet can build: {error}"
        ) from None
    saved.fill(network, tensors, path)
    return network.eval()


def folded(network: EmbeddingNetwork) -> EmbeddingNetwork:
    """Fold every batch norm that follows a convolution into it, in place: the same numbers, a third sooner."""
    for module in list(network.modules()):
        children = list(module.named_children())
        for (name, one), (next_name, after) in itertools.pairwise(children):
            if isinstance(one, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(one, after))
                setattr(module, next_name, nn.Identity())
    return network


def _trunk(design: Design) -> tuple[nn.Module, int]:
    """Return the backbone without its head, and the channels it gives."""
    if design.backbone == "colours":
        return nn.Sequential(), 0
    if design.backbone == "osnet":
        return osnet_trunk(design.width)
    if design.backbone == "mobilenet":
        blocks = models.mobilenet_v2(weights=None, width_mult=design.width).features[:MOBILENET_BLOCKS]
        return blocks, blocks[-1].out_channels
    resnet = models.resnet18(weights=None)
    return nn.Sequential(*list(resnet.children())[:-2]), 512
