"""What `check` and `status` say beside what is wrong."""

from __future__ import annotations

import numpy as np

from jobs.check import check
from pipeline import config
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet, write_fleet
from tests.lake.making import entry, fleet, no_rows
from tests.perception.onnx_models import write_detector


def test_a_note_says_which_boxes_start_no_track(tiny_town, tmp_path):
    def checked(**changes) -> dict:
        return check(config.load(write_fleet(tiny_town, tmp_path, **changes)))

    assert checked()["notes"] == []
    detector = {"score_threshold_by_class": {"person": 0.4, "car": 0.4}}
    (note,) = checked(models={"detector": {"use": "motion", **detector}})["notes"]
    assert note == (
        "boxes of person, car scored 0.4 to 0.5 only continue tracks (tracker.high_score); "
        "lower it to let them start tracks"
    )
    models = {"detector": {"use": "motion", **detector}}
    assert checked(models=models, tracker={"high_score": 0.4})["notes"] == []
    printed = nightfleet("check", write_fleet(tiny_town, tmp_path, models=models))
    assert printed.returncode == 0, "a note is no problem"
    assert "note: boxes of person, car" in printed.stdout
    assert "everything holds" in printed.stdout


def test_a_note_says_what_a_detectors_file_is(tiny_town, tmp_path):
    path = write_detector(tmp_path / "toy.onnx", np.zeros((84, 85)), np.zeros((84, 85)), 64, 1)
    models = {"detector": {"use": f"onnx:{path}"}}
    (note,) = check(config.load(write_fleet(tiny_town, tmp_path, models=models)))["notes"]
    assert note == f"onnx:{path}: layout yolox, input 64 x 64 (letterbox, BGR, 0 to 255), COCO's 80 classes"
    path.write_text("<html>not found")
    (problem,) = check(config.load(write_fleet(tiny_town, tmp_path, models=models)))["problems"]
    assert "it is a web page, as a failed download leaves behind" in problem


def test_status_says_where_a_cameras_motion_stayed_unknown(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate"}, {"id": "ride"}))
    lake.write_unit(entry(), "2026-03-01", *no_rows(), None)
    for name in ("ride-1", "ride-2"):
        lake.write_unit(entry(name, "ride", motion_unknown=5), "2026-03-01", *no_rows(), None)
    assert [row["motion_unknown"] for row in json_of(nightfleet("status", tmp_path, "--json"))] == [0, 10]
    printed = nightfleet("status", tmp_path).stdout
    assert "camera ride was taken to stand still in 10 of 1200 frames" in printed
    assert "camera gate" not in printed


def test_a_note_says_how_well_ground_points_fit(tiny_town, tmp_path):
    corners = [[0, 0], [600, 0], [600, 300], [0, 300]]
    points = [{"pixel": pixel, "metres": [pixel[0] / 10, pixel[1] / 10]} for pixel in corners]
    raw = config.load(write_fleet(tiny_town, tmp_path)).model_dump(mode="json")
    gate = raw["cameras"][0]
    gate.update(homography=None, ground_points=points)
    raw["cameras"] = [gate]

    def note() -> str:
        (said,) = check(config.FleetConfig.model_validate({**raw, "identity": {}}))["notes"]
        return said

    assert note() == "camera gate: 4 ground points; mark a fifth, or give marking_error_px, and speeds get an error"
    gate["marking_error_px"] = 3.0
    assert note().startswith("camera gate: 4 ground points; distances and speeds are known to 1.0 % at line road")
    points.append({"pixel": [310, 150], "metres": [30, 15]})
    assert "5 ground points, " in note()
    assert "px off at most (the 5. of them)" in note()
