"""The box refiner: what it is shown, where it moves boxes, and that it comes and goes with a file of weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jobs.export_onnx import export_onnx
from pipeline.errors import WeightsError
from pipeline.perception.networks import one_shot_file, saved
from pipeline.perception.networks.one_shot import KIND
from pipeline.perception.networks.one_shot_file import OneShotFile
from pipeline.perception.networks.peaks import peaks
from pipeline.perception.networks.refiner import (
    ROUNDS,
    SIDE_PX,
    WINDOW,
    BoxRefiner,
    moved,
    refined,
    views,
)
from pipeline.perception.networks.running import Running
from pipeline.perception.one_shot import LEAST_HEAT, Candidates, OneShotModel, fitted
from pipeline.perception.preparation import GREY_LEVEL
from pipeline.training import calibration
from pipeline.training.calibration import Fit, Line
from tests.perception.test_one_shot import by_place, frames, network

NAMES = ("person", "car")
SAID = {"shifts": ["n", 4], "sure": ["n", 1]}


def shifting(*shifts: float) -> BoxRefiner:
    """A refiner that moves every box by the same shares, whatever it sees."""
    refiner = BoxRefiner()
    with torch.no_grad():
        refiner.shift.bias.copy_(torch.tensor(shifts))
    return refiner.eval()


def guessing(spread: float) -> BoxRefiner:
    """A refiner that has learned nothing and moves boxes by what it sees."""
    torch.manual_seed(3)
    refiner = BoxRefiner().eval()
    with torch.no_grad():
        refiner.shift.weight.normal_(std=spread)
        refiner.sure.weight.normal_(std=spread)
    return refiner


@pytest.fixture
def write(tmp_path):
    def write(refiner: BoxRefiner | None, name: str = "one_shot.safetensors"):
        one_shot_file.write(tmp_path / name, OneShotFile(network(), NAMES, refiner))
        return tmp_path / name

    return write


def test_a_view_shows_the_box_and_what_lies_around_it_to_a_fraction_of_a_pixel():
    across = torch.arange(200) + 0.5  # the value of a place is its x
    image = across.expand(1, 3, 100, 200).contiguous()
    box = torch.tensor([[60.3, 20.0, 90.8, 71.0]])
    view = views(image, box, torch.zeros(1))[0, 0]
    width = (90.8 - 60.3) * WINDOW
    wanted = (60.3 + 90.8) / 2 - width / 2 + width * (torch.arange(SIDE_PX) + 0.5) / SIDE_PX
    assert view.shape == (SIDE_PX, SIDE_PX)
    assert view[10].numpy() == pytest.approx(wanted.numpy(), abs=1e-3)


def test_beside_a_picture_lies_grey_and_each_box_sees_its_own_picture():
    images = torch.stack([torch.full((3, 60, 80), 10.0), torch.full((3, 60, 80), 200.0)])
    boxes = torch.tensor([[20.0, 20, 40, 40], [20, 20, 40, 40], [-200, 0, -100, 60]])
    seen = views(images, boxes, torch.tensor([1, 0, 0]))
    assert [float(view[0, 24, 24]) for view in seen] == pytest.approx([200, 10, GREY_LEVEL])


def test_a_box_gone_wild_shows_the_picture_and_little_else():
    image = torch.rand(1, 3, 60, 80) * 255
    wild = torch.tensor([[-2000.0, -2000, 2080, 2060], [-9000, -9000, 9080, 9060]])
    first, second = views(image, wild, torch.zeros(2))
    assert torch.equal(first, second)
    assert float(first[:, 0, 0].mean()) == GREY_LEVEL and (first != GREY_LEVEL).any()


def test_what_shrinks_is_averaged_not_picked():
    image = torch.zeros(1, 3, 480, 480)
    image[..., ::2] = 200.0  # stripes of a pixel
    view = views(image, torch.tensor([[80.0, 80, 400, 400]]), torch.zeros(1))[0, 0, 10:38, 10:38]
    assert view.numpy() == pytest.approx(100, abs=25)


def test_boxes_move_by_shares_of_their_size_and_never_turn_inside_out():
    boxes = torch.tensor([[10.0, 20, 30, 60], [10, 20, 30, 60]])
    there = moved(boxes, torch.tensor([[0.1, -0.1, 0, 0.5], [2.0, 0, -2, 0]]))
    assert there[0].tolist() == pytest.approx([12, 16, 30, 80])
    assert (there[:, 2:] > there[:, :2]).all()
    nowhere, nothing = refined(BoxRefiner(), torch.zeros(1, 3, 8, 8), torch.zeros(0, 4), torch.zeros(0))
    assert nowhere.shape == (0, 4) and nothing.shape == (0,)


def test_a_mirrored_picture_gives_mirrored_boxes():
    refiner = guessing(0.2)
    image = torch.rand(1, 3, 90, 160) * 255
    boxes = torch.tensor([[10.0, 10, 30, 60], [100, 20, 150, 80]])
    mirror = lambda xyxy: torch.stack([160 - xyxy[:, 2], xyxy[:, 1], 160 - xyxy[:, 0], xyxy[:, 3]], dim=1)  # noqa: E731
    with torch.inference_mode():
        there, sure = refined(refiner, image, boxes, torch.zeros(2))
        mirrored, as_sure = refined(refiner, image.flip(3), mirror(boxes), torch.zeros(2))
    assert not torch.allclose(there, boxes, atol=1.0)
    assert torch.allclose(mirror(mirrored), there, atol=0.01)
    assert torch.allclose(sure, as_sure, atol=0.01) and sure[0] != sure[1]


def test_onnxruntime_says_what_pytorch_says():
    torch.manual_seed(1)
    refiner = BoxRefiner()
    with torch.no_grad():
        refiner.shift.weight.normal_()
        refiner.sure.weight.normal_()
        refiner.train()(torch.rand(8, 3, SIDE_PX, SIDE_PX) * 255)
    refiner.eval()
    running = Running(refiner, SAID, device="cpu", threads=1)
    for count in (1, 7):
        seen = torch.rand(count, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(4)) * 255
        with torch.inference_mode():
            wanted = refiner(seen)
        for got, one in zip(running(seen), wanted, strict=True):
            assert got.numpy() == pytest.approx(one.numpy(), abs=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_moves_boxes_where_a_processor_does():
    refiner = guessing(0.1)
    images = torch.rand(2, 3, 90, 160) * 255
    boxes, rows = torch.tensor([[10.0, 10, 30, 60], [100, 20, 150, 80], [-5, 40, 20, 95]]), torch.tensor([0, 1, 1])
    there = []
    for device in ("cpu", "cuda"):
        running = Running(refiner, SAID, device=device, threads=1)
        found = refined(running, images.to(device), boxes.to(device), rows.to(device))
        there.append(torch.cat([found[0], found[1][:, None]], dim=1).cpu())
    assert torch.allclose(*there, atol=0.05)


def test_one_that_has_learned_nothing_leaves_boxes_where_they_are(write):
    images = torch.from_numpy(frames(2, 64, 96).images).permute(0, 3, 1, 2)
    plain = OneShotModel(write(None, "plain.safetensors"), device="cpu", threads=1).look(images, 0.3)
    looked = OneShotModel(write(BoxRefiner().eval()), device="cpu", threads=1).look(images, 0.3)
    for one, other in zip(plain, looked, strict=True):
        assert len(one.score) and np.array_equal(one.score, other.score)
        assert np.allclose(by_place(one), by_place(other), atol=1e-3)


@pytest.mark.parametrize("size_hw", [(64, 96), (700, 2100)])
def test_every_box_of_every_frame_is_moved_in_the_pictures_own_pixels(write, size_hw):
    images = torch.from_numpy(frames(2, *size_hw).images).permute(0, 3, 1, 2)
    plain = OneShotModel(write(None, "plain.safetensors"), device="cpu", threads=1).look(images, 0.4)
    lowered = OneShotModel(write(shifting(0, 0.1, 0, 0.1)), device="cpu", threads=1).look(images, 0.4)
    for before, after in zip(plain, lowered, strict=True):
        height = before.xyxy[:, 3] - before.xyxy[:, 1]
        assert len(height)
        assert np.allclose(
            after.xyxy[:, 1::2] - before.xyxy[:, 1::2], 0.1 * ROUNDS * height[:, None], rtol=1e-3, atol=0.01
        )
        assert np.allclose(after.xyxy[:, 0::2], before.xyxy[:, 0::2], atol=0.01)


def test_a_file_keeps_it_through_calibration_and_export_takes_the_network_alone(write, tmp_path):
    path = write(shifting(0.25, 0, 0, 0))
    calibration.write(path, Fit(Line(2.0, 0.5)), tmp_path / "calibrated.safetensors")
    kept = one_shot_file.read(tmp_path / "calibrated.safetensors")
    assert kept.class_names == NAMES and kept.refiner.shift.bias.tolist() == [0.25, 0, 0, 0]
    assert not kept.refiner.judges
    assert export_onnx(path, tmp_path / "one_shot.onnx", force=False)["outputs"] == ["heatmap", "box", "identity"]
    assert one_shot_file.read(write(None, "plain.safetensors")).refiner is None


def test_files_from_before_there_were_refiners_are_read(tmp_path):
    path = tmp_path / "old.safetensors"
    saved.save(path, "one-shot", {"classes": list(NAMES), "width": 16}, network().state_dict())
    assert one_shot_file.read(path).refiner is None


def test_files_from_before_refiners_judged_are_read_and_say_what_they_said(write, tmp_path):
    about, tensors = saved.load(write(shifting(0, 0.1, 0, 0.1)), KIND)
    old = {
        name: value for name, value in tensors.items() if not name.startswith(("refiner.sure", "refiner.heat_share"))
    }
    assert len(old) == len(tensors) - 3
    saved.save(tmp_path / "old.safetensors", KIND, about, old)
    images = torch.from_numpy(frames(1, 64, 96).images).permute(0, 3, 1, 2)
    was, now = (
        OneShotModel(tmp_path / name, device="cpu", threads=1).look(images, 0.3)[0]
        for name in ("one_shot.safetensors", "old.safetensors")
    )
    assert len(was.score) and np.array_equal(was.score, now.score) and np.array_equal(was.xyxy, now.xyxy)
    short = {name: value for name, value in old.items() if name != "refiner.shift.bias"}
    saved.save(tmp_path / "short.safetensors", KIND, about, short)
    with pytest.raises(WeightsError, match="do not fit the network"):
        one_shot_file.read(tmp_path / "short.safetensors")


def test_what_a_close_look_says_counts_beside_the_heatmap(write):
    images = torch.from_numpy(frames(2, 64, 96).images).permute(0, 3, 1, 2)
    plain = OneShotModel(write(None, "plain.safetensors"), device="cpu", threads=1)
    judging = BoxRefiner().eval()
    with torch.no_grad():
        judging.sure.weight[0, 0] = 1e-6  # says something, and nearly always the same
        judging.sure.bias.fill_(1.0)
        judging.heat_share.fill_(0.5)
    path = write(judging)
    assert one_shot_file.read(path).refiner.judges
    model = OneShotModel(path, device="cpu", threads=1)
    least = 0.6
    for before, after in zip(plain.look(images, LEAST_HEAT), model.look(images, least), strict=True):
        logit = 0.5 * np.log(before.score / (1 - before.score)) + 1.0
        expected = 1 / (1 + np.exp(-logit))
        assert (before.score < least).any() and 0 < len(after.score) <= (expected >= least).sum()
        assert (after.score >= least).all()
        assert all(np.abs(expected - score).min() < 1e-3 for score in after.score)
    for found in model.look(images, 0.0):  # and however little is asked for, nobody looks below
        assert (found.score > 1 / (1 + np.exp(-(0.5 * np.log(LEAST_HEAT / (1 - LEAST_HEAT)) + 0.99)))).all()


def test_scores_of_a_file_that_judges_nothing_are_the_heatmaps_own(write):
    images = torch.from_numpy(frames(1, 64, 96).images).permute(0, 3, 1, 2)
    path = write(shifting(0, 0.1, 0, 0.1))
    outputs = {name: ["n", "channels", "rows", "columns"] for name in ("heat", "box", "identity")}
    network = Running(one_shot_file.read(path).network, outputs, device="cpu", threads=1)
    heat, box, _ = network(fitted(images)[0])
    read, model = peaks(torch.sigmoid(heat), box, 0.3), OneShotModel(path, device="cpu", threads=1)
    assert np.array_equal(np.sort(model.look(images, 0.3)[0].score), np.sort(read.score.numpy()))


def test_of_boxes_that_end_on_one_thing_the_surest_is_taken_and_neighbours_stay():
    box = [[10.0, 10, 30, 60], [11, 10, 31, 60], [20, 10, 40, 60], [10, 10, 30, 60], [10, 10, 30, 60]]
    seen = Candidates(
        picture=torch.tensor([0, 0, 0, 0, 1]),
        layer=torch.tensor([0, 0, 0, 1, 0]),
        xyxy=torch.tensor(box),
        heat=torch.zeros(5),
        look=torch.zeros(5),
        score=torch.tensor([0.6, 0.7, 0.3, 0.5, 0.5]),
        identity=torch.zeros(2, 128, 2, 2),
    )
    assert sorted(seen.once_each().tolist()) == [1, 2, 3, 4]
    assert seen.picture[seen.once_each()].tolist() == [0, 0, 0, 1]
    none = torch.zeros(0, dtype=torch.int64)
    nothing = Candidates(
        none, none, torch.zeros(0, 4), none.float(), none.float(), none.float(), torch.zeros(2, 128, 2, 2)
    )
    assert nothing.once_each().tolist() == []


def test_what_is_taken_does_not_hang_on_where_in_a_batch_a_picture_lies():
    generator = torch.Generator().manual_seed(0)
    place = torch.rand(200, 2, generator=generator) * 3800
    one = torch.cat([place, place + torch.tensor([15.0, 40.0])], dim=1)
    shift = 15 * (1 - 2 * 0.6 / 1.6) + 0.01 * (torch.rand(200, generator=generator) - 0.5)  # an overlap of 0.6, nearly
    other = one + torch.stack([shift, torch.zeros(200), shift, torch.zeros(200)], dim=1)
    xyxy = torch.stack([one, other], dim=1)  # (200, 2, 4)
    kept = []
    for picture, layer in ((0, 0), (3, 4)):
        full = lambda value: torch.full((2,), value)  # noqa: E731
        kept.append(
            [
                len(
                    Candidates(
                        full(picture), full(layer), pair, torch.zeros(2), torch.zeros(2), torch.tensor([0.9, 0.8]),
                        torch.zeros(4, 128, 1, 1),
                    ).once_each()
                )
                for pair in xyxy
            ]
        )  # fmt: skip
    assert kept[0] == kept[1] and len(set(kept[0])) == 2


def test_a_file_that_promises_one_and_has_none_is_refused(tmp_path):
    path = tmp_path / "wrong.safetensors"
    saved.save(path, "one-shot", {"classes": list(NAMES), "width": 16, "refiner": True}, network().state_dict())
    with pytest.raises(WeightsError, match="do not fit the network"):
        one_shot_file.read(path)
