import numpy as np
import pytest

from pipeline.perception.standing import APART, AROUND, NONE, Looks, ground, outline, rare_look

HEIGHT, WIDTH, FRAMES = 40, 60, 20
PLACE = np.s_[10:30, 20:40]
MIDDLE = (20, 30)


def asphalt(seed):
    texture = np.random.default_rng(1).uniform(80, 100, (HEIGHT, WIDTH, 1))
    noise = np.random.default_rng(seed).normal(0, 2, (HEIGHT, WIDTH, 3))
    return (texture + noise).clip(0, 255).astype(np.uint8)


def segment(stands, colour=(30, 40, 90)):
    """Frames in which a dark blue box stands in PLACE where `stands(i)` says so."""
    frames = np.stack([asphalt(i) for i in range(FRAMES)])
    for i, frame in enumerate(frames):
        if stands(i):
            frame[PLACE] = colour
    return frames


def looks(frames):
    common = np.sort(frames, axis=0)[(len(frames) - 1) // 2]
    rare, when = rare_look(frames, common, 20.0)
    return Looks(common, rare, when)


def test_nothing_stands():
    found = looks(segment(lambda i: False))
    assert (found.when == NONE).all()
    np.testing.assert_array_equal(ground(found, 16), found.common)


def test_one_frame_is_no_segment():
    found = looks(segment(lambda i: True)[:1])
    assert (found.when == NONE).all()


@pytest.mark.parametrize(
    "stands, when",
    [
        (lambda i: 4 <= i < 16, AROUND),
        (lambda i: i < 13, APART),
        (lambda i: i >= 6, APART),
        (lambda i: i < 8, APART),
        (lambda i: i % 3 > 0, NONE),  # to and fro: leaves
        (lambda i: i in (3, 4), NONE),  # passes
    ],
    ids=["came and left", "left", "came", "left early", "to and fro", "passed"],
)
def test_the_ground_is_found_under_what_stood_there(stands, when):
    found = looks(segment(stands))
    assert found.when[MIDDLE] == when
    if when != NONE:
        assert np.abs(ground(found, 16).astype(int) - asphalt(0)).max() < 20


def test_a_road_with_many_colours_has_no_second_look():
    frames = segment(lambda i: False)
    for i in range(0, FRAMES, 3):
        frames[i][PLACE] = np.random.default_rng(i).integers(0, 256, 3)
    assert looks(frames).when[MIDDLE] == NONE


def test_outline_is_strong_around_a_box_and_weak_on_the_ground():
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[PLACE] = True
    boxed = segment(lambda i: True)[0]
    assert outline(boxed, inside) > 3 * outline(asphalt(0), inside)
    assert outline(boxed, inside & False) == 0
