"""Losses against loops that say what they mean."""

import itertools
import math

import pytest
import torch

from pipeline.training import losses
from pipeline.training.losses import CONTRASTIVE_MARGIN, LABEL_SMOOTHING, SCALE, TRIPLET_MARGIN


def batch(seed: int, n: int = 12, identities: int = 4):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.nn.functional.normalize(torch.randn(n, 8, generator=generator))
    identity = torch.randint(identities, (n,), generator=generator)
    same = (identity[:, None] == identity[None]) & ~torch.eye(n, dtype=torch.bool)
    known = torch.rand(n, n, generator=generator) < 0.7
    different = (identity[:, None] != identity[None]) & known & known.T
    return unit, identity, same, different


def slow_contrastive(unit, same, different):
    distance = lambda i, j: 1 - float(unit[i] @ unit[j])  # noqa: E731
    pairs = list(itertools.product(range(len(unit)), repeat=2))
    together = [distance(i, j) ** 2 for i, j in pairs if same[i, j]]
    apart = [max(0.0, CONTRASTIVE_MARGIN - distance(i, j)) ** 2 for i, j in pairs if different[i, j]]
    return sum(sum(values) / len(values) for values in (together, apart) if values)


def slow_triplet(unit, same, different):
    values = []
    for i in range(len(unit)):
        positive = [1 - float(unit[i] @ unit[j]) for j in range(len(unit)) if same[i, j]]
        negative = [1 - float(unit[i] @ unit[j]) for j in range(len(unit)) if different[i, j]]
        if positive and negative:
            values.append(max(0.0, max(positive) - min(negative) + TRIPLET_MARGIN))
    return sum(values) / len(values) if values else 0.0


def slow_pairs(unit, same, different):
    values = []
    for i, j in itertools.product(range(len(unit)), repeat=2):
        others = [math.exp(SCALE * float(unit[i] @ unit[k])) for k in range(len(unit)) if different[i, k]]
        if same[i, j] and others:
            own = math.exp(SCALE * float(unit[i] @ unit[j]))
            values.append(-math.log(own / (own + sum(others))))
    return sum(values) / len(values) if values else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_pair_losses_are_what_loops_say(seed):
    unit, _, same, different = batch(seed)
    distance = losses.cosine_distances(unit)
    assert float(losses.contrastive(distance, same, different)) == pytest.approx(
        slow_contrastive(unit, same, different)
    )
    assert float(losses.triplet(distance, same, different)) == pytest.approx(slow_triplet(unit, same, different))
    assert float(losses.pairs(distance, same, different)) == pytest.approx(slow_pairs(unit, same, different), rel=1e-4)


@pytest.mark.parametrize("loss", [losses.contrastive, losses.triplet, losses.pairs])
def test_where_nothing_is_known_nothing_moves(loss):
    unit, _, same, _ = batch(1)
    unit.requires_grad_(True)
    nothing = torch.zeros_like(same)
    value = loss(losses.cosine_distances(unit), nothing, nothing)
    value.backward()
    assert float(value.detach()) == 0
    assert float(unit.grad.abs().sum()) == 0


def test_an_unknown_pair_moves_nothing():
    unit, _, same, different = batch(2)
    i, j = torch.nonzero(~same & ~different & ~torch.eye(len(unit), dtype=torch.bool))[0].tolist()
    distance = losses.cosine_distances(unit)
    nearer = distance.clone()
    nearer[i, j] = 0.0
    for loss in (losses.contrastive, losses.triplet, losses.pairs):
        assert torch.equal(loss(distance, same, different), loss(nearer, same, different))


def test_triplet_is_done_when_all_are_apart_by_the_margin():
    unit = torch.eye(2).repeat_interleave(2, dim=0)
    same = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    different = ~same & ~torch.eye(4, dtype=torch.bool)
    assert float(losses.triplet(losses.cosine_distances(unit), same, different)) == 0
    assert float(losses.contrastive(losses.cosine_distances(unit), same, different)) == 0


def test_identity_loss_is_smoothed_cross_entropy_of_cosines():
    torch.manual_seed(0)
    head = losses.IdentityLoss(5, 8)
    head.requires_grad_(False)
    unit, identity, _, _ = batch(3, identities=5)
    directions = torch.nn.functional.normalize(head.directions)
    expected = 0.0
    for vector, name in zip(unit, identity.tolist()):
        logits = [SCALE * float(vector @ direction) for direction in directions]
        log_sum = math.log(sum(math.exp(value) for value in logits))
        shares = [LABEL_SMOOTHING / 5 + (1 - LABEL_SMOOTHING) * (k == name) for k in range(5)]
        expected += sum(share * (log_sum - value) for share, value in zip(shares, logits)) / len(unit)
    assert float(head(unit, identity)) == pytest.approx(expected, rel=1e-5)
