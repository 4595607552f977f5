"""Box arithmetic against hand-worked cases and a slow oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline import boxes

coordinate = st.floats(-500, 500, width=32)


@st.composite
def some_boxes(draw) -> np.ndarray:
    n_boxes = draw(st.integers(0, 5))
    corner = draw(arrays(np.float64, (n_boxes, 2), elements=coordinate))
    size = draw(arrays(np.float64, (n_boxes, 2), elements=st.floats(0, 300, width=32)))
    return np.concatenate([corner, corner + size], axis=1)


def test_no_boxes():
    none = np.zeros((0, 4))
    assert boxes.iou(none, none).shape == (0, 0)
    assert boxes.iou(none, np.array([[0.0, 0, 1, 1]])).shape == (0, 1)
    assert boxes.area(none).shape == (0,)


def test_iou_worked_by_hand():
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[5.0, 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10], [3, 3, 3, 3]])
    np.testing.assert_allclose(boxes.iou(a, b), [[50 / 150, 0, 1, 0]])


@given(some_boxes(), some_boxes())
def test_iou_is_symmetric_in_range_and_equals_the_slow_way(a, b):
    got = boxes.iou(a, b)
    assert ((got >= 0) & (got <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(got, boxes.iou(b, a).T)
    for i, (ax1, ay1, ax2, ay2) in enumerate(a):
        for j, (bx1, by1, bx2, by2) in enumerate(b):
            inner = max(0, min(ax2, bx2) - max(ax1, bx1)) * max(0, min(ay2, by2) - max(ay1, by1))
            outer = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - inner
            assert np.isclose(got[i, j], inner / outer if outer > 0 else 0)


@given(some_boxes())
def test_formats_go_there_and_back(xyxy):
    np.testing.assert_allclose(boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(xyxy)), xyxy, atol=1e-9)


def test_clip_and_bottom_centre():
    xyxy = np.array([[-5.0, 10, 30, 50]])
    clipped = boxes.clip(xyxy, 20, 40)
    np.testing.assert_array_equal(clipped, [[0, 10, 20, 40]])
    np.testing.assert_array_equal(xyxy, [[-5, 10, 30, 50]])
    np.testing.assert_array_equal(boxes.bottom_centre(clipped), [[10, 40]])
