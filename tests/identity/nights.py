"""Synthetic nights for the tests of this folder: tracklets with known objects behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Exemplars, Tracklets

PERSON, CAR, TRUCK = (COCO_CLASSES.index(name) for name in ("person", "car", "truck"))
US = 1_000_000


@dataclass(frozen=True)
class Seen:
    """One tracklet to be made: who, where, when (seconds), and how it looks (K, 128)."""

    name: str
    camera: str
    start_s: float
    end_s: float
    looks: np.ndarray
    class_id: int = PERSON
    n_observations: int = 10


def unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors * length), where=length > 0)


def look(seed: int, *, n: int = 1, noise: float = 0.0) -> np.ndarray:
    """Return n views (n, 128) of the object `seed`, each with its own noise, as long as `noise` times the object."""
    rng = np.random.default_rng(seed)
    own = unit(rng.normal(size=EMBEDDING_DIM))
    return unit(own + noise * rng.normal(size=(n, EMBEDDING_DIM)) / np.sqrt(EMBEDDING_DIM)).astype(np.float32)


def night(seen: list[Seen]) -> tuple[Tracklets, np.ndarray, Exemplars]:
    """Turn the list into what `link` takes, rows in the order of the list."""
    n_rows = len(seen)
    names = np.array([s.name for s in seen], dtype=object)
    mean = [unit(s.looks.astype(np.float64).mean(axis=0)) for s in seen]
    tracklets = Tracklets(
        names,
        np.array([s.class_id for s in seen], np.int16),
        np.array([round(s.start_s * US) for s in seen], np.int64),
        np.array([round(s.end_s * US) for s in seen], np.int64),
        np.array([s.n_observations for s in seen], np.int32),
        np.ones(n_rows, np.float32),
        np.zeros((n_rows, 2), np.float32),
        np.zeros((n_rows, 2), np.float32),
        np.array(mean, np.float32).reshape(n_rows, EMBEDDING_DIM),
    )
    size = [len(s.looks) for s in seen]
    owner = np.repeat(np.arange(n_rows), size)
    step = np.concatenate([[0], *(np.arange(k) for k in size)])[1:].astype(np.int64)
    exemplars = Exemplars(
        names[owner],
        tracklets.started_at_us[owner] + step,
        step.astype(np.int32),
        np.ones(len(owner), np.float32),
        np.concatenate([np.zeros((0, EMBEDDING_DIM), np.float32), *(s.looks for s in seen)]),
    )
    return tracklets, np.array([s.camera for s in seen], dtype=object), exemplars


def town(
    *, seed: int, n_cameras: int = 4, n_objects: int = 30, noise: float = 0.6, tint: float = 0.6, n_traits: int = 24
) -> tuple[list[Seen], np.ndarray]:
    """Return a small town's tracklets and the object (N,) behind each.

    Every object walks past the cameras one after another, 5 to 15 s in view of each and 5 to 20 s between them, all
    starting within a minute. They differ in `n_traits` of the 128 directions only and have much in common besides, so
    that strangers look alike; every camera adds its own tint to what it sees, every view its own noise.
    """
    rng = np.random.default_rng(seed)
    traits = unit(rng.normal(size=(n_objects, n_traits))) @ unit(rng.normal(size=(n_traits, EMBEDDING_DIM)))
    objects = traits + unit(rng.normal(size=EMBEDDING_DIM))
    tints = tint * unit(rng.normal(size=(n_cameras, EMBEDDING_DIM)))
    seen, who = [], []
    for index in range(n_objects):
        now_s = rng.uniform(0, 60)
        for camera in rng.permutation(n_cameras)[: rng.integers(2, n_cameras + 1)]:
            end_s = now_s + rng.uniform(5, 15)
            views = (
                objects[index] + tints[camera] + noise * rng.normal(size=(6, EMBEDDING_DIM)) / np.sqrt(EMBEDDING_DIM)
            )
            name = f"cam{camera}-{len(seen):04d}"
            seen.append(Seen(name, f"cam{camera}", now_s, end_s, unit(views).astype(np.float32)))
            who.append(index)
            now_s = end_s + rng.uniform(5, 20)
    return seen, np.array(who)


def pairwise_f1(truth: np.ndarray, found: np.ndarray) -> float:
    """Return the F1 of "these two are one" over all pairs; 1 where neither says so of any."""
    above = np.triu(np.ones((len(truth), len(truth)), bool), 1)
    one = (truth[:, None] == truth[None, :]) & above
    joined = (found[:, None] == found[None, :]) & above
    total = one.sum() + joined.sum()
    return 1.0 if total == 0 else 2 * float((one & joined).sum()) / float(total)
