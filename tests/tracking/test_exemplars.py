"""Quality of crops and the choice of exemplars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tracking.exemplars import Candidates, quality
from tests.tracking.scenes import look, looks

PICTURE = np.array([640.0, 480.0])
ONE = np.array([1])


def in_picture(xyxy: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Rate the boxes of one frame."""
    return quality(xyxy, score, np.zeros(len(xyxy), int), np.tile(PICTURE, (len(xyxy), 1)))


def rate(*corners, score: float = 1.0) -> list[float]:
    xyxy = np.array(corners, np.float32).reshape(-1, 4)
    return in_picture(xyxy, np.full(len(xyxy), score, np.float32)).tolist()


def test_no_boxes():
    assert in_picture(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)).shape == (0,)


def test_quality_worked_by_hand():
    assert rate((100, 100, 150, 228)) == [1.0]
    assert rate((100, 100, 150, 164)) == [0.5]  # 64 of 128 pixels
    assert rate((100, 100, 150, 228), score=0.5) == [0.5]
    assert rate((0, 100, 50, 228)) == [0.5]  # cut off by the left edge
    assert rate((590, 100, 640, 228)) == [0.5]  # and by the right
    # Half of the first is covered by the second; a quarter of the second by the first.
    assert rate((100, 100, 140, 228), (120, 100, 200, 228)) == pytest.approx([0.5, 0.75])
    assert rate((100, 100, 200, 300), (120, 120, 180, 280))[1] == 0  # wholly covered


def test_broken_boxes_have_no_quality_and_spoil_no_other():
    assert rate((np.nan, 0, 10, 10), (100, 100, 150, 228)) == [0, 1]
    assert rate((50, 50, 40, 40)) == [0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 6), st.integers(0, 10**6))
def test_quality_is_a_share(n_boxes, seed):
    rng = np.random.default_rng(seed)
    xyxy = rng.uniform(-50, 700, (n_boxes, 4)).astype(np.float32)
    value = in_picture(xyxy, rng.random(n_boxes).astype(np.float32))
    assert ((value >= 0) & (value <= 1)).all() and value.dtype == np.float32


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 10**6))
def test_a_box_is_worth_what_no_other_box_of_its_frame_covers(n_boxes, seed):
    """Against every pair looked at; corners of few values, so that they tie; the frames of the boxes mixed."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(1, 8, (n_boxes, 2)) * 20
    xyxy = np.concatenate([corner, corner + rng.integers(-1, 5, (n_boxes, 2)) * 20], axis=1).astype(np.float32)
    frame = rng.integers(0, 3, n_boxes)
    expected = []
    for i, (x1, y1, x2, y2) in enumerate(xyxy.tolist()):
        covered = 0.0 if x2 > x1 and y2 > y1 else 1.0
        for j in np.flatnonzero((frame == frame[i]) & (np.arange(n_boxes) != i)).tolist():
            width, height = min(x2, xyxy[j, 2]) - max(x1, xyxy[j, 0]), min(y2, xyxy[j, 3]) - max(y1, xyxy[j, 1])
            if covered < 1:
                covered = max(covered, max(width, 0) * max(height, 0) / ((x2 - x1) * (y2 - y1)))
        expected.append((1 - covered) * max(0, min(1, max(x2 - x1, y2 - y1) / 128)))
    got = quality(xyxy, np.ones(n_boxes, np.float32), frame, np.full((n_boxes, 2), 1e4))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def show(values: list[float], n_places: int) -> Candidates:
    """Offer one track boxes of these qualities, frame by frame."""
    kept = Candidates.blank(1, n_places)
    for i, value in enumerate(values):
        kept = kept.offer(
            np.array([0]),
            np.array([i]),
            np.array([value], np.float32),
            look(i),
            captured_at_us=np.array([10 * i]),
            frame=np.array([i]),
        )
    return kept


def slow_choice(values: list[float], n_places: int) -> list[int]:
    """Cut the boxes into the fewest-doubled spans that fit, and take the first best of each."""
    span = 1
    while -(-len(values) // span) > n_places:
        span *= 2
    parts = [range(start, min(start + span, len(values))) for start in range(0, len(values), span)]
    return [max(part, key=lambda i: (values[i], -i)) for part in parts]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=70), st.integers(1, 9))
def test_choice_is_the_best_of_each_span(values, n_places):
    kept = show(values, n_places)
    _, place = kept.chosen()
    assert kept.frame[0, place].tolist() == slow_choice(values, n_places)
    np.testing.assert_array_equal(kept.embedding[0, place], looks(*kept.frame[0, place].tolist()))
    assert kept.captured_at_us[0, place].tolist() == [10 * i for i in slow_choice(values, n_places)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=60),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_boxes_offered_together_are_boxes_offered_one_by_one(boxes, n_places, n_together):
    row = np.array([track for track, _ in boxes], int)
    value = np.array([value for _, value in boxes], np.float32)
    ordinal = np.array([(row[:i] == track).sum() for i, track in enumerate(row)], int)
    number = np.arange(len(row))
    kept = []
    for step in (1, n_together):
        held = Candidates.blank(3, n_places)
        for start in range(0, len(row), step):
            part = slice(start, start + step)
            held = held.offer(
                row[part],
                ordinal[part],
                value[part],
                looks(*number[part].tolist()),
                captured_at_us=10 * number[part],
                frame=number[part],
            )
        kept.append(held)
    for name in Candidates.__slots__:
        np.testing.assert_array_equal(getattr(kept[0], name), getattr(kept[1], name), err_msg=name)


def test_choice_is_spread_over_the_whole_life():
    kept = show([0.5] * 1000, 8)
    frames = kept.frame[0, kept.chosen()[1]]
    assert 4 <= len(frames) <= 8 and frames.min() < 130 and frames.max() > 870


def test_offering_writes_into_nothing_and_concerns_only_its_rows():
    before = show([0.5], 2).extend(1)
    after = before.offer(ONE, ONE - 1, np.array([0.9], np.float32), look(5), captured_at_us=ONE, frame=ONE)
    assert before.quality.tolist() == [[0.5, -1], [-1, -1]]
    np.testing.assert_array_equal(after.quality, np.array([[0.5, -1], [0.9, -1]], np.float32))


def test_mean_embedding_has_unit_length_even_where_exemplars_cancel_out():
    kept = show([1, 1, 1], 4)
    expected = looks(0, 1, 2).sum(axis=0)
    np.testing.assert_allclose(kept.mean_embedding()[0], expected / np.linalg.norm(expected), atol=1e-6)
    opposite = Candidates.blank(1, 2)
    for i, vector in enumerate((look(1), -look(1))):
        opposite = opposite.offer(
            np.array([0]), np.array([i]), np.ones(1, np.float32), vector, captured_at_us=ONE * i, frame=ONE * i
        )
    np.testing.assert_array_equal(opposite.mean_embedding(), look(1))
