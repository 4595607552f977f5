"""Boxes of made-up traffic at a four-armed junction: not simulated and not painted, but fast, a million rows a second.

What a bench needs of traffic is how tracks lie in the picture: where they come from, how long they stay, how few of
them meet a given line. How they would look does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.types import COCO_CLASSES

FPS = 10
WIDTH_PX, HEIGHT_PX = 1920, 1080
LONGEST_FRAMES = 300 * FPS
"""No track is longer."""

_KINDS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
_CLASS_ID = np.array([COCO_CLASSES.index(name) for name in _KINDS], np.int16)
_SHARE = np.array([0.34, 0.08, 0.46, 0.02, 0.03, 0.07])
_HEIGHT_PX = np.array([150.0, 140.0, 110.0, 110.0, 230.0, 170.0])
"""At the lower edge of the picture; a third of it at the upper."""
_ASPECT = np.array([0.4, 0.75, 1.9, 1.1, 2.1, 1.8])
_STAY_S = np.array([14.0, 8.0, 5.5, 5.0, 7.5, 6.5])
"""Mean time from one side of the picture to the other."""

_FRAGMENTS, _STANDING = 0.12, 0.03
"""Shares of tracks that begin or end in mid-scene, and of objects that stay where they are."""

_OTHER_CLASS, _INTERPOLATED = 0.03, 0.05
"""Shares of boxes whose class is not the track's, and of boxes without a detection."""


@dataclass(frozen=True, eq=False, slots=True)
class Tracks:
    """N tracks with M boxes, track after track, each in the order of time.

    kind       (N,) index into class ids       length  (N,) boxes of each track
    class_id   (N,) int16, the track's class
    at_frame   (M,) int64, frames since the camera's first       track  (M,) index of the box's track
    xyxy       (M, 4) float32, pixels       score  (M,) float32       box_class_id  (M,) int16
    interpolated  (M,) bool
    """

    kind: np.ndarray
    length: np.ndarray
    class_id: np.ndarray
    at_frame: np.ndarray
    track: np.ndarray
    xyxy: np.ndarray
    score: np.ndarray
    box_class_id: np.ndarray
    interpolated: np.ndarray


def routes(rng: np.random.Generator) -> np.ndarray:
    """Return a junction's twelve ways from arm to arm as quadratic curves: (12, 3, 2) float64, pixels."""
    size = np.array([WIDTH_PX, HEIGHT_PX])
    arms = np.array([[0.5, 0.05], [1.0, 0.55], [0.5, 1.0], [0.0, 0.55]]) + rng.uniform(-0.08, 0.08, (4, 2))
    middle = np.array([0.5, 0.55]) + rng.uniform(-0.08, 0.08, 2)
    ways = [(arms[a], middle, arms[b]) for a in range(4) for b in range(4) if a != b]
    return np.array(ways) * size


def tracks(rng: np.random.Generator, ways: np.ndarray, n_tracks: int, first_frame: int, n_frames: int) -> Tracks:
    """Return `n_tracks` tracks that begin within `n_frames` frames from `first_frame` on; they may end later."""
    kind = rng.choice(len(_KINDS), n_tracks, p=_SHARE)
    standing = rng.random(n_tracks) < _STANDING
    stay_s = _STAY_S[kind] * rng.lognormal(0.0, 0.35, n_tracks) * np.where(standing, 4.0, 1.0)
    share = np.where(rng.random(n_tracks) < _FRAGMENTS, rng.uniform(0.2, 0.7, n_tracks), 1.0)
    from_u = np.where(rng.random(n_tracks) < 0.5, 0.0, 1.0 - share)
    length = np.clip((stay_s * share * FPS).astype(np.int64), 3, LONGEST_FRAMES)
    begins = first_frame + rng.integers(0, n_frames, n_tracks)

    track = np.repeat(np.arange(n_tracks), length)
    nth = np.arange(len(track)) - np.repeat(np.cumsum(length) - length, length)
    progress = (nth / (length - 1)[track]) * share[track] + from_u[track]
    still_u = rng.uniform(0.2, 0.8, n_tracks)
    u = np.where(standing[track], still_u[track], progress)
    place = _on_way(ways[rng.integers(0, len(ways), n_tracks)], u, track, rng.normal(0.0, 35.0, n_tracks))
    return Tracks(
        kind=kind,
        length=length,
        class_id=_CLASS_ID[kind],
        at_frame=begins[track] + nth,
        track=track,
        xyxy=_boxes(rng, place, kind[track]),
        score=_scores(rng, len(track)),
        box_class_id=_CLASS_ID[_now_and_then_another(rng, kind[track])],
        interpolated=rng.random(len(track), dtype=np.float32) < _INTERPOLATED,
    )


def _on_way(ways: np.ndarray, u: np.ndarray, track: np.ndarray, aside_px: np.ndarray) -> np.ndarray:
    """Return the places (M, 2) at the shares `u` (M,) of the tracks' ways (N, 3, 2), each track aside by so much."""
    # B(u) = a u^2 + b u + c; its derivative gives the direction that `aside` is square to.
    a = ways[:, 0] - 2 * ways[:, 1] + ways[:, 2]
    b = 2 * (ways[:, 1] - ways[:, 0])
    chord = ways[:, 2] - ways[:, 0]
    across = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.linalg.norm(chord, axis=1, keepdims=True)
    c = ways[:, 0] + across * aside_px[:, None]
    return (a[track] * u[:, None] + b[track]) * u[:, None] + c[track]


def _boxes(rng: np.random.Generator, place: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return boxes (M, 4) that stand on these places (M, 2), with the jitter of a detector."""
    height = _HEIGHT_PX[kind] * (1 / 3 + 2 / 3 * np.clip(place[:, 1] / HEIGHT_PX, 0.0, 1.0))
    noise = rng.standard_normal((len(place), 3), dtype=np.float32)
    height = height * (1.0 + 0.02 * noise[:, 0])
    half = height * _ASPECT[kind] / 2
    x = place[:, 0] + 0.02 * height * noise[:, 1]
    y = place[:, 1] + 0.02 * height * noise[:, 2]
    return np.stack([x - half, y - height, x + half, y], axis=1).astype(np.float32)


def _scores(rng: np.random.Generator, n_boxes: int) -> np.ndarray:
    return np.clip(0.78 + 0.12 * rng.standard_normal(n_boxes, dtype=np.float32), 0.5, 0.99).astype(np.float32)


def _now_and_then_another(rng: np.random.Generator, kind: np.ndarray) -> np.ndarray:
    """Return the kinds (M,), some of them taken for the next one."""
    return np.where(rng.random(len(kind), dtype=np.float32) < _OTHER_CLASS, (kind + 1) % len(_KINDS), kind)


MEAN_LENGTH = float(
    (_SHARE * _STAY_S).sum() * FPS * np.exp(0.35**2 / 2) * (1 + 3 * _STANDING) * (1 - _FRAGMENTS * (1 - 0.45))
)
"""Boxes of a track, on average."""
