"""Tracklets as plain JSON: `{"fps": 20.0, "tracklets": [{"start": 0, "boxes": [[x1, y1, x2, y2], ...]}, ...]}`.

`start` is the frame of the first box, from 0, and every frame from there on has one box, so there is no place for a
class, a score or a hole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import TruthError

_FORM = '{"fps": 20.0, "tracklets": [{"start": 0, "boxes": [[x1, y1, x2, y2], ...]}, ...]}'


@dataclass(frozen=True, eq=False, slots=True)
class FrameBoxes:
    """N boxes of one object in N frames that follow on each other.

    start  frame of the first box, from 0
    xyxy   (N, 4) float64, pixels, N at least 1
    """

    start: int
    xyxy: np.ndarray


def read_tracklets(path: Path) -> tuple[float, list[FrameBoxes]]:
    """Return the frame rate and the tracklets of a file, in its order. Raises TruthError, one sentence."""
    try:
        document = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise TruthError(f"{path}: no such file") from None
    except OSError as error:
        raise TruthError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TruthError(f"{path}: expected JSON such as {_FORM}, got a file that is not: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("tracklets"), list):
        raise TruthError(f"{path}: expected {_FORM}, got no list under `tracklets`")
    fps = document.get("fps")
    if not isinstance(fps, (int, float)) or isinstance(fps, bool) or not 0 < fps < float("inf"):
        raise TruthError(f"{path}: fps: expected a number above 0, got {fps!r}")
    return float(fps), [_tracklet(path, number, one) for number, one in enumerate(document["tracklets"])]


def _tracklet(path: Path, number: int, one: Any) -> FrameBoxes:
    where = f"{path}, tracklet {number}"
    if not isinstance(one, dict) or not isinstance(one.get("start"), int) or one["start"] < 0:
        got = one.get("start") if isinstance(one, dict) else one
        raise TruthError(f"{where}: expected a whole `start` of at least 0, got {got!r:.60}")
    try:
        xyxy = np.array(one.get("boxes"), dtype=np.float64)
    except (TypeError, ValueError):
        xyxy = np.zeros(0)
    if xyxy.ndim != 2 or xyxy.shape[0] == 0 or xyxy.shape[1] != 4 or not np.isfinite(xyxy).all():
        raise TruthError(
            f"{where}: expected `boxes` of four finite numbers each, at least one, got {one.get('boxes')!r:.60}"
        )
    if (xyxy[:, 2:] < xyxy[:, :2]).any():
        row = int(np.flatnonzero((xyxy[:, 2:] < xyxy[:, :2]).any(axis=1))[0])
        raise TruthError(f"{where}, box {row}: expected x1 <= x2 and y1 <= y2, got {xyxy[row].tolist()}")
    return FrameBoxes(one["start"], xyxy)


def lines(fps: float, tracklets: Iterable[FrameBoxes]) -> Iterator[str]:
    """Yield the text of a file, a line a tracklet; numbers in the fewest digits that read back the same."""
    yield f'{{"fps": {json.dumps(fps)}, "tracklets": [\n'
    before = ""
    for one in tracklets:
        yield before + json.dumps({"start": one.start, "boxes": one.xyxy.tolist()}, separators=(",", ":"))
        before = ",\n"
    yield "\n]}\n"


def without_holes(frame: np.ndarray, xyxy: np.ndarray) -> tuple[FrameBoxes, int]:
    """Fill the frames that a track has no box in, on the straight line between its boxes before and after.

    frame (N,) int64 ascending, xyxy (N, 4), N at least 1. Returns the boxes, and how many were made up.
    """
    every = np.arange(frame[0], frame[-1] + 1)
    columns: Sequence[np.ndarray] = [np.interp(every, frame, xyxy[:, side].astype(np.float64)) for side in range(4)]
    return FrameBoxes(int(frame[0]), np.stack(columns, axis=1)), len(every) - len(frame)
