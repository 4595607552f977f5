"""Training the one-shot network: it learns, it resumes, it refuses."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jobs import train_one_shot as job
from pipeline.errors import UserError, WeightsError
from pipeline.training import one_shot, stepping
from pipeline.training.mot_folders import read_folders
from pipeline.training.one_shot import Recipe, train
from tests.training.labelled import KilledError, kill_at, write_sequence

RECIPE = Recipe(
    classes=("person", "car"), steps=12, pictures=2, size_hw=(64, 96), rate=0.002, frozen_stages=0, identity="pairs",
    seed=5, precision="float32", init="random",
)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    for number in range(2):
        write_sequence(tmp_path / "data" / f"s{number}", seed=number, n_frames=3)
    return read_folders([tmp_path / "data"])


def run(data, recipe: Recipe, out: Path, *, resume: bool = False, tell=lambda step: None) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    return load_file(train(data, recipe, out, device="cpu", resume=resume, tell=tell))


def early(told) -> float:
    """Mean loss of the boxes over the first ten steps; one batch of small pictures says little."""
    return sum(step.losses["heat"] + step.losses["offset"] + step.losses["size"] for step in told[:10]) / 10


def late(told) -> float:
    return early(told[-10:])


@pytest.mark.parametrize("identity", ["pairs", "classes"])
def test_the_loss_falls(data, tmp_path, monkeypatch, identity):
    told = []
    monkeypatch.setattr(stepping, "LOG_EVERY", 1)
    run(data, replace(RECIPE, steps=60, identity=identity), tmp_path / "out", tell=told.append)
    assert told[-1].step == told[-1].steps == len(told) == 60
    assert late(told) < 0.8 * early(told)
    assert (tmp_path / "out" / "log.csv").read_text().splitlines()[0] == "step,heat,offset,size,identity,loss"


def test_a_killed_and_resumed_run_gives_the_weights_of_one_that_was_not(data, tmp_path, monkeypatch):
    whole = run(data, RECIPE, tmp_path / "whole")
    kill_at(monkeypatch, one_shot._Run, 7)
    with pytest.raises(KilledError):
        run(data, RECIPE, tmp_path / "killed")
    monkeypatch.undo()
    resumed = run(data, RECIPE, tmp_path / "killed", resume=True)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]


def test_processes_that_share_batches_learn_and_resume_as_one(data, tmp_path, monkeypatch):
    recipe = replace(RECIPE, pictures=4, processes=2, steps=40)
    told = []
    monkeypatch.setattr(stepping, "LOG_EVERY", 1)
    whole = run(data, recipe, tmp_path / "whole", tell=told.append)
    assert late(told) < 0.8 * early(told)
    kill_at(monkeypatch, one_shot._Run, 9)
    with pytest.raises(KilledError):
        run(data, recipe, tmp_path / "killed")
    monkeypatch.undo()
    assert not multiprocessing.active_children()
    resumed = run(data, recipe, tmp_path / "killed", resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_helper_that_dies_ends_the_training_in_a_sentence(data, tmp_path, monkeypatch):
    step = one_shot._Run.step

    def starved(self):
        if self.done == 3:
            multiprocessing.active_children()[0].kill()
        return step(self)

    monkeypatch.setattr(one_shot._Run, "step", starved)
    with pytest.raises(UserError, match="one of the 2 processes that train together ended"):
        run(data, replace(RECIPE, processes=2), tmp_path / "out")


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_made(data, tmp_path):
    with pytest.raises(UserError, match="3 pictures in a batch cannot be shared equally by 2 processes"):
        run(data, replace(RECIPE, pictures=3, processes=2), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_finished_run_is_not_done_again_nor_written_over(data, tmp_path):
    told = []
    run(data, replace(RECIPE, steps=2), tmp_path / "out")
    before = (tmp_path / "out" / "one_shot.safetensors").read_bytes()
    run(data, replace(RECIPE, steps=2), tmp_path / "out", resume=True, tell=told.append)
    assert not told and (tmp_path / "out" / "one_shot.safetensors").read_bytes() == before
    with pytest.raises(UserError, match="add --resume"):
        run(data, replace(RECIPE, steps=2), tmp_path / "out")
    with pytest.raises(UserError, match="other settings or other data"):
        run(data, replace(RECIPE, steps=3), tmp_path / "out", resume=True)


def test_other_labels_are_other_data(data, tmp_path):
    run(data, replace(RECIPE, steps=1), tmp_path / "out")
    gt = tmp_path / "data" / "s0" / "gt" / "gt.txt"
    gt.write_text(gt.read_text().replace("1,1,", "1,3,", 1))
    with pytest.raises(UserError, match="other settings or other data"):
        run(read_folders([tmp_path / "data"]), replace(RECIPE, steps=1), tmp_path / "out", resume=True)


def test_a_rate_that_is_too_high_ends_the_training(data, tmp_path):
    with pytest.raises(UserError, match="lower --rate"):
        run(data, replace(RECIPE, rate=1e12), tmp_path / "out")


def test_classes_that_nobody_labelled_are_refused(data, tmp_path):
    how = {"device": "cpu", "threads": 1, "resume": False, "tell": lambda step: None}
    with pytest.raises(UserError, match="holds no box of zebra"):
        job.train_one_shot([tmp_path / "data"], tmp_path / "out", replace(RECIPE, classes=("zebra",)), **how)
    rest = {"steps": 1, "pictures": 1, "rate": 0.1, "frozen_stages": 0, "seed": 0, "init": "random"}
    with pytest.raises(UserError, match="names one twice"):
        job.recipe(classes="person,person", identity="pairs", precision="float32", size_hw=(64, 64), **rest)


def test_an_unfinished_run_is_neither_overwritten_nor_resumed_as_another(data, tmp_path, monkeypatch):
    monkeypatch.setattr(one_shot._Run, "write", lambda self, path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(data, RECIPE, tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(UserError, match="add --resume"):
        run(data, RECIPE, tmp_path / "out")
    with pytest.raises(UserError, match="other settings or other data"):
        run(data, replace(RECIPE, seed=6), tmp_path / "out", resume=True)


def test_it_goes_on_from_weights_of_the_same_classes_only(data, tmp_path):
    run(data, replace(RECIPE, steps=2), tmp_path / "first")
    weights = str(tmp_path / "first" / "one_shot.safetensors")
    run(data, replace(RECIPE, steps=2, init=weights), tmp_path / "second")
    with pytest.raises(UserError, match="same classes"):
        run(data, replace(RECIPE, classes=("person",), init=weights), tmp_path / "third")
    with pytest.raises(WeightsError, match="no such file"):
        run(data, replace(RECIPE, init=str(tmp_path / "nowhere")), tmp_path / "fourth")


def test_frozen_stages_stay_as_they_were(data, tmp_path):
    first = run(data, replace(RECIPE, steps=1, rate=0.0), tmp_path / "first")
    weights = str(tmp_path / "first" / "one_shot.safetensors")
    second = run(data, replace(RECIPE, steps=4, frozen_stages=2, init=weights), tmp_path / "second")
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved and not any(name.startswith(("trunk.stages.0.", "trunk.stages.1.")) for name in moved)
