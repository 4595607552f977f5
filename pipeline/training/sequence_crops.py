"""Crops out of labelled pictures: MOTChallenge folders, whose worlds share identities."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from pipeline.errors import TruthError
from pipeline.footage.stills import read_still
from pipeline.training import mot_folders
from pipeline.training.crops import Crops, cut, spread
from pipeline.training.mot_folders import LabelledFrame
from pipeline.types import class_group

LEAST_VISIBILITY = 0.45
"""Boxes less visible show somebody else."""

LEAST_SIDE_PX = (20.0, 8.0)
"""Height and width below which a box shows nothing to know again."""

LEAST_CONTRAST = 8.0
"""Deviation of a crop's levels, of 255, below which nothing is to be seen in it: a street at night without a lamp."""

JITTER = 0.05
"""Edges are moved by up to this share of the box's side: detectors are no more exact."""

GROUPS = ("person", "vehicle")


def read(roots: list[Path], crop_hw: tuple[int, int], *, most: int, seed: int) -> Crops:
    """Cut at most `most` crops of each identity in each sequence, spread evenly over its frames.

    Raises TruthError where the folders cannot be read, or hold nothing to know again.
    """
    data = mot_folders.read_folders(roots)
    rng = np.random.default_rng([seed, 1])
    images, facts = [], []
    for sequence in data.sequences:
        for frame, rows in _chosen(sequence.frames, most):
            boxes = frame.xyxy[rows].astype(np.float64)
            sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
            boxes = boxes + rng.uniform(-JITTER, JITTER, boxes.shape) * sides
            crops = cut(read_still(frame.path), boxes, crop_hw)
            clear = crops.reshape(len(crops), -1).std(axis=1) >= LEAST_CONTRAST
            images.append(crops[clear])
            facts += [
                (int(frame.identity[row]), frame.sequence, frame.world, class_group(int(frame.class_id[row])))
                for row, keep in zip(rows, clear)
                if keep
            ]
    if not facts:
        raise TruthError(f"{roots[0]}: holds no people or vehicles large and visible enough to be known again")
    identity, camera, world, group = zip(*facts)
    numbers = (np.array(column, np.int64) for column in (identity, camera, world))
    return Crops(np.concatenate(images), *numbers, np.array(group))


def _chosen(frames: tuple[LabelledFrame, ...], most: int) -> list[tuple[LabelledFrame, list[int]]]:
    """Return the frames from which crops are taken, and which of their rows."""
    places = defaultdict(list)
    for at, frame in enumerate(frames):
        for row in np.flatnonzero(_usable(frame)).tolist():
            places[int(frame.identity[row])].append((at, row))
    taken = defaultdict(list)
    for found in places.values():
        for nth in spread(len(found), most).tolist():
            taken[found[nth][0]].append(found[nth][1])
    return [(frames[at], sorted(taken[at])) for at in sorted(taken)]


def _usable(frame: LabelledFrame) -> np.ndarray:
    """Tell which boxes (N,) show something to know again."""
    width, height = (frame.xyxy[:, 2:] - frame.xyxy[:, :2]).T
    group = np.array([c >= 0 and class_group(int(c)) in GROUPS for c in frame.class_id], bool)
    large = (height >= LEAST_SIDE_PX[0]) & (width >= LEAST_SIDE_PX[1])
    return group & large & (frame.visibility >= LEAST_VISIBILITY) & (frame.identity >= 0)
