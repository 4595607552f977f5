"""Changes to crops that leave them the same person or vehicle: what other cameras, lights and detectors would do.

All draw from a generator that is handed in, so that a step can be repeated.
"""

from __future__ import annotations

import torch
from torch.nn import functional

FLIP = 0.5
"""Share of crops mirrored."""

SCALE, SHIFT = 0.12, 0.06
"""Crops are enlarged or shrunk, and moved, by up to these shares of their sides."""

EXPOSURE, CONTRAST, SATURATION, TINT = 0.4, 0.3, 0.5, 0.12
"""Light up to a factor exp(0.4), contrast and saturation up to 1 +- these, each colour channel up to exp(0.12)."""

COARSE, COARSEST = 0.3, 4
"""Share of crops seen from far: made coarse by a factor of up to this, one for all of a batch, and enlarged again."""

NOISE, LOUDEST = 0.3, 12.0
"""Share of crops with noise, and its greatest deviation, of 255."""

ERASED, ERASED_AREA = 0.4, (0.04, 0.25)
"""Share of crops from which a rectangle is erased, and its share of the area (Zhong et al. 2017, "Random Erasing")."""


def augment(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change crops (N, 3, h, w) float in [0, 255], each in its own way: the same shape and range."""
    moved = _moved(crops, generator)
    coarse = _coarse(moved, generator)
    lit = _lit(coarse, generator)
    return _erased(_noisy(lit, generator), generator)


def _uniform(n: int, low: float, high: float, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Draw (n,) numbers. On the CPU whatever the device: the same there and here."""
    return (torch.rand(n, generator=generator) * (high - low) + low).to(device)


def _moved(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n = len(crops)
    draw = lambda low, high: _uniform(n, low, high, generator, crops.device)  # noqa: E731
    mirrored = torch.where(draw(0, 1) < FLIP, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3, device=crops.device)
    theta[:, 0, 0] = mirrored * (1 + draw(-SCALE, SCALE))
    theta[:, 1, 1] = 1 + draw(-SCALE, SCALE)
    theta[:, 0, 2], theta[:, 1, 2] = 2 * draw(-SHIFT, SHIFT), 2 * draw(-SHIFT, SHIFT)
    grid = functional.affine_grid(theta, list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _coarse(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    chosen = _uniform(len(crops), 0, 1, generator, crops.device) < COARSE
    factor = float(_uniform(1, 1.5, COARSEST, generator, torch.device("cpu")))
    height, width = crops.shape[2:]
    small = functional.interpolate(
        crops, (max(4, round(height / factor)), max(4, round(width / factor))), mode="bilinear", antialias=True
    )
    large = functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return torch.where(chosen.view(-1, 1, 1, 1), large, crops)


def _lit(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n = len(crops)
    draw = lambda low, high: _uniform(n, low, high, generator, crops.device).view(n, 1, 1, 1)  # noqa: E731
    gain = torch.exp(draw(-EXPOSURE, EXPOSURE))
    tint = torch.exp(torch.cat([draw(-TINT, TINT) for _ in range(3)], dim=1))
    lit = crops * gain * tint
    grey = lit.mean(1, keepdim=True)
    lit = grey + (lit - grey) * draw(1 - SATURATION, 1 + SATURATION)
    middle = lit.mean((1, 2, 3), keepdim=True)
    return (middle + (lit - middle) * draw(1 - CONTRAST, 1 + CONTRAST)).clamp(0, 255)


def _noisy(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n = len(crops)
    loud = _uniform(n, 0, LOUDEST, generator, crops.device) * (_uniform(n, 0, 1, generator, crops.device) < NOISE)
    noise = torch.randn(crops.shape, generator=generator).to(crops.device)
    return (crops + noise * loud.view(n, 1, 1, 1)).clamp(0, 255)


def _erased(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = crops.shape
    draw = lambda low, high: _uniform(n, low, high, generator, crops.device)  # noqa: E731
    area, stretch = draw(*ERASED_AREA), torch.exp(draw(-1, 1))
    tall = (area * stretch).sqrt().clamp_max(1.0) * height
    wide = (area / stretch).sqrt().clamp_max(1.0) * width
    top, left = draw(0, 1) * (height - tall), draw(0, 1) * (width - wide)
    down = torch.arange(height, device=crops.device).view(1, height, 1)
    across = torch.arange(width, device=crops.device).view(1, 1, width)
    at = lambda value: value.view(n, 1, 1)  # noqa: E731
    inside = (down >= at(top)) & (down < at(top + tall)) & (across >= at(left)) & (across < at(left + wide))
    inside &= at(draw(0, 1) < ERASED)
    colour = torch.stack([draw(0, 255) for _ in range(3)], dim=1).view(n, 3, 1, 1)
    return torch.where(inside.unsqueeze(1), colour, crops)
