"""The peers' adapters: two walkers keep two ids, empty frames pass, and what is missing is said."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pipeline.boxes import iou
from pipeline.errors import UserError
from pipeline.evaluation import peers
from pipeline.evaluation.peers import PEER_NAMES, peer
from pipeline.evaluation.sequences import ASSUMED_FPS
from pipeline.types import EMBEDDING_DIM, Detections

LOOK = np.eye(2, EMBEDDING_DIM, dtype=np.float32)
UNSEEN = (12, 13)


def walkers(frame: int) -> Detections:
    """Two people who walk side by side, 300 pixels apart."""
    left = np.array([10.0 + 3 * frame, 310.0 + 3 * frame])
    xyxy = np.stack([left, np.full(2, 50.0), left + 40, np.full(2, 150.0)], axis=1)
    return Detections(xyxy.astype(np.float32), np.full(2, 0.9, np.float32), np.zeros(2, np.int16))


@pytest.mark.parametrize("name", PEER_NAMES)
def test_empty_frames_put_nothing_out(name):
    tracker = peer(name)
    tracker.start()
    for _ in range(3):
        rows = tracker.update(Detections.empty(), LOOK[:0])
        assert rows.track_id.shape == (0,) and rows.xyxy.shape == (0, 4)


@pytest.mark.parametrize("name", PEER_NAMES)
def test_two_walkers_keep_two_ids_through_frames_without_detections(name):
    tracker = peer(name)
    assert tracker.name == name
    for frame_rate_fps in (None, 25.0):  # a second start forgets the first sequence
        tracker.start(frame_rate_fps)
        seen = {}
        for frame in range(30):
            found = Detections.empty() if frame in UNSEEN else walkers(frame)
            rows = tracker.update(found, LOOK[: len(found)])
            assert (rows.track_id.dtype, rows.xyxy.dtype) == (np.int64, np.float64)
            assert len(set(rows.track_id.tolist())) == len(rows.track_id)
            if frame not in UNSEEN:
                walker = iou(rows.xyxy, walkers(frame).xyxy).argmax(axis=1)
                for number, who in zip(rows.track_id.tolist(), walker.tolist()):
                    seen.setdefault(who, []).append(number)
        assert [len(set(seen[who])) for who in (0, 1)] == [1, 1]
        assert seen[0][0] != seen[1][0]
        assert min(len(seen[0]), len(seen[1])) >= 22  # from the third or fourth frame on


@pytest.mark.parametrize("name", PEER_NAMES)
def test_inputs_are_not_written_into(name):
    tracker = peer(name)
    tracker.start()
    for frame in range(6):
        found, look = walkers(frame), LOOK.copy()
        tracker.update(found, look)
        assert (found.xyxy == walkers(frame).xyxy).all() and (look == LOOK).all()


def test_unknown_and_missing_trackers_are_user_errors(monkeypatch):
    with pytest.raises(UserError, match=r"expected one of the trackers deep-sort-realtime, .*, got 'norfair'"):
        peer("norfair")

    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(peers, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'nightfleet\[peers\]'"):
        peer("ioutrack-sort").start()


def test_importing_the_module_imports_no_peer():
    code = (
        "import sys, pipeline.evaluation.peers; print({'trackers', 'ioutrack', 'deep_sort_realtime'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["trackers-sort", "trackers-bytetrack"])
def test_an_unknown_frame_rate_is_the_one_that_ours_assumes(name):
    known, unknown = peer(name), peer(name)
    known.start(ASSUMED_FPS)
    unknown.start(None)
    ages = [tracker._tracker.maximum_frames_without_update for tracker in (known, unknown)]
    assert ages[0] == ages[1]
