"""Several looks at one picture, laid together: nothing twice, nothing cut, nothing moved."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.training import views
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections, FrameBatch

PERSON, CAR, BUS, TRUCK = (COCO_CLASSES.index(name) for name in ("person", "car", "bus", "truck"))
WIDTH, HEIGHT = 100, 50


def batch(n_frames: int = 1) -> FrameBatch:
    """Pictures whose every pixel tells where it is."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    return FrameBatch(
        np.stack([picture] * n_frames), np.arange(n_frames, dtype=np.int32), np.arange(n_frames, dtype=np.int64)
    )


def detections(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int16))


def seer(*rows):
    """See these things of the whole picture as far as they lie in the part that is shown, cut to it.

    A thing with a seventh number is only seen in pictures at most that wide.
    """

    def perceive(part: FrameBatch) -> list[tuple[Detections, np.ndarray]]:
        found = []
        for image in part.images:
            height, width = image.shape[:2]
            left, top = int(image[0, 0, 0]), int(image[0, 0, 1])
            here = []
            for x1, y1, x2, y2, score, class_id, *widest in rows:
                box = [max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, width), min(y2 - top, height)]
                if box[2] > box[0] and box[3] > box[1] and (not widest or width <= widest[0]):
                    here.append((*box, score, class_id))
            found.append((detections(*here), np.zeros((len(here), EMBEDDING_DIM), np.float32)))
        return found

    return perceive


def seen(*rows, of=None) -> list[tuple]:
    (one,) = views.look(batch(), of or views.thorough(), seer(*rows))
    assert len(one[1]) == len(one[0])
    return [
        (*box.round().astype(int).tolist(), round(float(score), 3), int(class_id))
        for box, score, class_id in zip(one[0].xyxy, one[0].score, one[0].class_id)
    ]


def test_nothing_there():
    assert seen() == []
    assert len(views.look(batch(3), views.thorough(), seer((1, 1, 5, 5, 0.5, PERSON)))) == 3


@pytest.mark.parametrize("box", [(10, 10, 20, 30), (55, 20, 60, 30), (0, 0, 100, 50), (90, 40, 100, 50)])
def test_a_thing_is_seen_once_and_whole(box):
    assert seen((*box, 0.8, PERSON)) == [(*box, 0.8, PERSON)]


def test_what_only_an_enlarged_part_shows_is_added_where_it_is():
    assert seen((70, 30, 76, 40, 0.6, PERSON, 60), (5, 5, 15, 25, 0.9, PERSON)) == [
        (5, 5, 15, 25, 0.9, PERSON),
        (70, 30, 76, 40, 0.6, PERSON),
    ]
    assert seen((56, 10, 66, 20, 0.9, PERSON, 60)) == [(56, 10, 66, 20, 0.9, PERSON)], "cut by one part, whole in one"
    assert seen((38, 20, 62, 30, 0.9, PERSON, 60)) == [], "no part shows it whole"


def test_two_of_one_class_beside_each_other_stay_two():
    both = [(10, 10, 20, 30, 0.9, PERSON), (16, 10, 26, 30, 0.8, PERSON)]
    assert seen(*both) == both


def test_car_bus_and_truck_at_one_place_are_one_vehicle():
    said = [(10, 10, 40, 30, 0.5, TRUCK), (10, 10, 40, 31, 0.4, CAR), (11, 10, 40, 30, 0.2, BUS)]
    assert seen(*said) == [(10, 10, 40, 30, round(1 - 0.5 * 0.6 * 0.8, 3), TRUCK)]
    assert len(seen((10, 10, 40, 30, 0.5, TRUCK), (12, 5, 22, 30, 0.5, PERSON))) == 2, "a person before it is another"


@pytest.mark.parametrize(
    ("classes", "left"),
    [(("car",), [CAR, CAR]), (("person", "car"), [PERSON, CAR, CAR]), (("car", "bus"), [CAR, BUS]), (("bicycle",), [])],
)
def test_narrowed(classes, left):
    things = detections((1, 1, 9, 9, 0.9, PERSON), (1, 1, 9, 9, 0.8, CAR), (1, 1, 9, 9, 0.7, BUS))
    ((kept, vectors),) = views.narrowed([(things, np.zeros((3, EMBEDDING_DIM), np.float32))], classes)
    assert kept.class_id.tolist() == left and len(vectors) == len(left)


def test_cover():
    a, b = np.array([[0, 0, 10, 10], [5, 5, 5, 9]], float), np.array([[0, 0, 5, 20], [20, 20, 30, 30]], float)
    np.testing.assert_allclose(views.cover(a, b), [[0.5, 0], [0, 0]])
    assert views.cover(a[:0], b).shape == (0, 2)
