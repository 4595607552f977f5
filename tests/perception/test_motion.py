import numpy as np
import pytest

from pipeline import boxes
from pipeline.config import DetectorConfig, MotionConfig
from pipeline.perception.filtering import select
from pipeline.perception.frames import upload
from pipeline.perception.motion import CAR, PERSON, MotionDetector
from pipeline.types import CameraView, FrameBatch
from tests.perception.test_ground_camera import homography, pinhole

HEIGHT, WIDTH = 180, 320


def street(things=(), seed=0, shadows=True):
    """A frame of a textured street with things (x1, y1, x2, y2, colour) on it, their shadows and noise."""
    texture = np.random.default_rng(3).uniform(90, 140, (HEIGHT // 4, WIDTH // 4, 1)).repeat(4, 0).repeat(4, 1)
    image = np.broadcast_to(texture, (HEIGHT, WIDTH, 3)).copy()
    for _, y1, x2, y2, _ in things if shadows else ():
        image[y2 - 4 : y2 + 1, x2 : x2 + (y2 - y1) // 2] *= 0.65
    for x1, y1, x2, y2, colour in things:
        image[y1:y2, x1:x2] = colour
    return (image + np.random.default_rng(seed).normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)


def walker(x, colour=(170, 40, 40)):
    return (x, 80, x + 14, 120, colour)


def car(x, colour=(40, 60, 170)):
    return (x, 110, x + 80, 150, colour)


def batch(images):
    index = np.arange(len(images))
    return upload(FrameBatch(np.stack(images), index.astype(np.int32), index), "cpu")


def view(matrix=None):
    return CameraView("c", WIDTH, HEIGHT, matrix, "c.mp4", 10.0)


EMPTY = np.stack([street(seed=100 + i) for i in range(9)])


def test_no_frames_and_no_sample():
    none = FrameBatch(np.zeros((0, HEIGHT, WIDTH, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.int64))
    assert MotionDetector(MotionConfig(), view(), EMPTY).detect(upload(none, "cpu")) == []
    blind = MotionDetector(MotionConfig(), view(), EMPTY[:0])
    assert [len(each) for each in blind.detect(batch([street()]))] == [0]


def test_empty_street_is_empty():
    found = MotionDetector(MotionConfig(), view(), EMPTY).detect(batch([street(seed=i) for i in range(5)]))
    assert [len(each) for each in found] == [0] * 5


def test_person_and_car_are_found_without_their_shadows():
    things = [walker(60), car(150)]
    found = MotionDetector(MotionConfig(), view(), EMPTY).detect(batch([street(things)]))[0]
    found = select(found, DetectorConfig(), width_px=WIDTH, height_px=HEIGHT)
    for thing, class_id in zip(things, (PERSON, CAR)):
        overlap = boxes.iou(np.array([thing[:4]], float), found.xyxy.astype(float))[0]
        assert overlap.max() > 0.7 and found.class_id[overlap.argmax()] == class_id
    assert len(found) == 2


def test_background_comes_from_the_segment_with_everybody_in_it():
    images = [street([walker(20 + 8 * i), car(230 - 10 * i)], seed=i) for i in range(24)]
    detector = MotionDetector(MotionConfig(), view(), np.stack(images))
    counts = [len(each) for each in detector.detect(batch(images))]
    apart = [20 + 8 * i + 14 + 8 < 230 - 10 * i or 20 + 8 * i > 230 - 10 * i + 80 + 8 for i in range(24)]
    assert sum(apart) > 10 and np.mean(np.array(counts)[apart] == 2) > 0.9


def test_two_side_by_side_are_two_people():
    pair = [walker(60), walker(77, (40, 40, 160)), (70, 105, 80, 118, (60, 60, 60))]
    found = MotionDetector(MotionConfig(), view(), EMPTY).detect(batch([street(pair, shadows=False)]))[0]
    assert found.class_id.tolist() == [PERSON, PERSON]


def calibrated():
    """The view of a camera of focal 250 px, 25 degrees down from 6 m: an adult at the bottom is 43 px tall."""
    to_centre = np.array([[1, 0, WIDTH / 2 - 320], [0, 1, HEIGHT / 2 - 180], [0, 0, 1]])
    return view(tuple(map(tuple, homography(to_centre @ pinhole(250.0, 25.0)))))


RED = (170, 40, 40)


@pytest.mark.parametrize(
    "things, expected",
    [
        ([(100, 130, 122, 172, RED), (200, 40, 222, 60, RED)], [PERSON, CAR]),  # as wide, near and far
        ([(100, 128, 143, 172, RED)], [PERSON, PERSON]),  # 1.4 m wide, 1.7 m tall: two arm in arm
        ([(100, 138, 190, 172, RED)], [CAR]),
        ([(100, 108, 116, 172, RED)], [PERSON, PERSON]),  # as wide as one, far too tall: one behind the other
        ([(100, 162, 110, 172, RED)], []),  # 0.4 m tall: a dog
    ],
    ids=["near and far", "arm in arm", "car", "one behind the other", "dog"],
)
def test_metres_decide_where_the_camera_is_calibrated(things, expected):
    image = street(things, shadows=False)
    found = MotionDetector(MotionConfig(), calibrated(), EMPTY).detect(batch([image]))[0]
    assert found.class_id[np.argsort(found.xyxy[:, 0])].tolist() == expected


@pytest.mark.parametrize("thing, expected", [((0, 90, 30, 120), 0), ((10, 90, 40, 120), 1), ((0, 80, 12, 120), 1)])
def test_what_the_edge_cuts_waits_unless_it_is_slim(thing, expected):
    image = street([(*thing, (170, 40, 40))])
    assert len(MotionDetector(MotionConfig(), view(), EMPTY).detect(batch([image]))[0]) == expected


def test_batches_do_not_matter_and_sessions_repeat_themselves():
    images = [street([walker(20 + 8 * i)], seed=i) for i in range(12)]
    at_once = MotionDetector(MotionConfig(), view(), EMPTY).detect(batch(images))
    detector = MotionDetector(MotionConfig(), view(), EMPTY)
    in_turns = [*detector.detect(batch(images[:5])), *detector.detect(batch(images[5:]))]
    for one, other in zip(at_once, in_turns, strict=True):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
        np.testing.assert_array_equal(one.score, other.score)
