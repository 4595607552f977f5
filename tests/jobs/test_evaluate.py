"""Scores of files and of real lakes, through the job that `nightfleet evaluate` calls."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs.evaluate import evaluate_mot, evaluate_mtmc
from pipeline.errors import TruthError
from pipeline.lake.writer import Lake
from tests.lake.making import FPS, WIDTH_PX, entry, fleet, instant_us, line, rows

START_US = instant_us("2026-03-01T07:30:00Z")
SEQINFO = "[Sequence]\nname={name}\nframeRate=10\nseqLength={length}\nimWidth=640\nimHeight=360\n"
CLOCK = "startedAt=2026-03-01T07:30:00Z\n"


def frame_us(index):
    return START_US + index * 1_000_000 // FPS


def write_segment(lake: Lake, camera_id: str, first: int, tracks: dict[str, list[tuple[int, float]]]) -> None:
    """Enter one unit: tracks of 20 x 40 px boxes given as {tracklet: [(frame since START_US, left edge), ...]}."""
    segment_id = f"{camera_id}-{first}"
    made = rows(
        {name: [(x + WIDTH_PX / 2, 140.0) for _, x in places] for name, places in tracks.items()},
        segment_id=segment_id,
        started_at_us=frame_us(first),
        frames={name: [i - first for i, _ in places] for name, places in tracks.items()},
    )
    unit = entry(segment_id, camera_id, started_at_us=frame_us(first), ended_at_us=frame_us(first + 100))
    lake.write_unit(unit, "2026-03-01", *made, None)


def walk(first, last, x=0.0, step=2.0):
    """Frames `first` to `last` (exclusive, counted from START_US), `step` pixels a frame."""
    return [(i, x + step * (i - first)) for i in range(first, last)]


def make_lake(folder: Path, cameras: list[str]) -> Lake:
    """Make a lake whose cameras each have a line at x = 100, to the left of which is west."""
    stop = line("stop", ((100, 0), (100, 300)), forward="west", backward="east")
    lake = Lake.open_or_create(str(folder))
    lake.write_fleet(fleet(*({"id": camera, "lines": [stop]} for camera in cameras)))
    return lake


def write_truth(folder: Path, camera_id: str, tracks: dict[int, list[tuple[int, float]]], *, clock=CLOCK) -> None:
    """Write gt.txt with frames from 1, and seqinfo.ini, of one camera."""
    (folder / camera_id).mkdir(parents=True)
    boxes = sorted((index + 1, track, x) for track, places in tracks.items() for index, x in places)
    text = "".join(f"{frame},{track},{x},100,20,40,1,1,1\n" for frame, track, x in boxes)
    (folder / camera_id / "gt.txt").write_text(text)
    (folder / camera_id / "seqinfo.ini").write_text(SEQINFO.format(name=camera_id, length=200) + clock)


def mtmc_lines(objects: dict[tuple[int, int], list[tuple[int, float]]]) -> str:
    """Write {(camera number, id): places} as AI City text."""
    lines = [f"{c} {i} {at + 1} {x} 100 20 40 -1 -1\n" for (c, i), places in objects.items() for at, x in places]
    return "".join(lines)


# -- mot ---------------------------------------------------------------------------------------------------------------


def test_a_lake_over_two_segments_is_laid_on_one_continuous_truth(tmp_path):
    lake = make_lake(tmp_path / "lake", ["gate", "quay"])
    write_segment(lake, "gate", 0, {"gate-a": walk(0, 100)})
    write_segment(lake, "gate", 100, {"gate-b": walk(100, 200, 200.0)})
    write_segment(lake, "quay", 0, {"quay-a": walk(0, 50)})
    write_truth(tmp_path / "truth", "gate", {1: walk(0, 200)})
    write_truth(tmp_path / "truth", "quay", {1: walk(0, 100)})
    scores = evaluate_mot(tmp_path / "truth", str(tmp_path / "lake"))
    gate, quay = scores["sequences"]["gate"], scores["sequences"]["quay"]
    assert (gate["IDSW"], gate["FP"], gate["FN"]) == (1, 0, 0)  # a new tracklet at the boundary
    assert gate["IDF1"] == pytest.approx(0.5)
    assert (quay["FN"], quay["IDs"]) == (50, 1)
    assert scores["MOTA"] == pytest.approx(1 - (1 + 50) / 300)
    json.dumps(scores)


def test_boxes_outside_the_truths_time_are_not_held_against_the_lake(tmp_path):
    lake = make_lake(tmp_path / "lake", ["gate"])
    write_segment(lake, "gate", -50, {"gate-a": walk(-50, 50)})
    write_truth(tmp_path / "truth", "gate", {1: walk(0, 50, 100.0)})
    assert evaluate_mot(tmp_path / "truth", str(tmp_path / "lake"))["MOTA"] == pytest.approx(1.0)


def test_without_a_clock_the_only_segment_is_laid_frame_by_frame(tmp_path):
    lake = make_lake(tmp_path / "lake", ["gate"])
    write_segment(lake, "gate", 30, {"gate-a": walk(30, 60)})
    write_truth(tmp_path / "truth", "PETS", {1: walk(0, 30)}, clock="")  # the only sequence, the only camera
    truth = tmp_path / "truth" / "PETS" / "gt.txt"
    assert evaluate_mot(truth, str(tmp_path / "lake"))["MOTA"] == pytest.approx(1.0)
    (truth.parent / "seqinfo.ini").unlink()
    assert evaluate_mot(truth, str(tmp_path / "lake"))["MOTA"] == pytest.approx(1.0)
    write_segment(lake, "gate", 130, {"gate-b": walk(130, 140)})
    with pytest.raises(TruthError, match=r"needs a seqinfo.ini with startedAt .* 2 segments"):
        evaluate_mot(truth, str(tmp_path / "lake"))


def test_a_lake_without_boxes_misses_everything(tmp_path):
    make_lake(tmp_path / "lake", ["gate"])
    write_truth(tmp_path / "truth", "gate", {1: walk(0, 30)})
    scores = evaluate_mot(tmp_path / "truth", str(tmp_path / "lake"))
    assert (scores["FN"], scores["IDs"], scores["HOTA"]) == (30, 0, 0)


def test_files_and_folders_of_files(tmp_path):
    for name in ("one", "two"):
        write_truth(tmp_path / "truth", name, {1: walk(0, 10)})
    write_truth(tmp_path / "devkit", "three/gt", {1: walk(0, 10)}, clock="")
    predictions = tmp_path / "tracks"
    predictions.mkdir()
    text = (tmp_path / "truth" / "one" / "gt.txt").read_text()
    (predictions / "one.txt").write_text(text)
    with pytest.raises(TruthError, match=r"two\.txt: no such file, though"):
        evaluate_mot(tmp_path / "truth", predictions)
    (predictions / "two.txt").write_text("")
    scores = evaluate_mot(tmp_path / "truth", predictions)
    assert (scores["TP"], scores["FN"], list(scores["sequences"])) == (10, 10, ["one", "two"])
    assert list(evaluate_mot(tmp_path / "devkit", predictions / "one.txt")["sequences"]) == ["three"]
    with pytest.raises(TruthError, match=r"expected a folder with one <sequence>.txt for each of 2 sequences"):
        evaluate_mot(tmp_path / "truth", predictions / "one.txt")


def test_truth_and_lake_that_do_not_fit_are_refused_in_one_sentence(tmp_path):
    make_lake(tmp_path / "lake", ["gate", "quay"])
    write_truth(tmp_path / "truth", "yard", {1: walk(0, 10)})
    with pytest.raises(TruthError, match="the lake has no camera 'yard'; it has gate, quay"):
        evaluate_mot(tmp_path / "truth", str(tmp_path / "lake"))
    with pytest.raises(TruthError, match=r"expected gt.txt, <sequence>/gt.txt"):
        evaluate_mot(tmp_path / "lake", str(tmp_path / "lake"))
    with pytest.raises(TruthError, match="no such file or folder"):
        evaluate_mot(tmp_path / "none", str(tmp_path / "lake"))
    with pytest.raises(TruthError, match="no such file"):
        evaluate_mot(tmp_path / "truth", str(tmp_path / "no-lake"))


# -- mtmc --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_cameras(tmp_path):
    """Two people seen by both cameras; the fleet lists `quay` before `gate`."""
    lake = make_lake(tmp_path / "lake", ["quay", "gate"])
    write_segment(lake, "quay", 0, {"q1": walk(0, 20), "q2": walk(0, 20, 200.0)})
    write_segment(lake, "gate", 0, {"g1": walk(10, 30), "g2": walk(10, 30, 200.0)})
    seen = {(1, 7): walk(0, 20), (1, 8): walk(0, 20, 200.0), (2, 7): walk(10, 30), (2, 8): walk(10, 30, 200.0)}
    truth = tmp_path / "truth"
    for name in ("quay", "gate"):
        write_truth(truth, name, {})
    (truth / "mtmc.txt").write_text(mtmc_lines(seen))
    return lake, truth / "mtmc.txt"


def identify(lake: Lake, identities: dict[str, str]) -> None:
    names = np.array(list(identities), dtype=object)
    values = np.array(list(identities.values()), dtype=object)
    lake.write_identities("2026-03-01", names, values, np.ones(len(names), np.float32), "run")


def test_right_identities_in_a_lake(two_cameras):
    lake, truth = two_cameras
    identify(lake, {"g1": "A", "q1": "A", "g2": "B", "q2": "B"})
    scores = evaluate_mtmc(truth, lake.url)
    assert (scores["IDF1"], scores["IDs"], scores["GT_Dets"]) == (1, 2, 80)


def test_swapped_and_missing_identities_in_a_lake(two_cameras):
    lake, truth = two_cameras
    identify(lake, {"g1": "A", "q1": "B", "g2": "B", "q2": "A"})
    assert evaluate_mtmc(truth, lake.url)["IDF1"] == pytest.approx(0.5)
    identify(lake, {"g1": "A", "q1": "A"})  # the other two are on their own, each in one camera
    scores = evaluate_mtmc(truth, lake.url)
    assert scores["filtered"]["single_camera"] == 40
    assert (scores["IDP"], scores["IDR"]) == (1, 0.5)


def test_numbers_of_cameras_may_be_given(two_cameras):
    lake, truth = two_cameras
    identify(lake, {"g1": "A", "q1": "A", "g2": "B", "q2": "B"})
    assert evaluate_mtmc(truth, lake.url, cameras={1: "gate", 2: "quay"})["IDF1"] < 0.7
    truth.write_text(truth.read_text() + "3 7 1 0 0 5 5 -1 -1\n")
    with pytest.raises(TruthError, match="expected cameras 1 to 2, as many as the lake has, got 3"):
        evaluate_mtmc(truth, lake.url)


def test_mtmc_of_two_files(two_cameras, tmp_path):
    _, truth = two_cameras
    assert evaluate_mtmc(truth, truth)["IDF1"] == 1
    (tmp_path / "none.txt").write_text("")
    assert evaluate_mtmc(truth, tmp_path / "none.txt")["IDR"] == 0


def test_regions_of_interest_are_read_as_ai_city_lays_them_out(two_cameras, tmp_path):
    _, truth = two_cameras
    region = np.full((360, 640, 3), 255, np.uint8)
    region[:, 192:] = 0  # at a block's edge, so that JPEG keeps it sharp
    for camera in ("c001", "c002"):
        (tmp_path / "roi" / camera).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "roi" / camera / "roi.jpg"), region)
    scores = evaluate_mtmc(truth, truth, regions=tmp_path / "roi")
    assert scores["filtered"]["outside_region"] == 40  # who starts at x = 200
    (tmp_path / "roi" / "c002" / "roi.jpg").unlink()
    with pytest.raises(TruthError, match=r"c002/roi.jpg: expected a picture of the region of interest of camera 2"):
        evaluate_mtmc(truth, truth, regions=tmp_path / "roi")
