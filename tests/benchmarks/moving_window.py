"""A camera that moves, made of one that stands still: a window that wanders over its picture, and the boxes in it."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from pipeline import boxes
from pipeline.evaluation.sequences import DetectedSequence
from pipeline.evaluation.tables import TrackedBoxes

SHARE = 0.7
"""Side of the window over side of the picture; all below keeps it inside."""

PAN_SHARE = np.array([0.08, 0.06])
PAN_FRAMES = np.array([120, 170])
SHAKE_SHARE, SHAKE_MEMORY, MAX_SHAKE_SHARE = 0.005, 0.6, 0.02
ZOOM, ZOOM_FRAMES = 0.08, 200
TURN_DEGREES, TURN_FRAMES = 1.5, 90
"""Greatest deviation and period of the slow motions; the shake, in shares of the picture's width, is an autoregressive
walk: each frame keeps SHAKE_MEMORY of the one before and adds noise of SHAKE_SHARE."""


def windows(n_frames: int, width_px: int, height_px: int, seed: int = 0) -> np.ndarray:
    """Return the maps (T, 2, 3) from the picture into the window, frame by frame; pixels, whole numbers at edges."""
    rng, frame = np.random.default_rng(seed), np.arange(n_frames)
    shake = np.zeros((n_frames, 2))
    for i in range(1, n_frames):
        shake[i] = SHAKE_MEMORY * shake[i - 1] + rng.normal(0, SHAKE_SHARE * width_px, 2)
    size_px = np.array([width_px, height_px])
    limit_px = MAX_SHAKE_SHARE * width_px
    pan = PAN_SHARE * size_px * np.sin(2 * np.pi * frame[:, None] / PAN_FRAMES)
    centre = size_px / 2 + pan + np.clip(shake, -limit_px, limit_px)
    zoom = 1 + ZOOM * np.sin(2 * np.pi * frame / ZOOM_FRAMES)
    turn = np.deg2rad(TURN_DEGREES) * np.sin(2 * np.pi * frame / TURN_FRAMES)
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)  # (T, 2, 2)
    shift = np.array(window_size(width_px, height_px)) / 2 - (linear @ centre[:, :, None])[:, :, 0]
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def window_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Return width and height of the window onto a picture of this size."""
    return round(SHARE * width_px), round(SHARE * height_px)


def look(images: np.ndarray, to_window: np.ndarray) -> np.ndarray:
    """Return what the window shows of pictures (T, H, W, 3) uint8 through maps (T, 2, 3): (T, h, w, 3)."""
    centres = to_window.copy()  # OpenCV counts from pixel centres
    centres[:, :, 2] += to_window[:, :, :2] @ np.array([0.5, 0.5]) - 0.5
    size = window_size(images.shape[2], images.shape[1])
    return np.stack([cv2.warpAffine(image, each, size) for image, each in zip(images, centres)])


def between(to_window: np.ndarray) -> np.ndarray:
    """Return the true motion (T, 2, 3) of the window from each frame to the next; the identity for the first."""
    square = np.concatenate([to_window, np.broadcast_to([[[0, 0, 1]]], (len(to_window), 1, 3))], axis=1)
    before = np.concatenate([square[:1], square[:-1]])
    return (square @ np.linalg.inv(before))[:, :2]


def corner_error_px(warps: np.ndarray, truth: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Return (T, 4): how far apart two motions put each corner of the picture."""
    corners = np.array([[0, 0], [width_px, 0], [0, height_px], [width_px, height_px]])
    off = warps - truth
    return np.linalg.norm(corners @ off[:, :, :2].swapaxes(1, 2) + off[:, None, :, 2], axis=2)


def move(
    sequence: DetectedSequence, to_window: np.ndarray, size_px: tuple[int, int]
) -> tuple[DetectedSequence, np.ndarray]:
    """Return the sequence as the window of this size sees it, and the rows (K,) that remain: centre inside.

    Boxes keep their upright shape, as people do whose camera is turned by a degree.
    """
    truth = sequence.truth
    xyxy, inside = _moved(sequence.xyxy.astype(np.float64), to_window[sequence.frame - 1], size_px)
    true_xyxy, true_inside = _moved(boxes.xywh_to_xyxy(truth.xywh), to_window[truth.frame - 1], size_px)
    columns = {name: getattr(truth, name) for name in TrackedBoxes.__slots__} | {"xywh": boxes.xyxy_to_xywh(true_xyxy)}
    rows = np.flatnonzero(inside)
    moved = dataclasses.replace(
        sequence,
        frame=sequence.frame[rows],
        xyxy=xyxy[rows].astype(np.float32),
        score=sequence.score[rows],
        truth=TrackedBoxes(**{name: column[true_inside] for name, column in columns.items()}),
    )
    return moved, rows


def _moved(xyxy: np.ndarray, affine: np.ndarray, size_px: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Move boxes (N, 4) each by its affine (N, 2, 3); tell (N,) whose centres are in the window."""
    half = (xyxy[:, 2:] - xyxy[:, :2]) / 2 * np.sqrt(np.linalg.det(affine[:, :, :2]))[:, None]
    middle = (affine[:, :, :2] @ ((xyxy[:, :2] + xyxy[:, 2:]) / 2)[:, :, None])[:, :, 0] + affine[:, :, 2]
    inside = ((middle >= 0) & (middle < np.array(size_px))).all(axis=1)
    return np.concatenate([middle - half, middle + half], axis=1), inside
