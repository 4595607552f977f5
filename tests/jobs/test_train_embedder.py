"""`nightfleet train embedder`: from folders of every kind to weights that the pipeline takes."""

import csv
import json

import cv2
import numpy as np
import pytest

from jobs import embedder_data
from jobs.embedder_data import _held_out
from jobs.train_embedder import _place
from pipeline.errors import UserError
from pipeline.training.crops import Crops
from tests.conftest import json_of, nightfleet

QUICK = ("--backbone", "osnet", "--width", "0.25", "--crop", "64x32", "--epochs", "2", "--threads", "1")


def draw(folder, name, person: int, n: int) -> None:
    """Write one picture of somebody, known by the colours of three parts."""
    rng = np.random.default_rng(person)
    colours = rng.integers(20, 235, (3, 3))
    picture = np.repeat(colours, 20, axis=0)[:, None].repeat(30, axis=1)
    noise = np.random.default_rng([person, n]).normal(0, 8, picture.shape)
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), (picture + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """A folder of crops named as Market-1501's: 12 people by 2 cameras, and one of nobody."""
    folder = tmp_path_factory.mktemp("crops")
    for person in range(1, 13):
        for n in range(4):
            draw(folder, f"{person:04d}_c{n % 2 + 1}s1_{n:06d}_00.jpg", person, n)
    draw(folder, "0000_c1s1_000000_00.jpg", 99, 0)
    return folder


@pytest.fixture(scope="module")
def by_identity(tmp_path_factory):
    """A folder for each of 12 identities."""
    folder = tmp_path_factory.mktemp("identities")
    for person in range(12):
        for n in range(4):
            draw(folder / f"van {person}", f"{n}.png", person, n)
    return folder


@pytest.fixture(scope="module")
def trained(market, tmp_path_factory):
    """A finished training."""
    out = tmp_path_factory.mktemp("out") / "embedder"
    done = nightfleet("train", "embedder", "--data", market, "--out", out, *QUICK, "--colours", "--mask", "--json")
    assert done.returncode == 0, done.stderr
    return out, json_of(done), done.stderr


def test_what_is_written(trained):
    out, result, told = trained
    assert (out / "embedder.safetensors").stat().st_size < 2_000_000
    assert json.loads((out / "report.json").read_text()) == result
    assert {path.name for path in (out / "plots").iterdir()} == {
        "loss.png",
        "distances.png",
        "cmc.png",
        "features.png",
        "hardest.png",
    }
    assert len((out / "log.csv").read_text().splitlines()) == 3
    assert [json.loads(line)["epoch"] for line in told.splitlines() if '"epoch"' in line] == [1, 2]


def test_what_is_said(trained):
    out, result, _ = trained
    assert result["kind"] == "pictures"
    assert result["crops"] + result["validation_crops"] == 48
    assert result["identities"] + result["validation_identities"] == 12
    (one,) = result["rounds"]
    with open(out / "log.csv", newline="") as log:
        epochs = [float(row["mAP"]) for row in csv.DictReader(log)]
    assert one["scores"]["mAP"] == pytest.approx(max(one["start"]["mAP"], *epochs), abs=1e-6)
    assert one["best_epoch"] == (0 if one["start"]["mAP"] >= max(epochs) else 1 + epochs.index(max(epochs)))
    assert 0 <= result["distances"]["separation"] <= 1


def test_the_pipeline_takes_the_weights(trained, market):
    out, _, _ = trained
    use = f"trained:{out / 'embedder.safetensors'}"
    scored = json_of(nightfleet("evaluate", "reid", "--data", market, "--embedder", use, "--json"))
    assert scored["queries"] == 48
    assert scored["scores"][0]["mAP"] > 0.8
    positive, negative = (scored["distances"][0][name]["mean"] for name in ("positive", "negative"))
    assert positive < negative
    refused = nightfleet("evaluate", "reid", "--data", market, "--embedder", use, "--projection", out / "log.csv")
    assert refused.returncode == 2
    assert "nothing to project" in refused.stderr


def test_what_the_weights_to_go_on_from_say_already_is_not_said_again(trained, market, tmp_path):
    out, _, _ = trained
    line = ("train", "embedder", "--data", market, "--out", tmp_path / "more", "--init", out / "embedder.safetensors")
    for option in (("--mask",), ("--backbone", "osnet"), ("--crop", "64x32"), ("--width", "0.5"), ("--colours",)):
        refused = nightfleet(*line, *option)
        assert refused.returncode == 2
        assert f"{option[0]}: the network of --init" in refused.stderr
    assert not (tmp_path / "more").exists()


def test_a_training_of_one_round_is_not_gone_on_with_in_two(trained):
    out, _, _ = trained
    with pytest.raises(UserError, match="is of a training of one round, got --rounds 2"):
        _place(out, True, 2)


def test_a_device_that_is_none_is_told_by_the_option_that_named_it(market, tmp_path):
    refused = nightfleet("train", "embedder", "--data", market, "--out", tmp_path / "o", "--device", "tpu")
    assert refused.returncode == 2
    assert "--device: expected auto, cpu or cuda, got 'tpu'" in refused.stderr


def test_of_two_folders_a_fifth_of_the_identities_is_held_out():
    n = 40
    identity = np.repeat(np.arange(n), 2)
    crops = Crops(np.zeros((2 * n, 3, 2, 1), np.uint8), identity, np.tile([0, 1], n), identity % 2, np.full(2 * n, "a"))
    held = _held_out(crops, seed=1)
    assert held.sum() == 16 and len(np.unique(identity[held])) == 8


def test_another_training_in_its_place_is_refused_and_resumed_is_the_same(trained, market):
    out, result, _ = trained
    again = ("train", "embedder", "--data", market, "--out", out, *QUICK, "--colours", "--mask", "--json")
    refused = nightfleet(*again)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    before = (out / "embedder.safetensors").read_bytes()
    done = nightfleet(*again, "--resume")
    assert json_of(done) == result
    assert (out / "embedder.safetensors").read_bytes() == before
    other = nightfleet(*again, "--resume", "--seed", "5")
    assert other.returncode == 2
    assert "other settings" in other.stderr


def test_one_folder_an_identity_and_going_on_from_weights(trained, by_identity, tmp_path):
    out, _, _ = trained
    weights = out / "embedder.safetensors"
    done = nightfleet(
        "train",
        "embedder",
        "--data",
        by_identity,
        "--out",
        tmp_path / "more",
        "--init",
        weights,
        "--epochs",
        "1",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json_of(done)["kind"] == "folders"


def test_a_folder_of_nobody_beside_another_is_refused_by_its_name(market, tmp_path):
    draw(tmp_path / "nobody", "0000_c1s1_000000_00.jpg", 99, 0)
    with pytest.raises(UserError, match="nobody: expected pictures of somebody"):
        embedder_data.labelled([str(tmp_path / "nobody"), str(market)], (64, 32), seed=0)
    with pytest.raises(UserError, match="nobody: expected pictures of somebody"):
        embedder_data.labelled([str(market), str(tmp_path / "nobody")], (64, 32), seed=0)


def test_validation_in_which_nobody_can_be_found_again_is_refused(tmp_path):
    for person in range(1, 11):
        for n in range(4):  # one of ten is seen by two cameras
            draw(tmp_path, f"{person:04d}_c{1 + (person == 1 and n % 2)}s1_{n:06d}_00.jpg", person, n)
    refused = 0
    for seed in range(12):
        try:
            material = embedder_data.labelled([str(tmp_path)], (64, 32), seed=seed)
        except UserError as refusal:
            refused += 1
            assert "pictures of two cameras" in str(refusal)
        else:
            assert len(np.unique(np.stack([material.validation.identity, material.validation.camera]), axis=1).T) == 3
    assert 0 < refused < 12


@pytest.mark.parametrize(
    "change, word",
    [
        (("--data", "nowhere"), "no such folder"),
        (("--loss", "softmax"), "--loss"),
        (("--crop", "96"), "--crop"),
        (("--rounds", "2"), "--rounds"),
        (("--init", "imagenet"), "mobilenet"),
        (("--init", "log.csv"), "log.csv"),
        (("--backbone", "vgg"), "vgg"),
        (("--frozen", "100"), "--frozen"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(market, tmp_path, change, word):
    words = ["train", "embedder", "--data", market, "--out", tmp_path / "out", *QUICK]
    if change[0] == "--data":
        words[3] = change[1]
        change = ()
    refused = nightfleet(*words, *change)
    assert refused.returncode == 2, refused.stderr
    assert word in refused.stderr
