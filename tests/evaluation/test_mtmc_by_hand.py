"""Multi-camera identity scores on paper, and against the definition done slowly.

IDF1 = 2 IDTP / (true boxes + kept boxes), IDP = IDTP / kept, IDR = IDTP / true, IDTP being the boxes that agree under
the best one-to-one pairing of ids. All boxes are 10 x 10 pixels; objects stand 100 pixels apart.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pipeline.evaluation import mtmc
from pipeline.evaluation.tables import CameraBoxes
from tests.evaluation.boxes import in_cameras

ROAD = [(camera, i, frame, 100.0 * i) for camera in (1, 2) for i in (1, 2) for frame in (1, 2, 3)]
"""Two objects in three frames of each of two cameras: 12 true boxes."""


def scored(found, truth=ROAD, **options):
    """Return IDTP, IDFP, IDFN and IDF1 of rows (camera, id, frame, x)."""
    scores = mtmc.evaluate(in_cameras(truth), in_cameras(found), **options)
    return scores["IDTP"], scores["IDFP"], scores["IDFN"], pytest.approx(scores["IDF1"])


def test_perfect():
    assert scored(ROAD) == (12, 0, 0, 1.0)  # 2 * 12 / (12 + 12)


def test_ids_swapped_for_one_frame():
    found = [(c, 3 - i if (c, frame) == (2, 3) else i, frame, x) for c, i, frame, x in ROAD]
    # Of each id 5 of its 6 boxes lie on its object: IDTP = 2 * 5, and 2 boxes are wrong on either side.
    assert scored(found) == (10, 2, 2, 2 * 10 / (12 + 12))


def test_one_id_for_two_objects():
    found = [(c, 7, frame, x) for c, i, frame, x in ROAD if (i == 1) == (c == 1)]  # object 1 in camera 1, 2 in 2
    # One id can be paired with one object only: 3 boxes agree, 3 do not, and 9 true boxes are missed.
    assert scored(found) == (3, 3, 9, 2 * 3 / (12 + 6))


def test_an_object_split_over_two_ids_that_both_cross():
    found = [(c, 10 if i == 1 and frame == 3 else i, frame, x) for c, i, frame, x in ROAD]
    # Object 1 is id 1 in frames 1 and 2 (4 boxes) and id 10 in frame 3 (2 boxes), in both cameras: 4 + 6 agree.
    assert scored(found) == (10, 2, 2, 2 * 10 / (12 + 12))


def test_a_missed_camera_takes_all_with_it():
    found = [row for row in ROAD if row[0] == 1]
    # With nothing in camera 2, both ids are in one camera only: nothing is kept, 12 true boxes are missed.
    assert scored(found) == (0, 0, 12, 0.0)


def test_a_missed_camera_of_three():
    truth = [*ROAD, *((3, i, frame, x) for c, i, frame, x in ROAD if c == 1)]  # 18 boxes
    # Ids are still in cameras 1 and 2: 12 of 18 agree and none is wrong.
    assert scored(ROAD, truth) == (12, 0, 6, 2 * 12 / (18 + 12))


def test_single_camera_ids_are_dropped_before_they_could_do_harm():
    found = [*ROAD, *((1, 50 + frame, frame, 900.0) for frame in (1, 2, 3))]
    # The three false boxes bear ids of camera 1 only, and go: 2 * 12 / (12 + 12), not 2 * 12 / (12 + 15).
    assert scored(found) == (12, 0, 0, 1.0)
    crossing = [*found, *((2, 50 + frame, frame, 900.0) for frame in (1, 2, 3))]
    assert scored(crossing) == (12, 6, 0, 2 * 12 / (12 + 18))  # in both cameras they stay, 6 wrong boxes


def test_an_id_in_a_camera_without_truth_counts_as_two_cameras_but_its_boxes_there_do_not():
    truth = [row for row in ROAD if row[0] == 1]  # 6 boxes, camera 1
    found = [*truth, *((9, 1, frame, 0.0) for frame in (1, 2))]
    # Id 1 is in cameras 1 and 9 and stays, id 2 in camera 1 only and goes: 3 of 6 true boxes, 3 kept.
    assert scored(found, truth) == (3, 0, 3, 2 * 3 / (6 + 3))


def test_duplicates():
    far = [(1, 1, 2, 555.0)]
    assert scored([*ROAD, *far]) == (12, 0, 0, 1.0)  # the later row of id 1 in frame 2 goes
    # Where the wrong one comes first, it stays in place of the right one: 11 agree, 1 is wrong, 1 is missed.
    assert scored([*far, *ROAD]) == (11, 1, 1, 2 * 11 / (12 + 12))


def test_region_of_interest():
    region = np.full((50, 400), mtmc.IN_REGION, np.uint8)
    region[:, 205:] = 254  # not quite white is dark; object 2 lies at 200 to 210 and reaches into it
    # In camera 1 object 2's 3 boxes go; its id is then in camera 2 only, whose 3 boxes go too: 6 of 12 are left.
    assert scored(ROAD, regions={1: region}) == (6, 0, 6, 2 * 6 / (12 + 6))
    region[:, 205:] = mtmc.IN_REGION
    region[5, 205] = 0  # a dark spot under the middle of the box, not under a corner
    assert scored(ROAD, regions={1: region}) == (12, 0, 0, 1.0)
    region[10, 210] = 0  # x + w, y + h: the challenge's last corner lies one beyond the box
    assert scored(ROAD, regions={1: region}) == (6, 0, 6, 2 * 6 / (12 + 6))


def test_frames_of_two_cameras_that_overlap_in_number_do_not_mix():
    truth = [(1, 1, 1, 0.0), (1, 1, 2, 0.0), (2, 1, 1, 0.0), (2, 1, 2, 0.0)]
    # The box of camera 1, frame 2 is found in camera 2, frame 2 twice over: never two cameras in one frame.
    found = [(1, 1, 1, 0.0), (2, 1, 1, 0.0), (2, 1, 2, 300.0)]
    assert scored(found, truth) == (2, 1, 2, 2 * 2 / (4 + 3))


def test_predictions_beyond_the_last_frame_of_the_truth_do_not_slide_into_the_next_camera():
    truth = [(1, 1, 1, 0.0), (2, 1, 1, 0.0)]
    found = [(1, 1, 1, 0.0), (1, 1, 2, 0.0), (2, 1, 1, 0.0)]  # frame 2 of camera 1 is not frame 1 of camera 2
    assert scored(found, truth) == (2, 1, 0, 2 * 2 / (2 + 3))


def slowly(truth: CameraBoxes, predicted: CameraBoxes, regions: dict[int, np.ndarray]) -> dict[str, float]:
    """The definition by dictionaries and one assignment over all pairs of ids, padded so that an id may stay alone."""

    def overlap(a, b):
        wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        both = max(wide, 0.0) * max(high, 0.0)
        return both / (a[2] * a[3] + b[2] * b[3] - both) if both else 0.0

    def inside(camera, box):
        x, y, w, h = (int(value) for value in box)
        spots = [(x, y), (x + w, y), (x, y + h), (x + w, y + h)]
        region = regions.get(camera)
        return region is None or not any(
            0 <= row < region.shape[0] and 0 <= column < region.shape[1] and region[row, column] < 255
            for column, row in spots
        )

    true = {(c, f, i): box for c, i, f, box in zip(truth.camera, truth.track_id, truth.frame, truth.xywh)}
    rows = [
        (c, i, f, box)
        for c, i, f, box in zip(*(getattr(predicted, n) for n in ("camera", "track_id", "frame", "xywh")))
    ]
    rows = [row for row in rows if inside(row[0], row[3])]
    cameras_of = {i: {row[0] for row in rows if row[1] == i} for _, i, _, _ in rows}
    found = {}
    for c, i, f, box in rows:
        if len(cameras_of[i]) > 1 and (c, f, i) not in found:
            found[c, f, i] = box
    found = {key: box for key, box in found.items() if key[0] in set(truth.camera)}
    true_ids, found_ids = (sorted({key[2] for key in side}) for side in (true, found))
    agree = np.zeros((len(true_ids) + len(found_ids),) * 2)
    for n, i in enumerate(true_ids):
        for m, j in enumerate(found_ids):
            agree[n, m] = sum(
                1
                for (c, f, who), box in true.items()
                if who == i and (c, f, j) in found and overlap(box, found[c, f, j]) >= 0.5
            )
    idtp = agree[linear_sum_assignment(-agree)].sum()
    return {
        "IDTP": idtp,
        "IDFP": len(found) - idtp,
        "IDFN": len(true) - idtp,
        "IDF1": 2 * idtp / (len(true) + len(found)),
        "IDP": idtp / len(found) if found else 0.0,
        "IDR": idtp / len(true),
    }


def shaken(random: np.random.Generator, cameras: int, n_objects: int, n_frames: int) -> tuple[CameraBoxes, CameraBoxes]:
    """A truth, and predictions of it with misses, shaken and doubled boxes, strays and confused ids; whole pixels."""
    truth, found = [], []
    for camera in range(1, cameras + 1):
        for i in range(1, n_objects + 1):
            for frame in range(random.integers(1, 4), n_frames + 1):
                box = [40 * i + 3 * frame, 20, 24, 30]
                truth.append((camera, i, frame, *box))
                if random.random() < 0.85:
                    moved = np.array(box) + random.integers(-6, 7, 4)
                    name = random.integers(1, n_objects + 2) if random.random() < 0.3 else 10 * i
                    found += [(camera, name, frame, *moved)] * random.integers(1, 3)
    found += [(random.integers(1, cameras + 2), 99, frame, 5, 5, 20, 20) for frame in range(1, n_frames + 3)]
    found = [found[row] for row in random.permutation(len(found))]
    return tuple(
        CameraBoxes(*rows[:, :3].T[[0, 1, 2]].copy(), rows[:, 3:].astype(float), np.full((len(rows), 2), np.nan))
        for rows in (np.array(truth), np.array(found))
    )


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_definition_done_slowly(seed):
    random = np.random.default_rng(seed)
    truth, predicted = shaken(random, cameras=int(random.integers(1, 4)), n_objects=4, n_frames=6)
    regions = {}
    if seed % 2:
        regions[1] = np.where(random.random((80, 220)) < 0.01, 0, 255).astype(np.uint8)
    scores = mtmc.evaluate(truth, predicted, regions=regions)
    expected = slowly(truth, predicted, regions)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
