"""Live cameras through the whole night: recorded, processed, resumed; and what is said where that fails."""

from __future__ import annotations

import pytest
import yaml

from jobs import nightly, record
from jobs.check import check
from pipeline import config
from pipeline.errors import ConfigError
from pipeline.execution.progress import Silence
from pipeline.footage.probe import probe_video
from tests.conftest import json_of, lake_digests, nightfleet


@pytest.fixture
def device(tiny_town):
    """A video in the place of a webcam."""
    return next((tiny_town / "footage" / "gate").glob("*.mp4"))


def write(folder, **footage):
    raw = {"lake": "lake", "execution": {"executor": "local"}, "cameras": [{"id": "gate", "footage": footage}]}
    (folder / "fleet.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return folder / "fleet.yaml"


def test_a_night_of_a_webcam(tmp_path, device):
    path = write(tmp_path, device=str(device), seconds=3)
    fleet = config.load(path)
    checked = check(fleet)
    assert checked["problems"] == [] and checked["cameras"] == []
    assert "camera gate: nothing is recorded in" in checked["notes"][0]
    dry = nightfleet("run", path, "--dry-run")
    assert dry.returncode == 2 and "`nightfleet run` records 3 s first" in dry.stderr
    summary = nightly.run(fleet, progress=Silence())
    (recorded,) = summary.recordings
    assert (recorded["camera_id"], recorded["recorded_s"], recorded["note"]) == ("gate", 3.0, "")
    assert probe_video(recorded["file"]).duration_us == pytest.approx(3_000_000, abs=200_000)
    assert (summary.segments_done, summary.failures, summary.tracklets > 0) == (1, [], True)
    (status,) = json_of(nightfleet("status", tmp_path / "lake", "--json"))
    assert status["camera_id"] == "gate"


def test_what_was_recorded_is_footage_like_any_other(tmp_path, device):
    fleet = config.load(write(tmp_path, device=str(device), seconds=3))
    nightly.run(fleet, progress=Silence())
    before = lake_digests(tmp_path / "lake")
    camera = fleet.cameras[0].model_copy(update={"footage": fleet.cameras[0].globs[0]})
    plain = fleet.model_copy(update={"cameras": (camera,), "lake": str(tmp_path / "again")})
    nightly.run(plain, progress=Silence())
    after = lake_digests(tmp_path / "again")
    assert {n: d for n, d in after.items() if "date=" in n} == {n: d for n, d in before.items() if "date=" in n}
    again = nightly.run(plain, progress=Silence())
    assert (again.segments_done, again.segments_skipped, again.recordings) == (0, 1, [])


def test_a_source_that_ends_early_is_said(tmp_path, device):
    printed = nightfleet("run", write(tmp_path, device=str(device), seconds=600))
    assert printed.returncode == 0, printed.stderr
    assert "note: camera gate: device" in printed.stdout and "of 600 s;" in printed.stdout


def test_a_source_that_is_not_there(tmp_path, device):
    path = write(tmp_path, device=97, seconds=3)
    with pytest.raises(ConfigError, match=r"^camera gate: device 97 is not there or is in use"):
        nightly.run(config.load(path), progress=Silence())
    (problem,) = check(config.load(path))["problems"]
    assert problem.startswith("camera gate: device 97 is not there or is in use")
    record.record(config.load(write(tmp_path, device=str(device), seconds=3)), progress=Silence())
    summary = nightly.run(config.load(write(tmp_path, device=97, seconds=3)), progress=Silence())
    assert summary.segments_done == 1, "what was recorded before is processed all the same"
    (failure,) = summary.failures
    assert failure["reason"].startswith("camera gate: device 97 is not there or is in use")


def test_nothing_is_recorded_for_another_day(tmp_path, device):
    fleet = config.load(write(tmp_path, device=str(device), seconds=3))
    assert record.record(fleet, progress=Silence(), date="2001-01-01").made == {}
    assert record.record(fleet, progress=Silence(), cameras=["gate"]).made.keys() == {"gate"}
