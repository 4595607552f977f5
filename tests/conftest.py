"""What many tests share: a tiny rendered town, fleets over it, and lakes compared byte by byte."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml

from pipeline import config

# Tests of many workers must not fight over cores inside each worker.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY_TOWN_S = 8.0
TINY_TOWN_CAMERAS = ("gate", "square")


@pytest.fixture(scope="session")
def tiny_town(tmp_path_factory) -> Path:
    """A folder with two cameras' footage, fleet.yaml and truth: a few seconds of the demo town."""
    from pipeline.demo import town

    out = tmp_path_factory.mktemp("town")
    town.render(out, seed=5, duration_s=TINY_TOWN_S, cameras=TINY_TOWN_CAMERAS)
    return out


def write_fleet(town_folder: Path, folder: Path, **changes) -> Path:
    """Write a fleet.yaml over a rendered town's footage with its lake in `folder`; `changes` replace top-level keys."""
    raw = yaml.safe_load((town_folder / "fleet.yaml").read_text(encoding="utf-8"))
    for camera in raw["cameras"]:
        camera["footage"] = str(town_folder / camera["footage"])
    # What is tested is seldom the detector: the quickest.
    models = {"detector": {"use": "motion"}, "embedder": {"use": "trained"}}
    raw.update({"lake": "lake", "models": models, "execution": {"executor": "local"}, **changes})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def tiny_fleet(tiny_town, tmp_path) -> config.FleetConfig:
    """The tiny town with a lake of the test's own, processed in this process."""
    return config.load(write_fleet(tiny_town, tmp_path))


@pytest.fixture(scope="session")
def finished_lake(tiny_town, tmp_path_factory) -> Path:
    """A lake of the tiny town after one undisturbed run. Read it, do not write to it."""
    from jobs import nightly
    from pipeline.execution.progress import Silence

    fleet = config.load(write_fleet(tiny_town, tmp_path_factory.mktemp("finished")))
    nightly.run(fleet, progress=Silence())
    return Path(fleet.lake)


@pytest.fixture(scope="session")
def kept_lake(tiny_town, tmp_path_factory) -> Path:
    """A lake of the tiny town with its detections; its footage is gone. Read it, do not write to it."""
    here = tmp_path_factory.mktemp("kept")
    town = shutil.copytree(tiny_town, here / "town")
    done = nightfleet("run", write_fleet(town, here), "--keep-detections", "--json")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(town)
    return here / "lake"


def lake_digests(lake: Path) -> dict[str, str]:
    """Digest of every Parquet file of a lake but the ledger, whose entries hold timings."""
    files = sorted(path for path in Path(lake).rglob("*.parquet") if "ledger" not in path.relative_to(lake).parts)
    return {str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ledger_keys(lake: Path) -> dict[str, str]:
    """Key of every unit in a lake's ledger."""
    from pipeline.lake.writer import Lake

    return {entry.segment_id: entry.key for entry in Lake.open(str(lake)).ledger()}


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def nightfleet(*arguments: str | Path) -> Outcome:
    """Run the command as a user would, without a terminal, in this process (a process of its own costs seconds)."""
    from jobs import cli

    out, err = io.StringIO(), io.StringIO()
    words = ["nightfleet", *map(str, arguments)]
    with patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            code = 0
        except SystemExit as left:
            code = left.code
        except Exception:  # only --debug lets one through
            traceback.print_exc()
            code = 1
    return Outcome(int(code or 0), out.getvalue(), err.getvalue())


def nightfleet_process(*arguments: str | Path, timeout_s: float = 240) -> subprocess.CompletedProcess:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "jobs", *map(str, arguments)]
    root = Path(__file__).resolve().parent.parent
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=root)


def json_of(done: Outcome | subprocess.CompletedProcess) -> dict | list:
    """The one JSON value a command printed."""
    return json.loads(done.stdout)
