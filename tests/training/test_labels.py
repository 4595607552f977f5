"""Sure tracks become labels; whatever else was seen or moved is ignored, and nothing is both."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.training.labels import MIN_BOXES, Seen, labels_of
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections, Observations, Tracklets

PERSON, CAR, BUS = (COCO_CLASSES.index(name) for name in ("person", "car", "bus"))
NOWHERE = np.zeros((0, 4), np.float32)


def tracked(*tracks: tuple[str, int, float, list]) -> tuple[Observations, Tracklets]:
    """Tracks (name, class, mean score, boxes by frame); a negative frame is an interpolated box."""
    rows = [(name, class_id, score, *row) for name, class_id, score, boxes in tracks for row in boxes]
    n_rows, n_tracks = len(rows), len(tracks)
    frames = np.array([row[3] for row in rows], np.int32).reshape(-1)
    observations = Observations(
        tracklet_id=np.array([row[0] for row in rows], object),
        segment_id=np.array(["clip"] * n_rows, object),
        frame=np.abs(frames),
        captured_at_us=np.abs(frames).astype(np.int64),
        class_id=np.array([row[1] for row in rows], np.int16),
        score=np.array([row[2] for row in rows], np.float32),
        xyxy=np.array([row[4] for row in rows], np.float32).reshape(-1, 4),
        interpolated=frames < 0,
    )
    tracklets = Tracklets(
        tracklet_id=np.array([name for name, *_ in tracks], object),
        class_id=np.array([class_id for _, class_id, *_ in tracks], np.int16),
        started_at_us=np.zeros(n_tracks, np.int64),
        ended_at_us=np.zeros(n_tracks, np.int64),
        n_observations=np.array([sum(frame >= 0 for frame, _ in boxes) for *_, boxes in tracks], np.int32),
        mean_score=np.array([score for _, _, score, _ in tracks], np.float32),
        entry_xy=np.zeros((n_tracks, 2), np.float32),
        exit_xy=np.zeros((n_tracks, 2), np.float32),
        embedding=np.zeros((n_tracks, EMBEDDING_DIM), np.float32),
    )
    return observations, tracklets


def frame(number: int, *boxes: tuple, class_id: int = PERSON, moving: tuple = ()) -> Seen:
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.3, np.float32),
        np.full(len(boxes), class_id, np.int16),
    )
    return Seen(number, found, np.array(moving, np.float32).reshape(-1, 4))


def standing(n: int, box=(10, 10, 30, 60)) -> list:
    return [(k, box) for k in range(n)]


def test_nothing():
    found = labels_of(*tracked(), [], min_score=0.5)
    assert len(found) == 0
    assert len(labels_of(*tracked(), [frame(0)], min_score=0.5)) == 0


def test_a_sure_track_is_learnt_from_where_it_was_seen():
    boxes = [*standing(MIN_BOXES), (-MIN_BOXES, (10, 10, 30, 60)), (MIN_BOXES + 1, (12, 10, 32, 60))]
    found = labels_of(*tracked(("a", CAR, 0.8, boxes)), [], min_score=0.5)
    assert found.frame.tolist() == list(range(MIN_BOXES + 2))
    assert found.sure.tolist() == [True] * MIN_BOXES + [False, True], "in between it may be hidden"
    assert set(found.label_id) == {1} and set(found.class_index) == {2}


@pytest.mark.parametrize(("n_boxes", "score"), [(MIN_BOXES - 1, 0.9), (MIN_BOXES, 0.4)])
def test_a_doubtful_track_is_ignored(n_boxes, score):
    seen = [frame(k, (10, 10, 30, 60)) for k in range(n_boxes)]
    found = labels_of(*tracked(("a", PERSON, score, standing(n_boxes))), seen, min_score=0.5)
    assert found.frame.tolist() == list(range(n_boxes)) and not found.sure.any()
    assert len(set(found.label_id)) == n_boxes, "each a row of its own"


def test_what_shows_a_labelled_object_again_is_no_second_thing():
    rows = tracked(("a", PERSON, 0.8, standing(MIN_BOXES)))
    again = [frame(0, (11, 12, 31, 58)), frame(1, (12, 12, 28, 30)), frame(2, (60, 10, 80, 60))]
    found = labels_of(*rows, again, min_score=0.5)
    ignored = found.take(~found.sure)
    assert ignored.frame.tolist() == [2] and ignored.xyxy.tolist() == [[60, 10, 80, 60]]
    of_other_kind = labels_of(*rows, [frame(0, (11, 12, 31, 58), class_id=BUS)], min_score=0.5)
    assert (~of_other_kind.sure).sum() == 1


def test_what_moves_and_is_not_known_is_ignored():
    rows = tracked(("a", PERSON, 0.8, standing(MIN_BOXES)))
    seen = [
        frame(0, moving=[(100, 10, 130, 60)]),  # nobody knows it
        frame(1, moving=[(8, 8, 36, 66)]),  # the labelled person and a shadow
        frame(2, moving=[(12, 30, 25, 55)]),  # a part of them
        frame(3, moving=[(5, 5, 150, 70)]),  # they, and something much larger
        frame(4, (100, 10, 130, 60), moving=[(98, 8, 131, 63)]),  # somebody ignored already
    ]
    found = labels_of(*rows, seen, min_score=0.5)
    ignored = found.take(~found.sure)
    assert ignored.frame.tolist() == [0, 3, 4]
    assert ignored.xyxy[2].tolist() == [100, 10, 130, 60]
