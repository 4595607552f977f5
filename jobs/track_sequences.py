"""Trackers over detected sequences: ours, and the field's own beside it, scored by the same rules.

Trackers see boxes and scores but no pictures, so looks are unknown. Ours is told so by embeddings of zeros. Of the
peers only Deep SORT reads embeddings; it cannot be told, and all its boxes look the same instead: one unit vector. (So
motion alone says what may be matched, at equal cost. With looks that are all different it does worse.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.boxes import xyxy_to_xywh
from pipeline.config import TrackerConfig
from pipeline.errors import TruthError, UserError
from pipeline.evaluation import mot
from pipeline.evaluation.formats import write_mot
from pipeline.evaluation.peers import PeerRows, peer
from pipeline.evaluation.sequences import ASSUMED_FPS, DetectedSequence, read_sequences
from pipeline.evaluation.tables import TrackedBoxes
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import EMBEDDING_DIM

OURS = "nightfleet"

BESIDE = ("deep-sort-realtime", "ioutrack-sort", "ioutrack-bytetrack", "trackers-bytetrack")
"""The peers that are scored beside ours."""


def evaluate_trackers(
    folder: Path,
    config: TrackerConfig,
    *,
    beside: Sequence[str] = (),
    out: Path | None = None,
    min_visibility: float = 0.0,
) -> dict[str, Any]:
    """Track every sequence of a folder (see `read_sequences`) and score the tracks against their truth.

    beside           peers to run on the same detections
    out              folder to write the tracks to as MOTChallenge text: ours as `<sequence>.txt`, a peer's
                     as `<peer>/<sequence>.txt`
    min_visibility   truth less visible than this share is neither to be found nor a fault to find

    Returns, as `evaluate_mot` does, the combined fields (HOTA, DetA, AssA, MOTA, IDF1, IDSW, Frag, ...; see
    pipeline.evaluation.mot) and `sequences`: the same by sequence. Besides, `not_scored`: the sequences without truth;
    `score_scale`: by sequence, the scale its confidences were on (see pipeline.evaluation.confidences); and `beside`:
    the combined fields and `sequences` by peer.
    Raises UserError, one sentence, for what cannot be read, a peer that is not installed, an `out` that cannot be
    written to (told before anything is tracked), and, without `out`, for a folder without any truth.
    """
    found = read_sequences(folder)
    scored = [sequence for sequence in found if sequence.truth is not None]
    if not scored and out is None:
        raise TruthError(f"{folder}: expected <sequence>/gt/gt.txt beside the detections to score against, got none")
    trackers = {OURS: lambda sequence: track(sequence, config)}
    trackers |= {name: lambda sequence, name=name: track_with_peer(sequence, name) for name in beside}
    folders = {} if out is None else {name: out if name == OURS else out / name for name in trackers}
    for place in folders.values():
        _make(place)
    scores = {}
    for name, tracker in trackers.items():
        tracks = {sequence.name: tracker(sequence) for sequence in found}
        if name in folders:
            _write(folders[name], tracks)
        scores[name] = _scores(scored, tracks, mot.Rules(min_visibility=min_visibility))
    ours = scores.pop(OURS)
    return {
        **ours,
        "not_scored": [sequence.name for sequence in found if sequence.truth is None],
        "score_scale": {sequence.name: sequence.score_scale for sequence in found},
        "beside": scores,
    }


def track(sequence: DetectedSequence, config: TrackerConfig, embedding: np.ndarray | None = None) -> TrackedBoxes:
    """Track a sequence from its first frame to its last, as a night would be, and return the rows that a lake gets.

    embedding (N, 128) float32 holds a unit vector per row of the sequence; rows of zeros, and None, are unknown looks.
    Tracks are numbered from 1 by their tracklet ids. Of a row that stands for no detection, conf is what the tracker
    gave it.
    """
    if embedding is None:
        embedding = np.zeros((len(sequence), EMBEDDING_DIM), np.float32)
    interval_us = 1e6 / (sequence.frame_rate_fps or ASSUMED_FPS)
    tracking = CameraTracking(sequence.name, config)
    for index, (rows, detections) in enumerate(sequence.frames()):
        tracking.step(
            segment_id=sequence.name,
            frame=index,
            captured_at_us=round(index * interval_us),
            frame_interval_us=round(interval_us),
            detections=detections,
            embedding=embedding[rows],
        )
    tracking.close()
    observations, _, _ = tracking.drain()
    _, number = np.unique(observations.tracklet_id.astype(np.str_), return_inverse=True)
    return _tracked(observations.frame + 1, number + 1, observations.xyxy, observations.score)


def track_with_peer(sequence: DetectedSequence, name: str, embedding: np.ndarray | None = None) -> TrackedBoxes:
    """Track a sequence with one of pipeline.evaluation.peers; conf is 1.

    embedding (N, D) float32 holds a unit vector per row of the sequence; None, looks unknown: all look the same.
    """
    tracker = peer(name)
    tracker.start(sequence.frame_rate_fps)
    if embedding is None:
        embedding = np.zeros((len(sequence), EMBEDDING_DIM), np.float32)
        embedding[:, 0] = 1
    shown = [PeerRows.empty()]  # frame 0: nothing
    for rows, detections in sequence.frames():
        shown.append(tracker.update(detections, embedding[rows]))
    frame = np.repeat(np.arange(len(shown)), [len(rows.track_id) for rows in shown])
    track_id = np.concatenate([rows.track_id for rows in shown])
    return _tracked(frame, track_id, np.concatenate([rows.xyxy for rows in shown]), np.ones(len(frame)))


def _scores(sequences: Sequence[DetectedSequence], tracks: dict[str, TrackedBoxes], rules: mot.Rules) -> dict[str, Any]:
    """Score tracks by sequence and combined; where there is no truth there are no fields."""
    if not sequences:
        return {"sequences": {}}
    pairs = (mot.TrackedSequence(one.name, one.truth, tracks[one.name], one.n_frames) for one in sequences)
    return mot.evaluate(pairs, rules)


def _make(folder: Path) -> None:
    """Make a folder to write tracks to, or refuse."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{folder}: expected a folder to write the tracks to, got a file on the way there") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be made, to write the tracks to: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be written to; name another folder for the tracks")


def _write(folder: Path, tracks: dict[str, TrackedBoxes]) -> None:
    for name, boxes in tracks.items():
        path = folder / f"{name}.txt"
        try:
            write_mot(path, boxes)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _tracked(frame: np.ndarray, track_id: np.ndarray, xyxy: np.ndarray, score: np.ndarray) -> TrackedBoxes:
    """Lay rows in any order out as MOTChallenge has them."""
    order = np.lexsort((track_id, frame))
    n_rows = len(order)
    return TrackedBoxes(
        frame=frame[order].astype(np.int64),
        track_id=track_id[order].astype(np.int64),
        xywh=xyxy_to_xywh(xyxy[order].astype(np.float64)),
        conf=score[order].astype(np.float64),
        mot_class=np.ones(n_rows, np.int64),
        visibility=np.ones(n_rows),
    )
