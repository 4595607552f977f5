"""Scores that mean something: the fit finds what was done to them, and the network's own scores move with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from jobs.cli import app
from pipeline.footage.stills import read_still
from pipeline.perception.networks import one_shot_file, saved
from pipeline.perception.networks.one_shot import KIND, OneShotNetwork
from pipeline.perception.networks.one_shot_file import OneShotFile
from pipeline.perception.networks.refiner import BoxRefiner
from pipeline.perception.one_shot import OneShotModel
from pipeline.training import calibration
from pipeline.training.calibration import Fit, Judged, Line
from pipeline.training.mot_folders import IGNORED, LabelledFrame
from pipeline.types import COCO_CLASSES, Detections
from tests.conftest import json_of, nightfleet
from tests.training.labelled import write_sequence

PERSON, CAR = COCO_CLASSES.index("person"), COCO_CLASSES.index("car")


def test_the_line_that_made_scores_timid_is_found():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.01, 0.99, 20_000)
    right = rng.random(len(chance)) < chance
    timid = (np.log(chance / (1 - chance)) - 3) / 5
    judged = Judged(np.column_stack([timid, np.zeros_like(timid)]), right, 0)
    fit = calibration.fit(judged)
    assert fit.heat.slope == pytest.approx(5, rel=0.05) and fit.heat.shift == pytest.approx(3, rel=0.05)
    assert fit.heat_share == 1 and fit.look == Line(1.0, 0.0)
    for row in judged.moved(fit).reliability():
        assert row["right"] == pytest.approx(row["mean_score"], abs=0.05)


def test_what_heatmap_and_look_say_are_weighed_and_the_heatmap_is_right_by_itself():
    rng = np.random.default_rng(0)
    heat, look = rng.normal(0, 1, (2, 20_000))
    right = rng.random(len(heat)) < 1 / (1 + np.exp(-(2 * heat + 3 * look - 1)))
    judged = Judged(np.column_stack([heat, look]), right, 0)
    fit = calibration.fit(judged)
    assert fit.heat_share * fit.heat.slope == pytest.approx(2, rel=0.05) and fit.look.slope == pytest.approx(
        3, rel=0.05
    )
    assert fit.heat_share * fit.heat.shift + fit.look.shift == pytest.approx(-1, rel=0.1)
    alone = Judged(np.column_stack([fit.heat(heat), np.zeros_like(heat)]), right, 0)
    for some in (judged.moved(fit), alone):
        for row in some.reliability():
            assert row["right"] == pytest.approx(row["mean_score"], abs=0.06)


def test_boxes_are_right_once_for_each_object_of_their_class_and_excused_where_ignored(tmp_path):
    picture = tmp_path / "a.png"
    assert cv2.imwrite(str(picture), np.zeros((100, 200, 3), np.uint8))
    frame = LabelledFrame(
        picture, 0, 0,
        xyxy=np.array([[10, 10, 30, 50], [60, 10, 80, 50], [100, 0, 200, 100]], np.float32),
        class_id=np.array([PERSON, CAR, IGNORED], np.int16), identity=np.array([0, 1, -1]),
        visibility=np.ones(3, np.float32),
    )  # fmt: skip
    boxes = [
        ([11, 10, 31, 50], 0.6, PERSON),  # right
        ([10, 10, 30, 50], 0.5, PERSON),  # the same once more
        ([60, 10, 80, 50], 0.9, PERSON),  # of another class
        ([120, 20, 150, 80], 0.8, PERSON),  # in what is to be ignored
        ([10, 60, 30, 90], 0.3, CAR),  # nothing there
    ]
    xyxy, score, class_id = zip(*boxes)
    found = Detections(np.array(xyxy, np.float32), np.array(score, np.float32), np.array(class_id, np.int16))
    told = []
    logit = np.column_stack([np.log(found.score / (1 - found.score)), np.zeros(5)])
    judged = calibration.judge(lambda _: (found, logit), [frame], lambda *at: told.append(at))
    assert dict(zip(judged.score.round(1).tolist(), judged.right.tolist())) == {
        0.6: True, 0.5: False, 0.9: False, 0.3: False
    }  # fmt: skip
    assert judged.missed == 1 and told == [(1, 1)]


@pytest.fixture
def weights(tmp_path) -> Path:
    """A network that sees many things in noise, each with another score."""
    torch.manual_seed(3)
    network = OneShotNetwork(2)
    with torch.no_grad():
        network.heat.bias.fill_(-1.0)
        network.heat.weight.mul_(3)
    path = tmp_path / "w.safetensors"
    saved.save(path, KIND, {"classes": ["person", "car"], "width": 64}, network.state_dict())
    return path


def test_the_network_says_the_calibrated_scores_itself_and_the_same_boxes(weights, tmp_path):
    line = Line(2.5, 1.5)
    calibration.write(weights, Fit(line), tmp_path / "out.safetensors")
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (1, 3, 64, 96), dtype=np.uint8))
    before, after = (
        OneShotModel(path, device="cpu", threads=1).look(images, 0.0)[0]
        for path in (weights, tmp_path / "out.safetensors")
    )
    order = [np.lexsort((found.class_id, found.xyxy[:, 1], found.xyxy[:, 0])) for found in (before, after)]
    assert len(before.score) == len(after.score) > 0
    assert np.array_equal(before.xyxy[order[0]], after.xyxy[order[1]])
    was = before.score[order[0]].astype(float)
    expected = 1 / (1 + np.exp(-line(np.log(was / (1 - was)))))
    assert after.score[order[1]] == pytest.approx(expected, abs=2e-3)  # float16


def test_a_judging_refiner_says_calibrated_scores_too_also_when_calibrated_again(weights, tmp_path):
    file = one_shot_file.read(weights)
    torch.manual_seed(2)
    refiner = BoxRefiner().eval()
    with torch.no_grad():
        refiner.sure.weight.normal_(std=2.0)
    one_shot_file.write(tmp_path / "judging.safetensors", OneShotFile(file.network, file.class_names, refiner))
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (1, 3, 64, 96), dtype=np.uint8))
    path, first = tmp_path / "judging.safetensors", Fit(Line(2.0, 0.5), 0.7, Line(1.5, -0.4))
    second = Fit(Line(0.5, 0.1), 1.2, Line(2.0, 0.3))
    raw = OneShotModel(path, device="cpu", threads=1).candidates(images, 0.0)
    expected = raw.heat, raw.look
    for nth, fit in enumerate((first, second)):
        calibration.write(path, fit, tmp_path / f"{nth}.safetensors")
        path = tmp_path / f"{nth}.safetensors"
        expected = fit.heat_share * fit.heat(expected[0]), fit.look(expected[1])
    said = OneShotModel(path, device="cpu", threads=1).candidates(images, 0.0)
    cell = lambda seen: np.lexsort((seen.layer.numpy(), seen.xyxy[:, 1].numpy(), seen.xyxy[:, 0].numpy()))  # noqa: E731
    for got, want in zip((said.heat, said.look), expected, strict=True):
        assert got.numpy()[cell(said)] == pytest.approx(want.numpy()[cell(raw)], abs=0.05)  # float16


def test_where_nothing_worth_a_look_is_right_the_look_is_not_fitted():
    rng = np.random.default_rng(0)
    heat, look = rng.normal(-6, 0.5, 1000), rng.normal(0, 1, 1000)
    judged = Judged(np.column_stack([heat, look]), rng.random(1000) < 0.03, 0)
    assert np.isnan(calibration.fit(judged).heat_share)


def test_the_command_calibrates_a_refiner_that_judges(weights, tmp_path):
    file = one_shot_file.read(weights)
    refiner = BoxRefiner().eval()
    torch.manual_seed(2)
    with torch.no_grad():
        refiner.sure.weight.normal_(std=500.0)  # noise looks much the same everywhere
        file.network.heat.weight.mul_(2000)
    judging = tmp_path / "judging.safetensors"
    one_shot_file.write(judging, OneShotFile(file.network, file.class_names, refiner))
    folder = tmp_path / "data" / "s0"
    write_sequence(folder, seed=0, n_frames=2)
    model = OneShotModel(judging, device="cpu", threads=1)
    rows = []
    for number in (1, 2):
        noise = np.random.default_rng(number).integers(0, 256, (96, 160, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), noise)
        picture = torch.from_numpy(read_still(folder / "img1" / f"{number:06d}.jpg"))[None].permute(0, 3, 1, 2)
        seen = model.candidates(picture, calibration.LEAST_SCORE)
        sure = model.taken(seen)
        truth = sum((said - said.mean()) / said.std() for said in (seen.look[sure], seen.heat[sure]))
        for nth, row in enumerate(sure[truth.argsort(descending=True)[: len(sure) // 3]].tolist()):
            x1, y1, x2, y2 = seen.xyxy[row].tolist()
            rows.append(f"{number},{nth + 1},{x1},{y1},{x2 - x1},{y2 - y1},1,{1 + int(seen.layer[row])},1")
    (folder / "gt" / "gt.txt").write_text("\n".join(rows) + "\n")
    line = ("--data", tmp_path / "data", "--out", tmp_path / "c.safetensors", "--json")
    done = nightfleet("train", "calibrate", judging, *line)
    assert done.returncode == 0, done.stderr
    result = json_of(done)
    kept = one_shot_file.read(result["out"]).refiner
    assert result["look_slope"] > 0 and kept.judges
    assert float(kept.heat_share) == pytest.approx(result["heat_share"], rel=1e-2)


def test_data_that_teach_nothing_are_refused(tmp_path):
    weights = tmp_path / "w.safetensors"  # sees nothing at all
    saved.save(weights, KIND, {"classes": ["person", "car"], "width": 64}, OneShotNetwork(2).state_dict())
    write_sequence(tmp_path / "data" / "s0", seed=0, n_frames=1)
    done = CliRunner().invoke(
        app, ["train", "calibrate", str(weights), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "o")]
    )
    assert done.exit_code != 0
    refused = nightfleet("train", "calibrate", weights, "--data", tmp_path / "data", "--out", tmp_path / "o")
    assert refused.returncode == 2
    assert "expected boxes that are right and some that are wrong" in refused.stderr
    assert not (tmp_path / "o").exists()


def test_the_command_takes_the_wrong_ones_down(weights, tmp_path):
    model = OneShotModel(weights, device="cpu", threads=1)
    folder = tmp_path / "data" / "s0"
    write_sequence(folder, seed=0, n_frames=3)
    rows = []
    for number in range(1, 4):
        picture = read_still(folder / "img1" / f"{number:06d}.jpg")
        found = model.look(torch.from_numpy(picture)[None].permute(0, 3, 1, 2), 0.0)[0]
        surest = np.argsort(-found.score)[:10]
        for nth, row in enumerate(surest):
            x1, y1, x2, y2 = found.xyxy[row]
            layer = 1 + [PERSON, CAR].index(found.class_id[row])
            rows.append(f"{number},{nth + 1},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},1,{layer},1")
    (folder / "gt" / "gt.txt").write_text("\n".join(rows) + "\n")
    line = ("--data", tmp_path / "data", "--out", tmp_path / "c.safetensors", "--json")
    done = nightfleet("train", "calibrate", weights, *line)
    assert done.returncode == 0, done.stderr
    result = json_of(done)
    assert result["pictures"] == 3 and result["slope"] > 0

    def right_of(rows: list[dict]) -> float:
        return sum(row["boxes"] * row["right"] for row in rows) / max(sum(row["boxes"] for row in rows), 1)

    assert right_of(result["before"]) < 0.1
    assert right_of([row for row in result["after"] if row["from"] >= 0.5]) > 0.5
    assert sum(row["boxes"] for row in result["after"]) < 0.5 * sum(row["boxes"] for row in result["before"])
