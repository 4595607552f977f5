"""Market-1501's scores worked out by hand, and against the definition done slowly."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation import reid
from pipeline.evaluation.reid import Pictured


def pictured(*crops):
    """Crops as (person, camera)."""
    table = np.array(crops, np.int64).reshape(-1, 2)
    return Pictured(table[:, 0], table[:, 1])


def scored(query, gallery, similarity):
    blocks = iter([(np.arange(len(query)), np.array(similarity, np.float64).reshape(len(query), len(gallery)))])
    return reid.evaluate(blocks, query, gallery)


def test_no_queries():
    assert scored(pictured(), pictured(), [])["mAP"] == 0
    found = scored(pictured(), pictured((1, 1)), [])
    assert (found["queries"], found["unanswerable"], found["rank1"]) == (0, 0, 0)


def test_two_right_answers_at_the_first_and_third_place():
    gallery = pictured((1, 2), (2, 2), (1, 3), (3, 3))
    found = scored(pictured((1, 1)), gallery, [0.9, 0.8, 0.7, 0.6])
    assert found["mAP"] == pytest.approx((1 / 1 + 2 / 3) / 2)  # precision at each of the two right answers
    assert (found["rank1"], found["rank5"]) == (1, 1)


def test_the_same_camera_is_left_out_of_the_ranking():
    gallery = pictured((1, 1), (2, 2), (1, 2))
    found = scored(pictured((1, 1)), gallery, [1.0, 0.9, 0.8])
    # The first is the person in the query's own camera: left out, so that the right answer is second of two.
    assert found["mAP"] == pytest.approx(1 / 2)
    assert (found["rank1"], found["rank5"]) == (0, 1)


def test_junk_takes_no_place_and_distractors_do():
    found = scored(pictured((1, 1)), pictured((-1, 2), (0, 2), (1, 2)), [0.9, 0.8, 0.7])
    assert found["mAP"] == pytest.approx(1 / 2)  # junk aside, the distractor is first and the answer second


def test_another_persons_crop_in_the_querys_camera_stays():
    found = scored(pictured((1, 1)), pictured((2, 1), (1, 2)), [0.9, 0.8])
    assert found["mAP"] == pytest.approx(1 / 2)


def test_queries_that_ask_for_nothing_are_told():
    query = pictured((1, 1), (0, 1), (-1, 1), (2, 1))
    gallery = pictured((1, 2), (2, 1))  # person 2 is in the query's own camera only
    found = scored(query, gallery, np.ones((4, 2)))
    assert (found["queries"], found["unanswerable"], found["people"], found["cameras"]) == (1, 3, 1, 2)
    assert found["mAP"] == 1


def test_ranks_over_queries():
    gallery = pictured((1, 2), *((9, 2) for _ in range(5)), (2, 2))
    found = scored(pictured((1, 1), (2, 1)), gallery, [np.arange(7, 0, -1)] * 2)
    assert found["rank1"] == 0.5  # person 1 is first, person 2 seventh
    assert (found["rank5"], found["rank10"]) == (0.5, 1)
    assert found["mAP"] == pytest.approx((1 + 1 / 7) / 2)


def test_equals_rank_in_the_order_of_the_gallery():
    gallery = pictured((2, 2), (1, 2))
    assert scored(pictured((1, 1)), gallery, [0.5, 0.5])["mAP"] == pytest.approx(1 / 2)


@pytest.mark.parametrize("right", [[0], [3], [0, 1, 2], [1, 4]])
def test_average_precision_is_the_area_under_steps(right):
    places = np.array(right)
    assert reid.average_precision(places) == pytest.approx(np.mean([(places <= p).sum() / (p + 1) for p in right]))


def slowly(query, gallery, similarity):
    firsts, precisions = [], []
    for person, camera, alike in zip(query.person.tolist(), query.camera.tolist(), similarity):
        ranking = sorted(range(len(gallery)), key=lambda g: (-alike[g], g))
        places, place, n_right = [], 0, 0
        for g in ranking:
            its_person, its_camera = int(gallery.person[g]), int(gallery.camera[g])
            if its_person == -1 or (its_person == person and its_camera == camera):
                continue
            place += 1
            if its_person == person and person > 0:
                n_right += 1
                places.append((place, n_right / place))
        if places:
            firsts.append(places[0][0])
            precisions.append(np.mean([precision for _, precision in places]))
    return {"mAP": np.mean(precisions), **{f"rank{k}": np.mean([f <= k for f in firsts]) for k in (1, 5, 10)}}


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_definition_done_slowly(seed):
    rng = np.random.default_rng(seed)
    query, gallery = (Pictured(rng.integers(-1, 6, n), rng.integers(1, 4, n)) for n in (15, 60))
    similarity = rng.integers(0, 30, (15, 60)) / 30  # many ties
    found, expected = scored(query, gallery, similarity), slowly(query, gallery, similarity)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    halves = ((rows, similarity[rows]) for rows in (np.arange(7), np.arange(7, 15)))
    assert reid.evaluate(halves, query, gallery) == found
