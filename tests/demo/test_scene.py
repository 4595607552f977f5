"""What is painted is what the truth says: boxes cover the pixels, hidden parts are hidden, pictures repeat."""

import numpy as np
import pytest

from pipeline.demo.paint import back_to_front, make_sprite, stands_before
from pipeline.demo.scene import Scene
from pipeline.demo.simulation import simulate
from pipeline.demo.views import view

SEED = 1


@pytest.fixture(scope="module")
def motion():
    return simulate(SEED, 6.0, 10)


@pytest.fixture(scope="module")
def scene(motion):
    return Scene(view("crossing").camera, motion, SEED, 10)


def test_same_seed_same_pictures_in_any_order(scene, motion):
    again = Scene(view("crossing").camera, motion, SEED, 10)
    later, first = again.frame(30), again.frame(2)
    for t, (picture, seen) in ((2, first), (30, later)):
        expected, expected_seen = scene.frame(t)
        np.testing.assert_array_equal(picture, expected)
        assert [(s.index, s.visibility, *s.xyxy) for s in seen] == [
            (s.index, s.visibility, *s.xyxy) for s in expected_seen
        ]


def test_boxes_cover_the_painted_pixels(scene):
    """The sprite's own mask fills its box: no painted pixel outside, every side touched."""
    checked = 0
    for t in (0, 20, 45):
        for sprite in scene._sprites(t)[1]:
            rows = np.flatnonzero((sprite.rgba[..., 3] > 0).any(1)) + sprite.top
            columns = np.flatnonzero((sprite.rgba[..., 3] > 0).any(0)) + sprite.left
            painted = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            assert np.abs(painted - sprite.xyxy).max() <= 1.0 + 1 / 4  # a pixel, and one sample of the oversampling
            checked += 1
    assert checked >= 6


def test_pixels_change_only_inside_boxes_and_shadows(motion):
    """Against the empty town, all that differs lies in a box or on the ground just beside one."""
    quiet = Scene(view("crossing").camera, motion, SEED, 10)
    quiet._noise = [np.zeros_like(n) for n in quiet._noise]
    picture, seen = quiet.frame(20)
    empty = quiet._develop(quiet.background.copy(), 20)
    changed = np.abs(picture.astype(int) - empty).max(2) > 12
    allowed = np.zeros_like(changed)
    for s in seen:
        x1, y1, x2, y2 = s.xyxy
        beside = 0.35 * (x2 - x1) + 3
        top, bottom = max(0, int(y1) - 1), max(0, int(y2 + beside) + 1)
        allowed[top:bottom, max(0, int(x1 - beside)) : max(0, int(x2 + beside) + 1)] = True
    assert changed.any()
    assert not (changed & ~allowed).any()


def test_visibility_counts_pixels(scene, motion):
    """Someone alone in the picture is wholly visible; shares stay within 0 and 1."""
    for t in range(0, 60, 6):
        for s in scene.frame(t)[1]:
            assert 0 <= s.visibility <= 1 + 1e-6
    assert any(s.visibility > 0.999 for t in range(0, 60, 6) for s in scene.frame(t)[1])


def test_a_nearer_thing_hides_a_further_one():
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    eye = np.array([0.0, -20.0])
    near, far = 0.5 * square, square + np.array([0.0, 5.0])
    assert stands_before(near, far, eye)
    assert not stands_before(far, near, eye)
    # Beside the bonnet of a long van whose middle is nearer to the eye than the person's.
    van = np.array([[-3.0, 0.0], [3.0, 0.0], [3.0, 2.0], [-3.0, 2.0]])
    person = 0.2 * square + (2.8, -0.4)
    slanted_eye = np.array([-12.0, -6.0])
    assert stands_before(person, van, slanted_eye)
    assert np.linalg.norm(person.mean(0) - slanted_eye) > np.linalg.norm(van.mean(0) - slanted_eye)


def test_painting_order_is_back_to_front():
    square = 0.2 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    shape = [(np.array([[10, 10], [20, 10], [20, 30], [10, 30]], np.float32), (200, 0, 0))]
    sprites = [make_sprite(shape, square + np.array([0.0, y])) for y in (3.0, 9.0, 6.0)]
    assert back_to_front(sprites, np.array([0.0, 0.0])) == [1, 2, 0]
    assert back_to_front([], np.array([0.0, 0.0])) == []


def test_sprite_covers_half_a_pixel_by_half():
    shape = [(np.array([[2.5, 3.0], [6.0, 3.0], [6.0, 5.0], [2.5, 5.0]], np.float32), (255, 255, 255))]
    sprite = make_sprite(shape, np.zeros((4, 2)))
    alpha = sprite.rgba[..., 3]
    at = alpha[3 - sprite.top], -sprite.left
    assert at[0][3 + at[1]] == pytest.approx(1.0)
    assert at[0][2 + at[1]] == pytest.approx(0.5, abs=0.26)
    assert at[0][1 + at[1]] == 0
