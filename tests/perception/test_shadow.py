import cv2
import numpy as np

from pipeline.perception.shadow import below, between, grounded

HEIGHT, WIDTH = 60, 40
FEET = np.minimum(np.arange(HEIGHT) + 30, HEIGHT)


def area(*rectangles):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x1, y1, x2, y2 in rectangles:
        mask[y1:y2, x1:x2] = True
    return mask


def keep(core, shadow):
    return below(core | shadow, core, FEET)


def test_nothing():
    assert not keep(area(), area()).any()


def test_shadow_alone_is_dropped_and_certain_pixels_never():
    assert not keep(area(), area((5, 5, 30, 20))).any()
    np.testing.assert_array_equal(keep(area((5, 5, 30, 20)), area()), area((5, 5, 30, 20)))


def test_grey_trousers_belong_to_the_shirt_and_the_shadow_beside_does_not():
    shirt, trousers, cast = area((10, 10, 18, 25)), area((10, 25, 18, 40)), area((19, 38, 35, 41))
    np.testing.assert_array_equal(keep(shirt, trousers | cast), shirt | trousers)


def test_shadow_towards_the_camera_ends_at_a_persons_height():
    shirt, below = area((10, 10, 18, 25)), area((10, 25, 18, 58))
    np.testing.assert_array_equal(keep(shirt, below), area((10, 10, 18, 41)))


def test_two_people_above_each_other_each_have_their_own_height():
    shirts, grey = area((10, 2, 18, 10), (10, 38, 18, 45)), area((10, 10, 18, 30), (10, 45, 18, 58))
    np.testing.assert_array_equal(keep(shirts, grey), shirts | grey)


def test_a_grey_van_is_what_its_windows_and_wheels_enclose():
    window, wheels = area((6, 10, 26, 16)), area((6, 26, 12, 30), (20, 26, 26, 30))
    van, cast = area((6, 10, 26, 30)), area((26, 26, 38, 30))
    core = window | wheels
    _, label, stats, _ = cv2.connectedComponentsWithStats((van | cast).astype(np.uint8))
    np.testing.assert_array_equal(between(core, label, stats, np.array([1])), van)
    assert not between(core, label, stats, np.array([], int)).any()


def test_boxes_end_where_it_is_certain_if_only_a_strip_below_is_not():
    boxes = np.array([[10, 10, 20, 50], [10, 10, 20, 50], [30, 10, 36, 50]])
    raised = grounded(boxes, area((10, 10, 20, 47)), np.array([0.12, 0.05, 0.12]))
    np.testing.assert_array_equal(raised, [[10, 10, 20, 47], [10, 10, 20, 50], [30, 10, 36, 50]])
    assert grounded(boxes[:0], area(), np.zeros(0)).shape == (0, 4)


def test_grey_trousers_below_a_certain_shirt_stay():
    box = np.array([[10, 10, 20, 50]])
    np.testing.assert_array_equal(grounded(box, area((10, 10, 20, 30)), np.array([0.25])), box)
