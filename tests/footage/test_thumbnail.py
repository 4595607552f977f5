from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.footage.thumbnail import Settings, cut_out

PLAIN, BLURRED = Settings(blur_heads=False), Settings(blur_heads=True)
NOBODY = np.zeros((0, 4), np.float32)


@pytest.fixture
def image() -> np.ndarray:
    """A picture in which no two neighbouring pixels are alike."""
    fine = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    return cv2.GaussianBlur(fine, (0, 0), 1.5)


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize(
    ("xyxy", "size"),
    [
        ((100, 100, 120, 150), (24, 60)),  # with a tenth on every side
        ((100, 25, 200, 275), (64, 160)),  # 120x300 made smaller
        ((-10, -10, 10, 10), (12, 12)),  # at the edge
        ((0, 0, 400, 300), (160, 120)),
    ],
)
def test_the_box_is_shown_with_a_margin_and_never_larger(image, xyxy, size):
    cut = cut_out(image, np.array(xyxy, np.float32), NOBODY, PLAIN)
    assert (cut.width_px, cut.height_px) == size
    assert decoded(cut.jpeg).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("xyxy", [(500, 10, 600, 20), (10, 10, 10, 10), (20, 20, 10, 10), (np.nan, 0, 9, 9)])
def test_nothing_to_show(image, xyxy):
    assert cut_out(image, np.array(xyxy, np.float32), NOBODY, PLAIN) is None


def test_colours_are_those_of_the_frame():
    image = np.zeros((100, 100, 3), np.uint8)
    image[..., 0] = 250
    cut = decoded(cut_out(image, np.array([20, 20, 60, 60], np.float32), NOBODY, PLAIN).jpeg)
    assert cut[..., 0].mean() > 230 and cut[..., 1:].mean() < 20


def test_heads_are_a_few_blocks_and_all_else_is_untouched(image):
    box = np.array([100, 100, 150, 220], np.float32)
    other = np.array([140, 150, 180, 250], np.float32)  # somebody else, whose head shows in the picture
    plain = decoded(cut_out(image, box, NOBODY, PLAIN).jpeg).astype(int)
    none = decoded(cut_out(image, box, np.stack([box, other]), PLAIN).jpeg)
    np.testing.assert_array_equal(none, plain)
    hidden = decoded(cut_out(image, box, np.stack([box, other]), BLURRED).jpeg).astype(int)
    changed = np.abs(hidden - plain).max(axis=2) > 6
    left, top = 95, 88
    assert changed[: 130 - top].mean() > 0.5, "the head"
    assert changed[140 - top : 175 - top, 140 - left :].mean() > 0.5, "the other's"
    assert changed[180 - top :].mean() < 0.02
    rows = hidden[4 : 130 - top - 4, 8:52]
    assert np.abs(np.diff(rows, axis=1)).mean() < np.abs(np.diff(plain[4 : 130 - top - 4, 8:52], axis=1)).mean() / 3


def test_equal_input_equal_bytes(image):
    box = np.array([100.3, 100.2, 150.9, 220.1], np.float32)
    people = box[None]
    assert cut_out(image, box, people, BLURRED) == cut_out(image.copy(), box.copy(), people, BLURRED)
