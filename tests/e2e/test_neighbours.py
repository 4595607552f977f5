"""Segments whose neighbour is not processed with them: another date's, made under other settings, or its file gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from jobs import nightly, retrack
from pipeline import config
from pipeline.execution import plan
from pipeline.execution.progress import Silence
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.tracking import tracklets
from tests.conftest import json_of, lake_digests, nightfleet, write_fleet

EVENING, MORNING = "2026-05-12", "2026-05-13"
SORT = config.tracker_preset("sort")

COUNTS = """
SELECT (SELECT count(*) FROM tracklets) AS tracklets, (SELECT count(*) FROM observations) AS boxes,
       (SELECT count(*) FROM observations ANTI JOIN tracklets USING (tracklet_id)) AS without_tracklet,
       (SELECT count(*) FROM tracklets ANTI JOIN observations USING (tracklet_id)) AS without_boxes,
       (SELECT count(*) FROM (SELECT tracklet_id, captured_at FROM observations GROUP BY ALL HAVING count(*) > 1))
           AS twice
"""


def tracked_files(lake: Path) -> dict[str, str]:
    """Digests of what does not hang on a lake's history: identities keep the ids that they had before."""
    named = ("identities", "identity_evidence", "index")
    return {path: value for path, value in lake_digests(lake).items() if Path(path).parts[0] not in named}


def groups(lake: Path) -> set[frozenset[str]]:
    """The tracklets of each identity, whatever it is called."""
    rows = catalog.query(str(lake), "SELECT list(tracklet_id) AS members FROM identities GROUP BY identity_id")
    return {frozenset(row["members"]) for row in rows.to_pylist()}


@pytest.fixture
def fleet(tiny_town, tmp_path) -> Path:
    """One camera's two files, the second from midnight on."""
    town = shutil.copytree(tiny_town, tmp_path / "town")
    first, second = files_of(tmp_path)
    first.rename(first.with_name("gate_20260512_235956.mp4"))
    second.rename(second.with_name("gate_20260513_000000.mp4"))
    path = write_fleet(town, tmp_path, identity={})
    return edit(path, cameras=[c for c in yaml.safe_load(path.read_text())["cameras"] if c["id"] == "gate"])


def files_of(folder: Path) -> list[Path]:
    return sorted((folder / "town" / "footage" / "gate").glob("*.mp4"))


def edit(path: Path, **changes) -> Path:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    return path


def run(fleet: Path, **selection) -> nightly.RunSummary:
    return nightly.run(config.load(fleet), progress=Silence(), **selection)


def counts(fleet: Path) -> dict[str, int]:
    return catalog.query(str(fleet.parent / "lake"), COUNTS).to_pylist()[0]


def assert_whole(fleet: Path) -> None:
    found = counts(fleet)
    assert found["tracklets"] > 0
    assert (found["without_tracklet"], found["without_boxes"], found["twice"]) == (0, 0, 0), found


def boxes_before_midnight(fleet: Path) -> int:
    sql = "SELECT count(*) FROM observations WHERE captured_at < (SELECT min(ended_at) FROM ledger)"
    return catalog.query(str(fleet.parent / "lake"), sql)[0][0].as_py()


def test_the_evening_says_that_rows_wait_for_the_morning(fleet):
    done = nightfleet("run", fleet, "--date", EVENING, "--json")
    assert json_of(done)["waiting"] == 1, done.stderr
    again = nightfleet("run", fleet, "--date", EVENING)
    assert "the last rows of 1 segment wait for the footage that follows" in again.stdout
    assert json_of(nightfleet("run", fleet, "--date", MORNING, "--json"))["waiting"] == 0
    assert json_of(nightfleet("run", fleet, "--date", EVENING, "--json"))["waiting"] == 0, "the morning has them"
    assert_whole(fleet)


def test_a_tracker_changed_overnight_ends_the_evenings_tracks_at_midnight(fleet, tmp_path):
    run(fleet)
    whole = boxes_before_midnight(fleet)
    shutil.rmtree(tmp_path / "lake")
    run(fleet, date=EVENING)
    edit(fleet, tracker={"preset": "sort"})
    assert run(fleet, date=MORNING).segments_done == 1
    assert_whole(fleet)
    assert boxes_before_midnight(fleet) == pytest.approx(whole, abs=0.1 * whole), "those that waited are written"
    before = lake_digests(tmp_path / "lake")
    assert run(fleet, date=MORNING).segments_done == 0
    assert lake_digests(tmp_path / "lake") == before
    assert run(fleet).segments_done == 2, "the evening is redone with the new tracker, and the morning after it"
    in_two, groups_in_two = tracked_files(tmp_path / "lake"), groups(tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake")
    run(fleet)
    assert tracked_files(tmp_path / "lake") == in_two
    assert groups(tmp_path / "lake") == groups_in_two


def test_a_retracked_evening_does_not_stop_the_morning(fleet):
    assert nightfleet("run", fleet, "--date", EVENING, "--keep-detections").returncode == 0
    assert nightfleet("retrack", fleet.parent / "lake", "--tracker", "sort").returncode == 0
    done = nightfleet("run", fleet, "--date", MORNING, "--keep-detections", "--json")
    assert done.returncode == 0, done.stderr
    assert_whole(fleet)


def test_the_first_morning_after_an_upgrade(fleet, monkeypatch):
    run(fleet, date=EVENING)
    monkeypatch.setattr(tracklets, "STATE_VERSION", tracklets.STATE_VERSION + 1)
    assert run(fleet, date=MORNING).segments_done == 1
    assert run(fleet).segments_done == 2, "what an older version made is made anew, not refused"
    assert_whole(fleet)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_file_that_is_gone_takes_no_rows_with_it(fleet, tmp_path, gone):
    config_of = config.load(fleet)
    keeping = config_of.execution.model_copy(update={"keep_detections": True})
    nightly.run(config_of.model_copy(update={"execution": keeping}), progress=Silence())
    before = lake_digests(tmp_path / "lake")
    files_of(tmp_path)[gone].unlink()
    assert json_of(nightfleet("run", fleet, "--dry-run", "--json"))["cameras"][0]["to_process"] == 0
    assert run(fleet).segments_done == 0
    assert retrack.retrack(str(tmp_path / "lake"), progress=Silence()).units == 0
    assert lake_digests(tmp_path / "lake") == before
    retrack.retrack(str(tmp_path / "lake"), tracker=SORT, progress=Silence())
    edit(fleet, tracker={"preset": "sort"})
    assert run(fleet).segments_done == 0, "a run and a retrack do not undo each other"


def test_the_morning_made_anew_when_the_evenings_file_is_gone(fleet, tmp_path):
    run(fleet)
    whole = boxes_before_midnight(fleet)
    files_of(tmp_path)[0].unlink()
    edit(fleet, tracker={"preset": "sort"})
    assert run(fleet).segments_done == 1
    assert_whole(fleet)
    assert boxes_before_midnight(fleet) == pytest.approx(whole, abs=0.1 * whole)
    assert run(fleet).segments_done == 0


def test_settings_of_older_lakes_are_taken_over_from_their_configuration(fleet, tmp_path):
    run(fleet, date=EVENING)
    shutil.rmtree(tmp_path / "lake" / "_trackers")
    edit(fleet, tracker={"preset": "sort"})
    run(fleet, date=MORNING)
    assert_whole(fleet)
    entries = Lake.open(str(tmp_path / "lake")).ledger()
    assert (
        entries[0].config_digest
        != entries[1].config_digest
        == plan.config_digest(config.load(fleet), config.load(fleet).cameras[0])
    )
