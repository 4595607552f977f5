"""Counts of real lakes beside crossings and manual counts, through the job that `nightfleet evaluate` calls."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from jobs.evaluate_counts import NO_LAKE, bin_seconds, evaluate_counts, write_errors
from pipeline.errors import TruthError, UserError
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.jobs.test_evaluate import make_lake, walk, write_segment
from tests.lake.making import fleet, line

HEADER = "camera_id,line_id,direction,class,object_id,crossed_at\n"
MANUAL = "camera,line,direction,class,start,count\n"


def crossings_file(folder: Path, crossings: list[str]) -> Path:
    path = folder / "crossings.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in crossings))
    return path


def test_crossings_of_a_lake_beside_the_truth(tmp_path):
    lake = make_lake(tmp_path / "lake", ["gate", "quay"])
    write_segment(lake, "gate", 0, {"a": walk(0, 80), "b": walk(0, 80, 200.0, -2.0)})  # both cross x = 100
    write_segment(lake, "quay", 0, {"c": walk(0, 80)})
    truth = crossings_file(
        tmp_path, ["gate,stop,east,truck,1,2026-03-01T07:30:04Z", "gate,stop,east,car,2,2026-03-01T07:30:05Z"]
    )
    result = evaluate_counts(truth, lake.url, by="15min")
    assert [(row["direction"], row["class"], row["truth"], row["measured"]) for row in result["per_cell"]] == [
        ("east", "vehicle", 2, 1),
        ("west", "vehicle", 0, 1),
    ]
    assert (result["cells"], result["abs_error"], result["total_error"]) == (2, 2, 1.0)
    assert result["outside_truth"] == 1  # quay
    assert (result["by"], result["classes"]) == ("15min", "group")
    json.dumps(result)


def test_classes_apart_grouped_and_merged(tmp_path):
    (tmp_path / "measured").mkdir()
    truth = crossings_file(tmp_path, ["gate,stop,east,truck,1,2026-03-01T07:30:04Z"])
    measured = crossings_file(tmp_path / "measured", ["gate,stop,east,car,1,2026-03-01T07:30:04Z"])
    assert evaluate_counts(truth, measured, classes="class")["total_error"] == 2.0
    assert evaluate_counts(truth, measured, classes="group")["total_error"] == 0.0
    assert evaluate_counts(truth, measured, classes="any")["per_cell"][0]["class"] == "any"


@pytest.mark.parametrize(("by", "seconds"), [("30s", 30), ("15min", 900), ("1h", 3600)])
def test_lengths_of_bins(by, seconds):
    assert bin_seconds(by) == seconds


@pytest.mark.parametrize("by", ["", "15", "0min", "quarter", "1.5h"])
def test_other_lengths_of_bins_are_refused(by):
    with pytest.raises(UserError, match="expected the length of a bin such as 30s, 15min or 1h"):
        bin_seconds(by)


@pytest.fixture
def lake(tmp_path):
    """Two cameras watched from 07:30:00 to 07:30:10 UTC; at gate, a goes east at 5 s and b west at 5 s."""
    lake = make_lake(tmp_path / "lake", ["gate", "quay"])
    write_segment(lake, "gate", 0, {"a": walk(0, 80), "b": walk(0, 80, 200.0, -2.0)})
    write_segment(lake, "quay", 0, {"c": walk(0, 80)})
    return lake


def test_where_the_errors_come_from(lake, tmp_path):
    truth = crossings_file(
        tmp_path,
        [
            "gate,stop,east,truck,1,2026-03-01T07:30:04Z",
            "gate,stop,east,car,2,2026-03-01T07:30:08Z",
            "gate,stop,east,car,3,2026-03-01T09:00:00Z",  # no footage
        ],
    )
    result = evaluate_counts(truth, lake.url)
    tally = {name: result[name] for name in ("matched", "missed", "double", "false", "wrong_direction", "wrong_class")}
    assert tally == {"matched": 1, "missed": 1, "double": 0, "false": 1, "wrong_direction": 0, "wrong_class": 1}
    told = [(row["error"], row["object_id"], row["tracklet_id"]) for row in result["errors"]]
    assert told == [("wrong class", "1", "a"), ("false", None, "b"), ("missed", "2", None)]
    assert (result["truth_total"], result["unwatched_truth"], result["truth_kind"]) == (2, 1, "crossings")
    assert result["notes"][0] == "1 true crossings lie where there is no footage; they are not compared"
    hour = result["hourly"]["per_hour"][0]
    assert (hour["truth"], hour["measured"], hour["covered_s"]) == (2, 1, 10)
    out = write_errors(result, tmp_path / "errors.csv")
    assert [row["error"] for row in csv.DictReader(out.open())] == ["wrong class", "false", "missed"]


def test_a_manual_count(lake, tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(
        MANUAL
        + "gate,stop,east,car,2026-03-01T07:30:00,3\n"
        + "gate,stop,west,car,2026-03-01T07:30:00,1\n"
        + "gate,stop,east,car,2026-03-01T08:00:00,9\n"
    )
    result = evaluate_counts(path, lake.url, by="10s")
    assert (result["truth_kind"], result["cells"], result["truth_total"], result["measured_total"]) == (
        "manual",
        2,
        4,
        2,
    )
    assert [(row["direction"], row["truth"]) for row in result["not_compared"]] == [("east", 9), ("west", 0)]
    assert result["by_class"] == [{"class": "car", "truth": 4, "measured": 2, "surplus": 0, "deficit": 2}]
    assert "confusion" not in result
    assert any("surplus and deficit by class hint" in note for note in result["notes"])
    half = evaluate_counts(path, lake.url, by="20s")  # as much footage as half of it: half of 3 is compared
    assert (half["partial_cells"], half["truth_total"], half["measured_total"]) == (2, 2, 2)
    write_errors(result, tmp_path / "cells.csv")
    assert (
        (tmp_path / "cells.csv")
        .read_text()
        .splitlines()[1]
        .startswith("gate,stop,east,car,2026-03-01T07:30:00Z,10,3,1")
    )


def test_the_command(lake, tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(MANUAL + "gate,stop,east,person,2026-03-01T07:30:00,1\n")
    asked = ("evaluate", "counts", "--truth", path, "--predicted", lake.url, "--by", "10s")
    done = nightfleet(*asked)
    assert done.returncode == 0, done.stderr
    assert "cells that are off (1 of 1)" in done.stdout
    result = json_of(
        nightfleet("evaluate", "counts", "--truth", path, "--predicted", lake.url, "--by", "10s", "--json")
    )
    assert (result["truth_total"], result["measured_total"]) == (1, 0)
    assert result["notes"][1:] == [
        "1 crossings in the counted bins go in a direction that was not counted by hand",
        "1 crossings in the counted bins have a class that was not counted by hand",
    ]
    path.write_text(MANUAL + "gate,stop,up,person,2026-03-01T07:30:00,1\n")
    done = nightfleet("evaluate", "counts", "--truth", path, "--predicted", lake.url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "row 2: line stop of camera gate has no direction 'up'; they are west and east" in done.stderr


def test_the_hour_does_not_depend_on_the_bins(lake, tmp_path):
    truth = crossings_file(tmp_path, ["gate,stop,east,car,2,2026-03-01T07:30:08Z"])
    fine, coarse = (evaluate_counts(truth, lake.url, by=by) for by in ("2s", "1h"))
    assert fine["cells"] > coarse["cells"]
    assert fine["hourly"] == coarse["hourly"]
    assert {row["covered_s"] for row in fine["hourly"]["per_hour"]} == {10}
    # A bin of an hour with 10 s of footage is scaled by those 10 s, not by the hour.
    assert coarse["GEH"] == {name: coarse["hourly"][name] for name in ("mean", "max", "share_below_5")}
    alone = evaluate_counts(truth, truth)
    assert alone["hourly"]["per_hour"][0]["covered_s"] == 3600
    assert alone["notes"] == [NO_LAKE]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER, "holds no crossing, only a header"),
        (HEADER + "gate,stop,east,car,1,2026-03-01T09:00:00Z\n", "none of its crossings lies where .*T09:00.*T07:30"),
        (HEADER + "gat,stop,east,car,1,2026-03-01T07:30:04Z\n", r"the lake has none of its cameras \(gat\)"),
        (HEADER + "shut,stop,east,car,1,2026-03-01T07:30:04Z\n", "the lake has no finished footage of shut"),
        (HEADER + "gate,zebra,east,car,1,2026-03-01T07:30:04Z\n", "line zebra of camera gate counts only person, not"),
        (MANUAL, "holds no count, only a header"),
        (MANUAL + "gate,stop,east,car,2026-03-01T09:00,1\n", "none of its bins lies where .*T09:00.*T07:30"),
        (MANUAL + "gate,zebra,east,car,2026-03-01T07:30,1\n", "row 2: line zebra of camera gate counts only person"),
    ],
)
def test_nothing_to_compare_is_no_perfect_score(tmp_path, text, sentence):
    stop, zebra = (line(name, ((100, 0), (100, 300)), forward="west", backward="east") for name in ("stop", "zebra"))
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lines = [stop, {**zebra, "classes": ["person"]}]
    lake.write_fleet(fleet(*({"id": camera, "lines": lines} for camera in ("gate", "shut"))))
    write_segment(lake, "gate", 0, {"a": walk(0, 80)})
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(TruthError, match=sentence) as caught:
        evaluate_counts(path, lake.url)
    assert "\n" not in str(caught.value)


def test_mistakes(lake, tmp_path):
    with pytest.raises(UserError, match="--tolerance: expected seconds of at least 0"):
        evaluate_counts(tmp_path / "none.csv", lake.url, tolerance_s=-1)
    with pytest.raises(TruthError, match=r"none\.csv: no such file"):
        evaluate_counts(tmp_path / "none.csv", lake.url)
