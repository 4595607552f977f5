"""Calibrating a trained one-shot network: `nightfleet train calibrate`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.perception.device import resolve_device, settle
from pipeline.perception.one_shot import LEAST_HEAT
from pipeline.training import calibration
from pipeline.training.mot_folders import read_folders


def calibrate(
    weights: Path, data: list[Path], out: Path, *, device: str, threads: int, told: Callable[[int, int], None]
) -> dict[str, Any]:
    """Write the network of `weights` to `out` with scores that are right as often as they say, on pictures of `data`.

    Returns out, pictures, the numbers of the fit (see calibration.Fit), and reliability before and after (rows of from,
    to, boxes, mean_score, right). Raises WeightsError, TruthError or UserError, one sentence, for what cannot be used.
    """
    frames = read_folders(data).frames()
    device = resolve_device(device, "--device")
    settle(threads)
    judged = calibration.of_network(weights, frames, device=device, threads=threads, told=told)
    where = ", ".join(map(str, data))
    if judged.right.all() or not judged.right.any():
        raise UserError(
            f"{where}: expected boxes that are right and some that are wrong, got {judged.right.sum()} right of "
            f"{len(judged.right)}; give data that are labelled with the network's classes, or more of them"
        )
    fit = calibration.fit(judged)
    if math.isnan(fit.heat_share):
        raise UserError(
            f"{where}: of what the heatmap says {LEAST_HEAT:g} or more of, expected boxes that are right and some that "
            "are wrong; give more data that are labelled with the network's classes"
        )
    if not min(fit.heat.slope, fit.heat_share, fit.look.slope) > 0:
        raise UserError(f"{where}: higher scores are no more often right there; give data labelled as it was trained")
    calibration.write(weights, fit, out)
    return {
        "out": str(out),
        "pictures": len(frames),
        "slope": fit.heat.slope,
        "shift": fit.heat.shift,
        "heat_share": fit.heat_share,
        "look_slope": fit.look.slope,
        "look_shift": fit.look.shift,
        "before": judged.reliability(),
        "after": judged.moved(fit).reliability(),
    }
