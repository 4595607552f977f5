"""Teaching a box refiner to judge: it tells things from nothing, it resumes, it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.errors import UserError, WeightsError
from pipeline.footage.stills import read_still
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot import OneShotNetwork
from pipeline.perception.networks.one_shot_file import OneShotFile
from pipeline.perception.networks.refiner import BoxRefiner, refined
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.training.one_shot_batches import Batches
from pipeline.training.one_shot_samples import Sample
from pipeline.training.refiner import WRONG_BOXES, RefinerRecipe, RefinerRun, train
from pipeline.training.scores import AIMLESS_BOXES, JudgeRun, pictures, targets
from pipeline.training.together import Share
from tests.conftest import json_of, nightfleet
from tests.training.labelled import KilledError, kill_at, write_sequence

RECIPE = RefinerRecipe(steps=12, pictures=3, size_hw=(64, 96), rate=0.002, seed=5, precision="float32")


@pytest.fixture
def weights(tmp_path) -> Path:
    """A network that proposes much in anything, with a refiner that has learned nothing."""
    torch.manual_seed(0)
    network = OneShotNetwork(2)
    with torch.no_grad():
        network.heat.bias.fill_(-2.0)
        network.heat.weight.mul_(3)
    one_shot_file.write(tmp_path / "w.safetensors", OneShotFile(network, ("person", "car"), BoxRefiner()))
    return tmp_path / "w.safetensors"


def run(
    weights, folder, recipe, out, *, kind=JudgeRun, resume=False, tell=lambda step: None
) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    how = {"device": "cpu", "resume": resume, "tell": lambda step: None}
    return load_file(train(kind, weights, read_folders([folder]), recipe, out, **how))


def test_it_tells_things_from_nothing_and_leaves_the_network_alone(weights, folder, tmp_path):
    made = run(weights, folder, replace(RECIPE, steps=150, pictures=6), tmp_path / "out")
    own = load_file(weights)
    assert all(torch.equal(own[name], made[name]) for name in own if not name.startswith("refiner."))
    assert (tmp_path / "out" / "log.csv").read_text().startswith("step,iou_loss_before,iou_loss,shift,score,loss\n")
    judge = one_shot_file.read(tmp_path / "out" / "one_shot.safetensors").refiner
    assert judge.judges
    right, wrong = [], []
    for frame in read_folders([folder]).frames():
        image = torch.from_numpy(read_still(frame.path))[None].permute(0, 3, 1, 2).float()
        true = torch.from_numpy(frame.xyxy)
        beside = true + (true[:, 2:] - true[:, :2]).repeat(1, 2) * torch.tensor([0, 1.6, 0, 1.6])
        with torch.inference_mode():
            right.append(refined(judge, image, true, torch.zeros(len(true)))[1])
            wrong.append(refined(judge, image, beside, torch.zeros(len(true)))[1])
    assert float(torch.cat(right).min()) > float(torch.cat(wrong).max())


def test_a_killed_and_resumed_run_gives_the_weights_of_one_that_was_not(weights, folder, tmp_path, monkeypatch):
    whole = run(weights, folder, RECIPE, tmp_path / "whole")
    kill_at(monkeypatch, JudgeRun, 7)
    with pytest.raises(KilledError):
        run(weights, folder, RECIPE, tmp_path / "killed")
    monkeypatch.undo()
    with pytest.raises(UserError, match="other settings or other data"):
        run(weights, folder, replace(RECIPE, rate=0.001), tmp_path / "killed", resume=True)
    with pytest.raises(
        UserError, match="other settings or other data"
    ):  # what learns to move boxes is another training
        run(weights, folder, RECIPE, tmp_path / "killed", kind=RefinerRun, resume=True)
    resumed = run(weights, folder, RECIPE, tmp_path / "killed", resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def box(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def test_what_a_box_should_give_is_read_off_the_labels():
    true, ignored = box((10, 10, 30, 50), (60, 10, 80, 50)), box((100, 0, 200, 100))
    shown = box((12, 10, 32, 50), (24, 10, 44, 50), (140, 20, 160, 60), (40, 60, 60, 90), (62, 10, 82, 50))
    there = box((10, 10, 30, 50), (24, 10, 44, 50), (140, 20, 160, 60), (40, 60, 60, 90), (64, 10, 84, 50))
    wanted, aims, fit, known = targets(shown, there, true, ignored)
    assert aims.tolist() == [True, False, False, False, True]
    assert wanted[aims].tolist() == true.tolist()
    assert fit.tolist() == pytest.approx([1, 0, 0, 0, 16 / 24])
    assert known.tolist() == [True, True, False, True, True]
    nothing = targets(shown, there, box(), box())
    assert not nothing[1].any() and not nothing[2].any() and nothing[3].all()


def test_every_picture_is_shown_with_boxes_of_things_and_of_nothing():
    picture = np.zeros((64, 96, 3), np.uint8)
    samples = [
        Sample(
            picture, box((10, 10, 30, 50), (0, 0, 90, 60)).numpy(), np.array([0, IGNORED], np.int16), np.array([0, -1])
        ),
        Sample(picture, box().numpy(), np.zeros(0, np.int16), np.zeros(0, np.int64)),
    ]
    made = pictures(samples, np.random.default_rng(0))
    assert np.bincount(made.image_row).tolist() == [WRONG_BOXES // 2 + AIMLESS_BOXES, AIMLESS_BOXES]
    assert [len(true) for true in made.true] == [1, 0] and [len(some) for some in made.ignored] == [1, 0]
    assert (made.shown[:, 2:] > made.shown[:, :2]).all()
    assert not torch.equal(made.shown, pictures(samples, np.random.default_rng(1)).shown)


def test_every_folder_of_data_is_shown_as_often_however_few_its_pictures(tmp_path):
    for name, count, n_frames in (("many", 6, 3), ("few", 2, 1)):
        for number in range(count):
            write_sequence(tmp_path / name / f"s{number}", seed=number, n_frames=n_frames)
    data = read_folders([tmp_path / "many", tmp_path / "few"])
    size = {"n_pictures": 8, "size_hw": (64, 96), "seed": 0, "share": Share()}
    batches = Batches(data.frames(), lambda samples, rng: samples, weights=data.even_weights(), **size)
    try:
        chosen = [frame for step in range(500) for frame in batches._choose(np.random.default_rng(step))]
    finally:
        batches.close()
    assert np.mean(["few" in frame.path.parts for frame in chosen]) == pytest.approx(0.5, abs=0.05)


def test_pictures_without_anything_to_see_stop_nothing(weights, folder, tmp_path):
    for gt in folder.glob("*/gt/gt.txt"):
        gt.write_text(gt.read_text().splitlines()[0] + "\n")  # two frames of three are empty
    made = run(weights, folder, replace(RECIPE, pictures=1), tmp_path / "out")
    assert all(torch.isfinite(value).all() for value in made.values())


def test_the_command_says_what_it_learned_from_and_its_file_judges(weights, folder, tmp_path):
    line = ("train", "scores", weights, "--out", tmp_path / "out", "--steps", "3", "--pictures", "2", "--json")
    done = nightfleet(*line, "--data", folder)
    assert done.returncode == 0, done.stderr
    result = json_of(done)
    assert result["pictures"] == 6 and result["boxes"] == 12 and result["steps"] == 3
    assert one_shot_file.read(result["weights"]).refiner.judges


def test_a_file_without_a_refiner_is_refused(weights, folder, tmp_path):
    plain = tmp_path / "plain.safetensors"
    file = one_shot_file.read(weights)
    one_shot_file.write(plain, OneShotFile(file.network, file.class_names))
    with pytest.raises(WeightsError):
        run(plain, folder, RECIPE, tmp_path / "out")
    done = nightfleet("train", "scores", plain, "--data", folder, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert f"{plain}: has no box refiner to teach; train one with `nightfleet train refiner`" in done.stderr
    assert not (tmp_path / "out").exists()
