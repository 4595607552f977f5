"""The training loop: it learns, it can be killed, and it goes on as if it had not been."""

import dataclasses

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, UserError
from pipeline.evaluation import reid
from pipeline.evaluation.reid import Pictured
from pipeline.perception.networks.embedding_network import Design, EmbeddingNetwork
from pipeline.training import checkpoint, embedder, starting
from pipeline.training.crops import Crops, Relations
from pipeline.training.embedder import Recipe, Training, embed
from pipeline.training.starting import Start

DESIGN = Design(backbone="osnet", width=0.25, crop_hw=(64, 32))
RECIPE = Recipe(epochs=3, identities=4, each=3, patience=0, learning_rate=1e-3, seed=7)


def people(n: int, each: int, seed: int) -> Crops:
    """Crops of n people: the upper half is of their colours, the lower half tells nothing."""
    rng = np.random.default_rng(seed)
    grids = rng.uniform(0, 255, (n, each, 3, 8, 4))
    grids[:, :, :, :4] = grids[:, :1, :, :4]
    images = grids.repeat(8, axis=3).repeat(8, axis=4).reshape(-1, 3, 64, 32)
    images = (images + rng.normal(0, 12, images.shape)).clip(0, 255).astype(np.uint8)
    identity = np.repeat(np.arange(n), each)
    zeros = np.zeros(n * each, np.int64)
    return Crops(images, identity, np.tile(np.arange(each), n), zeros, np.full(n * each, "person"))


TRAIN, VALIDATION = people(12, 9, 1), people(8, 4, 2)


def validate(vectors: np.ndarray) -> dict[str, float]:
    shown = Pictured(VALIDATION.identity + 1, VALIDATION.camera)
    found = reid.evaluate(iter([(np.arange(len(vectors)), vectors @ vectors.T)]), shown, shown)
    return {"mAP": found["mAP"]}


def network() -> EmbeddingNetwork:
    torch.manual_seed(0)
    return EmbeddingNetwork(DESIGN)


def training(folder, recipe=RECIPE, relations=Relations(None), crops=TRAIN) -> Training:  # noqa: B008
    folder.mkdir(exist_ok=True)
    how = {"validation": VALIDATION, "validate": validate, "folder": folder, "device": "cpu"}
    return Training(network(), crops, relations, recipe, **how)


class Killed(Exception):
    """What a kill is to the loop: it ends wherever it stands."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nobody disturbed: its folder, what came of it, and its final vectors."""
    folder = tmp_path_factory.mktemp("whole")
    one = training(folder)
    done = one.run(resume=False)
    return folder, done, embed(one._network, VALIDATION.images, "cpu")


def test_it_learns(tmp_path, monkeypatch):
    monkeypatch.setattr(embedder, "augment", lambda crops, generator: crops)
    done = training(tmp_path, dataclasses.replace(RECIPE, epochs=4)).run(resume=False)
    assert [row["epoch"] for row in done.rows] == [1, 2, 3, 4]
    assert done.rows[-1]["loss"] < 0.8 * done.rows[0]["loss"]


@pytest.mark.parametrize("steps", [1, 11])
def test_killed_at_any_step_and_resumed_gives_the_same_weights(whole, tmp_path, monkeypatch, steps):
    left = steps

    def step(self, rows, step):
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return ours(self, rows, step)

    ours = Training._step
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Training, "_step", step)
        training(tmp_path).run(resume=False)
    again = training(tmp_path)
    done = again.run(resume=True)
    _, undisturbed, vectors = whole
    assert done.epoch == undisturbed.epoch
    without_time = lambda rows: [{k: v for k, v in row.items() if k != "wall_s"} for row in rows]  # noqa: E731
    assert without_time(done.rows) == without_time(undisturbed.rows)
    assert np.array_equal(embed(again._network, VALIDATION.images, "cpu"), vectors)


def test_a_finished_training_resumed_does_nothing(whole):
    folder, undisturbed, vectors = whole
    again = training(folder)
    done = again.run(resume=True, told=lambda row: pytest.fail("an epoch was trained"))
    assert done == undisturbed
    assert np.array_equal(embed(again._network, VALIDATION.images, "cpu"), vectors)


def test_the_log_has_a_row_an_epoch(whole):
    folder, done, _ = whole
    lines = (folder / "log.csv").read_text().splitlines()
    assert lines[0].split(",")[:4] == ["epoch", "learning_rate", "loss", "loss_triplet"]
    assert len(lines) == 1 + len(done.rows)
    pytest.importorskip("tensorboard")
    assert list((folder / "tensorboard").glob("events.*"))


def test_a_checkpoint_of_other_settings_or_data_is_refused(whole):
    folder, _, _ = whole
    for other in (
        training(folder, dataclasses.replace(RECIPE, seed=8)),
        training(folder, crops=people(12, 6, 3)),
    ):
        with pytest.raises(UserError, match="other settings or other data"):
            other.run(resume=True)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / checkpoint.NAME).write_bytes(content)
    with pytest.raises(UserError, match="not a checkpoint") as refusal:
        checkpoint.load(tmp_path, "any")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"signature": "any"}])
def test_another_file_of_torch_is_not_a_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / checkpoint.NAME)
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.load(tmp_path, "any")


@pytest.mark.parametrize("start", [Start("osnet", 0.0), Start("osnet", -1.0), Start("colours", 0.0)])
def test_a_width_of_nothing_is_not_the_usual_one(start):
    with pytest.raises(ConfigError, match=r"width: .*got (0|-1)"):
        starting.network(start, seed=0)


def test_no_more_blocks_are_frozen_than_there_are():
    one = network()
    n_blocks = len(one.trunk)
    starting.require_blocks(one, n_blocks)
    for frozen in (-1, n_blocks + 1):
        with pytest.raises(ConfigError, match=f"--frozen: expected 0 to {n_blocks}, .*; got {frozen}"):
            starting.require_blocks(one, frozen)
    with pytest.raises(ConfigError, match=r"--frozen: .*colours has no blocks; got 1"):
        starting.require_blocks(starting.network(Start("colours"), seed=0), 1)


def test_it_ends_early_and_keeps_the_best(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=6, patience=2, learning_rate=1e-9)
    one = training(tmp_path, recipe)
    scores = iter([0.2, 0.5, 0.4, 0.3, 0.9])
    one._validate = lambda vectors: {"mAP": next(scores)}
    done = one.run(resume=False)
    assert (done.epoch, done.scores, done.start) == (1, {"mAP": 0.5}, {"mAP": 0.2})
    assert done.stopped_early
    assert len(done.rows) == 3


def test_frozen_blocks_stay_as_they_are(tmp_path):
    one = training(tmp_path, dataclasses.replace(RECIPE, epochs=1, frozen=4))
    scores = iter([0.1, 0.9])
    one._validate = lambda vectors: {"mAP": next(scores)}
    before = {name: value.clone() for name, value in one._network.trunk[:4].state_dict().items()}  # batch norms too
    after_before = one._network.trunk[4][0].weight.clone()
    one.run(resume=False)
    assert all(torch.equal(before[name], value) for name, value in one._network.trunk[:4].state_dict().items())
    assert not torch.equal(after_before, one._network.trunk[4][0].weight)


def test_identity_loss_is_refused_where_identities_are_not_known_to_differ(tmp_path):
    with pytest.raises(ConfigError, match="tracklets"):
        training(tmp_path, dataclasses.replace(RECIPE, loss="triplet+identity"), Relations(np.array([[0, 1]])))


@pytest.mark.parametrize("loss", ["softmax", "triplet+triplet", ""])
def test_unknown_losses_are_refused(loss):
    with pytest.raises(ConfigError, match="--loss"):
        Recipe(loss=loss)
