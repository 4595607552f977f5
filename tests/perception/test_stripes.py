import cv2
import numpy as np
import pytest
import torch

from pipeline.perception.crops import crop
from pipeline.perception.stripes import StripesEmbedder, even_light, to_lab
from tests.realdata import data_path

EMBEDDER = StripesEmbedder()


def person(shirt, trousers, background=(90, 95, 90), seed=0):
    """A crop (3, 96, 48) of somebody before a plain wall, with sensor noise."""
    image = np.empty((96, 48, 3))
    image[:] = background
    image[16:52, 12:36], image[52:94, 14:34], image[2:16, 18:30] = shirt, trousers, (200, 160, 140)
    noisy = image + np.random.default_rng(seed).normal(0, 4, image.shape)
    return torch.from_numpy(noisy.clip(0, 255).astype(np.float32)).permute(2, 0, 1)


RED, BLUE, BLACK, WHITE = (180, 30, 40), (40, 60, 160), (25, 25, 25), (230, 230, 225)


def test_no_crops():
    assert EMBEDDER.embed(torch.zeros((0, 3, 96, 48))).shape == (0, 128)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_constant_crop_is_still_a_unit_vector(level):
    found = EMBEDDER.embed(torch.full((2, 3, 96, 48), float(level)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_crops_do_not_influence_each_other_and_are_not_written():
    crops = torch.stack([person(RED, BLACK), person(BLUE, WHITE), person(WHITE, BLUE)])
    before = crops.clone()
    alone = np.concatenate([EMBEDDER.embed(each[None]) for each in crops])
    np.testing.assert_allclose(EMBEDDER.embed(crops), alone, atol=1e-6)
    assert (crops == before).all()


def test_clothes_tell_people_apart_and_noise_and_light_do_not():
    people = [person(RED, BLACK), person(BLUE, BLACK), person(BLACK, RED), person(WHITE, BLUE), person(BLACK, BLACK)]
    again = [person(RED, BLACK, seed=1) * 0.75, person(BLUE, BLACK, seed=2) * torch.tensor([1.1, 1, 0.9]).view(3, 1, 1)]
    similarity = EMBEDDER.embed(torch.stack(again)) @ EMBEDDER.embed(torch.stack(people)).T
    assert similarity[0, 0] > 0.8 and similarity[1, 1] > 0.8
    assert similarity.argmax(axis=1).tolist() == [0, 1]
    assert (np.sort(similarity, axis=1)[:, -2] < similarity.max(axis=1) - 0.15).all()


def test_centre_counts_more_than_the_surroundings():
    plain = person(RED, BLUE)
    middle, margin = plain.clone(), plain.clone()
    middle[:, :, 18:30] = 40.0
    margin[:, :, [*range(6), *range(42, 48)]] = 40.0  # as many columns
    found = EMBEDDER.embed(torch.stack([plain, middle, margin]))
    assert found[0] @ found[1] < found[0] @ found[2] - 0.2


def test_lab_agrees_with_opencv():
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.float32)
    wanted = cv2.cvtColor(rgb / 255, cv2.COLOR_RGB2Lab)
    found = to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(found, wanted, atol=0.5)


def test_even_light_forgets_exposure():
    crop_ = person(RED, BLUE)[None].clamp(5, 120)
    torch.testing.assert_close(even_light(crop_), even_light(crop_ * 1.2), rtol=0, atol=0.01)


@pytest.mark.realdata
def test_finds_people_across_real_cameras():
    paths = sorted(data_path("reid/market1501_eval").glob("*.jpg"))
    pictures = torch.from_numpy(np.stack([cv2.imread(str(path))[..., ::-1] for path in paths])).permute(0, 3, 1, 2)
    box = np.array([[0, 0, 64, 128]], np.float32)
    vectors = []
    for start in range(0, len(paths), 64):
        rows = pictures[start : start + 64]
        vectors.append(EMBEDDER.embed(crop(rows, box.repeat(len(rows), 0), np.arange(len(rows)), EMBEDDER.crop_hw)))
    vectors = np.concatenate(vectors)
    person_id = np.array([path.name.split("_")[0] for path in paths])
    camera = np.array([path.name.split("_")[1][:2] for path in paths])
    same = person_id[:, None] == person_id
    similarity = np.where(same & (camera[:, None] == camera), -2, vectors @ vectors.T)
    asked = (same & (camera[:, None] != camera)).any(axis=1)
    first = similarity.argmax(axis=1)
    assert (person_id[first] == person_id)[asked].mean() > 0.5  # measured 0.547


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu():
    crops = torch.stack([person(RED, BLACK), person(BLUE, WHITE)])
    np.testing.assert_allclose(EMBEDDER.embed(crops.cuda()), EMBEDDER.embed(crops), atol=1e-4)
