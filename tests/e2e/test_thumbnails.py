"""Thumbnails of a night: one a tracklet, cut again only where they lack, and never of somebody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs import nightly, retrack
from pipeline import config
from pipeline.execution.progress import Silence
from pipeline.footage.decode import SegmentReader
from pipeline.footage.segments import discover
from pipeline.footage.thumbnail import Settings, cut_out
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.conftest import json_of, lake_digests, nightfleet, write_fleet

SORT = config.tracker_preset("sort")


def pictures(lake: Path | str) -> dict[str, bytes]:
    """Bytes of the thumbnails' files."""
    return {
        str(path.relative_to(lake)): path.read_bytes() for path in sorted(Path(lake).glob("thumbnails/**/*.parquet"))
    }


def shown(lake: Path | str) -> list[dict]:
    return catalog.query(str(lake), "FROM thumbnails ORDER BY tracklet_id").to_pylist()


def keeping(fleet: config.FleetConfig, **execution) -> config.FleetConfig:
    told = {"keep_thumbnails": True, **execution}
    return fleet.model_copy(update={"execution": fleet.execution.model_copy(update=told)})


def run(fleet: config.FleetConfig, **selection) -> nightly.RunSummary:
    return nightly.run(fleet, progress=Silence(), **selection)


@pytest.fixture(scope="module")
def pictured(tiny_town, tmp_path_factory) -> Path:
    """A lake with thumbnails from its first run on. Read it, do not write to it."""
    fleet = config.load(write_fleet(tiny_town, tmp_path_factory.mktemp("pictured")))
    summary = run(keeping(fleet))
    assert (summary.segments_done, summary.thumbnails_missing) == (4, 0)
    assert summary.thumbnails == summary.tracklets > 0
    return Path(fleet.lake)


@pytest.fixture
def no_models(monkeypatch):
    def loaded(*args):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("pipeline.execution.models.Models.perception", loaded)


def test_every_tracklet_has_one_cut_from_the_frame_and_box_it_names(pictured, tiny_fleet):
    rows = shown(pictured)
    names = catalog.query(str(pictured), "SELECT tracklet_id FROM tracklets ORDER BY ALL")[0].to_pylist()
    assert [row["tracklet_id"] for row in rows] == names
    boxes = catalog.query(
        str(pictured),
        """
        SELECT t.tracklet_id, quality, max(quality) OVER (PARTITION BY t.tracklet_id) AS best
        FROM thumbnails t JOIN observations o USING (tracklet_id, captured_at, frame, x1, y1, x2, y2)
        JOIN embeddings e USING (tracklet_id, captured_at) ORDER BY ALL
        """,
    )
    assert boxes.num_rows == len(rows), "each shows a box of its tracklet, in an exemplar's frame"
    frames = {}
    for camera in tiny_fleet.cameras:
        for segment in discover(camera).segments:
            with SegmentReader(segment, batch_size=8, prefetch_batches=1, target_fps=None) as reader:
                frames |= {(camera.id, int(at)): im for b in reader for at, im in zip(b.captured_at_us, b.images)}
    for row in rows:
        image = frames[row["camera_id"], round(row["captured_at"].timestamp() * 1e6)]
        box = np.array([row[name] for name in ("x1", "y1", "x2", "y2")], np.float32)
        cut = cut_out(image, box, np.zeros((0, 4)), Settings(blur_heads=False))
        assert (row["jpeg"], row["width"], row["height"]) == (cut.jpeg, cut.width_px, cut.height_px)
        assert max(row["width"], row["height"]) <= 160 and not row["heads_blurred"]


def test_a_finished_lake_gets_them_without_the_models(pictured, finished_lake, tiny_fleet, no_models):
    shutil.copytree(finished_lake, tiny_fleet.lake)
    assert shown(tiny_fleet.lake) == []
    before = lake_digests(Path(tiny_fleet.lake))
    planned = nightly.dry_run(keeping(tiny_fleet))
    assert [(row["to_process"], row["to_picture"] > 0) for row in planned.cameras] == [(0, True)] * 2
    summary = run(keeping(tiny_fleet))
    assert (summary.segments_done, summary.segments_skipped, summary.frames) == (0, 4, 0)
    assert summary.thumbnails == len(shown(pictured))
    assert lake_digests(Path(tiny_fleet.lake)) == lake_digests(pictured)
    assert {name: before[name] for name in before} == lake_digests(finished_lake)
    again = run(keeping(tiny_fleet))
    assert (again.thumbnails, again.segments_skipped, again.workers) == (0, 4, 0)


@pytest.mark.ray
def test_ray_gives_the_same_bytes(pictured, finished_lake, tiny_town, tmp_path):
    fleet = config.load(write_fleet(tiny_town, tmp_path, execution={"executor": "ray", "workers": 2}))
    shutil.copytree(finished_lake, fleet.lake)
    run(keeping(fleet))
    assert pictures(fleet.lake) == pictures(pictured)


def test_a_kill_while_they_are_made_leaves_whole_ones_and_the_next_run_the_rest(
    pictured, finished_lake, tiny_fleet, monkeypatch
):
    class Killed(BaseException):
        pass

    shutil.copytree(finished_lake, tiny_fleet.lake)
    from pipeline.lake import thumbnails

    write, written = thumbnails.write, []

    def until_killed(*args):
        if written:
            raise Killed
        written.append(args)
        write(*args)

    monkeypatch.setattr(thumbnails, "write", until_killed)
    with pytest.raises(Killed):
        run(keeping(tiny_fleet))
    monkeypatch.undo()
    assert len(pictures(tiny_fleet.lake)) == 1
    run(keeping(tiny_fleet))
    assert pictures(tiny_fleet.lake) == pictures(pictured)


def test_turned_off_they_stay_and_blurred_they_are_made_anew(pictured, tiny_fleet, no_models):
    shutil.copytree(pictured, tiny_fleet.lake)
    run(tiny_fleet)
    assert pictures(tiny_fleet.lake) == pictures(pictured)
    summary = run(keeping(tiny_fleet, blur_heads=True))
    assert summary.thumbnails == len(shown(pictured))
    blurred = shown(tiny_fleet.lake)
    assert all(row["heads_blurred"] for row in blurred)
    classes = catalog.query(tiny_fleet.lake, "SELECT tracklet_id, class FROM tracklets ORDER BY ALL").to_pylist()
    people = [i for i, row in enumerate(classes) if row["class"] == "person"]
    plain = shown(pictured)
    assert people and all(blurred[i]["jpeg"] != plain[i]["jpeg"] for i in people)
    run(keeping(tiny_fleet))
    assert pictures(tiny_fleet.lake) == pictures(pictured)


def test_a_file_that_went_bad_costs_pictures_and_nothing_else(finished_lake, tiny_town, tmp_path):
    town = shutil.copytree(tiny_town, tmp_path / "town")
    path = write_fleet(town, tmp_path)
    fleet = config.load(path)
    shutil.copytree(finished_lake, fleet.lake)
    last = [entry for entry in Lake.open(fleet.lake).ledger() if entry.camera_id == "gate"][-1]
    victim = town / Path(last.url).relative_to(tiny_town)
    content = bytearray(victim.read_bytes())
    middle = slice(len(content) // 5, len(content) * 4 // 5)
    content[middle] = bytes(len(content[middle]))
    fleet_digests = lake_digests(Path(fleet.lake))
    from pipeline.footage import decode

    # As if the file were spoilt between the run and the cutting: the survey would see it as another file.
    whole = decode.VideoSource.at

    def spoilt(self, times_us):
        if self._url == str(victim):
            victim.write_bytes(content)
        return whole(self, times_us)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode.VideoSource, "at", spoilt)
        summary = run(keeping(fleet))
    assert summary.thumbnails_missing > 0 and summary.thumbnails > 0
    assert not summary.failures
    kept = {name: digest for name, digest in lake_digests(Path(fleet.lake)).items() if "thumbnails" not in name}
    assert kept.keys() == fleet_digests.keys()


def test_retracking_keeps_those_that_are_still_true(tiny_town, tmp_path, no_models, kept_lake, monkeypatch):
    fleet = config.load(write_fleet(tiny_town, tmp_path))
    shutil.copytree(kept_lake, fleet.lake)
    monkeypatch.undo()
    own = fleet.tracker
    run(keeping(fleet, keep_detections=True))
    first = pictures(fleet.lake)
    assert len(shown(fleet.lake)) > 3
    boxes = "SELECT tracklet_id, captured_at, x1, y1, x2, y2 FROM observations"
    summary = retrack.retrack(fleet.lake, tracker=SORT, progress=Silence())
    assert summary.units == 4
    wrong = catalog.query(
        fleet.lake, f"SELECT * FROM thumbnails ANTI JOIN ({boxes}) USING (tracklet_id, captured_at, x1, y1, x2, y2)"
    )
    assert wrong.num_rows == 0, "none shows a box that its tracklet no longer has"
    orphans = catalog.query(fleet.lake, "FROM thumbnails ANTI JOIN tracklets USING (tracklet_id)")
    assert orphans.num_rows == 0
    retrack.retrack(fleet.lake, tracker=own, progress=Silence())
    run(keeping(fleet, keep_detections=True))
    assert pictures(fleet.lake) == first


def test_retracking_by_the_same_tracker_keeps_them_all(pictured, tiny_fleet):
    shutil.copytree(pictured, tiny_fleet.lake)
    run(keeping(tiny_fleet, keep_detections=True))  # makes every unit anew, with the same rows
    assert pictures(tiny_fleet.lake) == pictures(pictured)
    lake = Lake.open(tiny_fleet.lake)
    last = lake.ledger()[-1]
    lake.remove_unit(last.camera_id, last.local_date, last.segment_id)
    assert not any(last.segment_id in name for name in pictures(tiny_fleet.lake))


def test_a_damaged_file_is_in_the_way_of_no_other_table_and_made_anew(pictured, tiny_fleet):
    shutil.copytree(pictured, tiny_fleet.lake)
    victim = sorted(Path(tiny_fleet.lake).glob("thumbnails/**/*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:200])
    assert catalog.query(tiny_fleet.lake, "FROM tracklets").num_rows
    told = nightfleet("sql", tiny_fleet.lake, "FROM thumbnails")
    assert told.returncode == 2 and "--keep-thumbnails" in told.stderr
    run(keeping(tiny_fleet))
    assert pictures(tiny_fleet.lake) == pictures(pictured)


def test_the_command(tiny_town, finished_lake, tmp_path):
    fleet = write_fleet(tiny_town, tmp_path)
    shutil.copytree(finished_lake, tmp_path / "lake")
    dry = nightfleet("run", fleet, "--keep-thumbnails", "--dry-run")
    assert "lacking thumbnails only" in dry.stdout
    done = json_of(nightfleet("run", fleet, "--keep-thumbnails", "--json"))
    assert done["thumbnails"] > 0 and done["thumbnails_missing"] == 0
    for row in shown(tmp_path / "lake"):
        assert cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_tracklet_that_ended_between_two_files_is_cut_from_the_one_before(tiny_town, tmp_path):
    """Everybody's track ends when the second file begins: what is entered there shows only in the first."""
    town = shutil.copytree(tiny_town, tmp_path / "town")
    fleet = config.load(write_fleet(town, tmp_path))
    lake = Lake.open_or_create(fleet.lake)
    summary = run(keeping(fleet), cameras=["gate"])
    first, second = [entry for entry in lake.ledger() if entry.camera_id == "gate"]
    rows = catalog.query(fleet.lake, "SELECT tracklet_id, captured_at FROM thumbnails").to_pylist()
    assert summary.thumbnails == len(rows)
    # A file that cannot be decoded: tracks of the first one end in its unit.
    victim = Path(second.url)
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 3] + bytes(len(content) // 3) + content[2 * (len(content) // 3) :])
    summary = run(keeping(fleet), cameras=["gate"])
    assert summary.segments_quarantined == 1
    broken = [entry for entry in lake.ledger() if entry.camera_id == "gate"][-1]
    assert broken.tracklets > 0
    cut = catalog.query(
        fleet.lake, f"FROM thumbnails WHERE epoch_us(captured_at) < {first.ended_at_us} AND camera_id = 'gate'"
    )
    assert cut.num_rows == broken.tracklets + first.tracklets
