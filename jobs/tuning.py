"""Which tracker settings suit a fleet? Scores them on a lake's kept detections, in memory, against truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from jobs.evaluate import read_mot_truths
from jobs.retrack import tracked
from pipeline.config import TrackerConfig
from pipeline.errors import TruthError
from pipeline.evaluation import mot
from pipeline.evaluation.framing import nearest_frames, on_frames
from pipeline.evaluation.tables import SequenceInfo, TrackedBoxes
from pipeline.types import Observations


def score_tracker(lake_url: str, truth: Path, tracker: TrackerConfig) -> dict[str, Any]:
    """Track every camera of a truth anew from its kept detections and score it; the lake is only read.

    truth is a folder of `<camera>/gt.txt` with their seqinfo.ini, which must say startedAt and frameRate. Returns the
    fields of pipeline.evaluation.mot. Raises UserError where detections or truth are missing.
    """
    sequences = []
    for one in read_mot_truths(Path(truth)):
        if one.info is None or one.info.started_at_us is None:
            raise TruthError(f"{one.path}: expected a seqinfo.ini with startedAt and frameRate beside it")
        observations, _, _ = tracked(lake_url, one.name, tracker)
        sequences.append(
            mot.TrackedSequence(one.name, one.boxes, _on_frames(observations, one.info), one.info.length_frames)
        )
    return mot.evaluate(sequences)


def _on_frames(observations: Observations, info: SequenceInfo) -> TrackedBoxes:
    """Lay a camera's rows on the truth's frames."""
    _, number = np.unique(observations.tracklet_id.astype(np.str_), return_inverse=True)
    frame, off_us = nearest_frames(observations.captured_at_us, info.started_at_us, info.frame_rate_fps)
    return on_frames(number.astype(np.int64) + 1, frame, off_us, observations.xyxy, info.length_frames)
