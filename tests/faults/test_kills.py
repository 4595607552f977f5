"""SIGKILL, midway: the driver, and a worker process. The lake must come out as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import json_of, lake_digests, ledger_keys, nightfleet_process, write_fleet

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


def start_run(fleet: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "jobs", "run", str(fleet), "--json"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(what, run: subprocess.Popen):
    """Poll until `what()` is true; the run must still be going on then."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = what()
        if value:
            assert run.poll() is None, f"the run ended before it could be disturbed: {run.communicate()}"
            return value
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    raise AssertionError("nothing to disturb was seen in time")


def ledger_files(lake: Path) -> list[Path]:
    return list((lake / "ledger").rglob("*.parquet"))


def worker_with_a_segment(run: subprocess.Popen) -> psutil.Process:
    """Wait until the run says that a worker took a segment; return that worker's process.

    There are two cameras and two workers, so each has a segment in hand then. Ray names a process after its actor.
    """
    for line in run.stderr:
        if '"segment_started"' in line:
            break
    for process in psutil.Process(run.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "SegmentWorker" in " ".join(process.cmdline()):
                return process
    raise AssertionError("no worker process was found")


@pytest.mark.ray
def test_killing_the_driver_midway_and_running_again(tiny_town, tmp_path, finished_lake):
    fleet = write_fleet(tiny_town, tmp_path, execution={"executor": "ray", "workers": 1})
    lake = tmp_path / "lake"
    run = start_run(fleet)
    wait_until(lambda: ledger_files(lake), run)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    done_before = len(ledger_files(lake))
    again = nightfleet_process("run", fleet, "--json")
    assert again.returncode == 0, again.stderr
    summary = json_of(again)
    assert summary["segments_done"] >= 1
    assert summary["segments_done"] + summary["segments_skipped"] == len(ledger_keys(lake))
    assert done_before < len(ledger_keys(lake))
    assert lake_digests(lake) == lake_digests(finished_lake)
    third = nightfleet_process("run", fleet)
    assert third.returncode == 0, third.stderr
    assert "nothing to do" in third.stdout


@pytest.mark.ray
def test_killing_a_worker_midway_is_mended_within_the_run(tiny_town, tmp_path, finished_lake):
    fleet = write_fleet(tiny_town, tmp_path, execution={"executor": "ray", "workers": 2})
    run = start_run(fleet)
    worker_with_a_segment(run).kill()
    out, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, err
    assert '"worker_died"' in err, "a worker was killed with a segment in hand, and the run says so"
    assert '"segments_quarantined": 0' in out
    assert lake_digests(tmp_path / "lake") == lake_digests(finished_lake)


@pytest.mark.parametrize("moment", range(3))
def test_killing_a_local_run_at_any_moment(tiny_town, tmp_path, finished_lake, moment):
    fleet = write_fleet(tiny_town, tmp_path)
    lake = tmp_path / "lake"
    run = start_run(fleet)
    wait_until(lambda: len(ledger_files(lake)) > moment, run)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    again = nightfleet_process("run", fleet, "--json")
    assert again.returncode == 0, again.stderr
    assert json_of(again)["segments_skipped"] > moment
    assert lake_digests(lake) == lake_digests(finished_lake)
    assert not list(lake.rglob(".tmp-*"))
