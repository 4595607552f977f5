"""Detections somebody else made, read from a file and replayed frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import boxes
from pipeline.config import is_url
from pipeline.errors import ConfigError
from pipeline.perception.frames import DeviceFrames
from pipeline.types import COCO_CLASSES, Detections

PARQUET_COLUMNS = ("frame", "x1", "y1", "x2", "y2", "score", "class")

MOT_CLASSES: dict[int, str | None] = {
    1: "person",  # pedestrian
    2: "person",  # person on vehicle
    3: "car",
    4: "bicycle",
    5: "motorcycle",
    6: None,  # non-motorised vehicle: of no one COCO class
    7: "person",  # static person
    8: None,  # distractor
    9: None,  # occluder
    10: None,  # occluder on the ground
    11: None,  # occluder, full
    12: None,  # reflection
    13: None,  # crowd (MOT20)
}
"""MOTChallenge's class numbers (Milan et al., MOT16, 2016, table 3), which are not COCO's; None: rows left out."""

_MIN_COLUMNS = 7
_CLASS_COLUMN = 7
_COLUMNS_WITH_CLASS = (8, 9)


class ReplayDetector:
    """Replays a file's detections by the index of each frame in its video file."""

    def __init__(self, frame: np.ndarray, detections: Detections) -> None:
        """frame (N,) 0-based index of each detection's frame; rows in any order."""
        order = np.argsort(frame, kind="stable")
        self._frame = frame[order]
        self._detections = detections.take(order)

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return the file's detections of each frame; none where the file has no row for it."""
        starts = np.searchsorted(self._frame, frames.frame, side="left")
        ends = np.searchsorted(self._frame, frames.frame, side="right")
        return [self._detections.take(np.arange(start, end)) for start, end in zip(starts, ends)]


def read(path: Path) -> ReplayDetector:
    """Read a detections file. Raises ConfigError, one sentence, where it is missing or not in either format.

    `.parquet`: columns frame (0-based index in the video file), x1, y1, x2, y2 (pixels), score (0 to 1), class (COCO
    name). Anything else is MOTChallenge text: `frame,id,x,y,w,h,conf[,class[,visibility]]`, frame 1 being the first of
    the segment's file. Of 8 or 9 columns the 8th is MOTChallenge's class number, -1 for person; of 7 columns, or of 10
    (conf,x,y,z in MOT15 and all det.txt files), every row is a person. A confidence above 1 counts as 1 and one below
    0 as 0, but -1, MOTChallenge's "not given", counts as 1 where no row gives any. The id is not read.
    """
    if is_url(str(path)):
        raise ConfigError(f"detections:{path}: must be a local file, not a URL; download it and give its path")
    if not path.is_file():
        raise ConfigError(
            f"detections:{path}: no such file; expected MOTChallenge text or Parquet, with {{camera}} and {{segment}} "
            "in the path where each camera or segment has its own"
        )
    return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_mot(path)


def _read_parquet(path: Path) -> ReplayDetector:
    try:
        names = pq.read_schema(path).names
        missing = [name for name in PARQUET_COLUMNS if name not in names]
        if missing:
            raise ConfigError(
                f"{path}: no column {missing[0]!r}; expected {', '.join(PARQUET_COLUMNS)}, got {', '.join(names)}"
            )
        table = pq.read_table(path, columns=list(PARQUET_COLUMNS))
        frame = table["frame"].to_numpy().astype(np.int64)
        xyxy = np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1).astype(np.float32)
        score = table["score"].to_numpy().astype(np.float32)
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not Parquet with numbers in frame, x1, y1, x2, y2, score: {error}") from None
    if len(score) and not ((score >= 0) & (score <= 1)).all():
        raise ConfigError(f"{path}: column 'score' must lie in 0 to 1, got {score.min():g} to {score.max():g}")
    if len(frame) and frame.min() < 0:
        raise ConfigError(f"{path}: column 'frame' counts from 0, got {frame.min()}")
    names = table["class"].to_pylist()
    unknown = sorted({str(name) for name in names if name not in COCO_CLASSES})
    if unknown:
        raise ConfigError(f"{path}: {unknown[0]!r} in column 'class' is not a COCO class name such as 'person'")
    class_id = np.array([COCO_CLASSES.index(name) for name in names], np.int16)
    return ReplayDetector(frame, Detections(xyxy, score, class_id))


def _read_mot(path: Path) -> ReplayDetector:
    rows = _number_rows(path)
    if not len(rows):
        return ReplayDetector(np.zeros(0, np.int64), Detections.empty())
    if rows[:, 0].min() < 1 or (rows[:, 0] % 1).any():
        raise ConfigError(
            f"{path}: frame numbers of MOTChallenge text are whole and start at 1, got {rows[:, 0].min():g}"
        )
    class_id = _mot_class_ids(rows, path)
    known = class_id >= 0
    confidence = rows[:, 6]
    score = np.ones(len(rows)) if (confidence == -1).all() else np.clip(confidence, 0, 1)
    xyxy = boxes.xywh_to_xyxy(rows[:, 2:6]).astype(np.float32)
    found = Detections(xyxy, score.astype(np.float32), class_id)
    return ReplayDetector((rows[:, 0].astype(np.int64) - 1)[known], found.take(known))


def _number_rows(path: Path) -> np.ndarray:
    """Parse comma-separated numbers, the same count in every line; blank lines are passed over."""
    rows: list[list[float]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path}: not text; expected MOTChallenge lines, or a name that ends in .parquet") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = [float(value) for value in line.split(",")]
        except ValueError:
            row = []
        if len(row) < _MIN_COLUMNS or (rows and len(row) != len(rows[0])):
            raise ConfigError(
                f"{path}, line {number}: expected MOTChallenge's frame,id,x,y,w,h,conf[,class[,visibility]], numbers, "
                f"as many in every line, got {line.strip()[:60]!r}"
            )
        rows.append(row)
    return np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else _MIN_COLUMNS)


def _mot_class_ids(rows: np.ndarray, path: Path) -> np.ndarray:
    """COCO class of each row (N,) int16, -1 for rows to leave out."""
    person = COCO_CLASSES.index("person")
    if rows.shape[1] not in _COLUMNS_WITH_CLASS:
        return np.full(len(rows), person, np.int16)
    coco = {number: -1 if name is None else COCO_CLASSES.index(name) for number, name in MOT_CLASSES.items()}
    coco[-1] = person
    unknown = sorted(set(rows[:, _CLASS_COLUMN]) - set(coco))
    if unknown:
        raise ConfigError(
            f"{path}: the 8th column is MOTChallenge's class, 1 to {max(MOT_CLASSES)} or -1, got {unknown[0]:g}"
        )
    return np.array([coco[int(number)] for number in rows[:, _CLASS_COLUMN]], np.int16)
