"""`nightfleet export`: every format by hand, read back by our own readers, and whole or not at all."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from jobs import export as job
from jobs import export_formats
from jobs.evaluate import evaluate_mot, evaluate_mtmc
from jobs.export import export
from jobs.search_filters import parse
from pipeline import boxes
from pipeline.errors import UserError
from pipeline.evaluation.formats import read_mot, read_mtmc, read_seqinfo
from pipeline.evaluation.tracklet_json import read_tracklets
from pipeline.lake.writer import Lake
from pipeline.reports import camera_rows
from tests.conftest import json_of, nightfleet
from tests.lake.making import NOON_US, entry, fleet, instant_us, line, rows

EVERYTHING = parse(None, None, None, None)
METRES = ((0.1, 0, 0), (0, 0.1, 0), (0, 0, 1))


def walk(n, x=20.0):
    return [(x + 3.3 * k, 100.1) for k in range(n)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Two cameras: gate with two files 10.04 s apart, square on the ground; b leaves out frames 1 and 2."""
    made = Lake.open_or_create(str(tmp_path_factory.mktemp("export") / "lake"))
    cameras = {"id": "gate", "lines": [line()], "time_zone": "Europe/Berlin"}, {"id": "square", "homography": METRES}
    made.write_fleet(fleet(*cameras))
    first = rows({"gate-a": walk(5), "gate-b": [(50, 60), (53, 63)]}, segment_id="g1", frames={"gate-b": [0, 3]})
    made.write_unit(unit("g1", "gate", NOON_US), "2026-03-01", *first, None)
    later = rows({"gate-c": walk(4, 7)}, segment_id="g2", started_at_us=NOON_US + 10_040_000, class_name="bus")
    made.write_unit(unit("g2", "gate", NOON_US + 10_040_000), "2026-03-01", *later, None)
    square = rows({"square-a": [(100, 200)] * 3}, segment_id="s1", class_name="person")
    made.write_unit(unit("s1", "square", NOON_US), "2026-03-01", *square, None)
    identities = (np.array(values, object) for values in (["gate-a", "square-a"], ["id-1", "id-1"]))
    made.write_identities("2026-03-01", *identities, np.ones(2, np.float32), "run")
    return made.url


def unit(segment_id, camera_id, started_at_us):
    return entry(segment_id, camera_id, started_at_us=started_at_us, ended_at_us=started_at_us + 2_000_000, frames=20)


def table(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_mot_by_hand(lake, tmp_path):
    done = export(lake, tmp_path / "out", "mot", EVERYTHING)
    lines = (tmp_path / "out/gate.txt").read_text().splitlines()
    assert lines[0] == "1,1,10,60.1,20,40,0.9,3,1"
    assert lines[1] == "1,2,40,20,20,40,0.9,3,1"
    assert [text.split(",")[0] for text in lines] == ["1", "1", "2", "3", "4", "4", "5", "101", "102", "103", "104"]
    assert lines[-1].split(",")[1] == "3" and lines[-1].split(",")[7] == "106"
    info = read_seqinfo(tmp_path / "out/gate/seqinfo.ini")
    assert (info.name, info.frame_rate_fps, info.length_frames, info.started_at_us) == ("gate", 10, 120, NOON_US)
    ids = table(tmp_path / "out/gate/ids.csv")
    assert [(row["id"], row["tracklet_id"], row["class"]) for row in ids][-1] == ("3", "gate-c", "bus")
    frames = table(tmp_path / "out/gate/frames.csv")
    assert list(frames[-4].values()) == ["101", "g2", "0", "2026-03-01T12:00:10.040000Z"]
    assert [row["boxes"] for row in done.cameras] == [11, 3]


def test_mot_is_read_back_as_the_lake_is(lake, tmp_path):
    """An export scores against another as the lake itself does: without a fault."""
    export(lake, tmp_path / "out", "mot", EVERYTHING)
    for camera in ("gate", "square"):
        text = (tmp_path / f"out/{camera}.txt").read_text()
        (tmp_path / f"out/{camera}/gt.txt").write_text(text)
    for predicted in (tmp_path / "out", lake):
        scores = evaluate_mot(tmp_path / "out", predicted)
        assert (scores["HOTA"], scores["IDF1"], scores["Dets"]) == (pytest.approx(1), 1, 14)


def test_ids_and_frames_stay_whatever_is_left_out(lake, tmp_path):
    export(lake, tmp_path / "all", "mot", EVERYTHING)
    some = parse("vehicle", ["gate"], "2026-03-01T13:00:05", None)
    export(lake, tmp_path / "some", "mot", some)
    everything, few = (read_mot(tmp_path / name / "gate.txt") for name in ("all", "some"))
    assert few.track_id.tolist() == [3] * 4
    np.testing.assert_array_equal(few.xywh, everything.xywh[everything.track_id == 3])
    assert few.frame.tolist() == [101, 102, 103, 104]
    assert not (tmp_path / "some/square.txt").exists()
    export(lake, tmp_path / "bus", "csv", parse("bus", None, None, None))
    assert {row["tracklet_id"] for row in table(tmp_path / "bus/observations.csv")} == {"gate-c"}


def test_aicity_by_hand_and_as_the_lake_scores(lake, tmp_path):
    export(lake, tmp_path / "out", "aicity", EVERYTHING)
    lines = (tmp_path / "out/track.txt").read_text().splitlines()
    assert lines[:2] == ["1 1 1 40 20 20 40 -1 -1", "1 2 1 10 60.1 20 40 -1 -1"]
    assert lines[-1] == "2 2 3 90 160 20 40 10 20"
    assert table(tmp_path / "out/cameras.csv")[1]["world"] == "metres"
    ids = table(tmp_path / "out/ids.csv")
    assert [(row["camera"], row["tracklet_id"]) for row in ids if row["identity_id"] == "id-1"] == [
        ("1", "gate-a"),
        ("2", "square-a"),
    ]
    boxes = read_mtmc(tmp_path / "out/track.txt")
    truth = tmp_path / "truth.txt"
    across = (line for line in (tmp_path / "out/track.txt").open() if line.split()[1] == "2")
    truth.write_text("".join(across))  # who is seen by one camera alone is no part of such truth
    for camera in ("gate", "square"):
        (tmp_path / camera).mkdir()
        start = "2026-03-01T12:00:00Z"
        (tmp_path / camera / "seqinfo.ini").write_text(f"[Sequence]\nframeRate=10\nseqLength=120\nstartedAt={start}\n")
    of_text, of_lake = evaluate_mtmc(truth, tmp_path / "out/track.txt"), evaluate_mtmc(truth, lake)
    assert of_text == of_lake
    assert of_text["IDF1"] == 1 and len(boxes) == 14


def test_json_has_one_box_a_frame(lake, tmp_path):
    done = export(lake, tmp_path / "out", "json", EVERYTHING)
    fps, tracklets = read_tracklets(tmp_path / "out/gate.json")
    assert fps == 10
    assert [(one.start, len(one.xyxy)) for one in tracklets] == [(0, 5), (0, 4), (100, 4)]
    np.testing.assert_allclose(tracklets[1].xyxy[:, 0], [40, 41, 42, 43])
    assert [row["filled"] for row in done.cameras] == [2, 0]
    row = table(tmp_path / "out/gate.tracklets.csv")[1]
    assert (row["index"], row["tracklet_id"], row["class"], row["filled"]) == ("1", "gate-b", "car", "2")


def test_csv_tells_both_times(tmp_path):
    """In the hour that comes twice, local times differ in their offset only."""
    made = Lake.open_or_create(str(tmp_path / "lake"))
    made.write_fleet(fleet({"id": "gate", "time_zone": "Europe/Berlin"}))
    at_us = instant_us("2026-10-25T02:59:59.900000+02:00")
    made.write_unit(
        replace(unit("g1", "gate", at_us), local_date="2026-10-25"),
        "2026-10-25",
        *rows({"gate-a": walk(2)}, segment_id="g1", started_at_us=at_us),
        None,
    )
    export(made.url, tmp_path / "out", "csv", EVERYTHING)
    found = table(tmp_path / "out/observations.csv")
    assert [row["captured_at_local"] for row in found] == [
        "2026-10-25T02:59:59.900000+02:00",
        "2026-10-25T02:00:00.000000+01:00",
    ]
    assert found[1]["captured_at_utc"] == "2026-10-25T01:00:00.000000Z"
    assert list(found[0].values())[8:14] == ["10.0", "60.1", "30.0", "100.1", "0.9", "false"]
    tracklet = table(tmp_path / "out/tracklets.csv")[0]
    assert tracklet["ended_at_local"] == "2026-10-25T02:00:00.000000+01:00"
    assert tracklet["identity_id"] == ""


@pytest.mark.parametrize("format", ["mot", "aicity", "json", "csv"])
def test_repeated_it_gives_the_same_bytes_whatever_is_read_at_once(lake, tmp_path, format):
    export(lake, tmp_path / "a", format, EVERYTHING)
    second_us = 1_000_000
    with patch.object(camera_rows, "_HOUR_US", second_us), patch.object(export_formats, "_TRACKLETS_AT_ONCE", 1):
        export(lake, tmp_path / "b", format, EVERYTHING)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    listed = json.loads((tmp_path / "a/export.json").read_text())["files"]
    assert sorted([*listed, "export.json"]) == sorted(content(tmp_path / "a"))


@pytest.mark.parametrize("format", ["mot", "json"])
def test_a_lake_without_rows(tmp_path, format):
    made = Lake.open_or_create(str(tmp_path / "lake"))
    with pytest.raises(UserError, match="the lake has no cameras"):
        export(made.url, tmp_path / "out", format, EVERYTHING)
    made.write_fleet(fleet({"id": "gate"}))
    assert export(made.url, tmp_path / "out", format, EVERYTHING).cameras[0]["boxes"] == 0


def test_a_failure_leaves_nothing_and_an_export_is_replaced_only_on_request(lake, tmp_path):
    out = tmp_path / "out"
    with patch.object(job, "_told", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        export(lake, out, "mot", EVERYTHING)
    assert list(tmp_path.iterdir()) == []
    export(lake, out, "mot", EVERYTHING)
    with pytest.raises(UserError, match="say --force to replace it"):
        export(lake, out, "json", EVERYTHING)
    with patch.object(job, "_told", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        export(lake, out, "json", EVERYTHING, force=True)
    assert (out / "gate.txt").exists()
    export(lake, out, "json", EVERYTHING, force=True)
    assert not (out / "gate.txt").exists() and (out / "gate.json").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds no export"):
        export(lake, mine, "mot", EVERYTHING, force=True)
    assert (mine / "thesis.txt").exists() and len(list(tmp_path.iterdir())) == 2


def test_the_command(lake, tmp_path):
    done = nightfleet("export", "mot", lake, tmp_path / "out", "--camera", "gate", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["camera_id"] for row in json_of(done)["cameras"]] == ["gate"]
    told = nightfleet("export", "json", lake, tmp_path / "other")
    assert "2 boxes were made up" in told.stdout
    refused = nightfleet("export", "mot", lake, tmp_path / "third", "--cameras", "gat")
    assert refused.returncode == 2 and "did you mean 'gate'?" in refused.stderr


def test_boxes_come_back_from_their_text_the_same_also_a_hair_beside_the_picture():
    rng = np.random.default_rng(0)
    xyxy = np.sort(rng.uniform(-20, 2000, (20_000, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
    xyxy[::2, 1] = -rng.uniform(1e-7, 1e-3, 10_000)
    texts = [[repr(float(value)) for value in row] for row in export_formats._xywh(xyxy)]
    back = boxes.xywh_to_xyxy(np.array(texts, np.float64)).astype(np.float32)
    np.testing.assert_array_equal(back, xyxy)
