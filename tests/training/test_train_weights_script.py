"""infra/train_weights.sh: what it calls exists, in the order that its parts need each other."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from jobs.cli import app

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "train_weights.sh"
RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
if "--out" in sys.argv:
    out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    for name in ("one_shot.safetensors", "embedder.safetensors"):
        if not out.suffix:
            out.mkdir(parents=True, exist_ok=True)
            (out / name).touch()
    if out.suffix:
        out.touch()
"""


def called(tmp_path, *arguments, **settings) -> tuple[subprocess.CompletedProcess, list[list[str]]]:
    """Run the script with a nightfleet that only writes down what it is asked for."""
    recorder, calls = tmp_path / "bin" / "nightfleet", tmp_path / "calls"
    recorder.parent.mkdir(exist_ok=True)
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    environment = os.environ | {"PATH": f"{recorder.parent}:{os.environ['PATH']}", "CALLS": str(calls)} | settings
    done = subprocess.run(["bash", SCRIPT, *map(str, arguments)], capture_output=True, text=True, env=environment)
    return done, [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


def parsed(arguments: list[str]) -> dict:
    """Return a command's parameters as the command line understands them; UsageError for what it does not."""
    command, name = get_command(app), "nightfleet"
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(arguments), resilient_parsing=True)
        name, command, arguments = command.resolve_command(context, list(arguments))
    return command.make_context(name, list(arguments)).params


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_call_is_one_that_the_command_line_takes(tmp_path, device):
    done, calls = called(tmp_path, tmp_path / "out", tmp_path / "clips", "yolox_nano.onnx", DEVICE=device)
    assert done.returncode == 0, done.stderr
    assert [call[1] for call in calls] == [
        "scenes", "scenes", "scenes", "labels", "one-shot", "refiner", "scores", "scenes", "scenes", "calibrate",
        "embedder",
    ]  # fmt: skip
    understood = [parsed(call) for call in calls]
    assert understood[4]["device"] == device and understood[4]["processes"] == (2 if device == "cpu" else 1)
    made = {Path(one["out"]) for one in understood}
    for one in understood:
        assert {Path(folder) for folder in one.get("data") or ()} <= made
    *taught_on, held_beside = ({Path(folder) for folder in understood[nth]["data"]} for nth in (4, 5, 6, 9))
    assert taught_on[0] == taught_on[1] == taught_on[2] and not taught_on[0] & held_beside
    starts = [Path(understood[nth]["weights"]).parent for nth in (5, 6, 9)]
    assert starts == [made_by["out"] for made_by in understood[4:7]]


def test_it_says_what_it_wants(tmp_path):
    done, calls = called(tmp_path)
    assert done.returncode == 2 and not calls
    assert "infra/train_weights.sh OUT CLIPS YOLOX" in done.stderr
