"""Batches of P identities with K pictures each (Hermans et al. 2017, "In Defense of the Triplet Loss").

What a batch holds depends on the seed, the epoch and the crops alone, so that a training broken off goes on the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.training.crops import Relations

COMPANY = 6
"""Where only some identities are known to differ, so many of those known to differ from one go with it."""


def batches(
    identity: np.ndarray, camera: np.ndarray, relations: Relations, *, identities: int, each: int, seed: int, epoch: int
) -> Iterator[np.ndarray]:
    """Yield the rows of each batch of an epoch, (P * K,) int64, identity by identity.

    identity, camera  (N,) int64
    identities, each  P and K; all there are, where there are fewer than P

    Where any two identities differ, each comes as often as any other, within one; where only some are known to, batches
    are filled with those known to differ from one in them. An epoch has about as many pictures as there are crops. Of
    an identity the pictures come from different cameras as far as they go, and come twice only where it has fewer.
    """
    rng = np.random.default_rng([seed, epoch, 2])
    names, starts = np.unique(np.sort(identity), return_index=True)
    rows_of = dict(zip(names.tolist(), np.split(np.argsort(identity, kind="stable"), starts[1:])))
    count = max(1, round(len(identity) / (identities * each)))
    for company in _companies(names, relations, identities, count, rng):
        yield np.concatenate([_pictures(rows_of[name], camera, each, rng) for name in company])


def _companies(
    names: np.ndarray, relations: Relations, size: int, count: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Yield `count` lists of different identities, each `size` long or all there are."""
    size = min(size, len(names))
    rivals = relations.rivals()
    queue: list[int] = []
    for _ in range(count):
        chosen: dict[int, None] = {}
        passed_over = []
        while len(chosen) < size:
            if not queue:
                queue = rng.permutation(names).tolist()
            name = queue.pop()
            if name in chosen:
                passed_over.append(name)
                continue
            chosen[name] = None
            with_it = rng.permutation(rivals[name]).tolist()[:COMPANY] if name in rivals else []
            for other in with_it[: size - len(chosen)]:
                chosen[other] = None
        queue += passed_over
        yield list(chosen)


def _pictures(rows: np.ndarray, camera: np.ndarray, each: int, rng: np.random.Generator) -> np.ndarray:
    """Choose `each` of an identity's rows, taking its cameras in turn."""
    shuffled = rng.permutation(rows)
    turn = np.zeros(len(rows), np.int64)
    for name in np.unique(camera[shuffled]):
        mine = camera[shuffled] == name
        turn[mine] = np.arange(mine.sum())
    # Which camera comes first in a turn is by chance too: the order of the shuffle.
    ordered = shuffled[np.argsort(turn, kind="stable")]
    return np.resize(ordered, each)
