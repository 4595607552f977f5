"""Scores that mean something: of a detector's boxes scored 0.7, seven in ten shall be right.

A network trained with a focal loss is less sure than it is right. A logistic regression of right and wrong on the
logit of the score (Platt 1999, "Probabilistic outputs for support vector machines") says by how much. Both its numbers
go into the last layer of the heatmap, so that nobody who runs the network need know of them.
"""

from __future__ import annotations

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
from pipeline.perception.networks.one_shot import OneShotNetwork
from pipeline.perception.one_shot import OneShotModel
from pipeline.training.mot_folders import IGNORED, LabelledFrame
from pipeline.training.views import cover
from pipeline.types import Detections

LEAST_SCORE = 0.05
"""Boxes with less are left out: nobody would use them, and they are by far the most."""
RIGHT_IOU = 0.5
IGNORED_SHARE = 0.5
"""A box that lies in something to be ignored with so much of its area is neither right nor wrong."""
EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Look = Callable[[np.ndarray], Detections]
"""A picture (H, W, 3) uint8 RGB to what is in it."""


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """N boxes of a detector: their scores (N,) float64 in (0, 1), and whether each is right (N,) bool.

    missed  objects none of them shows
    """

    score: np.ndarray
    right: np.ndarray
    missed: int

    def reliability(self) -> list[dict[str, float]]:
        """Return a row for each range of scores: from, to, boxes, mean score and the share that is right."""
        rows = []
        for low, high in pairwise(EDGES):
            mine = (self.score >= low) & (self.score < high if high < 1 else self.score <= 1)
            if mine.any():
                shares = {"mean_score": float(self.score[mine].mean()), "right": float(self.right[mine].mean())}
                rows.append({"from": low, "to": high, "boxes": int(mine.sum()), **shares})
        return rows

    def moved(self, line: Line) -> Judged:
        """Return the same boxes with calibrated scores."""
        return Judged(line(self.score), self.right, self.missed)


@dataclass(frozen=True, slots=True)
class Line:
    """The calibrated logit is slope * logit + shift."""

    slope: float
    shift: float

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Calibrate scores (N,) in (0, 1)."""
        return 1 / (1 + np.exp(-(self.slope * _logit(score) + self.shift)))


def of_network(
    weights: Path, frames: Sequence[LabelledFrame], *, device: str, threads: int, told: Callable[[int, int], None]
) -> Judged:
    """Judge what the one-shot network of a file sees in labelled pictures; see `judge`."""
    model = OneShotModel(weights, device=device, threads=threads)

    def look(picture: np.ndarray) -> Detections:
        return model.look(torch.from_numpy(picture)[None].permute(0, 3, 1, 2).to(device), LEAST_SCORE)[0]

    return judge(look, frames, told)


def write(weights: Path, line: Line, out: Path) -> None:
    """Write the network of a file to another one, with the line in it."""
    file = one_shot_file.read(weights)
    fold(file.network, line)
    one_shot_file.write(out, file)


def judge(look: Look, frames: Sequence[LabelledFrame], told: Callable[[int, int], None]) -> Judged:
    """Hold what a detector sees in labelled pictures beside their labels.

    A box is right where it overlaps an object of its class that no surer one has taken by RIGHT_IOU. `told` hears the
    pictures done, and all of them. Raises UserError where a picture cannot be read.
    """
    scores, rights, missed = [np.zeros(0)], [np.zeros(0, bool)], 0
    for nth, frame in enumerate(frames, start=1):
        found = look(read_still(frame.path))
        right, counts, left = _matched(found, frame)
        scores.append(found.score[counts].astype(np.float64))
        rights.append(right[counts])
        missed += left
        told(nth, len(frames))
    return Judged(np.concatenate(scores), np.concatenate(rights), missed)


def fit(judged: Judged) -> Line:
    """Fit the line by maximum likelihood, with Platt's targets, which are never quite 0 or 1."""
    x = _logit(judged.score)
    n_right, n_wrong = int(judged.right.sum()), int((~judged.right).sum())
    target = np.where(judged.right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        z = line[0] * x + line[1]
        error = 1 / (1 + np.exp(-z)) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(error * x).mean(), error.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    return Line(float(found.x[0]), float(found.x[1]))


@torch.no_grad()
def fold(network: OneShotNetwork, line: Line) -> None:
    """Put the line into the network's last layer of the heatmap."""
    network.heat.weight.mul_(line.slope)
    network.heat.bias.mul_(line.slope).add_(line.shift)


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


def _logit(score: np.ndarray) -> np.ndarray:
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
