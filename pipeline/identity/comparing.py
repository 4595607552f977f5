"""Comparing tracklets set against set, millions of pairs a second."""

from __future__ import annotations

import numpy as np

from pipeline.identity.evidence import ExemplarSets, halves
from pipeline.identity.kernels import looks as kernels
from pipeline.identity.looks import Looks
from pipeline.identity.threads import in_parts

PAIR_BLOCK = 65536
"""Pairs handed to the compiled loop at once: two copies of so many indices are 1 MiB."""

MAX_HALVED = 16_384
"""Tracklets compared with themselves: their mean and spread are then known to half a per cent."""

HALVED_AT_ONCE = 1024
"""8 exemplars of 128 floats each: 4 MiB, and as much for the halves."""


def similarity(sets: ExemplarSets | Looks, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Compare the sets i (P,) with the sets j (P,): (P,) float32 in [-1, 1], symmetric.

    Every exemplar is matched with the one most like it on the other side; the matches are averaged over each set, and
    the two averages over both (the average Hausdorff similarity; Dubuisson and Jain 1994). One bad exemplar or a turned
    back costs little, and a long tracklet does not outvote a short one. Fastest where equal i stand side by side. The
    same bits on every machine, with any number of threads.
    """
    looks = Looks.of(sets)
    result = np.zeros(len(i), np.float32)

    def work(part: slice) -> None:
        for start in range(part.start, part.stop, PAIR_BLOCK):
            block = slice(start, min(start + PAIR_BLOCK, part.stop))
            left, right = (np.ascontiguousarray(side[block], dtype=np.int64) for side in (i, j))
            kernels.compare(*looks.columns, left, right, result[block])

    in_parts(work, len(i), least=256)
    return result


def similarity_of_halves(looks: Looks) -> np.ndarray:
    """Compare the even exemplars of each tracklet that has two or more with the odd ones: (S,) float32.

    These are matches whose truth is known. Of more than MAX_HALVED tracklets, so many are taken, evenly spread.
    """
    index = np.flatnonzero(looks.size >= 2)
    if len(index) > MAX_HALVED:
        index = index[np.linspace(0, len(index) - 1, MAX_HALVED).round().astype(np.int64)]
    found = [np.zeros(0, np.float32)]
    for start in range(0, len(index), HALVED_AT_ONCE):
        found.append(similarity(*halves(looks.sets(index[start : start + HALVED_AT_ONCE]))))
    return np.concatenate(found)
