import numpy as np

from pipeline.perception import blobs


def picture(*rectangles, height=60, width=100):
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in rectangles:
        mask[y1:y2, x1:x2] = True
    return mask


def unlimited(box):
    return np.inf


def test_nothing_in_nothing_out():
    mask = blobs.clean(picture())
    found = blobs.components(mask, 1)
    assert found.shape == (0, 4)
    assert blobs.join_fragments(found, unlimited).shape == (0, 4)
    measured = blobs.measure(mask, np.zeros(mask.shape, np.float32), found)
    assert measured.xyxy.shape == (0, 4) and len(measured.fill) == len(measured.contrast) == 0


def test_cleaning_keeps_bodies_closes_stripes_and_drops_specks():
    mask = picture((20, 10, 30, 22), (20, 24, 30, 40), (70, 50, 71, 51), (80, 10, 82, 11))
    found = blobs.components(blobs.clean(mask), 1)
    np.testing.assert_array_equal(found, [[20, 10, 30, 40]])


def test_fragments_above_each_other_are_joined_and_neighbours_not():
    head, legs, neighbour = [20, 10, 30, 20], [21, 24, 29, 40], [32, 10, 42, 40]
    found = blobs.join_fragments(np.array([neighbour, legs, head]), unlimited)
    assert sorted(map(list, found)) == [[20, 10, 30, 40], neighbour]
    too_tall = blobs.join_fragments(np.array([legs, head]), lambda box: 25)
    assert len(too_tall) == 2


def test_order_of_fragments_does_not_matter():
    rows = np.array([[20, 10, 30, 20], [21, 24, 29, 40], [22, 44, 28, 50], [60, 10, 70, 20]])
    wanted = blobs.join_fragments(rows, unlimited)
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(rows)
        np.testing.assert_array_equal(blobs.join_fragments(shuffled, unlimited), wanted)


def test_two_heads_are_parted_at_the_valley():
    mask = picture((20, 10, 30, 50), (34, 12, 44, 50), (30, 40, 34, 50))
    found = blobs.part(mask.astype(np.uint8), np.array([20, 10, 44, 50]), 8)
    assert len(found) == 2
    assert abs(found[0, 2] - 32) <= 2 and found[0, 0] == 20 and found[1, 2] == 44 and found[1, 1] == 12


def test_one_person_or_a_car_is_one_thing():
    person = picture((24, 10, 30, 18), (20, 18, 34, 35), (22, 35, 26, 50), (29, 35, 33, 50))
    np.testing.assert_array_equal(
        blobs.part(person.astype(np.uint8), np.array([20, 10, 34, 50]), 8), [[20, 10, 34, 50]]
    )
    car = picture((20, 20, 70, 40), (30, 10, 60, 20))
    np.testing.assert_array_equal(blobs.part(car.astype(np.uint8), np.array([20, 10, 70, 40]), 8), [[20, 10, 70, 40]])


def test_measures():
    mask = picture((10, 10, 20, 20)).astype(np.uint8)
    distance = np.full(mask.shape, 3, np.float32)
    measured = blobs.measure(mask, distance, np.array([[10, 10, 20, 30]]))
    assert measured.fill[0] == 0.5 and measured.contrast[0] == 3
