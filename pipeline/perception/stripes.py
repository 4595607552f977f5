"""Appearance without weights: soft colour histograms in horizontal stripes, 128 numbers.

Stripes as the re-identification field has used them since ELF (Gray and Tao 2008) and SDALF (Farenzena et al. 2010):
who stands upright keeps his colours at their heights, however he turns. Colour is measured in CIE L*a*b*, whose
distances follow the eye, after the crop's exposure is evened and half of its colour cast is removed.
"""

from __future__ import annotations

import numpy as np
import torch

from pipeline.perception.projection import unit_rows
from pipeline.types import EMBEDDING_DIM

STRIPES = 8
"""Horizontal stripes, each fading into its neighbours: about the height of a head on a person."""

LIGHTNESS_LEVELS = (10.0, 26.0, 42.0, 58.0, 74.0, 90.0)
"""Centres of the soft bins of L*; what lies outside falls into the end bins."""

CHROMA_LEVELS = (-24.0, -12.0, 0.0, 12.0, 24.0)
"""Centres of the soft bins of a* and of b*. Cloth and paint seen by cameras seldom exceed 24; a step of 12 is five
times what the eye just notices."""

BINS = len(LIGHTNESS_LEVELS) + 2 * len(CHROMA_LEVELS)
assert STRIPES * BINS == EMBEDDING_DIM

TYPICAL_CHROMA = (0.02, 0.23, 0.50, 0.23, 0.02)
"""Share of each chroma bin in a typical, mostly grey stripe. Subtracted with even lightness, so that the vector says
how a thing differs from the grey rest: without it any two crops would look 0.9 alike."""

CENTRE_SPREAD = 0.2
"""Deviation of the weight across the crop, in crop widths: a person fills about the middle half of the box."""

MIDDLE_LEVEL = 110.0
"""Mean level every crop is brought to: middle grey (18 % reflectance) in sRGB is 118, cloth is a little darker."""

MAX_EXPOSURE_GAIN = 2.0
"""Crops are brightened or darkened at most so far, one stop: white clothes must not become grey."""

CAST_REMOVED = 0.5
"""How much of the crop's mean colour counts as the light's and is removed. Grey world (Buchsbaum 1980) removes all, and
makes every one-coloured vehicle grey; half keeps its colour and still brings cameras together."""


class StripesEmbedder:
    """The embedder that needs no weights. Stateless."""

    crop_hw = (96, 48)

    def embed(self, crops: torch.Tensor) -> np.ndarray:
        """Turn crops (N, 3, h, w) in [0, 255] into (N, 128) float32 unit vectors."""
        return unit_rows(describe(crops).cpu().numpy())


def describe(crops: torch.Tensor) -> torch.Tensor:
    """Turn crops (N, 3, h, w) float32 RGB in [0, 255] into (N, 128) float32 on their device, of any length.

    Numbers are ordered stripe by stripe from the top, in each the lightness bins, then a*, then b*: square roots of
    shares (Hellinger), less the typical stripe's.
    """
    lab = to_lab(even_light(crops))
    levels = [LIGHTNESS_LEVELS, CHROMA_LEVELS, CHROMA_LEVELS]
    shares = torch.cat([_stripe_shares(_soft_bins(lab[:, i], level)) for i, level in enumerate(levels)], dim=2)
    typical = [1 / len(LIGHTNESS_LEVELS)] * len(LIGHTNESS_LEVELS) + [*TYPICAL_CHROMA, *TYPICAL_CHROMA]
    contrast = shares.clamp_min(0).sqrt() - torch.tensor(typical, device=crops.device).sqrt()  # (N, 8, 16)
    return contrast.flatten(1)


def even_light(crops: torch.Tensor) -> torch.Tensor:
    """Bring crops to one mean level and remove part of their colour cast; same shape, in [0, 255]."""
    mean = crops.mean((2, 3), keepdim=True).clamp_min(1.0)  # (N, 3, 1, 1)
    level = mean.mean(1, keepdim=True)
    cast = (level / mean) ** CAST_REMOVED
    exposure = (MIDDLE_LEVEL / level).clamp(1 / MAX_EXPOSURE_GAIN, MAX_EXPOSURE_GAIN)
    return (crops * (cast * exposure)).clamp(0, 255)


def to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """Turn sRGB (N, 3, h, w) in [0, 255] into CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15)."""
    share = rgb / 255
    linear = torch.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    red, green, blue = linear.unbind(1)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.0890
    fx, fy, fz = (torch.where(v > 0.008856, v.clamp_min(1e-6) ** (1 / 3), 7.787 * v + 16 / 116) for v in (x, y, z))
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def _soft_bins(values: torch.Tensor, centres: tuple[float, ...]) -> torch.Tensor:
    """Share each value (N, h, w) between the two nearest of B evenly spaced bins: (N, B, h, w), sums to 1 over B."""
    place = ((values.clamp(centres[0], centres[-1]) - centres[0]) / (centres[1] - centres[0])).unsqueeze(1)
    bins = torch.arange(len(centres), device=values.device, dtype=values.dtype).view(1, -1, 1, 1)
    return (1 - (place - bins).abs()).clamp_min(0)


def _stripe_shares(bins: torch.Tensor) -> torch.Tensor:
    """Average bins (N, B, h, w) over each stripe, the middle columns counting most: (N, 8, B)."""
    height, width = bins.shape[2:]
    across = (torch.arange(width, device=bins.device, dtype=bins.dtype) + 0.5) / width - 0.5
    columns = torch.exp(-0.5 * (across / CENTRE_SPREAD) ** 2)
    down = (torch.arange(height, device=bins.device, dtype=bins.dtype) + 0.5) / height * STRIPES - 0.5
    stripe = torch.arange(STRIPES, device=bins.device, dtype=bins.dtype).unsqueeze(1)
    rows = (1 - (down.clamp(0, STRIPES - 1) - stripe).abs()).clamp_min(0)  # (8, h)
    per_row = (bins * (columns / columns.sum())).sum(3)  # (N, B, h)
    return (per_row.unsqueeze(1) * (rows / rows.sum(1, keepdim=True)).unsqueeze(1)).sum(3)  # (N, 8, B)
