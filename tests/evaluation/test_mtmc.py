"""Multi-camera identity scores, worked out by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation import mtmc
from pipeline.evaluation.tables import CameraBoxes
from tests.evaluation.boxes import in_cameras

FRAMES = range(1, 5)


def scene(ids=(1, 2), cameras=(1, 2), frames=FRAMES):
    """Objects standing 100 px apart, seen in every frame of every camera: (camera, id, frame, x)."""
    return [(camera, i, frame, 100.0 * i) for camera in cameras for i in ids for frame in frames]


def test_no_predictions_and_no_truth():
    nothing = in_cameras([])
    assert mtmc.evaluate(nothing, nothing)["IDF1"] == 0
    missed = mtmc.evaluate(in_cameras(scene()), nothing)
    assert (missed["IDF1"], missed["IDFN"], missed["IDFP"]) == (0, 16, 0)


def test_perfect_under_other_names():
    truth = in_cameras(scene())
    renamed = in_cameras([(camera, i + 500, frame, x) for camera, i, frame, x in scene()])
    scores = mtmc.evaluate(truth, renamed)
    assert (scores["IDF1"], scores["IDP"], scores["IDR"]) == (1, 1, 1)
    assert (scores["IDs"], scores["GT_IDs"], scores["cameras"]) == (2, 2, 2)


def test_ids_not_joined_across_cameras_are_all_taken_out():
    truth = in_cameras(scene())
    apart = in_cameras([(camera, 10 * camera + i, frame, x) for camera, i, frame, x in scene()])
    scores = mtmc.evaluate(truth, apart)
    assert scores["IDF1"] == 0
    assert scores["filtered"]["single_camera"] == 16
    assert scores["Dets"] == 0


def test_an_id_of_one_camera_only_is_taken_out_and_its_truth_missed():
    truth = in_cameras(scene())
    rows = [row for row in scene() if not (row[1] == 2 and row[0] == 2)]  # id 2 is found in camera 1 only
    scores = mtmc.evaluate(truth, in_cameras(rows))
    assert scores["filtered"]["single_camera"] == 4
    assert (scores["IDTP"], scores["IDFP"], scores["IDFN"]) == (8, 0, 8)
    assert scores["IDF1"] == pytest.approx(2 * 8 / (16 + 8))
    assert scores["IDP"] == 1


def test_truth_of_one_camera_only_is_used_as_given():
    truth = in_cameras(scene() + [(1, 9, frame, 900.0) for frame in FRAMES])
    scores = mtmc.evaluate(truth, in_cameras(scene()))
    assert (scores["IDTP"], scores["IDFN"], scores["GT_IDs"]) == (16, 4, 3)


def test_ids_swapped_in_the_second_camera():
    truth = in_cameras(scene())
    swapped = in_cameras([(c, 3 - i if c == 2 else i, frame, x) for c, i, frame, x in scene()])
    scores = mtmc.evaluate(truth, swapped)  # each id is right in one camera of two
    assert (scores["IDTP"], scores["IDFP"], scores["IDFN"]) == (8, 8, 8)
    assert scores["IDF1"] == pytest.approx(0.5)


def test_cameras_lie_one_after_another_in_time():
    truth = in_cameras([(1, 1, 1, 0.0), (1, 1, 7, 0.0), (4, 1, 2, 0.0), (6, 1, 3, 0.0)])
    predicted = in_cameras([(1, 1, 9, 0.0), (4, 1, 1, 0.0)])
    assert mtmc.frame_offsets(truth, predicted) == {1: 0, 4: 9, 6: 11}


def test_a_box_found_in_the_wrong_camera_does_not_match():
    truth = in_cameras([(1, 1, frame, 0.0) for frame in FRAMES] + [(2, 1, frame, 300.0) for frame in FRAMES])
    crossed = in_cameras([(2, 1, frame, 0.0) for frame in FRAMES] + [(1, 1, frame, 300.0) for frame in FRAMES])
    assert mtmc.evaluate(truth, crossed)["IDTP"] == 0


def test_duplicates_keep_the_first_of_the_file():
    truth = in_cameras(scene(ids=(1,)))
    doubled = in_cameras([*scene(ids=(1,)), (1, 1, 1, 999.0)])
    scores = mtmc.evaluate(truth, doubled)
    assert scores["filtered"]["duplicate"] == 1
    assert scores["IDF1"] == 1
    badly = in_cameras([(1, 1, 1, 999.0), *scene(ids=(1,))])
    assert mtmc.evaluate(truth, badly)["IDTP"] == 7


def test_boxes_outside_the_region_go_before_cameras_are_counted():
    region = np.full((50, 400), 255, dtype=np.uint8)
    region[:, 200:] = 0  # object 2, at x = 200, lies outside in camera 2
    scores = mtmc.evaluate(in_cameras(scene()), in_cameras(scene()), regions={2: region})
    assert scores["filtered"] == {"outside_region": 4, "single_camera": 4, "duplicate": 0, "camera_without_truth": 0}
    off_picture = in_cameras([(camera, 1, 1, -5.0) for camera in (1, 2)])
    kept, _ = mtmc.filter_predictions(off_picture, {1: region, 2: region})
    assert len(kept) == 2  # a corner off the picture speaks neither for nor against


def test_predictions_in_cameras_without_truth_are_not_scored():
    scores = mtmc.evaluate(in_cameras(scene(cameras=(1, 2))), in_cameras(scene(cameras=(1, 2, 3))))
    assert scores["IDF1"] == 1
    assert scores["filtered"]["camera_without_truth"] == 8


def test_half_an_iou_is_enough_and_less_is_not():
    truth = in_cameras([(1, 1, 1, 0.0), (2, 1, 1, 0.0)])
    assert mtmc.evaluate(truth, in_cameras([(1, 1, 1, 10 / 3 - 1e-9), (2, 1, 1, 0.0)]))["IDTP"] == 2
    assert mtmc.evaluate(truth, in_cameras([(1, 1, 1, 3.5), (2, 1, 1, 0.0)]))["IDTP"] == 1


def test_truth_with_an_object_twice_in_a_frame_is_refused():
    with pytest.raises(TruthError, match="got id 1 twice in camera 2, frame 3"):
        mtmc.evaluate(in_cameras([*scene(), (2, 1, 3, 5.0)]), in_cameras(scene()))


def test_the_order_of_rows_changes_nothing_where_there_are_no_duplicates():
    truth = in_cameras(scene())
    found = in_cameras([(c, 3 - i if c == 2 and frame > 2 else i, frame, x) for c, i, frame, x in scene()])
    order = np.random.default_rng(0).permutation(len(found))
    assert mtmc.evaluate(truth, found) == mtmc.evaluate(truth.take(order), found.take(order))


def identity_f1_by_trying_every_pairing(truth: CameraBoxes, predicted: CameraBoxes) -> float:
    """The definition, slowly: the one-to-one pairing of ids under which most boxes agree. Equal boxes match."""
    from itertools import permutations

    where = [set(zip(rows.camera, rows.frame, rows.xywh[:, 0], rows.track_id)) for rows in (truth, predicted)]
    true_ids, found_ids = (sorted({row[3] for row in rows}) for rows in where)
    padded = [*found_ids, *[None] * len(true_ids)]
    best = max(
        sum(
            (*row[:3], true_id) in where[0]
            for true_id, found_id in zip(true_ids, chosen)
            for row in where[1]
            if row[3] == found_id
        )
        for chosen in permutations(padded, len(true_ids))
    )
    return 2 * best / (len(truth) + len(predicted))


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition_on_random_mix_ups(seed):
    random = np.random.default_rng(seed)
    rows = scene(ids=(1, 2, 3), cameras=(1, 2))
    found = []
    for camera, i, frame, x in rows:  # an id drifts between objects, never twice in a frame of a camera
        shift = (frame + camera + seed) % 3 if random.random() < 0.5 else 0
        found.append((camera, 10 + i * 3 + shift, frame, x))
    truth, predicted = in_cameras(rows), in_cameras(found)
    kept, _ = mtmc.filter_predictions(predicted, {})
    assert mtmc.evaluate(truth, predicted)["IDF1"] == pytest.approx(identity_f1_by_trying_every_pairing(truth, kept))


def test_four_cameras_of_a_minute_take_seconds():
    rows = np.array(scene(ids=range(8), cameras=(1, 2, 3, 4), frames=range(1, 751)))
    truth = in_cameras([tuple(row) for row in rows])
    began = time.perf_counter()
    assert mtmc.evaluate(truth, truth)["IDF1"] == 1
    assert time.perf_counter() - began < 15
