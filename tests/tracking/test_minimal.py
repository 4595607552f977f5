"""The preset `minimal`: no looks, no motion, the nearest box. Both ways of tracking, and a slow obvious one beside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pipeline.config import TrackerConfig, tracker_preset
from pipeline.tracking import association, deep_sort
from pipeline.types import Detections
from tests.tracking.paths import BOTH
from tests.tracking.scenes import CAR, PERSON, found, looks, walk

NEAREST = tracker_preset("minimal")
OVERLAP = TrackerConfig(preset="minimal", max_centre_distance=None)


def beside(box: np.ndarray, shift: float) -> np.ndarray:
    """Return a box moved to the right."""
    return box + np.array([shift, 0, shift, 0])


def follow(advance, frames: list[Detections], config: TrackerConfig) -> list[list[int]]:
    """Return, frame by frame, the id of each detection's track."""
    state, ids = deep_sort.initial_state(), []
    for detections in frames:
        state, tracks = advance(state, detections, looks(*[0] * len(detections)), 1.0, config)
        seen = tracks.detection_index >= 0
        ids.append([0] * len(detections))
        for track_id, row in zip(tracks.track_id[seen], tracks.detection_index[seen]):
            ids[-1][row] = int(track_id)
    return ids


def slow(frames: list[Detections], config: TrackerConfig) -> list[list[int]]:
    """The tracker as such scripts write it: last boxes, all distances, one assignment; for one class only."""
    last: dict[int, tuple[np.ndarray, int]] = {}
    next_id, ids = 1, []
    for frame, detections in enumerate(frames):
        last = {name: (box, seen) for name, (box, seen) in last.items() if frame - seen <= config.max_age_frames + 1}
        names, boxes = sorted(last), detections.xyxy.astype(float)
        limit = config.max_centre_distance
        cost = np.full((len(names), len(boxes)), limit + 1e-5)  # a pair too far apart is hardly worse than the worst
        for row, name in enumerate(names):
            was = last[name][0]
            for column, box in enumerate(boxes):
                apart = np.hypot(*((was[:2] + was[2:] - box[:2] - box[2:]) / 2)) / (was[3] - was[1])
                cost[row, column] = apart if apart <= limit else cost[row, column]
        ids.append([0] * len(boxes))
        for row, column in zip(*linear_sum_assignment(cost)):
            if cost[row, column] <= limit:
                ids[-1][column] = names[row]
        for column, box in enumerate(boxes):
            if not ids[-1][column]:
                ids[-1][column], next_id = next_id, next_id + 1
            last[ids[-1][column]] = (box, frame)
    return ids


@BOTH
def test_nothing(advance):
    assert follow(advance, [], NEAREST) == []
    assert follow(advance, [Detections.empty()], NEAREST) == [[]]


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_tracker_in_75_lines(advance, seed):
    people = [
        frame.detections.take(frame.detections.class_id == PERSON) for frame in walk(9, 60, seed, miss=0.2, false=1)
    ]
    assert follow(advance, people, NEAREST) == slow(people, NEAREST)


@BOTH
def test_the_nearest_box_goes_on_up_to_half_a_height_away(advance):
    box = np.array([100, 100, 140, 200])
    for shift, same in ((49, True), (51, False)):
        ids = follow(advance, [found(box), found(beside(box, shift))], NEAREST)
        assert (ids == [[1], [1]]) == same
    assert follow(advance, [found(box), found(box + 30, box + 10)], NEAREST)[1] == [2, 1]
    assert follow(advance, [found(box), found(box, class_id=CAR)], NEAREST)[1] == [2]


@BOTH
def test_by_overlap_alone(advance):
    box = np.array([100, 100, 140, 200])
    assert follow(advance, [found(box), found(beside(box, 20))], OVERLAP) == [[1], [1]]
    assert follow(advance, [found(box), found(beside(box, 36))], OVERLAP) == [[1], [2]]


@BOTH
def test_nothing_is_predicted(advance):
    """Whoever runs stays where last seen, and the track's box is the detector's."""
    config = NEAREST.model_copy(update={"max_centre_distance": 0.25})
    frames = [found((100 + 20 * k, 100, 140 + 20 * k, 200)) for k in range(4)]
    ids = follow(advance, [*frames, Detections.empty(), found((200, 100, 240, 200))], config)
    assert ids == [[1], [1], [1], [1], [], [2]], "40 px from where it was last, though just where it ran to"
    state = deep_sort.initial_state()
    for detections in frames:
        state, tracks = advance(state, detections, looks(0), 1.0, config)
        np.testing.assert_allclose(tracks.xyxy, detections.xyxy, atol=1e-4)
    assert not state.mean[:, 4:].any()


def test_the_distance_of_middles_counts_in_heights_of_the_track():
    tracks = np.array([[100, 100, 0.5, 50, 0, 0, 0, 0]], float)
    boxes = np.array([[103, 104, 1, 10], [100, 100, 1, 10]], float)
    cost = association.centre_cost(tracks, boxes, np.array([[True, True]]))
    np.testing.assert_allclose(cost, [[0.1, 0.0]])
    assert association.centre_cost(tracks[:0], boxes, np.zeros((0, 2), bool)).shape == (0, 2)
