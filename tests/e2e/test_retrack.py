"""Tracks made anew from kept detections: the same rows as from the footage, without it."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs import nightly, retrack
from pipeline import config
from pipeline.errors import UserError
from pipeline.evaluation.tracklet_json import read_tracklets
from pipeline.execution.models import Models
from pipeline.execution.progress import Silence
from pipeline.lake import catalog, keeping, schema, tables
from pipeline.lake.kept import Recorder
from pipeline.lake.writer import Lake
from pipeline.tracking.tracklets import CameraTracking
from tests.conftest import json_of, lake_digests, nightfleet, write_fleet

SORT = config.tracker_preset("sort")


@pytest.fixture
def lake(kept_lake, tmp_path) -> Path:
    """A copy of that lake, to write to; there are neither footage nor models for it."""
    return shutil.copytree(kept_lake, tmp_path / "lake")


@pytest.fixture
def no_models(monkeypatch) -> None:
    """Whoever asks for the models fails."""

    def fail(self):
        raise AssertionError("the models were asked for")

    monkeypatch.setattr(Models, "perception", fail)


def rows_of(lake: Path) -> dict[str, bytes]:
    """Every file that tracking shapes, and the kept detections, by path."""
    folders = (*schema.PER_SEGMENT, *schema.KEPT, "identities", "_state")
    files = (path for name in folders for path in sorted((lake / name).rglob("*.*")))
    return {str(path.relative_to(lake)): path.read_bytes() for path in files}


def again(lake: Path, tracker: config.TrackerConfig | None = None) -> retrack.RetrackSummary:
    return retrack.retrack(str(lake), tracker=tracker, progress=Silence())


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name.split("/")[0] for name in before | after if before.get(name) != after.get(name)}


def test_keeping_detections_changes_no_other_row(kept_lake, finished_lake):
    kept, plain = lake_digests(kept_lake), lake_digests(finished_lake)
    extra = {name for name in kept if name.split("/")[0] in schema.KEPT}
    assert len(extra) == 8
    del plain["cameras/cameras.parquet"], kept["cameras/cameras.parquet"]  # its digest knows where the footage lay
    assert {name: kept[name] for name in kept.keys() - extra} == plain


def test_every_frame_and_detection_is_kept(kept_lake):
    counts = catalog.query(
        str(kept_lake),
        "SELECT (SELECT count(*) FROM frames), (SELECT sum(frames) FROM ledger),"
        " (SELECT count(*) FROM detections), (SELECT sum(detections) FROM ledger),"
        " (SELECT count(*) FROM observations ANTI JOIN detections USING (camera_id, frame, class, score)"
        "  WHERE NOT interpolated)",
    )
    n_frames, frames, n_detections, detections, unseen = counts.to_pylist()[0].values()
    assert (n_frames, n_detections, unseen) == (frames, detections, 0)
    assert n_frames == 160


def test_another_tracker_and_back_leaves_no_byte_changed(lake, kept_lake, no_models):
    first = rows_of(lake)
    there = again(lake, SORT)
    assert (there.units, there.unchanged, there.quarantined) == (4, 0, 0)
    assert changed(first, rows_of(lake)) == {*schema.PER_SEGMENT, "identities", "_state"}
    assert Lake.open(str(lake)).read_config().tracker == SORT
    assert again(lake).units == 0, "it has that tracker now"
    back = again(lake, Lake.open(str(kept_lake)).read_config().tracker)
    assert back.tracklets == {"before": there.tracklets["after"], "after": there.tracklets["before"]}
    assert rows_of(lake) == first
    assert lake_digests(lake) == lake_digests(kept_lake)


def test_a_kill_midway_and_another_go_end_in_the_same_bytes(lake, kept_lake, tmp_path, monkeypatch):
    undisturbed = shutil.copytree(kept_lake, tmp_path / "undisturbed")
    again(undisturbed, SORT)

    class Killed(BaseException):
        """Stands for a kill: nothing in the program catches it."""

    enter, entered = Lake._enter, []

    def enter_until_killed(self, entry):
        if len(entered) == 2:
            raise Killed
        entered.append(entry)
        enter(self, entry)

    monkeypatch.setattr(Lake, "_enter", enter_until_killed)
    with pytest.raises(Killed):
        again(lake, SORT)
    monkeypatch.undo()
    assert len(Lake.open(str(lake)).ledger()) == 3, "one was withdrawn and not entered again"
    second = again(lake, SORT)
    assert (second.units, second.unchanged) == (2, 2)
    assert rows_of(lake) == rows_of(undisturbed)


def test_a_run_with_another_tracker_looks_at_nothing_again(lake, tiny_town, tmp_path, no_models):
    path = write_fleet(tiny_town, tmp_path, tracker={"preset": "sort"})
    summary = nightly.run(config.load(path), progress=Silence())
    assert (summary.segments_done, summary.frames, summary.seconds["decode"]) == (4, 160, 0)
    by_run = rows_of(lake)
    assert again(lake, SORT).units == 0, "what a run made, retracking makes too"
    assert rows_of(lake) == by_run


def test_keeping_detections_of_a_finished_lake_looks_again_and_changes_no_row(tiny_town, finished_lake, tmp_path):
    lake = shutil.copytree(finished_lake, tmp_path / "lake")
    fleet = write_fleet(tiny_town, tmp_path)
    planned = json_of(nightfleet("run", fleet, "--cameras", "gate", "--keep-detections", "--dry-run", "--json"))
    assert [row["to_process"] for row in planned["cameras"]] == [2]
    before = rows_of(lake)
    for n_done in (2, 0):
        done = json_of(nightfleet("run", fleet, "--cameras", "gate", "--keep-detections", "--json"))
        assert done["segments_done"] == n_done
    assert changed(before, rows_of(lake)) == set(schema.KEPT)
    refused = nightfleet("retrack", lake, "--tracker", "sort", "--json")
    assert refused.returncode == 2
    assert "the detections of 2 segments (square-20260512T053000.000Z, square-" in json_of(refused)["error"]
    with pytest.raises(UserError, match="never kept"):
        retrack.tracked(str(lake), "square")
    assert len(retrack.tracked(str(lake), "gate")[1])


def test_what_was_kept_under_other_settings_is_refused_and_nothing_changed(lake):
    path = lake / "_fleet.json"
    fleet = json.loads(path.read_text())
    fleet["models"]["detector"]["score_threshold"] = 0.9
    path.write_text(json.dumps(fleet))
    before = {p: p.read_bytes() for p in lake.rglob("*") if p.is_file()}
    with pytest.raises(UserError, match=r"4 segments .* and 1 more\) were kept under other settings"):
        again(lake, SORT)
    assert {p: p.read_bytes() for p in lake.rglob("*") if p.is_file()} == before


def test_the_rows_in_memory_are_those_of_the_lake(lake, kept_lake):
    again(lake, SORT)
    for tracker, where in ((None, kept_lake), (SORT, lake)):
        observations, tracklets, exemplars = retrack.tracked(str(kept_lake), "gate", tracker)
        files = {name: sorted((where / name).glob("**/camera=gate/*.parquet")) for name in schema.PER_SEGMENT}
        read = {name: [tables.from_parquet(p.read_bytes(), name) for p in paths] for name, paths in files.items()}
        both = {name: pa.concat_tables(parts) for name, parts in read.items()}
        assert_equal_rows(observations, tables.to_observations(both["observations"]))
        assert_equal_rows(tracklets, tables.to_tracklets(both["tracklets"])[0])
        assert_equal_rows(exemplars, tables.to_exemplars(both["embeddings"]))


def assert_equal_rows(a, b) -> None:
    for field in fields(a):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def test_the_command_tells_what_changed(lake, kept_lake):
    done = nightfleet("retrack", lake, "--tracker", "sort", "--json")
    assert done.returncode == 0, done.stderr
    summary = json_of(done)
    assert summary["tracker"]["max_age_frames"] == 1
    assert summary["tracklets"]["before"] < summary["tracklets"]["after"]
    assert {(row["camera_id"], row["line_id"]) for row in summary["crossings"]} >= {("gate", "road")}
    assert '"segment_finished"' in done.stderr
    printed = nightfleet("retrack", lake)
    assert "nothing to do: all 4 segments were tracked so already" in printed.stdout
    assert "crossings of gate/road" in printed.stdout
    unknown = nightfleet("retrack", lake, "--tracker", "srt")
    assert unknown.returncode == 2
    assert "did you mean `sort`?" in unknown.stderr


def test_a_segment_that_could_not_be_decoded_stays_quarantined(lake, no_models):
    """Its tracks still end where the footage broke off, whatever the tracker."""
    opened = Lake.open(str(lake))
    last = [entry for entry in opened.ledger() if entry.camera_id == "gate"][-1]
    place = (last.camera_id, last.local_date, last.segment_id)
    about = keeping.about(opened, place)
    broken = {"reason": "gate.mp4: it is truncated", "last_captured_at_us": None}
    keeping.write(opened, Recorder().kept(replace(about, **broken)))
    opened.write_unit(replace(last, status="quarantined"), last.local_date, *empty_rows(), None)
    before = rows_of(lake)
    summary = again(lake, SORT)
    assert (summary.units, summary.quarantined) == (3, 1)
    entry = {one.segment_id: one for one in opened.ledger()}[last.segment_id]
    assert (entry.status, entry.reason) == ("quarantined", "gate.mp4: it is truncated")
    assert entry.tracklets > 0, "those that reached it"
    assert changed(before, rows_of(lake)) >= set(schema.PER_SEGMENT)
    observations, tracklets, _ = retrack.tracked(str(lake), "gate")
    found = "SELECT count(*) AS n FROM {} WHERE camera_id = 'gate'"
    counted = [catalog.query(str(lake), found.format(t))["n"][0].as_py() for t in ("observations", "tracklets")]
    assert [len(observations), len(tracklets)] == counted


def test_cameras_that_the_fleet_no_longer_has_are_not_counted(lake):
    path = lake / "_fleet.json"
    fleet = config.FleetConfig.model_validate_json(path.read_text())
    one = fleet.model_copy(update={"cameras": fleet.cameras[:1], "identity": config.IdentityConfig()})
    Lake.open(str(lake)).write_fleet(one)
    summary = again(lake, SORT)
    sql = "SELECT count(*) FROM tracklets WHERE camera_id = 'gate'"
    assert summary.tracklets["after"] == catalog.query(str(lake), sql)[0][0].as_py()
    assert len(summary.left_as_they_are) == 2


def test_tracks_may_live_longer_than_when_a_moving_cameras_detections_were_kept(tiny_fleet):
    cameras = tuple(camera.model_copy(update={"moving": True}) for camera in tiny_fleet.cameras)
    execution = tiny_fleet.execution.model_copy(update={"keep_detections": True})
    fleet = tiny_fleet.model_copy(update={"cameras": cameras, "execution": execution})
    nightly.run(fleet, progress=Silence(), cameras=["gate"])
    opened = Lake.open(fleet.lake)
    second = opened.ledger()[-1]
    place = (second.camera_id, second.local_date, second.segment_id)
    kept = keeping.read(opened, keeping.about(opened, place))
    keeping.write(opened, replace(kept, about=replace(kept.about, motion_in="")))  # as a gap before it would have it
    assert again(Path(fleet.lake), SORT).units == 2


def empty_rows() -> tuple:
    return CameraTracking("gate", SORT).drain()


def test_a_moving_cameras_motion_is_kept_and_handed_on(tiny_fleet):
    cameras = tuple(camera.model_copy(update={"moving": True}) for camera in tiny_fleet.cameras)
    execution = tiny_fleet.execution.model_copy(update={"keep_detections": True})
    fleet = tiny_fleet.model_copy(update={"cameras": cameras, "execution": execution})
    nightly.run(fleet, progress=Silence(), cameras=["gate"])
    lake = Path(fleet.lake)
    warps = catalog.query(str(lake), "SELECT camera_warp FROM frames WHERE camera_warp IS NOT NULL")[0].to_pylist()
    assert len(warps) == 80
    np.testing.assert_allclose(warps, np.tile([1, 0, 0, 0, 1, 0], (80, 1)), atol=0.5)
    opened = Lake.open(str(lake))
    abouts = [keeping.about(opened, (e.camera_id, e.local_date, e.segment_id)) for e in opened.ledger()]
    assert [about.motion_in for about in abouts] == ["", abouts[0].motion_out]
    assert [e.motion_unknown for e in opened.ledger()] == [about.motion_unknown for about in abouts] == [0, 0]
    first = rows_of(lake)
    own = fleet.tracker
    again(lake, SORT)
    again(lake, own)
    assert rows_of(lake) == first


def test_the_least_that_tracks_and_its_tracklets_as_json(lake, tmp_path, no_models):
    """The preset `minimal`, handed out as the form that the 75-line trackers write."""
    done = nightfleet("retrack", lake, "--tracker", "minimal", "--json")
    assert done.returncode == 0 and json_of(done)["tracklets"]["after"] > 0, done.stderr
    done = nightfleet("export", "json", lake, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    _, tracklets = read_tracklets(tmp_path / "out" / "gate.json")
    counted = catalog.query(str(lake), "SELECT count(*) FROM tracklets WHERE camera_id = 'gate'")
    assert len(tracklets) == counted.column(0)[0].as_py()
