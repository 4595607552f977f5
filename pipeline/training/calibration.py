"""Scores that mean something: of a detector's boxes scored 0.7, seven in ten shall be right.

A network trained with a focal loss is less sure than it is right. A logistic regression of right and wrong on the
logit of the score (Platt 1999, "Probabilistic outputs for support vector machines") says by how much. Where a box
refiner judges boxes too, the regression is on what either says. All its numbers go into the last layers, so that nobody
who runs the networks need know of them; the heatmap is calibrated by itself too, for those who run it alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from pipeline import boxes
from pipeline.footage.stills import read_still
from pipeline.perception.networks import one_shot_file
from pipeline.perception.one_shot import LEAST_HEAT, OneShotModel
from pipeline.training.mot_folders import IGNORED, LabelledFrame
from pipeline.training.views import cover
from pipeline.types import Detections

LEAST_SCORE = 0.05
"""Boxes with less are left out: nobody would use them, and they are by far the most."""
RIGHT_IOU = 0.5
IGNORED_SHARE = 0.5
"""A box that lies in something to be ignored with so much of its area is neither right nor wrong."""
EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Look = Callable[[np.ndarray], tuple[Detections, np.ndarray]]
"""A picture (H, W, 3) uint8 RGB to what is in it, and logits (N, 2) of each box: of the heatmap and of a close look."""


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """N boxes of a detector: logits (N, 2) of heatmap and close look, and whether each is right (N,) bool.

    missed  objects none of them shows
    """

    logit: np.ndarray
    right: np.ndarray
    missed: int

    @property
    def score(self) -> np.ndarray:
        """Their scores (N,) in [0, 1]."""
        return 1 / (1 + np.exp(-self.logit.sum(axis=1)))

    @property
    def looked(self) -> bool:
        """Whether a close look said anything of them."""
        return bool(self.logit[:, 1].any())

    def reliability(self) -> list[dict[str, float]]:
        """Return a row for each range of scores: from, to, boxes, mean score and the share that is right."""
        rows, score = [], self.score
        for low, high in pairwise(EDGES):
            mine = (score >= low) & (score < high if high < 1 else score <= 1)
            if mine.any():
                shares = {"mean_score": float(score[mine].mean()), "right": float(self.right[mine].mean())}
                rows.append({"from": low, "to": high, "boxes": int(mine.sum()), **shares})
        return rows

    def moved(self, fit: Fit) -> Judged:
        """Return the same boxes with calibrated scores, without those that nobody then looks at."""
        heat = fit.heat(self.logit[:, 0])
        if not self.looked:
            return Judged(np.column_stack([heat, self.logit[:, 1]]), self.right, self.missed)
        seen = _worth_a_look(heat)
        both = np.column_stack([fit.heat_share * heat, fit.look(self.logit[:, 1])])
        return Judged(both[seen], self.right[seen], self.missed + int(self.right[~seen].sum()))


@dataclass(frozen=True, slots=True)
class Line:
    """The calibrated logit is slope * logit + shift."""

    slope: float
    shift: float

    def __call__(self, logit: np.ndarray) -> np.ndarray:
        """Calibrate logits (N,)."""
        return self.slope * logit + self.shift


@dataclass(frozen=True, slots=True)
class Fit:
    """The calibrated logit of a box is heat_share * heat(its own) + look(its own).

    heat  makes of the heatmap's logit one that is right where nobody looks closely

    heat_share and look are fitted to boxes that the night looks at: among all others, which are many and of which
    heatmap and look say the same, what tells right from wrong would drown.
    """

    heat: Line
    heat_share: float = 1.0
    look: Line = Line(1.0, 0.0)


def of_network(
    weights: Path, frames: Sequence[LabelledFrame], *, device: str, threads: int, told: Callable[[int, int], None]
) -> Judged:
    """Judge what the one-shot network of a file sees in labelled pictures; see `judge`."""
    model = OneShotModel(weights, device=device, threads=threads)

    def look(picture: np.ndarray) -> tuple[Detections, np.ndarray]:
        seen = model.candidates(torch.from_numpy(picture)[None].permute(0, 3, 1, 2).to(device), LEAST_SCORE)
        rows = model.taken(seen)
        return model.detections(seen, rows), torch.stack([seen.heat[rows], seen.look[rows]], dim=1).cpu().numpy()

    return judge(look, frames, told)


@torch.no_grad()
def write(weights: Path, fit: Fit, out: Path) -> None:
    """Write the network of a file to another one, with the fit in it."""
    file = one_shot_file.read(weights)
    before = float(file.refiner.heat_share) if file.refiner is not None else 1.0  # of one that is calibrated again
    file.network.heat.weight.mul_(before * fit.heat.slope)
    file.network.heat.bias.mul_(before * fit.heat.slope).add_(fit.heat.shift)
    if file.refiner is not None and file.refiner.judges:
        file.refiner.heat_share.fill_(fit.heat_share)
        file.refiner.sure.weight.mul_(fit.look.slope)
        file.refiner.sure.bias.mul_(fit.look.slope).add_(fit.look.shift)
    one_shot_file.write(out, file)


def judge(look: Look, frames: Sequence[LabelledFrame], told: Callable[[int, int], None]) -> Judged:
    """Hold what a detector sees in labelled pictures beside their labels.

    A box is right where it overlaps an object of its class that no surer one has taken by RIGHT_IOU. `told` hears the
    pictures done, and all of them. Raises UserError where a picture cannot be read.
    """
    logits, rights, missed = [np.zeros((0, 2))], [np.zeros(0, bool)], 0
    for nth, frame in enumerate(frames, start=1):
        found, logit = look(read_still(frame.path))
        right, counts, left = _matched(found, frame)
        logits.append(logit[counts].astype(np.float64))
        rights.append(right[counts])
        missed += left
        told(nth, len(frames))
    return Judged(np.concatenate(logits), np.concatenate(rights), missed)


def fit(judged: Judged) -> Fit:
    """Fit by maximum likelihood, with Platt's targets, which are never quite 0 or 1.

    `heat_share` is NaN where a refiner judges, but all that the night would look at is right, or all of it wrong.
    """
    (slope,), shift = _regressed(judged.logit[:, :1], judged.right)
    alone = Line(slope, shift)
    if not judged.looked:
        return Fit(alone)
    seen = _worth_a_look(alone(judged.logit[:, 0]))
    if judged.right[seen].all() or not judged.right[seen].any():
        return Fit(alone, math.nan)
    (of_heat, of_look), rest = _regressed(judged.logit[seen], judged.right[seen])
    heat_share = of_heat / slope
    return Fit(alone, heat_share, Line(of_look, rest - heat_share * shift))


def _worth_a_look(heat: np.ndarray) -> np.ndarray:
    """Return which calibrated logits (N,) of the heatmap the night takes a close look at, (N,) bool."""
    return heat >= np.log(LEAST_HEAT / (1 - LEAST_HEAT))


def _regressed(logit: np.ndarray, right: np.ndarray) -> tuple[tuple[float, ...], float]:
    """Return the slopes (K,) and the shift of a logistic regression of `right` (N,) on logits (N, K)."""
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    target = np.where(right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        z = logit @ line[:-1] + line[-1]
        error = 1 / (1 + np.exp(-z)) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.append(error @ logit / len(z), error.mean())

    found = minimize(loss, np.append(np.ones(logit.shape[1]), 0.0), jac=True, method="L-BFGS-B")
    *slopes, shift = map(float, found.x)
    return tuple(slopes), shift


def _matched(found: Detections, frame: LabelledFrame) -> tuple[np.ndarray, np.ndarray, int]:
    """Return which boxes (N,) are right, which count at all, and how many objects are left."""
    wanted = frame.class_id != IGNORED
    overlap = boxes.iou(found.xyxy, frame.xyxy[wanted]) if wanted.any() else np.zeros((len(found.score), 0))
    overlap[found.class_id[:, None] != frame.class_id[wanted][None]] = 0
    right = np.zeros(len(found.score), bool)
    free = np.ones(overlap.shape[1], bool)
    for row in np.argsort(-found.score, kind="stable"):
        best = np.where(free, overlap[row], 0)
        if best.max(initial=0) >= RIGHT_IOU:
            right[row] = True
            free[best.argmax()] = False
    excused = cover(found.xyxy, frame.xyxy[~wanted]).max(axis=1, initial=0) >= IGNORED_SHARE
    return right, right | ~excused, int(free.sum())
