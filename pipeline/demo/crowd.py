"""A made-up night of a whole fleet, known to the last step: for measuring how identity works at scale.

Cameras stand at the crossings of a street grid, about a thousand tracklets in each, so that the fleet grows with the
night. People walk from crossing to crossing; now and then a camera misses them. Nothing is rendered: every tracklet
has the exemplar embeddings that an embedder might have given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Exemplars, Tracklets

TRACKLETS_A_CAMERA = 1000
NIGHT_S = 8 * 3600.0
BEGINS_US = 1_772_402_400_000_000
"""2026-03-01 22:00 UTC."""

BLOCK_M = 250.0
"""From one crossing to the next."""

RINGS = 2
"""A camera is linked to those up to two crossings away, diagonals included: 24 where there is no edge of town."""

FASTEST_MPS, SLOWEST_MPS, STOP_S = 3.0, 0.7, 120.0
"""What the windows allow for: from a runner to a stroller who stops for two minutes."""

EXEMPLARS = 8
MISSED = 0.1
MEAN_SIGHTINGS = 4.0

TRAITS = 16
"""Directions in which people differ. Of strangers one pair in a thousand is then more alike than 0.6, as with OSNet on
Market-1501 once camera means are removed."""

TINT = 0.6
"""Length of what a camera adds, that of a person's traits being 1."""

VIEW_NOISE, FRAME_NOISE = 0.5, 0.6
"""Length of what the side seen of a person adds to one tracklet, and of what differs between its exemplars."""

_COMPASS = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])

BLOCK = 512
"""Tracklets whose exemplars are made at once: 2 MiB."""


@dataclass(frozen=True, eq=False, slots=True)
class CrowdNight:
    """What `link` takes, and the truth.

    camera_id  (N,) object (str)
    object_id  (N,) int64, who is behind each tracklet
    """

    tracklets: Tracklets
    camera_id: np.ndarray
    exemplars: Exemplars
    config: IdentityConfig
    object_id: np.ndarray


def crowd_night(n_tracklets: int, *, seed: int = 1) -> CrowdNight:
    """Make up a night of N tracklets with EXEMPLARS exemplars each; the same seed gives the same night."""
    rng = np.random.default_rng(seed)
    side = max(2, round((n_tracklets / TRACKLETS_A_CAMERA) ** 0.5))
    rows = max(2, -(-n_tracklets // (TRACKLETS_A_CAMERA * side)))
    n_cameras = side * rows
    person, camera, started_s, ended_s = _walks(n_tracklets, side, rows, rng)
    order = np.lexsort((person, started_s, camera))
    person, camera, started_s, ended_s = (column[order] for column in (person, camera, started_s, ended_s))
    names = np.array([f"cam{index:04d}" for index in range(n_cameras)], dtype=object)
    nth = np.arange(n_tracklets) - np.searchsorted(camera, camera)
    tracklet_id = np.empty(n_tracklets, dtype=object)
    tracklet_id[:] = [f"{names[at]}-{number:06d}" for at, number in zip(camera.tolist(), nth.tolist())]
    started_us, ended_us = (BEGINS_US + np.round(s * 1e6).astype(np.int64) for s in (started_s, ended_s))
    vector, mean = _looks(person, camera, n_cameras, rng)
    still = np.zeros((n_tracklets, 2), np.float32)
    tracklets = Tracklets(
        tracklet_id,
        np.full(n_tracklets, COCO_CLASSES.index("person"), np.int16),
        started_us,
        ended_us,
        np.full(n_tracklets, 25, np.int32),
        np.ones(n_tracklets, np.float32),
        still,
        still,
        mean,
    )
    step = np.tile(np.arange(EXEMPLARS), n_tracklets)
    exemplars = Exemplars(
        np.repeat(tracklet_id, EXEMPLARS),
        np.repeat(started_us, EXEMPLARS) + step * 1_000_000,
        step.astype(np.int32),
        np.ones(len(step), np.float32),
        vector,
    )
    return CrowdNight(tracklets, names[camera], exemplars, IdentityConfig(links=_links(names, side)), person)


def pairwise_scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Return precision, recall and F1 of "these two are one" over all pairs of N tracklets; labels may be anything."""
    _, truth = np.unique(truth, return_inverse=True)
    _, found = np.unique(found, return_inverse=True)
    _, both = np.unique(truth.astype(np.int64) * (int(found.max(initial=0)) + 1) + found, return_counts=True)

    def pairs(sizes: np.ndarray) -> int:
        return int((sizes * (sizes - 1) // 2).sum())

    true, said, right = pairs(np.bincount(truth)), pairs(np.bincount(found)), pairs(both)
    return {
        "precision": right / said if said else 1.0,
        "recall": right / true if true else 1.0,
        "f1": 2 * right / (true + said) if true + said else 1.0,
    }


def _walks(n_tracklets: int, side: int, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Walk people over the grid until there are N sightings: person, camera (N,) int64, started_s, ended_s (N,)."""
    found, n_found, n_people = [], 0, 0
    while n_found < n_tracklets:
        n_more = int((n_tracklets - n_found) / MEAN_SIGHTINGS * 1.5) + 16
        parts = _walk(n_more, side, rows, rng)
        found.append((parts[0] + n_people, *parts[1:]))
        n_found, n_people = n_found + len(parts[0]), n_people + n_more
    person, camera, started_s, ended_s = (np.concatenate(column) for column in zip(*found))
    kept = np.lexsort((started_s, person))[:n_tracklets]
    return person[kept], camera[kept], started_s[kept], ended_s[kept]


def _walk(n_people: int, side: int, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Let people walk their way, each in a direction of his own that he bends but never turns back from."""
    n_steps = 1 + rng.geometric(1 / (MEAN_SIGHTINGS / (1 - MISSED) - 1), n_people)  # crossings passed at most
    speed = rng.uniform(1.0, 2.2, n_people)
    heading = rng.integers(0, 8, n_people)
    x, y = rng.integers(0, side, n_people), rng.integers(0, rows, n_people)
    now_s = rng.uniform(0, NIGHT_S, n_people)
    in_town = np.ones(n_people, bool)
    found = []
    for step in range(int(n_steps.max())):
        stay_s = rng.uniform(8, 40, n_people)
        seen = np.flatnonzero(in_town & (n_steps > step) & (rng.random(n_people) >= MISSED))
        found.append((seen, y[seen] * side + x[seen], now_s[seen], now_s[seen] + stay_s[seen]))
        bend = rng.choice([-1, 0, 0, 0, 1], n_people)
        dx, dy = _COMPASS[(heading + bend) % 8].T
        stop_s = np.where(rng.random(n_people) < 0.2, rng.uniform(0, 60, n_people), 0.0)
        now_s = now_s + stay_s + BLOCK_M * np.hypot(dx, dy) / speed * rng.uniform(0.95, 1.2, n_people) + stop_s
        x, y = x + dx, y + dy
        in_town &= (x >= 0) & (x < side) & (y >= 0) & (y < rows)
    return tuple(np.concatenate(column) for column in zip(*found))


def _links(names: np.ndarray, side: int) -> tuple[LinkConfig, ...]:
    """Link every camera with those around it; windows by distance."""
    links = []
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            dx, dy = abs(a % side - b % side), abs(a // side - b // side)
            if max(dx, dy) <= RINGS:
                distance_m = BLOCK_M * float(np.hypot(dx, dy))
                least_s, most_s = distance_m / FASTEST_MPS, distance_m / SLOWEST_MPS + STOP_S
                links.append(
                    LinkConfig(between=(names[a], names[b]), min_travel_s=round(least_s), max_travel_s=round(most_s))
                )
    return tuple(links)


def _looks(
    person: np.ndarray, camera: np.ndarray, n_cameras: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the exemplars (N * EXEMPLARS, D) of all tracklets and their normalised means (N, D), both float32."""
    ways = np.linalg.qr(rng.standard_normal((EMBEDDING_DIM, TRAITS)))[0].T.astype(np.float32)  # (T, D)
    traits = _unit(rng.standard_normal((int(person.max(initial=-1)) + 1, TRAITS), np.float32))
    tint = TINT * _unit(rng.standard_normal((n_cameras, EMBEDDING_DIM), np.float32))
    common = _unit(rng.standard_normal((1, EMBEDDING_DIM), np.float32))
    root = np.float32(EMBEDDING_DIM**0.5)
    vector = np.empty((len(person) * EXEMPLARS, EMBEDDING_DIM), np.float32)
    mean = np.empty((len(person), EMBEDDING_DIM), np.float32)
    for start in range(0, len(person), BLOCK):
        part = slice(start, min(start + BLOCK, len(person)))
        size = part.stop - start
        seen = traits[person[part]] @ ways + common + tint[camera[part]]
        seen += rng.standard_normal((size, EMBEDDING_DIM), np.float32) * (VIEW_NOISE / root)
        views = rng.standard_normal((size, EXEMPLARS, EMBEDDING_DIM), np.float32) * (FRAME_NOISE / root)
        views = _unit(views + seen[:, None])
        vector[start * EXEMPLARS : part.stop * EXEMPLARS] = views.reshape(-1, EMBEDDING_DIM)
        mean[part] = _unit(views.mean(axis=1))
    return vector, mean


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
