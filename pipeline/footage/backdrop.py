"""The empty scene of a camera: what stays when everything that moves is taken away."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.errors import SegmentError
from pipeline.footage import files
from pipeline.footage.decode import sample_frames
from pipeline.footage.probe import probe_folder, probe_video
from pipeline.types import Segment

FRAMES = 25
"""Enough that somebody who covers a pixel in fewer than half of them is gone; as many cost a second of decoding."""

FEWEST_FRAMES = 5
MEMORY_BYTES = 256 << 20
"""Of decoded frames at once: very large pictures are taken fewer at a time, FEWEST_FRAMES at least."""

MOST_FILES = 5
"""Files that a camera's backdrop is pooled from: an hour or more of most recorders."""

_ATTEMPTS_PER_FILE = 3
_FOLDER_FPS = 1.0
"""The rate of an image folder plays no part in which of its pictures are taken."""


def backdrop(footage: Segment | str, *, frames: int = FRAMES, longest_px: int | None = None) -> np.ndarray:
    """Return the empty scene of some footage, (H, W, 3) uint8 RGB: each pixel's median over frames spread over it.

    footage     a segment, or the path or URL of one, as `ledger.url` has it
    longest_px  longer side at most; None for the size of the footage, in which lines and boxes are given

    The median shows no one who passes, so such a picture may stand where a frame may not. It still shows whoever stayed
    for most of the footage (somebody asleep on a bench, a parked car's plate), and in footage of a few seconds whoever
    walks slowly: look at it before you publish it. A camera that moves gives a blurred one.

    Raises SegmentError, one sentence, where the footage is gone or not one frame of it can be decoded.
    """
    segment = footage if isinstance(footage, Segment) else _segment(footage)
    return _shrunk(median_picture(_frames(segment, _fitting(segment, frames))), longest_px)


def pooled_backdrop(
    urls: Iterable[str], *, frames: int = FRAMES, most_files: int = MOST_FILES, longest_px: int | None = None
) -> np.ndarray | None:
    """Return the empty scene over several files of one camera, or None where none of the first few is there any more.

    urls  in order of preference; of the first that can be read, and those of its size, at most `most_files` are used,
          with as many frames in all as `backdrop` takes of one: who stands still in one file is gone from the picture.
    """
    pooled: list[Segment] = []
    for url, _ in zip(urls, range(_ATTEMPTS_PER_FILE * most_files)):
        try:
            segment = _segment(url)
        except SegmentError:
            continue
        if not pooled or _size(segment) == _size(pooled[0]):
            pooled.append(segment)
        if len(pooled) == most_files:
            break
    images = []
    for segment in pooled:
        try:
            images.append(_frames(segment, -(-_fitting(segment, frames) // len(pooled))))
        except SegmentError:
            continue
    return _shrunk(median_picture(np.concatenate(images)), longest_px) if images else None


def median_picture(images: np.ndarray) -> np.ndarray:
    """Return the median over axis 0 of frames (N, H, W, 3) uint8, N > 0; of two middle values the lower.

    Found bit by bit, from the highest: the median is the greatest value that at most `middle` frames are below. That
    reads the frames eight times and sorts nothing, which is several times faster than a partition along axis 0.
    """
    middle = (len(images) - 1) // 2
    picture = np.zeros(images.shape[1:], np.uint8)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        higher = picture | np.uint8(bit)
        below = np.zeros(picture.shape, np.uint16)
        for image in images:
            below += image < higher
        picture = np.where(below <= middle, higher, picture)
    return picture


def _frames(segment: Segment, n: int) -> np.ndarray:
    return sample_frames(segment, n, image_fps=_FOLDER_FPS)


def _fitting(segment: Segment, frames: int) -> int:
    """Return how many frames may be taken together."""
    fitting = MEMORY_BYTES // max(1, 3 * segment.width_px * segment.height_px)
    return min(frames, max(fitting, FEWEST_FRAMES))


def _size(segment: Segment) -> tuple[int, int]:
    return segment.width_px, segment.height_px


def _segment(url: str) -> Segment:
    """Return footage named by its URL as a segment without a clock."""
    try:
        found = probe_folder(url, _FOLDER_FPS) if files.is_folder(url) else probe_video(url)
    except OSError as error:
        raise SegmentError(f"{url}: cannot be read: {error.strerror or error}") from None
    return Segment(
        segment_id="backdrop",
        camera_id="",
        url=url,
        started_at_us=0,
        duration_us=found.duration_us,
        local_date="",
        clock_source="",
        width_px=found.width_px,
        height_px=found.height_px,
        fps=found.fps,
        fingerprint=found.fingerprint,
    )


def _shrunk(image: np.ndarray, longest_px: int | None) -> np.ndarray:
    height_px, width_px = image.shape[:2]
    scale = (longest_px or max(height_px, width_px)) / max(height_px, width_px)
    if scale >= 1:
        return image
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
