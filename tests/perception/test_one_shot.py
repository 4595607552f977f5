"""The one-shot network in the night's run: detector and embedder, as PyTorch, as onnxruntime, as an ONNX file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jobs.export_onnx import export_onnx
from pipeline.config import DetectorConfig, EmbedderConfig
from pipeline.errors import UserError, WeightsError
from pipeline.perception.frames import upload
from pipeline.perception.networks import one_shot_file, saved
from pipeline.perception.networks.one_shot import Exported, OneShotNetwork
from pipeline.perception.networks.onnx_graph import onnx_bytes
from pipeline.perception.networks.running import Running
from pipeline.perception.one_shot import LONGEST_PX, OneShotDetector, OneShotModel, fitted
from pipeline.perception.perception import Perception
from pipeline.perception.weights import models_digest
from pipeline.types import CameraView, Detections, FrameBatch

OUTPUTS = {"heat": ["n", 2, "r", "c"], "box": ["n", 4, "r", "c"], "identity": ["n", 128, "r", "c"]}


def network(seed: int = 0) -> OneShotNetwork:
    """A network with random weights and statistics that are not the trivial ones."""
    torch.manual_seed(seed)
    made = OneShotNetwork(2, width=16)
    made.train()
    with torch.no_grad():
        made(torch.rand(4, 3, 64, 64) * 255)
        made.heat.bias.zero_()  # half sure everywhere, so that there are peaks
    return made.eval()


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "one_shot.safetensors"
    saved.save(path, "one-shot", {"classes": ["person", "car"], "width": 16}, network().state_dict(), half=False)
    return path


def frames(n_frames: int, height: int, width: int, seed: int = 1) -> FrameBatch:
    pixels = np.random.default_rng(seed).integers(0, 256, (n_frames, height, width, 3), dtype=np.uint8)
    return FrameBatch(pixels, np.arange(n_frames, dtype=np.int32), np.arange(n_frames, dtype=np.int64) * 100_000)


def by_place(found: Detections) -> np.ndarray:
    """Boxes and classes in an order that rounding of scores cannot change: (N, 5)."""
    rows = np.concatenate([found.class_id[:, None], found.xyxy], axis=1)
    return rows[np.lexsort(rows.round(1).T)]


def test_onnxruntime_says_what_pytorch_says():
    made = network()
    running = Running(made, OUTPUTS, device="cpu", threads=1)
    for shape in ((1, 3, 64, 96), (3, 3, 96, 32)):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(4)) * 255
        with torch.inference_mode():
            wanted = made(images)
        for got, want in zip(running(images), wanted, strict=True):
            assert got.numpy() == pytest.approx(want.numpy(), abs=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_says_what_the_processor_says():
    images = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(4)) * 255
    here = Running(network(), OUTPUTS, device="cpu", threads=1)(images)
    there = Running(network(), OUTPUTS, device="cuda", threads=1)(images.cuda())
    for got, want in zip(there, here, strict=True):
        assert got.cpu().numpy() == pytest.approx(want.numpy(), abs=1e-3)


def test_a_layer_without_an_onnx_form_is_refused_not_left_out():
    with pytest.raises(NotImplementedError, match="GELU"):
        onnx_bytes(torch.nn.Sequential(torch.nn.GELU()), size_hw=(8, 8), outputs={"out": ["n", 3, 8, 8]})


def test_the_exported_file_finds_what_the_network_finds(weights, tmp_path):
    out = tmp_path / "one_shot.onnx"
    export_onnx(weights, out, force=False)
    batch = frames(2, 64, 96)
    mine = Perception(EmbedderConfig(), device="cpu", threads=1)
    view = CameraView("gate", 96, 64, None, "file:///gate.mp4", 10.0)
    results = []
    for use in (f"one-shot:{weights}", f"onnx:{out}"):
        config = DetectorConfig(use=use, score_threshold=0.3, input={"size": (96, 64)} if "onnx" in use else {})
        results.append(mine.session(config, view, lambda n: batch.images).perceive(batch))
    for (one, _), (other, _) in zip(*results, strict=True):
        assert len(one) > 3
        assert by_place(one) == pytest.approx(by_place(other), abs=1e-2)
    with pytest.raises(UserError, match="--force"):
        export_onnx(weights, out, force=False)


def test_boxes_come_back_in_picture_pixels_whatever_was_shrunk_and_filled_up():
    shown, factor_xy = fitted(torch.zeros(1, 3, 1500, 2050, dtype=torch.uint8))
    assert shown.shape == (1, 3, 768, LONGEST_PX) and float(shown[0, 0, -1, 0]) == 114
    assert factor_xy.tolist() == pytest.approx([LONGEST_PX / 2050, 749 / 1500])
    same, factor_xy = fitted(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert same.shape == (1, 3, 64, 96) and factor_xy.tolist() == [1, 1]


def test_looks_are_those_of_the_frame_whether_it_was_looked_at_before_or_not(weights):
    images = upload(frames(3, 64, 96), "cpu").images
    boxes = np.array([[4, 4, 20, 40], [30, 10, 60, 50], [90, 60, 96, 64]], np.float32)
    rows = np.array([0, 2, 2])
    seen = OneShotModel(weights, device="cpu", threads=1)
    seen.look(images, 0.3)
    unseen = OneShotModel(weights, device="cpu", threads=1)
    vectors = seen.looks(images, boxes, rows)
    assert np.array_equal(vectors, unseen.looks(images, boxes, rows))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(vectors[1], vectors[2])
    assert seen.looks(images, boxes[:0], rows[:0]).shape == (0, 128)


def test_one_pass_serves_detector_and_embedder(weights, monkeypatch):
    use = f"one-shot:{weights}"
    perception = Perception(EmbedderConfig(use=use), device="cpu", threads=1)
    passes = []
    running = Running.__call__
    monkeypatch.setattr(Running, "__call__", lambda self, images: passes.append(len(images)) or running(self, images))
    batch = frames(3, 64, 96)
    view = CameraView("gate", 96, 64, None, "file:///gate.mp4", 10.0)
    found = perception.session(DetectorConfig(use=use, score_threshold=0.3), view, lambda n: batch.images).perceive(
        batch
    )
    assert sum(passes) == 3
    assert all(vectors.shape == (len(detections), 128) for detections, vectors in found)


def test_pictures_can_be_embedded_for_a_search(weights):
    perception = Perception(EmbedderConfig(use=f"one-shot:{weights}"), device="cpu", threads=1)
    pictures = frames(2, 64, 32).images
    assert perception.embed_pictures(list(pictures)).shape == (2, 128)
    assert perception.embed_picture(pictures[0]).shape == (1, 128)


def test_an_empty_batch_finds_nothing(weights):
    model = OneShotModel(weights, device="cpu", threads=1)
    assert OneShotDetector(model, min_score=0.3).detect(upload(frames(0, 64, 96), "cpu")) == []


def test_other_weights_are_another_digest(weights, tmp_path):
    other = tmp_path / "other.safetensors"
    saved.save(other, "one-shot", {"classes": ["person", "car"], "width": 16}, network(1).state_dict())
    digests = {models_digest(DetectorConfig(use=f"one-shot:{path}"), EmbedderConfig()) for path in (weights, other)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"classes": ["person", "lorry"], "width": 16}, "names no COCO classes"),
        ({"classes": ["person"], "width": 16}, "do not fit"),
        ({"width": 16}, "names no COCO classes"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_sentence(tmp_path, about, said):
    path = tmp_path / "wrong.safetensors"
    saved.save(path, "one-shot", about, network().state_dict())
    with pytest.raises(WeightsError, match=said):
        one_shot_file.read(path)


def test_what_is_exported_has_shares_for_heat():
    images = torch.rand(1, 3, 64, 64) * 255
    made = network()
    with torch.inference_mode():
        heat, _, _ = Exported(made)(images)
        logits, _, _ = made(images)
    assert heat.numpy() == pytest.approx(torch.sigmoid(logits).numpy(), abs=1e-6)
