"""Training the box refiner: it learns where things end, it resumes, it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.errors import UserError
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot import OneShotNetwork
from pipeline.perception.networks.one_shot_file import OneShotFile
from pipeline.training import stepping
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.training.one_shot_samples import Sample
from pipeline.training.refiner import WRONG_BOXES, RefinerRecipe, RefinerRun, train, wrong_boxes
from tests.conftest import json_of, nightfleet
from tests.training.labelled import KilledError, kill_at

RECIPE = RefinerRecipe(steps=12, pictures=2, size_hw=(64, 96), rate=0.002, seed=5, precision="float32")


@pytest.fixture
def weights(tmp_path) -> Path:
    torch.manual_seed(0)
    one_shot_file.write(tmp_path / "w.safetensors", OneShotFile(OneShotNetwork(2), ("person", "car")))
    return tmp_path / "w.safetensors"


def run(weights, folder, recipe, out, *, resume=False, tell=lambda step: None) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    how = {"device": "cpu", "resume": resume, "tell": tell}
    return load_file(train(RefinerRun, weights, read_folders([folder]), recipe, out, **how))


def test_it_learns_where_things_end_and_leaves_the_network_alone(weights, folder, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(stepping, "LOG_EVERY", 1)
    made = run(weights, folder, replace(RECIPE, steps=150, pictures=4), tmp_path / "out", tell=told.append)
    last = told[-20:]
    before, after = (sum(step.losses[name] for step in last) for name in ("iou_loss_before", "iou_loss"))
    assert after < 0.6 * before
    own = load_file(weights)
    assert all(torch.equal(own[name], made[name]) for name in own) and len(made) > len(own)
    assert (tmp_path / "out" / "log.csv").read_text().splitlines()[0] == "step,iou_loss_before,iou_loss,shift,loss"


def test_a_killed_and_resumed_run_gives_the_weights_of_one_that_was_not(weights, folder, tmp_path, monkeypatch):
    whole = run(weights, folder, RECIPE, tmp_path / "whole")
    kill_at(monkeypatch, RefinerRun, 7)
    with pytest.raises(KilledError):
        run(weights, folder, RECIPE, tmp_path / "killed")
    monkeypatch.undo()
    with pytest.raises(UserError, match="a training is there already; add --resume"):
        run(weights, folder, RECIPE, tmp_path / "killed")
    with pytest.raises(UserError, match="other settings or other data"):
        run(weights, folder, replace(RECIPE, rate=0.001), tmp_path / "killed", resume=True)
    resumed = run(weights, folder, RECIPE, tmp_path / "killed", resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_each_object_is_shown_in_wrong_boxes_of_its_own_picture_and_none_that_is_ignored():
    picture = np.zeros((64, 96, 3), np.uint8)
    box = lambda *rows: np.array(rows, np.float32).reshape(-1, 4)  # noqa: E731
    samples = [
        Sample(picture, box((10, 10, 30, 50), (0, 0, 90, 60)), np.array([0, IGNORED], np.int16), np.array([0, -1])),
        Sample(picture, box(), np.zeros(0, np.int16), np.zeros(0, np.int64)),
        Sample(picture, box((40, 10, 60, 50), (5, 5, 25, 25)), np.array([0, 2], np.int16), np.array([1, 2])),
    ]
    made = wrong_boxes(samples, np.random.default_rng(0))
    assert made.images.shape == (3, 3, 64, 96)
    assert made.image_row.tolist() == [0] * WRONG_BOXES + [2] * 2 * WRONG_BOXES
    assert made.wanted[::WRONG_BOXES].tolist() == [[10, 10, 30, 50], [40, 10, 60, 50], [5, 5, 25, 25]]
    off = (made.shown - made.wanted).abs() / (made.wanted[:, 2:] - made.wanted[:, :2]).repeat(1, 2)
    assert 0 < float(off.mean()) < 0.15 and float(off.max()) < 0.5
    assert not torch.equal(made.shown, wrong_boxes(samples, np.random.default_rng(1)).shown)


def test_pictures_without_anything_to_see_teach_nothing_and_stop_nothing(weights, folder, tmp_path):
    for gt in folder.glob("*/gt/gt.txt"):
        first, *_ = gt.read_text().splitlines()
        gt.write_text(first + "\n")  # two frames of three are empty
    made = run(weights, folder, replace(RECIPE, pictures=1), tmp_path / "out")
    assert all(torch.isfinite(value).all() for value in made.values())


def test_the_command_says_what_it_learned_from_and_its_file_runs(weights, folder, tmp_path):
    line = ("train", "refiner", weights, "--out", tmp_path / "out", "--steps", "3", "--pictures", "2", "--json")
    done = nightfleet(*line, "--data", folder)
    assert done.returncode == 0, done.stderr
    result = json_of(done)
    assert result["pictures"] == 6 and result["boxes"] == 12 and result["steps"] == 3
    assert one_shot_file.read(result["weights"]).refiner is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--precision", "half"), "--precision: expected float32 or bfloat16, got 'half'"),
        (("--data", "nowhere"), "nowhere: no such folder"),
        (("--height", "300"), "--height: expected a multiple of 32, got 300"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(weights, folder, tmp_path, options, said):
    done = nightfleet("train", "refiner", weights, "--data", folder, "--out", tmp_path / "out", *options)
    assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_kind_is_refused(folder, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no network")
    done = nightfleet("train", "refiner", tmp_path / "x.safetensors", "--data", folder, "--out", tmp_path / "out")
    assert done.returncode == 2 and "x.safetensors" in done.stderr and "Traceback" not in done.stderr


def test_the_weights_it_is_for_are_never_written_over(weights, folder, tmp_path):
    own = weights.rename(tmp_path / "one_shot.safetensors")
    before = own.read_bytes()
    done = nightfleet("train", "refiner", own, "--data", folder, "--out", tmp_path, "--steps", "2")
    assert done.returncode == 2 and f"would be written over {own}; give another --out" in done.stderr
    assert own.read_bytes() == before and not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("damage", ["picture", "out"])
def test_a_broken_picture_and_a_file_where_the_folder_goes_are_told_in_a_sentence(weights, folder, tmp_path, damage):
    out = tmp_path / "out"
    broken = next(iter(folder.glob("*/img1/000001.jpg"))) if damage == "picture" else out
    broken.write_bytes(b"no picture")
    done = nightfleet("train", "refiner", weights, "--data", folder, "--out", out, "--steps", "30", "--pictures", "4")
    assert done.returncode == 2, done.stderr
    assert str(broken) in done.stderr and "Traceback" not in done.stderr
