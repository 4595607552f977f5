"""Small scenes for the evaluation's tests: 10 x 10 pixel boxes, given by (frame, id, x)."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.tables import CameraBoxes, TrackedBoxes

Row = tuple[int, int, float]


def tracked(rows: list[Row], *, conf: float = 1.0, mot_class: int = 1, visibility: float = 1.0) -> TrackedBoxes:
    """Build boxes of one sequence; rows in any order."""
    rows = sorted(rows)
    n_rows = len(rows)
    return TrackedBoxes(
        frame=np.array([row[0] for row in rows], dtype=np.int64),
        track_id=np.array([row[1] for row in rows], dtype=np.int64),
        xywh=np.array([(row[2], 0.0, 10.0, 10.0) for row in rows], dtype=np.float64).reshape(n_rows, 4),
        conf=np.full(n_rows, conf),
        mot_class=np.full(n_rows, mot_class, dtype=np.int64),
        visibility=np.full(n_rows, visibility),
    )


def together(*parts: TrackedBoxes) -> TrackedBoxes:
    """Merge boxes of one sequence, sorted by frame and id."""
    columns = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("frame", "track_id", "xywh", "conf", "mot_class", "visibility")
    ]
    order = np.lexsort((columns[1], columns[0]))
    return TrackedBoxes(*(column[order] for column in columns))


def in_cameras(rows: list[tuple[int, int, int, float]]) -> CameraBoxes:
    """Build boxes of several cameras from (camera, id, frame, x), order kept."""
    n_rows = len(rows)
    table = np.array(rows, dtype=np.float64).reshape(n_rows, 4)
    xywh = np.column_stack([table[:, 3], np.zeros(n_rows), np.full(n_rows, 10.0), np.full(n_rows, 10.0)])
    camera, track_id, frame = table[:, :3].astype(np.int64).T
    return CameraBoxes(camera, track_id, frame, xywh, np.full((n_rows, 2), np.nan))


def jittered(truth: TrackedBoxes, seed: int) -> TrackedBoxes:
    """Make a plausible tracker's output of a truth: shaken boxes, misses, false boxes and switched ids."""
    random = np.random.default_rng(seed)
    seen = random.random(len(truth)) > 0.15
    frame, track_id, xywh = truth.frame[seen], truth.track_id[seen], truth.xywh[seen]
    xywh = xywh + random.normal(0, 0.08, xywh.shape) * xywh[:, [2, 3, 2, 3]]
    late = frame > np.median(truth.frame)
    track_id = np.where(late & (track_id % 2 == 0), track_id + 1000, track_id)  # every second object switches
    false_frame = np.unique(random.choice(truth.frame, 25))
    false_xywh = np.column_stack([random.uniform(0, 400, (len(false_frame), 2)), np.full((len(false_frame), 2), 60.0)])
    n_rows = len(frame) + len(false_frame)
    order = np.lexsort((np.r_[track_id, np.full(len(false_frame), 5000)], np.r_[frame, false_frame]))
    return TrackedBoxes(
        frame=np.r_[frame, false_frame][order],
        track_id=np.r_[track_id, np.full(len(false_frame), 5000)][order],
        xywh=np.r_[xywh, false_xywh][order],
        conf=np.ones(n_rows),
        mot_class=np.ones(n_rows, dtype=np.int64),
        visibility=np.ones(n_rows),
    )
