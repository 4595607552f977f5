import numpy as np

from pipeline.perception.groups import hull_area, part_at_heads, stand

ADULT = 40


def picture(*rectangles, height=90, width=100):
    mask = np.zeros((height, width), np.uint8)
    for x1, y1, x2, y2 in rectangles:
        mask[y1:y2, x1:x2] = 1
    return mask


def person(x, foot):
    """Head, trunk and legs of an adult of 40 pixels around column x."""
    return (x - 3, foot - 40, x + 3, foot - 32), (x - 6, foot - 32, x + 6, foot - 18), (x - 4, foot - 18, x + 4, foot)


def bounds(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def adult_px(x, foot):
    return float(ADULT)


def test_shoulder_to_shoulder_is_parted_between_the_heads():
    mask = picture(*person(30, 60), *person(42, 62))
    found = part_at_heads(mask, bounds(mask), ADULT, 10)
    assert len(found) == 2 and abs(found[0, 2] - 36) <= 1
    np.testing.assert_array_equal(found[:, 1], [20, 22])


def test_one_head_is_one_person():
    mask = picture(*person(30, 60))
    np.testing.assert_array_equal(part_at_heads(mask, bounds(mask), ADULT, 10), [bounds(mask)])


def test_the_foot_behind_is_no_head():
    mask = picture(*person(30, 60), (34, 50, 44, 56), (44, 48, 46, 56))
    assert len(part_at_heads(mask, bounds(mask), ADULT, 10)) == 1


def test_three_in_a_heap_stand_where_they_stood():
    feet = [(30, 50), (24, 72), (42, 76)]
    mask = picture(*(each for x, foot in feet for each in person(x, foot)))
    found = stand(mask, bounds(mask), adult_px)
    assert len(found) == 3
    for x, foot in feet:
        assert (np.abs(found[:, 3] - foot) + np.abs(found[:, [0, 2]].mean(axis=1) - x)).min() <= 6


def test_what_people_do_not_explain_is_left_alone():
    assert stand(picture(), np.array([10, 10, 40, 50]), adult_px).shape == (0, 4)
    long = picture((5, 40, 95, 44))
    assert len(stand(long, np.array([5, 40, 95, 44]), lambda x, foot: 4.0)) in (0, 5)
    block = picture((0, 0, 100, 90))
    assert len(stand(block, np.array([0, 0, 100, 90]), adult_px)) == 0


def test_hull_area():
    assert hull_area(picture(), np.array([0, 0, 10, 10])) == 0
    assert hull_area(picture((10, 10, 31, 31)), np.array([10, 10, 31, 31])) == 400
