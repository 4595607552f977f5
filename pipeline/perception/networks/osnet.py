"""An omni-scale network, small: each block looks at several sizes at once and weighs them channel by channel.

After Zhou et al. 2019, "Omni-Scale Feature Learning for Person Re-Identification": lightweight 3x3 convolutions (a 1x1
and a depthwise 3x3), 1 to 4 of them in parallel streams, and one gate that all streams share.
"""

from __future__ import annotations

import torch
from torch import nn

STREAMS = 4
"""Streams of a block, which see 3, 5, 7 and 9 pixels."""

CHANNELS = (64, 256, 384, 512)
"""Of the stem and the three stages at width 1 (paper, table 1)."""

BOTTLENECK = 4
"""A block works on a quarter of its channels, and its gate on a sixteenth of those."""


def osnet_trunk(width: float) -> tuple[nn.Sequential, int]:
    """Return a trunk, pictures (N, 3, h, w) to features (N, C, h / 16, w / 16), and C."""
    stem, first, second, third = (max(16, round(channels * width / 8) * 8) for channels in CHANNELS)
    trunk = nn.Sequential(
        _conv(3, stem, 3, stride=2),
        nn.MaxPool2d(3, stride=2, padding=1),
        OmniScaleBlock(stem, first),
        OmniScaleBlock(first, first),
        _conv(first, first, 1),
        nn.AvgPool2d(2),
        OmniScaleBlock(first, second),
        OmniScaleBlock(second, second),
        _conv(second, second, 1),
        nn.AvgPool2d(2),
        OmniScaleBlock(second, third),
        OmniScaleBlock(third, third),
        _conv(third, third, 1),
    )
    return trunk, third


class OmniScaleBlock(nn.Module):
    """One residual block of several receptive fields."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = max(8, outputs // BOTTLENECK)
        self.squeeze = _conv(inputs, middle, 1)
        self.streams = nn.ModuleList(
            nn.Sequential(*(_light(middle) for _ in range(depth))) for depth in range(1, STREAMS + 1)
        )
        self.gate = _Gate(middle)
        self.expand = nn.Sequential(nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        same = inputs == outputs
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (N, inputs, h, w) into (N, outputs, h, w)."""
        squeezed = self.squeeze(x)
        seen = [stream(squeezed) for stream in self.streams]
        return torch.relu(self.expand(sum(self.gate(one) for one in seen)) + self.shortcut(x))


class _Gate(nn.Module):
    """Weights of a stream's channels, from their means; the same for all streams of a block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(4, channels // 16)
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.up(torch.relu(self.down(mean))))


def _conv(inputs: int, outputs: int, size: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _light(channels: int) -> nn.Sequential:
    """Return a lightweight 3x3 convolution: 1x1, then 3x3 in each channel."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
