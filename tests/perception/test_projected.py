import numpy as np
import pytest
import torch
from torchvision import models

from pipeline.config import EmbedderConfig
from pipeline.errors import ConfigError, WeightsError
from pipeline.perception import projection
from pipeline.perception.projected import OnnxEmbedder, TorchvisionEmbedder, normalised
from pipeline.perception.weights import embedder_model_digest
from tests.perception.onnx_models import write_detector, write_embedder

MATRIX = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)


def crops(n, hw, seed=0):
    return torch.rand((n, 3, *hw), generator=torch.Generator().manual_seed(seed)) * 255


@pytest.fixture(params=[1, 4, "batch"], ids=["batch 1", "batch 4", "any batch"])
def config(request, tmp_path):
    return EmbedderConfig(use=f"onnx:{write_embedder(tmp_path / 'e.onnx', MATRIX, batch=request.param)}")


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(models.resnet18(weights=None, num_classes=7).state_dict(), path)
    return path


def test_onnx_runs_with_the_projection_that_needs_no_data(config):
    embedder = OnnxEmbedder(config, device="cpu", threads=1)
    assert embedder.crop_hw == (32, 16)
    assert embedder.embed(crops(0, (32, 16))).shape == (0, 128)
    pictures = crops(70, (32, 16))
    features = normalised(pictures).mean((2, 3)).numpy() @ MATRIX
    wanted = projection.random_projection(20, "").apply(features)
    np.testing.assert_allclose(embedder.embed(pictures), wanted, atol=1e-4)
    assert np.isfinite(embedder.embed(torch.zeros((1, 3, 32, 16)))).all()


def test_onnx_projection_must_be_the_models_own(tmp_path):
    wide = np.random.default_rng(0).standard_normal((3, 150))
    config = EmbedderConfig(use=f"onnx:{write_embedder(tmp_path / 'e.onnx', wide)}")
    fitted = projection.fit_pca(np.random.default_rng(1).standard_normal((200, 150)), embedder_model_digest(config))
    projection.save(fitted, tmp_path / "p.npz")
    with_projection = config.model_copy(update={"projection": tmp_path / "p.npz"})
    assert OnnxEmbedder(with_projection, device="cpu", threads=1).embed(crops(2, (32, 16))).shape == (2, 128)
    write_embedder(tmp_path / "e.onnx", wide + 1)
    with pytest.raises(WeightsError, match="fitted for another model"):
        OnnxEmbedder(with_projection, device="cpu", threads=1)


def test_detector_is_no_embedder(tmp_path):
    path = write_detector(tmp_path / "d.onnx", np.zeros((84, 85)), np.zeros((84, 85)), 64, 1)
    with pytest.raises(WeightsError, match="not an appearance embedder"):
        OnnxEmbedder(EmbedderConfig(use=f"onnx:{path}"), device="cpu", threads=1)


def test_torchvision_backbone_drops_its_head_whatever_its_length(resnet_file):
    embedder = TorchvisionEmbedder(EmbedderConfig(use="torchvision:resnet18", weights=resnet_file), device="cpu")
    assert embedder.embed(crops(0, embedder.crop_hw)).shape == (0, 128)
    found = embedder.embed(crops(3, embedder.crop_hw))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found[:1], embedder.embed(crops(3, embedder.crop_hw)[:1]), atol=1e-4)
    assert np.isfinite(embedder.embed(torch.full((1, 3, *embedder.crop_hw), 255.0))).all()


def test_torchvision_refuses_what_does_not_fit(resnet_file, tmp_path):
    text = tmp_path / "text.pth"
    text.write_text("hello")
    for use, weights, error, reason in (
        ("torchvision:mobilenet_v2", resnet_file, WeightsError, "not weights of torchvision's mobilenet_v2"),
        ("torchvision:resnet34", resnet_file, WeightsError, "not weights of torchvision's resnet34"),
        ("torchvision:resnet18", text, WeightsError, "not a PyTorch state dict"),
        ("torchvision:resnet18", tmp_path / "absent.pth", WeightsError, "no such file"),
        ("torchvision:resnet81", resnet_file, ConfigError, "did you mean `resnet"),
    ):
        with pytest.raises(error, match=reason) as caught:
            TorchvisionEmbedder(EmbedderConfig(use=use, weights=weights), device="cpu")
        assert "\n" not in str(caught.value)
