"""Sequences to track: a MOTChallenge folder of detections, with truth where it has any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.errors import TruthError
from pipeline.evaluation.confidences import ScoreScale
from pipeline.evaluation.formats import read_detections, read_mot, read_seqinfo
from pipeline.evaluation.tables import TrackedBoxes
from pipeline.types import COCO_CLASSES, Detections

ASSUMED_FPS = 25.0
"""Frames a second of a sequence that has no frame rate: ours and the peers go by the same."""

_PERSON = COCO_CLASSES.index("person")


@dataclass(frozen=True, eq=False, slots=True)
class DetectedSequence:
    """N detections of one sequence, sorted by frame; all are persons.

    name            name of its folder
    n_frames        frames are 1 to n_frames, with or without detections
    frame_rate_fps  None where no seqinfo.ini tells
    frame           (N,)   int64, from 1
    xyxy            (N, 4) float32, pixels, top-left and bottom-right corners
    score           (N,)   float32, in [0, 1]
    truth           None where there is no gt.txt
    score_scale     scale of the file's confidences, before they were brought to [0, 1]
    """

    name: str
    n_frames: int
    frame_rate_fps: float | None
    frame: np.ndarray
    xyxy: np.ndarray
    score: np.ndarray
    truth: TrackedBoxes | None
    score_scale: ScoreScale = "as given"

    def __post_init__(self) -> None:
        n_rows = len(self.frame)
        for name, shape in (("xyxy", (n_rows, 4)), ("score", (n_rows,))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"DetectedSequence.{name}: expected shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.frame)

    def frames(self) -> Iterator[tuple[slice, Detections]]:
        """Yield every frame, 1 to n_frames: its rows among the columns, and its detections, none in an empty frame."""
        start = np.searchsorted(self.frame, np.arange(1, self.n_frames + 2)).tolist()
        class_id = np.full(len(self), _PERSON, np.int16)
        for first, end in pairwise(start):
            rows = slice(first, end)
            yield rows, Detections(self.xyxy[rows], self.score[rows], class_id[rows])


def read_sequences(folder: Path) -> tuple[DetectedSequence, ...]:
    """Read every `<sequence>/det/det.txt` in a folder, sorted by name; or the folder itself where it is a sequence.

    A sequence is called as its folder is here, though that be a link to one of another name. Beside det/ it may have
    gt/gt.txt and seqinfo.ini, whose seqLength is the number of frames; without it the last frame with a detection or
    truth is the last. Raises TruthError, one sentence with file and line, for what cannot be read, for detections or
    truth after the end, and where there is nothing to read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TruthError(f"{folder}: no such folder")
    if (folder / "det" / "det.txt").is_file():
        return (_read(folder),)
    found = sorted(path.parent.parent for path in folder.glob("*/det/det.txt"))
    if not found:
        raise TruthError(f"{folder}: expected <sequence>/det/det.txt in it (MOTChallenge detections), got none")
    return tuple(_read(sequence) for sequence in found)


def _read(folder: Path) -> DetectedSequence:
    detected, true, about = folder / "det" / "det.txt", folder / "gt" / "gt.txt", folder / "seqinfo.ini"
    frame, xyxy, score, scale = read_detections(detected)
    truth = read_mot(true) if true.is_file() else None
    info = read_seqinfo(about) if about.is_file() else None
    last = {detected: int(frame.max(initial=0))}
    if truth is not None:
        last[true] = int(truth.frame.max(initial=0))
    n_frames = max(last.values()) if info is None else info.length_frames
    for path, frame_of_path in last.items():
        if frame_of_path > n_frames:
            raise TruthError(
                f"{path}: expected frames 1 to {n_frames}, the seqLength of {about}, got frame {frame_of_path}"
            )
    rate_fps = None if info is None else info.frame_rate_fps
    name = folder.resolve().name if folder.name in ("", "..") else folder.name
    return DetectedSequence(name, n_frames, rate_fps, frame, xyxy, score, truth, scale)
