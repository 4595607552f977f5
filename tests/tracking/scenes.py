"""Small seeded scenes for the tests of tracking: people walking straight, seen with noise, sometimes missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections

PERSON, CAR = COCO_CLASSES.index("person"), COCO_CLASSES.index("car")
TRUCK = COCO_CLASSES.index("truck")


def look(seed: int) -> np.ndarray:
    """Return one unit vector (1, 128) float32."""
    vector = np.random.default_rng(seed).standard_normal((1, EMBEDDING_DIM))
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def looks(*seeds: int) -> np.ndarray:
    """Return a unit vector per seed: (N, 128) float32."""
    return np.concatenate([look(seed) for seed in seeds]) if seeds else np.zeros((0, EMBEDDING_DIM), np.float32)


def found(*boxes: tuple[float, float, float, float], class_id: int = PERSON, score: float = 0.9) -> Detections:
    """Return detections of one class and score from corners."""
    n_boxes = len(boxes)
    xyxy = np.array(boxes, np.float32).reshape(n_boxes, 4)
    return Detections(xyxy, np.full(n_boxes, score, np.float32), np.full(n_boxes, class_id, np.int16))


@dataclass(frozen=True)
class Frame:
    """What one frame shows; `who` (N,) is the walker behind each detection, -1 for a false one."""

    detections: Detections
    embedding: np.ndarray
    who: np.ndarray


def walk(
    n_walkers: int, n_frames: int, seed: int, *, miss: float = 0.1, false: float = 0.3, noise: float = 0.2
) -> list[Frame]:
    """Make up walkers in a picture of 640x480.

    miss is the chance to overlook one, false the mean number of false boxes a frame, noise that of the embeddings
    against the spread between walkers, which is 1.
    """
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((n_walkers, EMBEDDING_DIM))
    place, pace = rng.uniform(80, 400, (n_walkers, 2)), rng.normal(0, 2, (n_walkers, 2))
    height = rng.uniform(50, 110, n_walkers)
    frames = []
    for _ in range(n_frames):
        place = place + pace
        who = np.flatnonzero(rng.random(n_walkers) > miss)
        n_false = rng.poisson(false)
        who = np.concatenate([who, np.full(n_false, -1)])
        true = who >= 0
        centre = np.where(true[:, None], place[who], rng.uniform(50, 430, (len(who), 2))) + rng.normal(
            0, 1, (len(who), 2)
        )
        half_y = np.where(true, height[who], 80) / 2 * rng.normal(1, 0.01, len(who))
        half = np.column_stack([0.4 * half_y, half_y])
        vector = np.where(true[:, None], own[who], rng.standard_normal((len(who), EMBEDDING_DIM)))
        vector = vector + rng.normal(0, noise, vector.shape)
        vector /= np.linalg.norm(vector, axis=1, keepdims=True)
        detections = Detections(
            np.concatenate([centre - half, centre + half], axis=1).astype(np.float32),
            rng.uniform(0.5, 1, len(who)).astype(np.float32),
            np.full(len(who), PERSON, np.int16),
        )
        frames.append(Frame(detections, vector.astype(np.float32), who))
    return frames
