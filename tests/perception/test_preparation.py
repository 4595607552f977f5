import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.config import InputConfig
from pipeline.perception.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation, prepare

SIZES = [(360, 480), (1080, 1920), (100, 37), (416, 416)]
YOLOX = Preparation(fit="letterbox", channels="bgr", range=255)


def picture(hw, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (hw[0] // 4, hw[1] // 4, 3), np.uint8)
    return cv2.resize(small, hw[::-1], interpolation=cv2.INTER_CUBIC)


def tensor(image):
    return torch.from_numpy(image[None]).permute(0, 3, 1, 2)


def rows(prepared):
    return prepared[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("hw", SIZES)
def test_letterbox_matches_opencv(hw):
    image = picture(hw)
    found, placement = prepare(tensor(image), (416, 416), YOLOX)
    ratio = min(416 / hw[0], 416 / hw[1])
    inner = (int(hw[1] * ratio + 1e-6), int(hw[0] * ratio + 1e-6))
    wanted = np.full((416, 416, 3), 114, np.uint8)
    wanted[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)[..., ::-1]
    difference = np.abs(rows(found) - wanted)
    assert difference.max() <= 1 and difference.mean() < 0.1  # OpenCV works with 11-bit weights
    np.testing.assert_allclose(placement.scale_xy, (inner[0] / hw[1], inner[1] / hw[0]), rtol=1e-6)
    np.testing.assert_array_equal(placement.offset_xy, 0)


@pytest.mark.parametrize("hw", SIZES)
def test_centred_letterbox_is_the_other_one_moved(hw):
    image = picture(hw)
    corner, _ = prepare(tensor(image), (416, 416), Preparation(fit="letterbox", range=255))
    middle, placement = prepare(tensor(image), (416, 416), Preparation(fit="letterbox-centred", range=255))
    left, top = placement.offset_xy.astype(int)
    np.testing.assert_array_equal(rows(middle)[top:, left:], rows(corner)[: 416 - top, : 416 - left])
    assert min(left, top) == 0 and (rows(middle)[:top] == 114).all() and (rows(middle)[:, :left] == 114).all()


@pytest.mark.parametrize("hw", SIZES)
def test_antialiased_stretch_matches_pillow(hw):
    image = picture(hw)
    found, placement = prepare(tensor(image), (320, 256), Preparation(fit="stretch", antialias=True, range=255))
    wanted = np.asarray(Image.fromarray(image).resize((256, 320), Image.Resampling.BILINEAR), np.float32)
    assert np.abs(rows(found) - wanted).max() <= 1
    np.testing.assert_allclose(placement.scale_xy, (256 / hw[1], 320 / hw[0]), rtol=1e-6)


def test_units_by_hand():
    image = np.full((8, 8, 3), (255, 51, 0), np.uint8)
    how = Preparation(fit="stretch", mean=IMAGENET_MEAN, std=IMAGENET_STD)
    wanted = (np.array([1, 0.2, 0]) - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(rows(prepare(tensor(image), (8, 8), how)[0])[3, 3], wanted, rtol=1e-5)
    turned = Preparation(fit="stretch", channels="bgr", mean=(10, 0, 0), range=255)
    np.testing.assert_allclose(rows(prepare(tensor(image), (8, 8), turned)[0])[3, 3], (-10, 51, 255))


def test_configuration_overrides_what_it_names_only():
    given = InputConfig(channels="rgb", pad_level=0, mean=(1, 2, 3))
    found = YOLOX.overridden(given)
    assert found == Preparation(fit="letterbox", channels="rgb", range=255, pad_level=0, mean=(1, 2, 3))
    assert YOLOX.overridden(InputConfig()) == YOLOX


@pytest.mark.parametrize("fit", ["letterbox", "letterbox-centred", "stretch"])
def test_boxes_go_back_to_the_picture(fit):
    _, placement = prepare(torch.zeros((1, 3, 90, 160), dtype=torch.uint8), (64, 96), Preparation(fit=fit))
    box = np.array([[10.0, 20.0, 110.0, 80.0]], np.float32)
    inside = box * np.tile(placement.scale_xy, 2) + np.tile(placement.offset_xy, 2)
    np.testing.assert_allclose(placement.to_picture(inside), box, rtol=1e-5)
    assert placement.to_picture(np.zeros((0, 4), np.float32)).shape == (0, 4)


def test_frames_stay_as_they_were():
    image = picture((64, 64))
    before = image.copy()
    prepare(tensor(image), (64, 64), Preparation(range=1, mean=(1, 1, 1)))
    np.testing.assert_array_equal(image, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("how", [YOLOX, Preparation(fit="stretch", antialias=True)])
def test_cuda_agrees_with_cpu(how):
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 90, 160), np.uint8))
    one, other = prepare(image, (96, 96), how)[0], prepare(image.cuda(), (96, 96), how)[0].cpu()
    assert ((one - other).abs() * 255 / how.range).max() <= 1.01
