"""Changes to crops: their shape and range, that they repeat themselves, and that flips and erasing happen."""

import pytest
import torch

from pipeline.training import augmentation
from pipeline.training.augmentation import augment


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_shape_and_range_stay_and_nothing_is_written_into(n):
    crops = torch.rand(n, 3, 64, 32) * 255
    before = crops.clone()
    changed = augment(crops, seeded(0)) if n else crops
    assert changed.shape == crops.shape
    assert torch.equal(crops, before)
    assert bool(((changed >= 0) & (changed <= 255)).all())


def test_same_generator_same_changes():
    crops = torch.rand(5, 3, 32, 32) * 255
    assert torch.equal(augment(crops, seeded(1)), augment(crops, seeded(1)))
    assert not torch.equal(augment(crops, seeded(1)), augment(crops, seeded(2)))


def test_crops_stay_recognisable():
    generator = seeded(3)
    crops = torch.nn.functional.interpolate(torch.rand(40, 3, 4, 2, generator=generator) * 255, (64, 32))
    changed = augment(crops, generator)
    centred = lambda x: torch.nn.functional.normalize((x - x.mean(1, keepdim=True)).flatten(1))  # noqa: E731
    likeness = torch.maximum(centred(crops) @ centred(changed).T, centred(crops.flip(3)) @ centred(changed).T)
    assert float((likeness.argmax(1) == torch.arange(40)).float().mean()) > 0.9


def test_half_are_mirrored():
    crops = torch.zeros(400, 3, 32, 32)
    crops[:, :, :, 16:] = 255
    moved = augmentation._moved(crops, seeded(4))
    mirrored = (moved[:, :, :, :8].mean((1, 2, 3)) > 128).float().mean()
    assert 0.4 < float(mirrored) < 0.6


def test_erased_rectangles_have_the_share_they_should():
    crops = torch.full((600, 3, 64, 32), -1.0)
    erased = (augmentation._erased(crops, seeded(5)) >= 0).all(1).float().mean((1, 2))
    touched = erased > 0
    assert float(touched.float().mean()) == pytest.approx(augmentation.ERASED, abs=0.06)
    low, high = augmentation.ERASED_AREA
    assert float(erased[touched].min()) > 0.6 * low
    assert float(erased[touched].max()) < 1.25 * high
