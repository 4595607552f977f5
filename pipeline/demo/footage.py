"""Writing a camera's pictures as an NVR would: H.264 files, one after another, named by the local time they start."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SEGMENT_S = 30
"""Longest file, in whole seconds, for names tell time to the second."""
TIME_FORMAT = "%Y%m%d_%H%M%S"

ENCODER = {"preset": "veryfast", "crf": "21", "threads": "1"}
"""Small cameras' quality; one thread, so that equal pictures give equal bytes."""
KEYFRAME_EVERY_S = 4


def segment_frames(n_frames: int, fps: int) -> list[int]:
    """Return how many frames each file gets: at least two files (where there are two seconds), whole seconds each."""
    seconds = max(1, min(SEGMENT_S, math.ceil(n_frames / fps / 2)))
    size = seconds * fps
    return [min(size, n_frames - start) for start in range(0, n_frames, size)]


def write(
    folder: Path, camera_id: str, started_at: datetime, fps: int, pictures: Iterable[np.ndarray], n_frames: int
) -> list[Path]:
    """Write `n_frames` pictures (H, W, 3) uint8 RGB as files of `folder`; returns them in order of time.

    `started_at` carries the camera's time zone; names are in its local time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{camera_id}_*.mp4"):  # of an earlier, perhaps longer rendering into the same folder
        stale.unlink()
    waiting = iter(pictures)
    paths, done = [], 0
    for size in segment_frames(n_frames, fps):
        start = (started_at.astimezone(UTC) + timedelta(seconds=done / fps)).astimezone(started_at.tzinfo)
        path = folder / f"{camera_id}_{start.strftime(TIME_FORMAT)}.mp4"
        first = next(waiting)
        with _encoder(path, first.shape, fps) as encode:
            encode(first)
            for _ in range(size - 1):
                encode(next(waiting))
        paths.append(path)
        done += size
    return paths


@contextmanager
def _encoder(path: Path, shape: tuple[int, ...], fps: int) -> Iterator:
    """Open a file and yield a function that appends one picture."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=ENCODER)
        stream.width, stream.height = shape[1], shape[0]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = KEYFRAME_EVERY_S * fps
        stream.time_base = Fraction(1, fps)
        count = 0

        def encode(picture: np.ndarray) -> None:
            nonlocal count
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = count
            frame.time_base = Fraction(1, fps)
            count += 1
            container.mux(stream.encode(frame))

        yield encode
        container.mux(stream.encode(None))
