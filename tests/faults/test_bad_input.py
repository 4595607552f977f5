"""Bad input as a user meets it: one clear sentence, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from tests.conftest import json_of, lake_digests, nightfleet, write_fleet
from tests.realdata import data_path


def edit(path: Path, change) -> Path:
    """Change a fleet.yaml in place."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def fleet(tiny_town, tmp_path) -> Path:
    """A fleet of the tiny town over a copy of its footage that a test may spoil."""
    shutil.copytree(tiny_town / "footage", tmp_path / "footage")
    path = write_fleet(tiny_town, tmp_path)

    def use_the_copy(raw):
        for camera in raw["cameras"]:
            camera["footage"] = camera["footage"].replace(str(tiny_town), str(tmp_path))

    return edit(path, use_the_copy)


def files_of(fleet: Path, camera: str) -> list[Path]:
    return sorted((fleet.parent / "footage" / camera).iterdir())


def refused(fleet: Path, *words: str) -> str:
    """Run must end with 2 and one sentence with these words, and write no lake."""
    done = nightfleet("run", fleet)
    lines = [line for line in done.stderr.splitlines() if line.startswith("nightfleet: ")]
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    assert not (fleet.parent / "lake").exists(), "nothing may be written"
    return lines[0]


def passed_over(fleet: Path, *words: str) -> dict:
    """Run must end with 3, say why with these words, and process the rest; `check` must say it too, with 2."""
    done = nightfleet("run", fleet, "--json")
    assert done.returncode == 3, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    summary = json_of(done)
    reasons = " | ".join(failure["reason"] for failure in summary["failures"])
    for word in words:
        assert word in reasons, reasons
    assert summary["segments_done"] >= 1, "the rest of the fleet goes on"
    checked = nightfleet("check", fleet)
    assert checked.returncode == 2, checked.stdout
    return summary


def test_an_unknown_key(fleet):
    edit(fleet, lambda raw: raw["cameras"][0].update(lens="wide"))
    refused(fleet, "fleet.yaml", "unknown key `cameras[gate].lens`", "known here: ")


def test_a_line_outside_the_picture(fleet):
    edit(fleet, lambda raw: raw["cameras"][0]["lines"][0].update(points=[[10, 10], [5000, 10]]))
    refused(fleet, "camera gate", "(5000, 10)", "outside its picture of 640x360")


def test_no_footage_anywhere(fleet):
    shutil.rmtree(fleet.parent / "footage")
    refused(fleet, "gate", "footage")


def test_one_camera_without_footage_does_not_stop_the_fleet(fleet):
    shutil.rmtree(fleet.parent / "footage" / "gate")
    passed_over(fleet, "gate")


def test_a_truncated_mp4(fleet):
    victim = files_of(fleet, "gate")[-1]
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    passed_over(fleet, victim.name)


def test_a_zero_byte_file(fleet):
    victim = files_of(fleet, "gate")[-1]
    victim.write_bytes(b"")
    passed_over(fleet, victim.name, "empty")


def test_a_text_file_named_mp4(fleet):
    victim = files_of(fleet, "gate")[-1]
    victim.write_text("this is not a video\n" * 100)
    passed_over(fleet, victim.name)


def test_a_file_name_without_a_time(fleet):
    victim = files_of(fleet, "gate")[-1]
    victim.rename(victim.with_name("holiday.mp4"))
    passed_over(fleet, "holiday.mp4", "gate_%Y%m%d_%H%M%S.mp4")


def test_overlapping_segments(fleet):
    first, second = files_of(fleet, "gate")[:2]
    start = first.stem.split("_")
    earlier = "_".join([*start[:-1], f"{int(start[-1]) + 1:06d}"]) + ".mp4"
    second.rename(second.with_name(earlier))
    passed_over(fleet, earlier, first.name, "overlap")


def test_a_time_zone_that_does_not_exist(fleet):
    edit(fleet, lambda raw: raw["cameras"][0].update(time_zone="Europe/Berln"))
    refused(fleet, "'Europe/Berln' is not an IANA time zone (did you mean `Europe/Berlin`?)")


def test_a_weights_file_that_is_not_there(fleet):
    edit(fleet, lambda raw: raw["models"].update(detector={"use": "onnx:nowhere.onnx"}))
    refused(fleet, "nowhere.onnx")


def test_a_weights_file_that_is_no_model(fleet):
    (fleet.parent / "words.onnx").write_text("not a network")
    edit(fleet, lambda raw: raw["models"].update(detector={"use": "onnx:words.onnx"}))
    done = nightfleet("run", fleet)
    assert done.returncode == 2, done.stderr
    assert "words.onnx" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((fleet.parent / "lake").rglob("observations/**/*.parquet"))


@pytest.mark.realdata
def test_weights_of_another_model(fleet):
    other = data_path("weights/osnet_x0_25_msmt17.onnx")
    edit(fleet, lambda raw: raw["models"].update(detector={"use": f"onnx:{other}"}))
    done = nightfleet("run", fleet)
    assert done.returncode == 2, done.stderr
    assert "osnet_x0_25_msmt17.onnx" in done.stderr
    assert "looks like none of the known layouts" in done.stderr and "docs/detectors.md" in done.stderr
    assert not list((fleet.parent / "lake").rglob("observations/**/*.parquet"))


def test_a_lake_of_a_newer_schema(fleet):
    assert nightfleet("run", fleet).returncode == 0
    lake = fleet.parent / "lake"
    mark = lake / "_nightfleet.json"
    newer = json.loads(mark.read_text())
    newer["schema_version"] += 41
    mark.write_text(json.dumps(newer))
    before = lake_digests(lake)
    for command in (["run", fleet], ["status", lake], ["sql", lake, "SELECT 1"], ["report", "traffic", lake]):
        done = nightfleet(*command)
        assert done.returncode == 2, (command, done.stderr)
        assert "42" in done.stderr
        assert "Traceback" not in done.stderr
    assert lake_digests(lake) == before


def test_a_ray_cluster_that_is_not_there(fleet):
    with socket.socket() as nobody:  # bound but not listening: a port where surely nobody answers
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        edit(fleet, lambda raw: raw.update(execution={"executor": "ray"}))
        done = nightfleet("run", fleet, "--address", address)
    assert done.returncode == 2, done.stderr
    assert f"cannot reach or start the Ray cluster at {address}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], "no such file"),
        (["status", "nowhere"], "nowhere"),
        (["sql", "nowhere", "SELECT 1"], "nowhere"),
        (["search", "nowhere", "--tracklet", "x"], "nowhere"),
        (["search", "nowhere"], "exactly one of --tracklet ID, --identity ID and --image FILE"),
        (["run"], "Missing argument"),
        (["evaluate", "mot", "--truth", "nowhere", "--predicted", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_on_the_command_line(arguments, words):
    done = nightfleet(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback():
    assert "Traceback" in nightfleet("run", "nowhere.yaml", "--debug").stderr
