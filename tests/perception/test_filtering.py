import numpy as np
import pytest

from pipeline import boxes
from pipeline.config import DetectorConfig
from pipeline.perception.filtering import select
from pipeline.types import COCO_CLASSES, Detections

PERSON, CAR, DOG, TRUCK, BUS, MOTORCYCLE, BICYCLE = (
    COCO_CLASSES.index(name) for name in ("person", "car", "dog", "truck", "bus", "motorcycle", "bicycle")
)
SIZE = {"width_px": 100, "height_px": 80}


def detections(rows):
    """Rows of (x1, y1, x2, y2, score, class id)."""
    table = np.array(rows, float).reshape(-1, 6)
    return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int16))


def random_candidates(seed, n=200):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-10, 90, (n, 2))
    size = rng.uniform(-1, 40, (n, 2))
    score = rng.integers(0, 20, n) / 20  # many equal scores
    return detections(np.column_stack([corner, corner + size, score, rng.choice([PERSON, CAR, DOG], n)]))


def test_nothing_stays_nothing():
    assert len(select(Detections.empty(), DetectorConfig(), **SIZE)) == 0


def test_drops_other_classes_low_scores_and_broken_boxes():
    found = select(
        detections(
            [
                (10, 10, 20, 30, 0.9, PERSON),
                (50, 10, 60, 30, 0.9, DOG),
                (30, 10, 40, 30, 0.49, PERSON),
                (np.nan, 10, 40, 30, 0.9, PERSON),
                (70, 10, np.inf, 30, 0.9, PERSON),
                (70, 30, 70, 60, 0.9, PERSON),
                (101, 10, 120, 30, 0.9, PERSON),
                (80, 40, 90, 60, np.nan, PERSON),
            ]
        ),
        DetectorConfig(),
        **SIZE,
    )
    np.testing.assert_array_equal(found.xyxy, [[10, 10, 20, 30]])


def test_clips_to_the_picture():
    found = select(detections([(-5, -5, 200, 200, 0.9, CAR)]), DetectorConfig(), **SIZE)
    np.testing.assert_array_equal(found.xyxy, [[0, 0, 100, 80]])


def test_thresholds_and_nms_are_per_class():
    overlapping = [(0, 0, 20, 20, 0.9, 0), (0, 0, 20, 18, 0.6, 0)]  # IoU 0.9
    rows = [(*box, PERSON) for *box, _ in overlapping] + [(*box, CAR) for *box, _ in overlapping]
    keep_cars = DetectorConfig(nms_iou_by_class={"car": 0.95})
    assert sorted(select(detections(rows), keep_cars, **SIZE).class_id) == [PERSON, CAR, CAR]
    sure_cars = DetectorConfig(nms_iou=1.0, score_threshold_by_class={"car": 0.8})
    assert sorted(select(detections(rows), sure_cars, **SIZE).class_id) == [PERSON, PERSON, CAR]


def test_sorted_by_score_then_corner():
    found = select(
        detections(
            [(40, 0, 50, 10, 0.7, CAR), (20, 5, 30, 10, 0.7, CAR), (60, 0, 70, 10, 0.8, CAR), (20, 0, 30, 4, 0.7, CAR)]
        ),
        DetectorConfig(),
        **SIZE,
    )
    np.testing.assert_array_equal(found.xyxy[:, :2], [[60, 0], [20, 0], [20, 5], [40, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_plain_greedy_suppression(seed):
    config = DetectorConfig(classes=("person", "car"), score_threshold=0.3, nms_iou=0.4)
    candidates = random_candidates(seed)
    xyxy = boxes.clip(candidates.xyxy, 100, 80)
    wanted = []
    rows = [
        i
        for i in range(len(candidates))
        if candidates.class_id[i] != DOG
        and candidates.score[i] >= np.float32(0.3)
        and (xyxy[i, 2:] > xyxy[i, :2]).all()
    ]
    rows.sort(key=lambda i: (-candidates.score[i], *xyxy[i], candidates.class_id[i]))
    for i in rows:
        rivals = [j for j in wanted if candidates.class_id[j] == candidates.class_id[i]]
        if not rivals or boxes.iou(xyxy[i : i + 1], xyxy[rivals]).max() <= 0.4:
            wanted.append(i)
    found = select(candidates, config, **SIZE)
    np.testing.assert_array_equal(found.xyxy, xyxy[wanted])
    np.testing.assert_array_equal(found.class_id, candidates.class_id[wanted])


@pytest.mark.parametrize("seed", range(3))
def test_order_of_candidates_does_not_matter(seed):
    candidates = random_candidates(seed)
    shuffled = candidates.take(np.random.default_rng(seed).permutation(len(candidates)))
    one, other = select(candidates, DetectorConfig(), **SIZE), select(shuffled, DetectorConfig(), **SIZE)
    np.testing.assert_array_equal(one.xyxy, other.xyxy)
    np.testing.assert_array_equal(one.score, other.score)


LORRY = [(10, 10, 50, 40, 0.6, CAR), (10, 11, 50, 41, 0.7, TRUCK), (11, 10, 51, 40, 0.65, BUS)]


def test_one_vehicle_seen_as_three_classes_is_one():
    found = select(detections(LORRY), DetectorConfig(), **SIZE)
    assert found.class_id.tolist() == [TRUCK] and found.score == pytest.approx([0.7])
    assert len(select(detections(LORRY), DetectorConfig(nms_across_iou=1), **SIZE)) == 3
    assert len(select(detections(LORRY), DetectorConfig(nms_across_iou=0.99), **SIZE)) == 3


def test_box_that_is_gone_suppresses_nothing():
    chain = [(10, 10, 50, 40, 0.9, CAR), (15, 10, 55, 40, 0.8, TRUCK), (21, 10, 61, 40, 0.7, CAR)]  # IoU 0.78, 0.74
    found = select(detections(chain), DetectorConfig(nms_iou=0.9), **SIZE)
    assert found.score == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize(
    "pair", [(PERSON, MOTORCYCLE), (PERSON, BICYCLE), (MOTORCYCLE, BICYCLE), (PERSON, CAR), (MOTORCYCLE, CAR)]
)
def test_riders_and_their_machines_stay_apart(pair):
    rows = [(10, 10, 50, 40, 0.9, pair[0]), (10, 10, 50, 40, 0.8, pair[1])]
    assert len(select(detections(rows), DetectorConfig(), **SIZE)) == 2


def test_cars_before_a_lorry_stay():
    rows = [(10, 10, 60, 60, 0.9, TRUCK), (15, 25, 60, 60, 0.8, CAR)]  # IoU 0.63
    assert len(select(detections(rows), DetectorConfig(), **SIZE)) == 2


@pytest.mark.parametrize(("doubles", "n_left"), [("any", 1), ("across classes", 2), ("none", 4)])
def test_detectors_say_what_may_be_double(doubles, n_left):
    rows = [*LORRY, (10, 10, 50, 42, 0.5, TRUCK)]
    assert len(select(detections(rows), DetectorConfig(), **SIZE, doubles=doubles)) == n_left


@pytest.mark.parametrize("doubles", ["any", "across classes", "none"])
def test_thresholds_by_class_hold_for_every_detector(doubles):
    config = DetectorConfig(score_threshold=0.6, score_threshold_by_class={"person": 0.2, "truck": 0.95})
    rows = [(0, 0, 9, 9, 0.3, PERSON), (20, 0, 29, 9, 0.9, TRUCK), (40, 0, 49, 9, 0.5, CAR), (60, 0, 69, 9, 0.7, CAR)]
    found = select(detections(rows), config, **SIZE, doubles=doubles)
    assert found.class_id.tolist() == [CAR, PERSON]
