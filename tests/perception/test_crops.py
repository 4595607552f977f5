import numpy as np
import pytest
import torch

from pipeline.perception import crops
from pipeline.perception.crops import crop


def pictures(n=3, height=20, width=30, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, height, width), np.uint8))


def boxes_and_rows(n, frames, seed=0, height=20, width=30):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, (width - 6, height - 6), (n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(1, 6, (n, 2))], axis=1).astype(np.float32)
    return xyxy, np.sort(rng.integers(0, frames, n))


@pytest.mark.parametrize("frames", [0, 2])
def test_no_boxes_no_crops(frames):
    assert crop(pictures(frames), np.zeros((0, 4), np.float32), np.zeros(0, int), (8, 4)).shape == (0, 3, 8, 4)


def test_box_on_whole_pixels_is_cut_out_exactly():
    images = pictures()
    box = np.array([[4, 3, 8, 11]], np.float32)
    found = crop(images, box, np.array([1]), (8, 4))
    torch.testing.assert_close(found[0], images[1, :, 3:11, 4:8].float())


def test_shrinking_averages():
    images = pictures()
    found = crop(images, np.array([[2, 4, 26, 16]], np.float32), np.array([2]), (6, 6))
    wanted = images[2, :, 4:16, 2:26].float().reshape(3, 6, 2, 6, 4).mean((2, 4))
    torch.testing.assert_close(found[0], wanted)


def test_frames_are_not_mixed_and_input_not_written():
    images = torch.stack([torch.full((3, 20, 30), level, dtype=torch.uint8) for level in (10, 20, 30)])
    before = images.clone()
    xyxy, row = boxes_and_rows(9, 3)
    assert (crop(images, xyxy, row, (4, 4)).mean((1, 2, 3)).round() == torch.from_numpy(row + 1) * 10).all()
    assert (images == before).all()


def test_large_frames_are_taken_in_turns(monkeypatch):
    images, (xyxy, row) = pictures(5), boxes_and_rows(12, 5)
    at_once = crop(images, xyxy, row, (8, 4))
    monkeypatch.setattr(crops, "MAX_FLOAT_VALUES", 1)
    torch.testing.assert_close(crop(images, xyxy, row, (8, 4)), at_once, rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu():
    images, (xyxy, row) = pictures(5), boxes_and_rows(40, 5)
    torch.testing.assert_close(
        crop(images.cuda(), xyxy, row, (8, 4)).cpu(), crop(images, xyxy, row, (8, 4)), rtol=0, atol=0.01
    )
