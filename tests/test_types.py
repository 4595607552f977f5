"""The structs refuse arrays that are not what they say."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.types import COCO_CLASSES, Detections, FrameBatch, class_group


def test_coco_has_eighty_classes_in_the_usual_order():
    assert len(COCO_CLASSES) == 80
    assert [COCO_CLASSES[i] for i in (0, 2, 7, 9, 79)] == ["person", "car", "truck", "traffic light", "toothbrush"]


def test_a_van_called_car_and_then_truck_stays_in_its_group():
    assert class_group(COCO_CLASSES.index("car")) == class_group(COCO_CLASSES.index("truck")) == "vehicle"
    assert class_group(0) == "person"
    assert class_group(COCO_CLASSES.index("dog")) == "dog"


def test_an_empty_frame():
    assert len(Detections.empty()) == 0
    assert len(Detections.empty().take(np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"xyxy": np.zeros((2, 5), np.float32)}, r"Detections.xyxy: expected shape \('any', 4\), got \(2, 5\)"),
        ({"score": np.zeros(3, np.float32)}, r"Detections.score: expected shape \(2,\), got \(3,\)"),
        ({"score": np.zeros(2)}, "Detections.score: expected dtype float32, got float64"),
        ({"class_id": [0, 0]}, "Detections.class_id: expected a numpy array, got list"),
    ],
)
def test_what_was_expected_and_what_came_is_said(change, sentence):
    columns = {
        "xyxy": np.zeros((2, 4), np.float32),
        "score": np.zeros(2, np.float32),
        "class_id": np.zeros(2, np.int16),
    }
    with pytest.raises((TypeError, ValueError), match=sentence):
        Detections(**{**columns, **change})


def test_frames_must_be_rgb_bytes():
    with pytest.raises(ValueError, match=r"FrameBatch\.images"):
        FrameBatch(np.zeros((1, 4, 4, 1), np.uint8), np.zeros(1, np.int32), np.zeros(1, np.int64))
