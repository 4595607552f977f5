"""The samples, targets and losses of the one-shot network, against slow and obvious ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.boxes import iou
from pipeline.perception.networks.one_shot import STRIDE, Maps
from pipeline.perception.networks.peaks import MAX_PEAKS, peaks
from pipeline.training import one_shot_samples
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.training.one_shot_losses import TEMPERATURE, OneShotLoss, box_l1, focal, pair_loss
from pipeline.training.one_shot_samples import Sample, training_sample
from pipeline.training.one_shot_targets import LEAST_OVERLAP, radius, targets
from pipeline.types import COCO_CLASSES
from tests.training.labelled import write_sequence

PERSON, CAR = COCO_CLASSES.index("person"), COCO_CLASSES.index("car")


def sample(xyxy: list[list[float]], class_id: list[int], size_hw: tuple[int, int] = (64, 96)) -> Sample:
    return Sample(
        np.zeros((*size_hw, 3), np.uint8),
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.array(class_id, np.int16),
        np.arange(len(class_id)),
    )


def test_what_the_targets_say_is_read_back_as_the_same_boxes():
    boxes = [[8.5, 4, 20, 40], [40, 10, 90, 38]]
    wanted = targets([sample(boxes, [PERSON, CAR])], (PERSON, CAR))
    read = peaks(wanted.heat, wanted.box, 0.99)
    assert read.layer.tolist() == [0, 1]
    assert read.xyxy.numpy() == pytest.approx(np.array(boxes), abs=1e-4)


def test_no_objects_give_empty_targets_and_no_peaks():
    wanted = targets([sample([], [])], (PERSON,))
    assert wanted.heat.max() == 0 and wanted.box_weight.max() == 0 and wanted.cell.shape == (0, 3)
    assert len(peaks(wanted.heat, wanted.box, 0.1).score) == 0


def test_places_to_be_ignored_weigh_nothing_but_middles_in_them_do():
    wanted = targets([sample([[0, 0, 48, 64], [8, 8, 16, 24]], [IGNORED, PERSON])], (PERSON,))
    weight = wanted.heat_weight[0, 0]
    _, row, column = wanted.cell[0].tolist()
    assert weight[row, column] == 1 and weight[:, :12].sum() == 1 and bool((weight[:, 12:] == 1).all())


def test_classes_the_network_does_not_have_are_ignored():
    wanted = targets([sample([[0, 0, 48, 64]], [CAR])], (PERSON,))
    assert wanted.heat.max() == 0 and wanted.heat_weight[0, 0, 3, 3] == 0 and len(wanted.cell) == 0


@pytest.mark.parametrize("size", [(5.0, 12.0), (40.0, 11.0), (3.0, 3.0)])
def test_a_middle_moved_by_the_radius_keeps_the_least_overlap(size):
    distance = radius(*size)
    box = np.array([[0, 0, *size]])
    assert iou(box, box + distance)[0, 0] == pytest.approx(LEAST_OVERLAP, abs=1e-6)


def test_peaks_are_the_surest_of_their_neighbours_and_come_in_order():
    heat = torch.zeros(2, 2, 8, 8)
    heat[0, 0, 2, 2], heat[0, 0, 2, 3], heat[0, 1, 6, 6] = 0.9, 0.8, 0.95
    heat[1, 0, 0, 0] = 0.5
    box = torch.zeros(2, 4, 8, 8)
    read = peaks(heat, box, 0.3)
    assert [round(value, 2) for value in read.score.tolist()] == [0.95, 0.9, 0.5]
    assert read.picture.tolist() == [0, 0, 1] and read.layer.tolist() == [1, 0, 0]
    assert read.xyxy[0].tolist() == [(6 - 0.5) * STRIDE] * 2 + [(6 + 0.5) * STRIDE] * 2


def test_no_more_peaks_than_are_allowed_for_a_picture():
    heat = torch.rand(2, 6, 120, 120, generator=torch.Generator().manual_seed(1))
    read = peaks(heat, torch.zeros(2, 4, 120, 120), 0.0)
    assert torch.bincount(read.picture).tolist() == [MAX_PEAKS, MAX_PEAKS]
    same_picture = read.picture[:-1] == read.picture[1:]
    assert bool((read.score[:-1] >= read.score[1:])[same_picture].all())


def test_focal_loss_is_its_formula():
    rng = torch.Generator().manual_seed(3)
    heat, target = torch.randn(1, 2, 3, 4, generator=rng), torch.rand(1, 2, 3, 4, generator=rng)
    target[0, 0, 1, 1] = target[0, 1, 2, 0] = 1
    weight = (torch.rand(1, 1, 3, 4, generator=rng) > 0.3).float()
    total = 0.0
    for index in np.ndindex(*heat.shape):
        p, y = 1 / (1 + math.exp(-float(heat[index]))), float(target[index])
        one = (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
        total -= one * float(weight[0, 0, index[2], index[3]])
    assert float(focal(heat, target, weight)) == pytest.approx(total / 2, rel=1e-5)


def test_box_losses_weigh_cells():
    box, target = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    target[0, :, 1, 1] = 100
    weight = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
    offset, size = box_l1(box, target, weight)
    assert float(offset) == pytest.approx(1) and float(size) == pytest.approx(1)


def test_pair_loss_is_its_formula():
    vectors = functional.normalize(torch.randn(6, 128, generator=torch.Generator().manual_seed(2)), dim=1)
    identity = torch.tensor([0, 0, 1, 1, 1, 7])
    losses = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        twins = [j for j in others if identity[j] == identity[i]]
        below = sum(math.exp(float(vectors[i] @ vectors[j]) / TEMPERATURE) for j in others)
        if twins:
            losses.append(-np.mean([float(vectors[i] @ vectors[j]) / TEMPERATURE - math.log(below) for j in twins]))
    assert float(pair_loss(vectors, identity)) == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("identity", [[], [4], [1, 2, 3]])
def test_pair_loss_without_pairs_is_nothing_and_has_a_gradient(identity):
    vectors = torch.ones(len(identity), 128, requires_grad=True)
    loss = pair_loss(vectors, torch.tensor(identity, dtype=torch.int64))
    loss.backward()
    assert float(loss) == 0 and float(vectors.grad.abs().sum()) == 0


@pytest.mark.parametrize("n_identities", [None, 5])
def test_the_weights_of_the_losses_are_learned(n_identities):
    wanted = targets([sample([[8, 4, 20, 40], [40, 10, 90, 38]], [PERSON, CAR])] * 2, (PERSON, CAR))
    identity = torch.rand(2, 128, 16, 24, generator=torch.Generator().manual_seed(1))
    maps = Maps(torch.zeros(2, 2, 16, 24), torch.zeros(2, 4, 16, 24), identity.requires_grad_())
    loss = OneShotLoss(n_identities)
    total, parts = loss(maps, wanted)
    total.backward()
    assert set(parts) == {"heat", "offset", "size", "identity", "loss"}
    assert loss.log_variance.grad.abs().min() > 0


def test_a_batch_without_pairs_leaves_the_weight_of_identity_alone():
    wanted = targets([sample([[8, 4, 20, 40]], [PERSON])], (PERSON,))
    identity = torch.ones(1, 128, 16, 24, requires_grad=True)
    loss = OneShotLoss(None)
    loss(Maps(torch.zeros(1, 1, 16, 24), torch.zeros(1, 4, 16, 24), identity), wanted)[0].backward()
    assert loss.log_variance.grad[0] != 0 and loss.log_variance.grad[1] == 0


def test_samples_repeat_themselves(tmp_path):
    write_sequence(tmp_path / "a", seed=1, n_frames=1)
    frame = read_folders([tmp_path]).frames()[0]
    one, again = (training_sample(frame, (96, 128), np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.image, again.image) and np.array_equal(one.xyxy, again.xyxy)


@pytest.mark.parametrize("seed", range(24))
def test_boxes_follow_the_picture_to_a_fraction_of_a_pixel(tmp_path, monkeypatch, seed):
    write_sequence(tmp_path / "a", seed=1, n_frames=1)
    frame = read_folders([tmp_path]).frames()[0]
    monkeypatch.setattr(one_shot_samples, "_other_light", lambda image, rng: image)
    shown = training_sample(frame, (192, 256), np.random.default_rng(seed))
    compared = 0
    for xyxy, class_id in zip(shown.xyxy, shown.class_id):
        if class_id == IGNORED or (xyxy[:2] < 2).any() or (xyxy[2:] > (254, 190)).any():
            continue
        # The person is red, the car blue (levels of the two channels part them from the grey street and each other).
        levels = shown.image.astype(float)
        painted = levels[..., 0] - levels[..., 2] if class_id == PERSON else levels[..., 2] - levels[..., 0]
        painted = np.clip(painted - 40, 0, None)
        y, x = np.mgrid[: painted.shape[0], : painted.shape[1]] + 0.5
        middle = np.array([(painted * x).sum(), (painted * y).sum()]) / painted.sum()
        assert middle == pytest.approx((xyxy[:2] + xyxy[2:]) / 2, abs=0.3)
        compared += 1
    if seed == 0:
        assert compared
