"""How the learning rate goes over a training."""

from __future__ import annotations

import math

LAST_SHARE = 0.01
"""What is left of the highest rate at the end."""


def rate_share(step: int, steps: int, warm_up: float) -> float:
    """Share of the highest learning rate at a step of `steps`: a linear warm-up, then half a cosine down to LAST_SHARE.

    warm_up  share of the steps that warm up (Loshchilov and Hutter 2017, "SGDR", without restarts)
    """
    done = step / max(1, steps)
    if done < warm_up:
        return (step + 1) / math.ceil(warm_up * steps)
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))
