"""Tracklets taken out of a camera's tracking midway: nothing of them is left, and the others go on as before."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import TrackerConfig, tracker_preset
from pipeline.tracking import snapshot
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import Detections
from tests.tracking.scenes import look
from tests.tracking.test_tracklets import feed

CAR = 2


def frame(*left: float) -> tuple[Detections, np.ndarray]:
    """Cars at these places, far apart; each place has its own look."""
    boxes = np.array([[x, 100, x + 40, 180] for x in left], np.float32).reshape(-1, 4)
    looks = np.concatenate([look(int(x) // 300) for x in left]) if left else np.zeros((0, 128), np.float32)
    return Detections(boxes, np.full(len(left), 0.9, np.float32), np.full(len(left), CAR, np.int16)), looks


def fed(tracking: CameraTracking, first: int, last: int, *left: float) -> CameraTracking:
    for number in range(first, last):
        feed(tracking, number, *frame(*left))
    return tracking


def names_in(state: bytes) -> set[str]:
    arrays = snapshot.from_bytes(state).values()
    return {text for array in arrays if array.dtype.kind == "U" for text in array.reshape(-1).tolist()}


def vectors_in(state: bytes) -> np.ndarray:
    arrays = snapshot.from_bytes(state).values()
    return np.concatenate([a.reshape(-1, 128) for a in arrays if a.dtype.kind == "f" and a.shape[-1:] == (128,)])


@pytest.fixture(params=[TrackerConfig(), tracker_preset("reference")], ids=["hindsight", "without"])
def config(request):
    """With hindsight and without."""
    return request.param


@pytest.mark.parametrize("ended", [False, True])
def test_nothing_of_it_is_left_and_the_others_go_on(config, ended):
    """One that is there to the end, or that went away shortly before."""
    tracking = fed(CameraTracking("gate", config), 0, 70, 0, 300, 600)
    tracking = fed(tracking, 70, 75, *((0, 600) if ended else (0, 300, 600)))
    whole = tracking.to_bytes()
    rows = CameraTracking("gate", config, whole)
    fed(rows, 75, 200, 0, 600).close()
    expected = rows.drain()
    gone = sorted(set(expected[1].tracklet_id))[1]
    edited = CameraTracking("gate", config, whole)
    edited.forget({gone})
    state = edited.to_bytes()
    assert gone in names_in(whole) and gone not in names_in(state)
    assert (vectors_in(whole) @ look(1)[0] > 0.99).any() and not (vectors_in(state) @ look(1)[0] > 0.99).any()
    again = fed(CameraTracking("gate", config, state), 75, 200, 0, 600)
    again.close()
    for part, want in zip(again.drain(), expected):
        want = want.take(want.tracklet_id != gone)
        assert part.tracklet_id.tolist() == want.tracklet_id.tolist()
    assert again._tracker.next_id == rows._tracker.next_id


def test_to_forget_nobody_changes_nothing(config):
    tracking = fed(CameraTracking("gate", config), 0, 70, 0, 300)
    before = tracking.to_bytes()
    tracking.forget({"gate-20000101T000000.000Z-1"})
    assert tracking.to_bytes() == before
    empty = CameraTracking("gate", config)
    empty.forget({"anybody"})
    assert empty.to_bytes() == CameraTracking("gate", config).to_bytes()
