"""The box refiner: looks again, closely, at each box that was found: where does the thing end, and is there one?

A box read off a map with cells of 4 pixels is a pixel or two wrong, which is a tenth of somebody 15 pixels wide. What
lies in and around the box, enlarged to 48 x 48, shows its sides (Cai and Vasconcelos 2018, "Cascade R-CNN", section 3;
Gidaris and Komodakis 2016, "Attend Refine Repeat"); after a first move a second look sees it better placed. The last
look also says how well the box then fits something (Jiang et al. 2018, "IoU-Net"; Wu et al. 2020, "IoU-aware
single-stage object detector"): a map of middles takes lamp posts for people, and a close look does not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torchvision.ops import roi_align

from pipeline.perception.preparation import GREY_LEVEL

SIDE_PX = 48
"""Height and width of a view."""
WINDOW = 1.4
"""A view shows so many times a box's width and height."""
ROUNDS = 2
"""Looks at each box."""
SMALLEST_PX = 1.0
"""No side of a box becomes shorter than this."""

_SPREAD = 60.0
_CHANNELS = ((3, 32, 2), (32, 48, 2), (48, 64, 1), (64, 64, 1), (64, 96, 2))
"""Channels in and out, and the stride, of each convolution."""
_HIDDEN = 128

Look = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Views (N, 3, SIDE_PX, SIDE_PX) to shifts (N, 4) and logits (N, 1)."""


class BoxRefiner(nn.Module):
    """Five convolutions and three linear layers, 0.58 million weights.

    heat_share  (1,): how much of what the heatmap says of a box counts beside what the look says, in logits
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*(_convolution(*channels) for channels in _CHANNELS))
        cells = (SIDE_PX // 8) ** 2
        self.hidden = nn.Sequential(nn.Linear(_CHANNELS[-1][1] * cells, _HIDDEN), nn.ReLU(inplace=True))
        self.shift = nn.Linear(_HIDDEN, 4)
        nn.init.zeros_(self.shift.weight)  # begins by leaving boxes where they are
        nn.init.zeros_(self.shift.bias)
        self.sure = nn.Linear(_HIDDEN, 1)
        nn.init.zeros_(self.sure.weight)  # and leaves it to the heatmap what they are worth
        nn.init.zeros_(self.sure.bias)
        self.register_buffer("heat_share", torch.ones(1))

    @property
    def judges(self) -> bool:
        """Whether it says anything of how well boxes fit: one that only learned to move them says 0 of each."""
        return bool(self.sure.weight.any())

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn views (N, 3, SIDE_PX, SIDE_PX) RGB in [0, 255] into shifts (N, 4) and logits (N, 1).

        Shifts are of left, top, right and bottom, shares of the box's width or height; the logit says how well the box
        fits something once it is moved.
        """
        seen = self.hidden(torch.flatten(self.features((views - GREY_LEVEL) / _SPREAD), 1))
        return self.shift(seen), self.sure(seen)


def views(images: torch.Tensor, xyxy: torch.Tensor, image_row: torch.Tensor) -> torch.Tensor:
    """Cut what lies in and around boxes (N, 4) out of images (T, 3, H, W) float32 RGB: (N, 3, SIDE_PX, SIDE_PX).

    image_row (N,) tells the image of each box. Every pixel of a view is the mean over its part of the picture (He et
    al. 2017, "Mask R-CNN", section 3, RoIAlign), so that large things are shrunk without picking pixels.
    """
    middle, half = (xyxy[:, :2] + xyxy[:, 2:]) / 2, (xyxy[:, 2:] - xyxy[:, :2]) * (WINDOW / 2)
    half = half.clamp(max=float(max(images.shape[2:])))  # a box gone wild would take every pixel of it as many times
    windows = torch.cat([image_row[:, None].to(xyxy), middle - half, middle + half], dim=1)
    # Outside a picture RoIAlign takes 0 for what is there.
    return roi_align(images - GREY_LEVEL, windows, SIDE_PX, sampling_ratio=-1, aligned=True) + GREY_LEVEL


def moved(xyxy: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Move the sides of boxes (N, 4) by shifts (N, 4), shares of their sizes; none turns inside out."""
    size = xyxy[:, 2:] - xyxy[:, :2]
    shifted = xyxy + shifts * size.repeat(1, 2)
    middle = (shifted[:, :2] + shifted[:, 2:]) / 2
    half = ((shifted[:, 2:] - shifted[:, :2]) / 2).clamp(min=SMALLEST_PX / 2)
    return torch.cat([middle - half, middle + half], dim=1)


def refined(
    look: Look, images: torch.Tensor, xyxy: torch.Tensor, image_row: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes (N, 4) where ROUNDS looks move them, and the logits (N,) of the last look.

    Arguments as `views` takes them. Each look is the mean of what is seen and of what is seen in a mirror.
    """
    sure = torch.zeros(len(xyxy), device=xyxy.device)
    if not len(xyxy):
        return xyxy, sure
    for _ in range(ROUNDS):
        seen = views(images, xyxy, image_row)
        shifts, own = look(seen)
        mirrored, other = look(seen.flip(3))
        left, top, right, bottom = mirrored.unbind(1)
        xyxy = moved(xyxy, (shifts + torch.stack([-right, top, -left, bottom], dim=1)) / 2)
        sure = (own + other)[:, 0] / 2
    return xyxy, sure


def _convolution(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )
